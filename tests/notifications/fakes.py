"""A small city: licence changes, rules and contacts in memory, and channels that a test steers."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

from notifications import (
    Bilingual,
    ChannelRefused,
    ChannelUnavailable,
    Contact,
    Delivery,
    DeliveryPolicy,
    Device,
    DeviceKind,
    Inbox,
    Lead,
    LicenceChange,
    NoAddress,
    Notice,
    Outbox,
    OutgoingMessage,
    Receipt,
    ReminderService,
    Stage,
    TickReport,
    Wording,
    tick,
)
from notifications.ports import Channel, SendOutcome
from tests.fakes import FakeClock
from wallet_api.database import Database
from wallet_api.protection import DataProtector

TODAY = date(2026, 11, 23)  # the Shanghai day at which FakeClock starts, at 09:00


def phone(address: str) -> Device:
    """A phone."""
    return Device(DeviceKind.FCM, address)


SOON = TODAY + timedelta(days=30)
STAGES = (Stage("P90D", (Lead(90),)), Stage("P30D", (Lead(30),)), Stage("P7D", (Lead(7),)))


class FakeChanges:
    """A log of changes; a consumer's cursor moves when the transaction commits. It takes no locks."""

    def __init__(self) -> None:
        self._log: list[LicenceChange] = []
        self._cursors: dict[str, int] = {}

    def write(self, *changes: LicenceChange) -> None:
        self._log += changes

    async def pull(self, session: AsyncSession, consumer: str, limit: int) -> Sequence[LicenceChange]:
        start = self._cursors.get(consumer, 0)
        changes = self._log[start : start + limit]

        def commit(_session: object) -> None:
            self._cursors[consumer] = max(self._cursors.get(consumer, 0), start + len(changes))

        event.listen(session.sync_session, "after_commit", commit, once=True)
        return changes

    async def of_type(
        self, session: AsyncSession, consumer: str, type_code: str, after: str | None, limit: int
    ) -> Sequence[LicenceChange]:
        newest = {change.licence_id: change for change in self._log if change.type_code == type_code}
        return [newest[one] for one in sorted(newest) if after is None or one > after][:limit]


class FakeRules:
    def __init__(self) -> None:
        self.by_type = {"food": STAGES, "driving": STAGES, "id": STAGES}
        self.names = {
            "food": Bilingual("食品经营许可证", "food business licence"),
            "driving": Bilingual("机动车驾驶证", "driving licence"),
        }

    def type_codes(self) -> Collection[str]:
        return self.by_type

    def stages(self, type_code: str) -> Sequence[Stage]:
        return self.by_type.get(type_code, ())

    def wording(self, type_code: str) -> Wording | None:
        name = self.names.get(type_code)
        if name is None:
            return None
        return Wording(
            name,
            Bilingual("请在有效期届满30日前申请延续。", "Apply for renewal at least 30 days before."),
            Bilingual("行政许可法第五十条", "Administrative Licensing Law, art. 50"),
        )


class FakeContacts:
    """Everybody has one device and a phone unless a test says otherwise."""

    def __init__(self) -> None:
        self.known: dict[str, Contact | None] = {}
        self.everybody: Callable[[str], Contact] = lambda _: Contact((phone("device-1"),), "13800138000")

    async def find(self, session: AsyncSession, holder_ids: Collection[str]) -> Mapping[str, Contact]:
        found = {holder_id: self.known.get(holder_id, self.everybody(holder_id)) for holder_id in holder_ids}
        return {holder_id: contact for holder_id, contact in found.items() if contact is not None}


class FakeChannel:
    """Keeps what it was given. `failures` are answered one by one first, `dies` is raised after the message left.

    It reaches everybody unless `reaches` is set; the others have no address.
    """

    batch = 1

    def __init__(self, name: str, *, delivered: bool = True) -> None:
        self.name = name
        self.delivered = delivered
        self.failures: list[ChannelUnavailable | ChannelRefused | Exception] = []
        self.always: ChannelUnavailable | ChannelRefused | None = None
        self.dies: list[BaseException] = []
        self.attempts: list[OutgoingMessage] = []
        self.sent: list[OutgoingMessage] = []
        self.reaches: Callable[[Contact], bool] = lambda _: True

    async def send(self, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
        return [
            await self._one(one.message) if self.reaches(one.contact) else NoAddress("no_address", "none")
            for one in deliveries
        ]

    async def _one(self, message: OutgoingMessage) -> SendOutcome:
        self.attempts.append(message)
        if self.failures:
            return self._answered(self.failures.pop(0))
        if self.always is not None:
            return self.always
        self.sent.append(message)
        if self.dies:
            raise self.dies.pop(0)
        return Receipt(self.delivered, provider_ref="ref")

    def _answered(self, failure: Exception) -> ChannelUnavailable | ChannelRefused:
        if isinstance(failure, ChannelUnavailable | ChannelRefused):
            return failure
        raise failure


async def sent(channel: Channel, message: OutgoingMessage, contact: Contact) -> Receipt:
    """What a channel made of one message; its refusal is raised."""
    (outcome,) = await channel.send([Delivery(message, contact)])
    if isinstance(outcome, Receipt):
        return outcome
    raise outcome


class City:
    """Everything wired; `tick` is one run."""

    def __init__(self, database: Database, clock: FakeClock, protector: DataProtector) -> None:
        self.database = database
        self.clock = clock
        self.protector = protector
        self.changes = FakeChanges()
        self.rules = FakeRules()
        self.contacts = FakeContacts()
        self.inbox = Inbox(clock, protector, database)
        self.push = FakeChannel("push")
        self.sms = FakeChannel("sms")
        self.configure(self.inbox, self.push, self.sms)

    def configure(self, *channels: Channel, policy: DeliveryPolicy | None = None) -> None:
        policy = policy or DeliveryPolicy()
        self.outbox = Outbox(self.clock, self.protector, self.contacts, channels, policy)
        renew_at = Bilingual("“一网通办”", "the one-stop portal")
        self.reminders = ReminderService(self.clock, self.changes, self.rules, self.outbox, renew_at)

    async def tick(self) -> TickReport:
        return await tick(self.database, self.reminders, self.outbox)

    async def follow_all(self) -> None:
        """Every change is planned for; nothing is queued."""
        while True:
            async with self.database.transaction() as session:
                if not (await self.reminders.follow(session)).changes:
                    return

    async def queue(self) -> None:
        """Everything of a run but the delivery."""
        async with self.database.transaction() as session:
            await self.reminders.follow(session)
        async with self.database.transaction() as session:
            await self.reminders.queue_due(session)

    async def inbox_of(self, holder_id: str) -> list[str]:
        async with self.database.snapshot() as session:
            return [message.text for message in (await self.inbox.list(session, holder_id)).messages]

    async def counts(self) -> dict[tuple[str, str], int]:
        async with self.database.snapshot() as session:
            return dict(await self.outbox.counts(session))


async def notify(city: City, *notices: Notice) -> int:
    """Write notices; gives the number of messages."""
    async with city.database.transaction() as session:
        return await city.outbox.notify(session, notices)


TEXT = Bilingual("正文", "Text")


def notice(number: int, text: Bilingual = TEXT) -> Notice:
    """A notice to a holder of its own."""
    return Notice(f"h{number}", "test", f"s{number}", Bilingual("标题", "Title"), text)


FOOD = LicenceChange("licence-1", 1, "food", ("holder-1",), in_force=True, valid_until=SOON)


def food(**different: object) -> LicenceChange:
    """A food licence of holder-1 that ends in 30 days, with differences."""
    return replace(FOOD, **different)  # type: ignore[arg-type]
