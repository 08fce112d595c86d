"""Handing messages over: from rows in PostgreSQL to a provider's answers in rows, beside its client alone."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from time import perf_counter
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import text

from notifications import Bilingual, Contact, Delivery, Device, DeviceKind, Notice, Outbox, OutgoingMessage, Receipt
from notifications.channels.providers import FailOver, Gate, Gated, GatePolicy
from notifications.channels.push import Push
from notifications.channels.push_fcm import PushFcm
from notifications.channels.sms_smpp import SmppAccount, SmsSmpp
from notifications.ports import Channel
from tests.bench.far_ends import fcm, sms_centre
from tests.bench.registered import bench
from tests.bench.server import own_database
from tests.bench.suite import Prepare
from tests.fakes import FakeClock
from tests.notifications.fakes import FakeContacts
from wallet_api.database import Database
from wallet_api.protection import DataProtector

FCM_MESSAGES, SMPP_MESSAGES = 500, 1000
TITLE = Bilingual("证照到期提醒", "Licence expiry")
TEXT = Bilingual("您的食品经营许可证将于30日后到期。", "Your food business licence expires in 30 days.")


@bench("fcm_client", unit="push", batch=FCM_MESSAGES, timer=perf_counter)
def bare_fcm(stack: ExitStack) -> Prepare:
    """Google's client alone, in calls as large as it takes."""
    return _bare(stack, stack.enter_context(asyncio.Runner()), _fcm(stack))


@bench("outbox_fcm_postgresql", unit="push", raw={"fcm_client": 1}, batch=FCM_MESSAGES, timer=perf_counter)
def outbox_fcm(stack: ExitStack) -> Prepare:
    runner = stack.enter_context(asyncio.Runner())
    world = _World(stack, runner)
    return world.delivering(Push([Gated(_fcm(stack), world.gate, GatePolicy(per_second=100_000))]))


@bench("smpp_client", unit="SMS", batch=SMPP_MESSAGES, timer=perf_counter)
def bare_smpp(stack: ExitStack) -> Prepare:
    """One SMPP session alone, its window always full."""
    runner = stack.enter_context(asyncio.Runner())
    return _bare(stack, runner, _smpp(stack, runner))


@bench("outbox_smpp_postgresql", unit="SMS", raw={"smpp_client": 1}, batch=SMPP_MESSAGES, timer=perf_counter)
def outbox_smpp(stack: ExitStack) -> Prepare:
    runner = stack.enter_context(asyncio.Runner())
    world = _World(stack, runner)
    return world.delivering(FailOver("sms", [Gated(_smpp(stack, runner), world.gate, GatePolicy(per_second=100_000))]))


class _World:
    """A database whose outbox is empty before each slice."""

    def __init__(self, stack: ExitStack, runner: asyncio.Runner) -> None:
        self._runner = runner
        self.database = Database(own_database(stack, runner))
        stack.callback(lambda: runner.run(self.database.close()))
        runner.run(self.database.create_all())
        self.clock = FakeClock()
        self.gate = Gate(self.database, self.clock)

    def delivering(self, channel: Channel) -> Prepare:
        protector = DataProtector({"bench": b"k" * 32}, active="bench", blind_index_key=b"i" * 32)
        outbox = Outbox(self.clock, protector, FakeContacts(), [channel])

        async def write(count: int) -> None:
            self.clock.forward(seconds=10)  # the gate is full again
            notices = [
                Notice(f"holder-{n}", "licence_expiry", f"licence:{n}", TITLE, TEXT, (channel.name,))
                for n in range(count)
            ]
            async with self.database.transaction() as session:
                await session.execute(text("TRUNCATE outbox_entry, outbox_message CASCADE"))
                for first in range(0, count, 500):
                    await outbox.notify(session, notices[first : first + 500])

        async def deliver(count: int) -> None:
            report = await outbox.deliver(self.database, count)
            assert report.sent == count, "what is not sent costs less"

        def prepare(count: int) -> Callable[[], object]:
            self._runner.run(write(count))
            return lambda: self._runner.run(deliver(count))

        return prepare


def _bare(stack: ExitStack, runner: asyncio.Runner, channel: Channel) -> Prepare:
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


class _NoReceipts:
    """The benches' centre sends none."""

    async def note(self, provider: str, provider_ref: str, *, delivered: bool, reason: str | None = None) -> None:
        raise AssertionError("no receipt was to come")


def _smpp(stack: ExitStack, runner: asyncio.Runner) -> SmsSmpp:
    account = SmppAccount("127.0.0.1", sms_centre(stack), "wallet", "secret", source="10690000")
    sms = SmsSmpp(account, _NoReceipts())
    stack.callback(lambda: runner.run(sms.close()))
    return sms


def _fcm(stack: ExitStack) -> PushFcm:
    from firebase_admin import messaging
    from google.oauth2 import service_account

    url = fcm(stack)
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
    stack.callback(channel.close)
    return channel
