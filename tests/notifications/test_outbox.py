"""Delivery: once, in order of channels, through failures and dead workers."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from notifications import (
    Bilingual,
    ChannelRefused,
    ChannelUnavailable,
    Contact,
    Delivery,
    DeliveryPolicy,
    Digest,
    Entry,
    NoAddress,
    NotificationsError,
    Receipt,
    TickReport,
)
from notifications.outbox.tables import OutboxEntryRow
from notifications.ports import SendOutcome
from tests.notifications.fakes import TODAY, City, food, phone


def digest(*subjects: str, holder_id: str = "holder-1", days: int = 0) -> Digest:
    entries = tuple(Entry(subject, Bilingual(f"关于{subject}", f"About {subject}")) for subject in subjects)
    text = Bilingual("标题", "Title"), Bilingual("共{count}条", "{count} items"), Bilingual("完", "End")
    return Digest(holder_id, TODAY + timedelta(days=days), "test", *text, entries)


async def post(city: City, *digests: Digest) -> int:
    async with city.database.transaction() as session:
        return sum([await city.outbox.post(session, [one]) for one in digests])


class Killed(BaseException):
    """The process dies here."""


async def test_provider_down_is_retried_later_and_not_marked_sent(city: City) -> None:
    city.push.failures = [ChannelUnavailable("down", "provider down")]
    city.changes.write(food())
    assert await city.tick() == TickReport(planned=3, queued=1, sent=1, retried=1)  # sent: the inbox
    assert (await city.counts())["push", "pending"] == 1
    assert await city.tick() == TickReport()
    city.clock.forward(seconds=30)
    assert await city.tick() == TickReport(sent=1)
    assert len(city.push.sent) == 1


async def test_every_attempt_carries_the_same_idempotency_key(city: City) -> None:
    city.push.failures = [ChannelUnavailable("down", "provider down")] * 3
    await post(city, digest("a"))
    for _ in range(4):
        await city.outbox.deliver(city.database)
        city.clock.forward(minutes=5)
    assert len(city.push.attempts) == 4
    assert len({message.idempotency_key for message in city.push.attempts}) == 1


async def test_a_worker_killed_after_sending_is_followed_by_one_that_sends_under_the_same_key(city: City) -> None:
    city.configure(city.push)
    city.push.dies = [Killed()]
    await post(city, digest("a"))
    with pytest.raises(Killed):
        await city.outbox.deliver(city.database)
    assert await city.counts() == {("push", "claimed"): 1}
    city.clock.forward(seconds=DeliveryPolicy().lease_s - 1)
    assert (await city.outbox.deliver(city.database)).sent == 0
    city.clock.forward(seconds=1)
    assert (await city.outbox.deliver(city.database)).sent == 1
    first, second = city.push.sent
    assert first.idempotency_key == second.idempotency_key
    assert await city.counts() == {("push", "delivered"): 1}


async def test_a_worker_that_outlives_its_lease_does_not_overwrite_its_successor(city: City) -> None:
    class Slow:
        """Takes so long the first time that another worker gets the message."""

        name = "push"
        batch = 1
        calls = 0

        async def send(self, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
            self.calls += 1
            if self.calls == 1:
                city.clock.forward(hours=1)
                await city.outbox.deliver(city.database)
                return [ChannelRefused("refused", "too late to say so")]
            return [Receipt(delivered=True)]

    city.configure(Slow())
    await post(city, digest("a"))
    assert (await city.outbox.deliver(city.database)).failed == 0
    assert await city.counts() == {("push", "delivered"): 1}


async def test_a_late_worker_does_not_close_what_its_successor_is_sending(city: City) -> None:
    begun, taken_over, late_one_done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    class Slow:
        name = "push"
        batch = 1
        calls = 0

        async def send(self, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
            self.calls += 1
            if self.calls == 1:
                begun.set()
                await taken_over.wait()
                return [ChannelRefused("refused", "too late to say so")]
            taken_over.set()
            await late_one_done.wait()
            return [Receipt(delivered=True)]

    city.configure(Slow())
    await post(city, digest("a"))
    late = asyncio.create_task(city.outbox.deliver(city.database))
    await begun.wait()
    city.clock.forward(hours=1)
    successor = asyncio.create_task(city.outbox.deliver(city.database))
    assert (await late).failed == 0
    late_one_done.set()
    assert (await successor).sent == 1
    assert await city.counts() == {("push", "delivered"): 1}


async def test_a_subject_withdrawn_while_push_is_under_way_does_not_go_on_to_sms(city: City) -> None:
    """The withdrawal commits while the worker closes its refused push: whoever is second sees the other."""
    withdrawals: list[asyncio.Task[None]] = []
    locked = asyncio.Event()

    async def withdraw() -> None:
        async with city.database.transaction() as session:
            await city.outbox.withdraw(session, ["a"])
            locked.set()
            await asyncio.sleep(0.05)

    class Refusing:
        name = "push"
        batch = 1

        async def send(self, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
            withdrawals.append(asyncio.create_task(withdraw()))
            await locked.wait()
            return [ChannelRefused("refused", "no")]

    city.configure(Refusing(), city.sms)
    await post(city, digest("a"))
    await city.outbox.deliver(city.database)
    await asyncio.gather(*withdrawals)
    city.clock.forward(hours=1)
    await city.outbox.deliver(city.database)
    assert city.sms.attempts == []


async def test_a_message_that_kills_every_worker_fails_for_good(city: City) -> None:
    city.configure(city.push, city.sms, policy=DeliveryPolicy(max_attempts=3))
    city.push.dies = [Killed() for _ in range(9)]
    await post(city, digest("a"))
    for _ in range(3):
        with pytest.raises(Killed):
            await city.outbox.deliver(city.database)
        city.clock.forward(hours=1)
    report = await city.outbox.deliver(city.database)
    assert (report.failed, report.sent) == (1, 1)
    assert await city.counts() == {("push", "failed"): 1, ("sms", "delivered"): 1}


async def test_a_text_that_does_not_open_does_not_block_the_others(city: City) -> None:
    city.configure(city.push, policy=DeliveryPolicy(max_attempts=1))
    await post(city, digest("a"))
    async with city.database.transaction() as session:
        await (await session.connection()).execute(text("UPDATE outbox_entry SET body = :x"), {"x": b"x"})
    city.clock.forward(seconds=1)
    await post(city, digest("b", holder_id="holder-2"))
    with pytest.raises(Exception, match="configured"):
        await city.outbox.deliver(city.database)
    await city.outbox.deliver(city.database)
    assert [message.holder_id for message in city.push.sent] == ["holder-2"]
    city.clock.forward(hours=1)
    assert (await city.outbox.deliver(city.database)).failed == 1


async def test_failures_are_final_after_the_last_attempt_and_sms_takes_over(city: City) -> None:
    city.configure(city.push, city.sms, policy=DeliveryPolicy(max_attempts=2, sms_after_s=1_000_000))
    city.push.always = ChannelUnavailable("down", "provider down")
    await post(city, digest("a"))
    assert (await city.outbox.deliver(city.database)).retried == 1
    city.clock.forward(hours=1)
    report = await city.outbox.deliver(city.database)
    assert (report.failed, report.sent, len(city.sms.sent)) == (1, 1, 1)
    assert (await city.counts())["push", "failed"] == 1


async def test_retry_after_is_respected(city: City) -> None:
    city.configure(city.push)
    city.push.failures = [ChannelUnavailable("quota", "slow down", retry_after_s=5000)]
    await post(city, digest("a"))
    await city.outbox.deliver(city.database)
    city.clock.forward(seconds=4999)
    assert (await city.outbox.deliver(city.database)).sent == 0
    city.clock.forward(seconds=1)
    assert (await city.outbox.deliver(city.database)).sent == 1


async def test_a_channel_that_hangs_counts_as_unavailable(city: City) -> None:
    class Hanging:
        name = "push"
        batch = 1

        async def send(self, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
            await asyncio.Event().wait()
            raise AssertionError

    city.configure(Hanging(), policy=DeliveryPolicy(send_timeout_s=0.01))
    await post(city, digest("a"))
    assert (await city.outbox.deliver(city.database)).retried == 1


async def test_a_push_with_a_receipt_needs_no_sms(city: City) -> None:
    await post(city, digest("a"))
    assert (await city.outbox.deliver(city.database)).sent == 2
    city.clock.forward(hours=1)
    assert (await city.outbox.deliver(city.database)).sent == 0
    assert city.sms.attempts == []


async def test_a_push_without_receipt_is_followed_by_sms_after_ten_minutes(city: City) -> None:
    city.push.delivered = False
    await post(city, digest("a"))
    assert (await city.outbox.deliver(city.database)).sent == 2
    city.clock.forward(seconds=599)
    assert (await city.outbox.deliver(city.database)).sent == 0
    city.clock.forward(seconds=1)
    assert (await city.outbox.deliver(city.database)).sent == 1
    assert city.sms.sent[0].text == city.push.sent[0].text


async def test_a_receipt_from_the_wallet_stops_the_sms(city: City) -> None:
    city.push.delivered = False
    await post(city, digest("a"))
    await city.outbox.deliver(city.database)
    key = city.push.sent[0].idempotency_key
    for _ in range(2):  # a receipt may come twice
        async with city.database.transaction() as session:
            await city.outbox.acknowledge(session, "holder-1", key)
    city.clock.forward(hours=1)
    assert (await city.outbox.deliver(city.database)).sent == 0
    assert (await city.counts())["push", "delivered"] == 1


async def test_a_receipt_for_another_holders_message_is_refused(city: City) -> None:
    city.push.delivered = False
    await post(city, digest("a"))
    await city.outbox.deliver(city.database)
    async with city.database.transaction() as session:
        with pytest.raises(NotificationsError) as refused:
            await city.outbox.acknowledge(session, "holder-2", city.push.sent[0].idempotency_key)
    assert refused.value.code == "message_not_found"
    assert (await city.counts())["push", "sent"] == 1


async def test_a_push_provider_that_is_down_does_not_hold_back_the_sms(city: City) -> None:
    city.push.always = ChannelUnavailable("down", "provider down")
    await post(city, digest("a"))
    await city.outbox.deliver(city.database)
    city.clock.forward(seconds=600)
    await city.outbox.deliver(city.database)
    city.clock.forward(seconds=600)
    await city.outbox.deliver(city.database)
    assert len(city.sms.sent) == 1


async def test_a_push_that_arrives_in_the_end_stops_the_waiting_sms(city: City) -> None:
    city.push.failures = [ChannelUnavailable("down", "provider down")]
    await post(city, digest("a"))
    await city.outbox.deliver(city.database)
    city.clock.forward(seconds=60)
    await city.outbox.deliver(city.database)
    assert (await city.counts())["sms", "cancelled"] == 1
    city.clock.forward(hours=1)
    await city.outbox.deliver(city.database)
    assert (len(city.push.sent), city.sms.sent) == (1, [])


async def test_a_refused_push_is_followed_by_sms_at_once(city: City) -> None:
    city.push.always = ChannelRefused("unregistered", "the app is gone")
    await post(city, digest("a"))
    report = await city.outbox.deliver(city.database)
    assert (report.failed, report.sent, len(city.sms.sent)) == (1, 2, 1)


async def test_a_push_refused_after_a_retry_brings_the_waiting_sms_forward(city: City) -> None:
    city.push.failures = [ChannelUnavailable("down", "provider down"), ChannelRefused("gone", "app gone")]
    await post(city, digest("a"))
    await city.outbox.deliver(city.database)
    city.clock.forward(seconds=60)
    await city.outbox.deliver(city.database)
    assert len(city.sms.sent) == 1


async def test_without_device_and_phone_there_is_the_inbox(city: City) -> None:
    city.push.always = NoAddress("no_push_token", "no device")
    city.sms.always = NoAddress("no_phone", "no phone")
    await post(city, digest("a"))
    report = await city.outbox.deliver(city.database)
    assert (report.sent, report.failed, report.cancelled) == (1, 0, 2)
    assert await city.inbox_of("holder-1") == ["关于a\n完"]


async def test_a_channel_that_is_not_configured_is_passed_over(city: City) -> None:
    city.configure(city.sms)
    assert await post(city, digest("a")) == 1
    assert (await city.outbox.deliver(city.database)).sent == 1


async def test_the_reader_of_english_gets_english(city: City) -> None:
    city.contacts.known["holder-1"] = Contact(devices=(phone("device"),), language="en")
    await post(city, digest("a", "b"))
    await city.outbox.deliver(city.database)
    assert city.push.sent[0].title == "Title"
    assert city.push.sent[0].text == "2 items\n1. About a\n2. About b\nEnd"


async def test_a_subject_is_told_once_on_each_channel(city: City) -> None:
    assert await post(city, digest("a"), digest("a", days=1)) == 2
    assert await post(city, digest("a", "b", days=2)) == 2
    await city.outbox.deliver(city.database)
    assert sorted(message.text for message in city.push.sent) == ["关于a\n完", "关于b\n完"]


async def test_a_holder_gets_one_digest_a_day_on_each_channel(city: City) -> None:
    assert await post(city, digest("a"), digest("b"), digest("c", holder_id="holder-2")) == 4


async def test_a_digest_without_entries_is_not_written(city: City) -> None:
    assert await post(city, digest()) == 0


async def test_a_digest_of_a_transaction_that_was_rolled_back_is_not_sent(city: City) -> None:
    async def die() -> None:
        async with city.database.transaction() as session:
            await city.outbox.post(session, [digest("a")])
            raise Killed

    with pytest.raises(Killed):
        await die()
    assert (await city.outbox.deliver(city.database)).sent == 0


async def test_at_most_the_limit_is_sent_and_the_rest_later(city: City) -> None:
    city.configure(city.push)
    await post(city, *(digest(f"s{n}", holder_id=f"holder-{n}") for n in range(7)))
    assert [(await city.outbox.deliver(city.database, limit=5)).sent for _ in range(3)] == [5, 2, 0]


async def test_neither_text_nor_address_is_readable_in_the_database(city: City) -> None:
    city.push.delivered = False
    city.changes.write(food())
    await city.tick()
    async with city.database.snapshot() as session:
        connection = await session.connection()
        for table in ("outbox_message", "outbox_entry", "inbox_message"):
            rows = (await connection.execute(text(f"SELECT * FROM {table}"))).all()
            assert rows
            for stored in (b"".join(v if isinstance(v, bytes) else str(v).encode() for v in row) for row in rows):
                assert not any(word in stored for word in ("许可证".encode(), b"13800138000", b"device-1"))


async def test_workers_at_once_send_each_message_once(city: City) -> None:
    for number in range(12):
        city.changes.write(food(licence_id=f"l-{number}", holder_ids=(f"holder-{number % 6}",)))
    reports = await asyncio.gather(*(city.tick() for _ in range(4)))
    reports.append(await city.tick())  # who was busy with a change had to wait for it
    assert sum(report.planned for report in reports) == 36
    assert sum(report.queued for report in reports) == 12
    assert Counter(message.holder_id for message in city.push.sent) == {f"holder-{n}": 1 for n in range(6)}
    assert sum(report.sent for report in reports) == 12
    async with city.database.snapshot() as session:
        count = select(func.count()).select_from(OutboxEntryRow)
        assert (await (await session.connection()).execute(count)).scalar_one() == 24


async def test_changes_during_runs_neither_deadlock_nor_repeat(city: City) -> None:
    for number in range(12):
        city.changes.write(food(licence_id=f"l-{number}", holder_ids=(f"holder-{number % 4}",)))
    await city.tick()
    for version in (2, 3, 4):
        for number in reversed(range(12)):
            ends = TODAY + timedelta(days=20 + version)
            holders = (f"holder-{number % 4}",)
            change = food(licence_id=f"l-{number}", licence_version=version, holder_ids=holders, valid_until=ends)
            city.changes.write(change)
        city.clock.forward(days=1)
        await asyncio.gather(*(city.tick() for _ in range(4)))
        await city.tick()
    assert Counter(message.holder_id for message in city.push.sent) == {f"holder-{n}": 4 for n in range(4)}
