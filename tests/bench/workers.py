"""Whoever hands messages over to the far ends: clients, the outbox above them, and workers in their own processes."""

import asyncio
import multiprocessing
from collections.abc import Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from notifications import Delivery, Device, Outbox
from notifications.channels.providers import FailOver, Gate, Gated, GatePolicy
from notifications.channels.push import Push
from notifications.channels.push_fcm import PushFcm
from notifications.channels.sms_smpp import SmppAccount, SmsSmpp
from notifications.outbox.claims import AskedBook
from notifications.ports import Channel, SendOutcome
from tests.fakes import FakeClock
from tests.notifications.fakes import FakeContacts
from wallet_api.database import Database
from wallet_api.garbage import collect_rarely
from wallet_api.protection import DataProtector

PLENTY = GatePolicy(per_second=1_000_000)


class Named:
    """A channel that only has a name: who writes messages need not be able to send them."""

    batch = 1

    def __init__(self, name: str) -> None:
        self.name = name

    async def send(self, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
        raise AssertionError("nothing is sent from here")


class Workers:
    """Processes that each hand over what waits in one database whenever they are told to.

    Args:
        far_end: the URL of an FCM, or the port of an SMS centre.
    """

    def __init__(self, stack: ExitStack, number: int, url: str, far_end: str | int) -> None:
        self._pipes = [self._begin(stack, url, far_end) for _ in range(number)]
        for pipe in self._pipes:
            pipe.recv()  # it is ready

    def _begin(self, stack: ExitStack, url: str, far_end: str | int) -> Connection:
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(target=_work, args=(theirs, url, far_end), daemon=True)
        process.start()
        stack.callback(process.join)
        stack.callback(ours.send, None)
        return ours

    def deliver(self, count: int) -> None:
        """Hand over so many messages together."""
        for pipe in self._pipes:
            pipe.send(count)
        sent = sum(pipe.recv() for pipe in self._pipes)
        assert sent == count, "what is not sent costs less"


def _work(pipe: Connection, url: str, far_end: str | int) -> None:
    collect_rarely()  # as the platform's processes do
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        database = Database(url)
        stack.callback(lambda: runner.run(database.close()))
        channel = fcm_channel if isinstance(far_end, str) else smpp_channel
        outbox = outbox_over(database, channel(stack, runner, far_end))  # type: ignore[arg-type]
        pipe.send(None)
        while (count := pipe.recv()) is not None:
            pipe.send(runner.run(outbox.deliver(database, count)).sent)


def outbox_over(database: Database, channel: Channel) -> Outbox:
    """An outbox of one channel; the providers of a channel have their gate before them, as everywhere."""
    protector = DataProtector({"bench": b"k" * 32}, active="bench", blind_index_key=b"i" * 32)
    clock = FakeClock()
    gate = Gate(database, clock)
    if isinstance(channel, PushFcm):
        channel = Push([Gated(channel, gate, PLENTY)])
    elif isinstance(channel, SmsSmpp):
        # As it is where there is another provider: who is asked is noted.
        channel = FailOver("sms", [Gated(channel, gate, PLENTY, AskedBook(database))])
    return Outbox(clock, protector, FakeContacts(), [channel])


class _NoReceipts:
    """The benches' centre sends none."""

    async def note(self, provider: str, provider_ref: str, *, delivered: bool, reason: str | None = None) -> None:
        raise AssertionError("no receipt was to come")


def smpp_channel(stack: ExitStack, runner: asyncio.Runner, port: int) -> SmsSmpp:
    """SMPP to a centre on this machine."""
    account = SmppAccount("127.0.0.1", port, "wallet", "secret", source="10690000")
    sms = SmsSmpp(account, _NoReceipts())
    stack.callback(lambda: runner.run(sms.close()))
    return sms


def fcm_channel(stack: ExitStack, runner: asyncio.Runner, url: str) -> PushFcm:
    """Google's client, turned to a server on this machine."""
    from firebase_admin import messaging
    from google.oauth2 import service_account

    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    replaced: list[tuple[Any, str, Any]] = [
        # Would ask a Google server about regions, in a thread of its own.
        (service_account.Credentials, "_is_regional_access_boundary_lookup_required", lambda _: False),
        (messaging._MessagingService, "FCM_URL", url + "/v1/projects/{0}/messages:send"),
    ]
    for place, name, value in replaced:
        stack.callback(setattr, place, name, getattr(place, name))
        setattr(place, name, value)
    account = {
        "type": "service_account",
        "project_id": "wallet",
        "client_email": "push@wallet.example",
        "private_key": pem.decode(),
        "token_uri": f"{url}/token",
    }

    async def forget(_: Device) -> None:
        raise AssertionError("every device is known")

    channel = PushFcm(account, forget)
    stack.callback(lambda: runner.run(channel.close()))
    return channel
