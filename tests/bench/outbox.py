"""Handing messages over: from rows in PostgreSQL to a provider's answers in rows, beside its client alone.

With one worker in this process, and with two and three in processes of their own.
"""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from time import perf_counter

from sqlalchemy import text

from notifications import Bilingual, Contact, Delivery, Device, DeviceKind, Notice, Outbox, OutgoingMessage, Receipt
from notifications.ports import Channel
from tests.bench.far_ends import fcm, sms_centre
from tests.bench.registered import bench
from tests.bench.server import own_database
from tests.bench.suite import Prepare
from tests.bench.workers import Named, Workers, fcm_channel, outbox_over, smpp_channel
from wallet_api.database import Database

FCM_MESSAGES, SMPP_MESSAGES = 500, 1000
TITLE = Bilingual("证照到期提醒", "Licence expiry")
TEXT = Bilingual("您的食品经营许可证将于30日后到期。", "Your food business licence expires in 30 days.")


@bench("fcm_client", unit="push", batch=FCM_MESSAGES, timer=perf_counter)
def bare_fcm(stack: ExitStack) -> Prepare:
    """Google's client alone, in calls as large as it takes."""
    runner = stack.enter_context(asyncio.Runner())
    return _bare(runner, fcm_channel(stack, runner, fcm(stack)))


@bench("outbox_fcm_postgresql", unit="push", raw={"fcm_client": 1}, batch=FCM_MESSAGES, timer=perf_counter)
def outbox_fcm(stack: ExitStack) -> Prepare:
    world = _World(stack)
    return world.delivering("push", fcm_channel(stack, world.runner, fcm(stack)))


@bench("outbox_fcm_2_workers", unit="push", raw={"fcm_client": 1}, batch=3 * FCM_MESSAGES, timer=perf_counter)
def outbox_fcm_two(stack: ExitStack) -> Prepare:
    return _World(stack).delivering_with(2, "push", fcm(stack))


@bench("outbox_fcm_3_workers", unit="push", raw={"fcm_client": 1}, batch=3 * FCM_MESSAGES, timer=perf_counter)
def outbox_fcm_three(stack: ExitStack) -> Prepare:
    return _World(stack).delivering_with(3, "push", fcm(stack))


@bench("smpp_client", unit="SMS", batch=SMPP_MESSAGES, timer=perf_counter)
def bare_smpp(stack: ExitStack) -> Prepare:
    """One SMPP session alone, its window always full."""
    runner = stack.enter_context(asyncio.Runner())
    return _bare(runner, smpp_channel(stack, runner, sms_centre(stack)))


@bench("outbox_smpp_postgresql", unit="SMS", raw={"smpp_client": 1}, batch=SMPP_MESSAGES, timer=perf_counter)
def outbox_smpp(stack: ExitStack) -> Prepare:
    world = _World(stack)
    return world.delivering("sms", smpp_channel(stack, world.runner, sms_centre(stack)))


@bench("outbox_smpp_2_workers", unit="SMS", raw={"smpp_client": 1}, batch=3 * SMPP_MESSAGES, timer=perf_counter)
def outbox_smpp_two(stack: ExitStack) -> Prepare:
    return _World(stack).delivering_with(2, "sms", sms_centre(stack))


@bench("outbox_smpp_3_workers", unit="SMS", raw={"smpp_client": 1}, batch=3 * SMPP_MESSAGES, timer=perf_counter)
def outbox_smpp_three(stack: ExitStack) -> Prepare:
    return _World(stack).delivering_with(3, "sms", sms_centre(stack))


class _World:
    """A database whose outbox is empty before each slice."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.runner = stack.enter_context(asyncio.Runner())
        self._url = own_database(stack, self.runner)
        self._database = Database(self._url)
        stack.callback(lambda: self.runner.run(self._database.close()))
        self.runner.run(self._database.create_all())

    def delivering(self, channel: str, provider: Channel) -> Prepare:
        """By one worker, here."""
        outbox = outbox_over(self._database, provider)

        async def deliver(count: int) -> None:
            report = await outbox.deliver(self._database, count)
            assert report.sent == count, "what is not sent costs less"

        return self._preparing(outbox, channel, lambda count: self.runner.run(deliver(count)))

    def delivering_with(self, workers: int, channel: str, far_end: str | int) -> Prepare:
        """By workers in processes of their own."""
        hands = Workers(self._stack, workers, self._url, far_end)
        return self._preparing(outbox_over(self._database, Named(channel)), channel, hands.deliver)

    def _preparing(self, outbox: Outbox, channel: str, deliver: Callable[[int], object]) -> Prepare:
        async def write(count: int) -> None:
            notices = [
                Notice(f"holder-{n}", "licence_expiry", f"licence:{n}", TITLE, TEXT, (channel,)) for n in range(count)
            ]
            async with self._database.transaction() as session:
                await session.execute(text("TRUNCATE outbox_entry, outbox_message CASCADE"))
                for first in range(0, count, 500):
                    await outbox.notify(session, notices[first : first + 500])

        def prepare(count: int) -> Callable[[], object]:
            self.runner.run(write(count))
            return lambda: deliver(count)

        return prepare


def _bare(runner: asyncio.Runner, channel: Channel) -> Prepare:
    contact = Contact((Device(DeviceKind.FCM, "device-1"),), "13800138000")

    async def send(deliveries: list[Delivery]) -> None:
        for first in range(0, len(deliveries), channel.batch):
            outcomes = await channel.send(deliveries[first : first + channel.batch])
            assert all(isinstance(one, Receipt) for one in outcomes)

    def prepare(count: int) -> Callable[[], object]:
        messages = [OutgoingMessage(f"{n:032x}", "holder", "licence_expiry", TITLE.zh, TEXT.zh) for n in range(count)]
        deliveries = [Delivery(message, contact) for message in messages]
        return lambda: runner.run(send(deliveries))

    return prepare
