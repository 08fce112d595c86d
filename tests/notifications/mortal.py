"""A worker in a process of its own that dies where it is told to, and a far end that counts and outlives it."""

import asyncio
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from notifications import ChannelUnavailable, Contact, Delivery, DeliveryPolicy, Outbox, Receipt
from notifications.channels.providers import FailOver, Gate, Gated, GatePolicy
from notifications.outbox import delivery
from notifications.outbox.claims import AskedBook, ClaimRepository
from notifications.outbox.models import Claimed, Outcome
from notifications.ports import Channel, SendOutcome
from tests.fakes import FakeClock
from tests.notifications.fakes import FakeContacts
from wallet_api.database import Database
from wallet_api.protection import DataProtector

STEPS = (
    "before_claim",
    "before_claim_commit",
    "after_claim_commit",
    "before_send",
    "after_send",
    "before_close",
    "before_close_commit",
    "after_close_commit",
)
TAKEN_AND_NOT_CLOSED = frozenset({"after_send", "before_close", "before_close_commit"})
BATCH = 5

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__])  # a child then starts in milliseconds


@dataclass(frozen=True)
class FarEnd:
    """A provider's book: a line for each message that it took."""

    file: Path

    def take(self, key: str, attempt: int) -> None:
        """Write a message down; what is written outlives the writer."""
        with self.file.open("ab", buffering=0) as book:
            book.write(f"{key} {attempt}\n".encode())

    def attempts(self) -> Mapping[str, Sequence[int]]:
        """The attempts that got through, by idempotency key, in their order."""
        found: dict[str, list[int]] = {}
        for line in self.file.read_text().splitlines() if self.file.exists() else ():
            key, attempt = line.split()
            found.setdefault(key, []).append(int(attempt))
        return found

    def taken(self) -> int:
        """How many messages were taken, repetitions included."""
        return sum(map(len, self.attempts().values()))


@dataclass(frozen=True)
class Order:
    """What a worker is to do.

    Args:
        now: its clock stands still there.
        dies_at: the step at which it kills itself, the second time that it comes there.
        silent: the first provider takes messages and does not answer.
        away: the first provider takes nothing, and says so.
        pause_s: how long the provider takes for a batch.
    """

    url: str
    far_end: Path
    now: datetime
    dies_at: str = ""
    silent: bool = False
    away: bool = False
    pause_s: float = 0.0


def start(order: Order) -> BaseProcess:
    """A worker that delivers what is due and ends."""
    process = _processes.Process(target=_work, args=(order,))
    process.start()
    return process


def run(*orders: Order) -> list[int | None]:
    """Workers side by side; gives how each ended."""
    processes = [start(order) for order in orders]
    for process in processes:
        process.join(30)
    return [process.exitcode for process in processes]


def protector() -> DataProtector:
    """As the fixture has it."""
    return DataProtector({"test": b"k" * 32}, active="test", blind_index_key=b"i" * 32)


def _work(order: Order) -> None:
    asyncio.run(_deliver(order))


async def _deliver(order: Order) -> None:
    passed: Counter[str] = Counter()

    def step(name: str) -> None:
        passed[name] += 1
        if order.dies_at == name and passed[name] == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    delivery.__dict__["ClaimRepository"] = _mortal(step)
    first = _Provider("first", FarEnd(order.far_end), order, step)
    sound = replace(order, silent=False, away=False)
    second = _Provider("second", FarEnd(order.far_end.with_suffix(".second")), sound, step)
    policy = DeliveryPolicy(send_timeout_s=10)
    database = Database(order.url, pool_size=4)
    clock = FakeClock(order.now)
    gate, asked = Gate(database, clock), AskedBook(database)
    tireless = GatePolicy(failures=1_000_000)  # who is away is asked all the same
    channel: Channel = FailOver("sms", [Gated(one, gate, tireless, asked) for one in (first, second)])
    outbox = Outbox(clock, protector(), FakeContacts(), [channel], policy)
    try:
        await outbox.deliver(database)
    finally:
        await database.close()


def _mortal(step: Callable[[str], None]) -> type[ClaimRepository]:
    closed_one = ContextVar("closed_one", default=False)  # each of a worker's hands is a task

    class Mortal(ClaimRepository):
        """Its user may die at each step."""

        async def claim(self, *args: Any, **options: Any) -> Sequence[Claimed]:
            if closed_one.get():
                step("after_close_commit")
            step("before_claim")
            taken = await super().claim(*args, **options)
            step("before_claim_commit")
            return taken

        async def entries(self, message_ids: Collection[str]) -> Mapping[str, Sequence[tuple[str, bytes]]]:
            step("after_claim_commit")
            return await super().entries(message_ids)

        async def close(self, outcomes: Sequence[tuple[Claimed, Outcome]], now: datetime) -> frozenset[str]:
            step("before_close")
            closed = await super().close(outcomes, now)
            step("before_close_commit")
            closed_one.set(True)
            return closed

    return Mortal


class _Provider:
    batch = BATCH

    def __init__(self, name: str, far_end: FarEnd, order: Order, step: Callable[[str], None]) -> None:
        self.name = name
        self._far_end = far_end
        self._order = order
        self._step = step

    def reaches(self, contact: Contact) -> bool:
        return contact.phone is not None

    async def send(self, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
        if self._order.away:
            return [ChannelUnavailable("away", "no connection")] * len(deliveries)
        self._step("before_send")
        for one in deliveries:
            self._far_end.take(one.message.idempotency_key, one.message.attempt)
        self._step("after_send")
        if self._order.silent:
            return [ChannelUnavailable("silent", "no answer", uncertain=True) for _ in deliveries]
        await asyncio.sleep(self._order.pause_s)
        return [Receipt(delivered=True) for _ in deliveries]
