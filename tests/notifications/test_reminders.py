"""What holders are told about licences that end, and when."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta

import pytest

from notifications import (
    ChannelUnavailable,
    Delivery,
    DeliveryPolicy,
    Lead,
    LicenceChange,
    OutgoingMessage,
    Receipt,
    Selection,
    Stage,
    TickReport,
)
from notifications.ports import SendOutcome
from notifications.service import BATCH
from tests.fakes import FakeClock
from tests.notifications.fakes import SOON, TODAY, City, food
from wallet_api.database import Database
from wallet_api.protection import DataProtector


def _at(city: City, day: date, hour: int = 9) -> None:
    """Move to an hour of a Shanghai day."""
    target = datetime(day.year, day.month, day.day, hour - 8, tzinfo=UTC)
    city.clock.forward(seconds=(target - city.clock.now()).total_seconds())


async def test_a_reminder_says_type_last_day_window_source_and_where(city: City) -> None:
    city.changes.write(food())
    assert await city.tick() == TickReport(planned=3, queued=1, sent=2)
    assert await city.inbox_of("holder-1") == [
        "您的《食品经营许可证》有效期至2026年12月23日。请在有效期届满30日前申请延续。（依据：行政许可法第五十条）\n"
        "办理入口：“一网通办”"
    ]


async def test_a_second_run_right_after_sends_nothing(city: City) -> None:
    city.changes.write(food())
    await city.tick()
    assert await city.tick() == TickReport()
    assert len(city.push.sent) == 1


async def test_nothing_is_sent_before_nine_in_shanghai_on_the_due_day(city: City) -> None:
    city.changes.write(food(valid_until=SOON + timedelta(days=1)))
    city.rules.by_type["food"] = (Stage("P30D", (Lead(30),)),)
    _at(city, TODAY + timedelta(days=1), hour=9)
    city.clock.forward(seconds=-1)
    assert (await city.tick()).sent == 0
    city.clock.forward(seconds=1)
    assert (await city.tick()).sent == 2


async def test_three_missed_days_are_caught_up_once(city: City) -> None:
    city.changes.write(food(valid_until=TODAY + timedelta(days=31)))
    city.rules.by_type["food"] = (Stage("P30D", (Lead(30),)),)
    assert (await city.tick()).sent == 0
    city.clock.forward(days=4)
    assert (await city.tick()).queued == 1
    city.clock.forward(days=1)
    assert await city.tick() == TickReport()
    assert len(city.push.sent) == len(await city.inbox_of("holder-1")) == 1


async def test_of_several_missed_stages_only_the_newest_goes_out(city: City) -> None:
    city.changes.write(food(valid_until=TODAY + timedelta(days=5)))
    assert await city.tick() == TickReport(planned=3, queued=1, sent=2)
    city.clock.forward(days=1)
    assert (await city.tick()).sent == 0


async def test_a_stage_added_late_does_not_follow_a_later_one(city: City) -> None:
    city.changes.write(food())
    await city.tick()
    city.rules.by_type["food"] += (Stage("P60D", (Lead(60),)),)
    city.changes.write(food(licence_version=2))
    city.clock.forward(days=1)
    assert await city.tick() == TickReport(planned=1)


async def test_every_stage_has_its_turn(city: City) -> None:
    city.changes.write(food(valid_until=TODAY + timedelta(days=90)))
    sent = {}
    for day in (0, 1, 59, 60, 61, 82, 83, 84, 90, 120):
        _at(city, TODAY + timedelta(days=day))
        sent[day] = (await city.tick()).sent
    assert [day for day, number in sent.items() if number] == [0, 60, 83]


async def test_a_holder_of_ten_licences_gets_one_digest(city: City) -> None:
    for number in range(10):
        type_code = "driving" if number % 2 else "food"
        ends = SOON - timedelta(days=number)
        city.changes.write(food(licence_id=f"licence-{number}", type_code=type_code, valid_until=ends))
    assert await city.tick() == TickReport(planned=30, queued=10, sent=2)
    (text,) = await city.inbox_of("holder-1")
    lines = text.splitlines()
    assert lines[0] == "您有10本证照需要留意有效期："
    assert lines[1].startswith("1. 您的《机动车驾驶证》有效期至2026年12月14日")
    assert len(lines) == 12
    assert city.push.sent[0].text == text


async def test_what_becomes_due_after_the_days_digest_waits_for_the_next_one(city: City) -> None:
    city.changes.write(food())
    await city.tick()
    city.changes.write(food(licence_id="licence-2", type_code="driving"))
    city.clock.forward(hours=2)
    assert await city.tick() == TickReport(planned=3)
    city.clock.forward(days=1)
    assert await city.tick() == TickReport(queued=1, sent=2)
    assert "机动车驾驶证" in city.push.sent[1].text


async def test_two_holders_of_one_licence_are_both_told(city: City) -> None:
    city.changes.write(food(holder_ids=("holder-1", "holder-2", "holder-1")))
    assert (await city.tick()).sent == 4
    assert {message.holder_id for message in city.push.sent} == {"holder-1", "holder-2"}


async def test_a_holder_who_leaves_a_licence_is_not_told(city: City) -> None:
    city.rules.by_type["food"] = (Stage("P7D", (Lead(7),)),)
    city.changes.write(food(holder_ids=("holder-1", "holder-2")))
    await city.tick()
    city.changes.write(food(licence_version=2, holder_ids=("holder-2",)))
    assert (await city.tick()).withdrawn == 1
    city.clock.forward(days=25)
    await city.tick()
    assert [message.holder_id for message in city.push.sent] == ["holder-2"]


async def test_renewal_withdraws_the_old_reminders_and_plans_new_ones(city: City) -> None:
    """The renewed licence is a version of its own: the flags of the old one do not silence it."""
    city.changes.write(food())
    await city.tick()
    renewed = SOON + timedelta(days=365)
    city.changes.write(food(licence_version=2, valid_until=renewed))
    assert await city.tick() == TickReport(planned=3, withdrawn=1)
    city.clock.forward(days=30)
    assert (await city.tick()).sent == 0
    _at(city, renewed - timedelta(days=90))
    assert (await city.tick()).sent == 2


async def test_what_failed_is_not_put_back_for_a_licence_that_was_renewed(city: City) -> None:
    city.configure(city.sms, policy=DeliveryPolicy(max_attempts=1))
    city.sms.always = ChannelUnavailable("down", "provider down")
    city.changes.write(food(), food(licence_id="licence-2", type_code="driving"))
    city.changes.write(food(licence_id="licence-3", holder_ids=("holder-3",)))
    assert (await city.tick()).failed == 2
    city.changes.write(food(licence_version=2, valid_until=SOON + timedelta(days=365)))
    city.changes.write(food(licence_id="licence-3", licence_version=2, in_force=False, holder_ids=("holder-3",)))
    await city.tick()
    city.sms.always = None
    async with city.database.transaction() as session:
        assert await city.outbox.redrive(session, Selection()) == 1
    assert (await city.tick()).sent == 1
    (message,) = city.sms.sent
    assert ("驾驶证" in message.text, "食品" in message.text) == (True, False)


async def test_a_successor_withdraws_its_predecessors_reminders(city: City) -> None:
    city.changes.write(food(valid_until=SOON + timedelta(days=2)))
    await city.tick()
    successor = food(licence_id="licence-2", valid_until=SOON + timedelta(days=700), replaces_licence_id="licence-1")
    city.changes.write(successor)
    assert await city.tick() == TickReport(planned=3, withdrawn=2)
    city.clock.forward(days=60)
    assert (await city.tick()).sent == 0


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_change_that_keeps_the_end_repeats_nothing_of_its_predecessor(city: City, *, at_once: bool) -> None:
    city.changes.write(food())
    await city.tick()
    for number in (2, 3, 4):
        before, after = f"licence-{number - 1}", f"licence-{number}"
        city.changes.write(food(licence_id=before, in_force=False, replaces_licence_id=f"licence-{number - 2}"))
        if not at_once:
            await city.tick()
        city.changes.write(food(licence_id=after, licence_version=number, replaces_licence_id=before))
        if not at_once:
            await city.tick()
    for _ in range(5):
        city.clock.forward(days=1)
        assert (await city.tick()).sent == 0
    city.clock.forward(days=20)
    assert (await city.tick()).sent == 2
    assert len(city.push.sent) == len(await city.inbox_of("holder-1")) == 2


async def test_what_waits_for_a_predecessor_goes_out_once_for_its_successor(city: City) -> None:
    city.changes.write(food())
    await city.queue()
    city.changes.write(food(in_force=False), food(licence_id="licence-2", replaces_licence_id="licence-1"))
    assert await city.tick() == TickReport(sent=2)
    city.clock.forward(days=1)
    assert await city.tick() == TickReport()


async def test_what_the_nearest_predecessor_told_counts_before_what_one_further_back_did(city: City) -> None:
    """Versions count anew in another record, so that two licences of a line may have reminders of one key."""
    city.changes.write(food(licence_id="b"))
    await city.tick()
    city.changes.write(food(licence_id="a", valid_until=SOON + timedelta(days=200)))
    city.changes.write(food(licence_id="a"))
    await city.follow_all()
    city.changes.write(food(licence_id="b", in_force=False, replaces_licence_id="a"))
    city.changes.write(food(licence_id="c", licence_version=2, replaces_licence_id="b"))
    for _ in range(3):
        city.clock.forward(days=1)
        await city.tick()
    assert len(city.push.sent) == 1


async def test_reminders_of_one_key_in_one_line_stop_no_run(city: City) -> None:
    """The successor was followed before the line is known, and its version counts as its predecessor's."""
    city.changes.write(food())
    await city.tick()
    city.changes.write(food(licence_id="licence-2"))
    await city.follow_all()
    city.changes.write(food(in_force=False), food(licence_id="licence-2", replaces_licence_id="licence-1"))
    assert (await city.tick()).planned == 0
    async with city.database.snapshot() as session:
        rows = await (await session.connection()).exec_driver_sql("SELECT licence_id, stage FROM reminder")
        assert len(set(rows)) == 6


async def test_a_successor_that_was_followed_before_its_predecessor_keeps_its_own(city: City) -> None:
    city.changes.write(food(licence_id="licence-2"))
    await city.tick()
    city.changes.write(food(), food(licence_id="licence-2", replaces_licence_id="licence-1"))
    await city.tick()
    city.clock.forward(days=1)
    assert await city.tick() == TickReport()
    assert len(city.push.sent) == 1


async def test_a_licence_that_replaces_itself_keeps_its_reminders(city: City) -> None:
    city.changes.write(food(replaces_licence_id="licence-1"), food(replaces_licence_id="licence-1"))
    assert await city.tick() == TickReport(planned=3, queued=1, sent=2)


async def test_a_licence_that_is_no_longer_in_force_is_not_reminded_of(city: City) -> None:
    city.changes.write(food(valid_until=TODAY + timedelta(days=95)))
    await city.tick()
    city.changes.write(food(valid_until=TODAY + timedelta(days=95), in_force=False))
    assert await city.tick() == TickReport(withdrawn=3)
    city.clock.forward(days=90)
    assert await city.tick() == TickReport()


async def test_revoked_between_queue_and_send_is_not_sent(city: City) -> None:
    city.changes.write(food())
    await city.queue()
    city.changes.write(food(in_force=False))
    assert await city.tick() == TickReport(withdrawn=2)
    assert city.push.attempts == []
    assert await city.inbox_of("holder-1") == []
    assert await city.counts() == {("inbox", "cancelled"): 1, ("push", "cancelled"): 1}


class Slow:
    """A push service whose first call takes as long as something else."""

    name, batch = "push", 1

    def __init__(self, meanwhile: Callable[[OutgoingMessage], Awaitable[None]]) -> None:
        self.meanwhile = meanwhile
        self.sent = 0

    async def send(self, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
        self.sent += 1
        if self.sent == 1:
            await self.meanwhile(deliveries[0].message)
        return [Receipt(delivered=True)]


@pytest.mark.parametrize("confirmed", [False, True])
@pytest.mark.parametrize(
    "back", [food(), food(licence_id="licence-2", licence_version=2, replaces_licence_id="licence-1")]
)
async def test_what_was_under_way_when_it_was_withdrawn_is_not_told_again(
    city: City, back: LicenceChange, *, confirmed: bool
) -> None:
    async def suspended(message: OutgoingMessage) -> None:
        city.changes.write(food(in_force=False))
        await city.follow_all()
        async with city.database.transaction() as session:
            if confirmed:  # a device can be faster than the worker that closes the message
                await city.outbox.confirm_push(session, message.idempotency_key)

    channel = Slow(suspended)
    city.configure(channel)
    city.changes.write(food())
    await city.tick()
    city.changes.write(back)
    for _ in range(3):
        city.clock.forward(days=1)
        await city.tick()
    assert channel.sent == 1


async def test_revoked_while_push_is_retried_is_not_sent_again(city: City) -> None:
    city.push.failures = [ChannelUnavailable("down", "provider down")]
    city.changes.write(food())
    await city.tick()
    city.changes.write(food(in_force=False))
    city.clock.forward(hours=1)
    assert (await city.tick()).sent == 0
    assert (len(city.push.attempts), city.sms.attempts) == (1, [])


async def test_a_revoked_licence_leaves_the_digest_of_the_others(city: City) -> None:
    city.changes.write(food(), food(licence_id="licence-2", type_code="driving"))
    await city.queue()
    city.changes.write(food(in_force=False))
    assert (await city.tick()).sent == 2
    assert city.push.sent[0].text.startswith("您的《机动车驾驶证》")
    assert "食品" not in city.push.sent[0].text


async def test_a_suspension_that_ends_brings_the_reminders_back(city: City) -> None:
    later = TODAY + timedelta(days=31)
    for in_force in (True, False):
        city.changes.write(food(valid_until=later, in_force=in_force))
        await city.follow_all()
    city.changes.write(food(valid_until=later))
    assert await city.tick() == TickReport(planned=3, queued=1, sent=2)
    city.clock.forward(days=1)
    assert (await city.tick()).sent == 2


async def test_a_message_stopped_by_a_suspension_goes_out_after_it(city: City) -> None:
    city.changes.write(food())
    await city.queue()
    city.changes.write(food(in_force=False))
    assert (await city.tick()).sent == 0
    city.changes.write(food())
    city.clock.forward(days=1)
    assert (await city.tick()).sent == 2


@pytest.mark.parametrize("version", [1, 2])
async def test_a_suspension_that_ends_does_not_repeat_what_was_sent(city: City, version: int) -> None:
    city.changes.write(food())
    await city.tick()
    city.changes.write(food(in_force=False), food(licence_version=version))
    for _ in range(5):
        city.clock.forward(days=1)
        assert (await city.tick()).sent == 0


async def test_a_correction_of_other_data_does_not_repeat_what_was_sent(city: City) -> None:
    city.changes.write(food())
    await city.tick()
    city.changes.write(food(licence_version=2))
    city.clock.forward(days=1)
    assert await city.tick() == TickReport()


async def test_an_older_change_that_comes_late_is_passed_over(city: City) -> None:
    city.changes.write(food(licence_version=2, in_force=False), food(licence_version=1))
    assert await city.tick() == TickReport()


async def test_a_long_term_licence_is_never_reminded_of(city: City) -> None:
    city.changes.write(food(valid_until=None))
    assert await city.tick() == TickReport()


async def test_a_licence_of_a_type_without_stages_is_never_reminded_of(city: City) -> None:
    city.changes.write(food(type_code="unknown"))
    assert await city.tick() == TickReport()


async def test_a_type_that_lost_its_wording_is_still_reminded_of(city: City) -> None:
    city.changes.write(food(type_code="id"))
    await city.tick()
    assert await city.inbox_of("holder-1") == ["您的一本证照有效期至2026年12月23日。\n办理入口：“一网通办”"]


@pytest.mark.parametrize(("days_ago", "sent"), [(0, 2), (1, 2), (30, 2), (31, 0), (4000, 0)])
async def test_an_expired_licence_is_announced_within_thirty_days(city: City, days_ago: int, sent: int) -> None:
    city.changes.write(food(valid_until=TODAY - timedelta(days=days_ago)))
    assert (await city.tick()).sent == sent
    for text in await city.inbox_of("holder-1"):
        assert ("已于" in text) == (days_ago > 0)


async def test_many_that_lapse_do_not_hold_back_who_is_still_to_be_told(city: City) -> None:
    numbers = range(BATCH + 1)
    city.rules.by_type["food"] = (Stage("P30D", (Lead(30),)),)
    end, later = SOON + timedelta(days=1), SOON + timedelta(days=70)
    city.changes.write(*(food(licence_id=f"late-{n}", holder_ids=(f"late-{n}",), valid_until=end) for n in numbers))
    city.changes.write(*(food(licence_id=f"next-{n}", holder_ids=(f"next-{n}",), valid_until=later) for n in numbers))
    assert (await city.tick()).queued == 0
    city.clock.forward(days=70)  # the first ended 39 days ago
    assert (await city.tick()).queued == len(numbers)


async def test_runs_missed_until_long_after_expiry_send_nothing(city: City) -> None:
    city.changes.write(food(valid_until=TODAY + timedelta(days=100)))
    assert (await city.tick()).planned == 3
    city.clock.forward(days=131)
    assert await city.tick() == TickReport()


async def test_29_february_is_a_last_day_like_any_other(city: City) -> None:
    city.rules.by_type["food"] = (Stage("P365D", (Lead(365),)), Stage("P1D", (Lead(1),)))
    city.changes.write(food(valid_until=date(2028, 2, 29)))
    await city.tick()
    for day, sent in (
        (date(2027, 2, 28), 0),
        (date(2027, 3, 1), 2),
        (date(2028, 2, 27), 0),
        (date(2028, 2, 28), 2),
    ):
        _at(city, day)
        assert (await city.tick()).sent == sent
    assert "2028年2月29日" in city.push.sent[0].text


async def test_a_holder_who_is_gone_is_told_nothing(city: City) -> None:
    city.contacts.known["holder-1"] = None
    city.changes.write(food())
    assert await city.tick() == TickReport(planned=3, queued=1)
    assert city.push.attempts == city.sms.attempts == await city.inbox_of("holder-1") == []


@pytest.mark.parametrize("seen", [True, False], ids=["the end is followed", "both are followed at once"])
async def test_what_was_kept_back_from_a_holder_who_was_gone_goes_out_once_when_they_are_back(
    city: City, seen: bool
) -> None:
    city.changes.write(food())
    await city.queue()
    city.contacts.known["holder-1"] = None
    await city.outbox.deliver(city.database)
    if seen:
        city.changes.write(food(holder_ids=()))
        assert await city.tick() == TickReport(withdrawn=2)
    city.contacts.known.clear()
    city.changes.write(food())
    sent = 0
    for _ in range(3):
        city.clock.forward(days=1)
        sent += (await city.tick()).sent
    assert sent == 2
    assert len(city.push.sent) == len(await city.inbox_of("holder-1")) == 1


async def test_who_was_told_on_one_channel_before_they_were_gone_is_not_told_again(city: City) -> None:
    city.push.failures.append(ChannelUnavailable("provider_down", "later"))
    city.changes.write(food())
    await city.tick()
    city.contacts.known["holder-1"] = None
    city.clock.forward(hours=1)
    await city.tick()
    city.contacts.known.clear()
    city.changes.write(food())
    city.clock.forward(days=1)
    assert await city.tick() == TickReport()
    assert (len(city.push.sent), len(await city.inbox_of("holder-1"))) == (0, 1)


async def test_a_failed_transaction_loses_no_change(city: City) -> None:
    city.changes.write(food())

    async def die() -> None:
        async with city.database.transaction() as session:
            await city.reminders.follow(session)
            raise RuntimeError("killed before the commit")

    with pytest.raises(RuntimeError):
        await die()
    assert await city.tick() == TickReport(planned=3, queued=1, sent=2)


@pytest.mark.postgresql
async def test_two_workers_have_each_a_part_of_the_morning(
    postgresql_database: Database, clock: FakeClock, protector: DataProtector
) -> None:
    city = City(postgresql_database, clock, protector)
    city.changes.write(*(food(licence_id=f"licence-{n}", holder_ids=(f"holder-{n}",)) for n in range(6)))
    await city.follow_all()
    async with city.database.transaction() as one, city.database.transaction() as other:
        queued = [(await city.reminders.queue_due(session, 2)).queued for session in (one, other)]
    assert queued == [2, 2]
    assert (await city.tick()).queued == 2


async def test_who_has_been_due_the_longest_is_told_first(city: City) -> None:
    ends = {f"holder-{n}": SOON - timedelta(days=n) for n in range(4)}
    city.changes.write(*(food(licence_id=f"of-{one}", holder_ids=(one,), valid_until=end) for one, end in ends.items()))
    city.rules.by_type["food"] = (Stage("P30D", (Lead(30),)),)
    await city.follow_all()
    async with city.database.transaction() as session:
        await city.reminders.queue_due(session, 2)
    await city.outbox.deliver(city.database)
    assert [bool(await city.inbox_of(holder_id)) for holder_id in ends] == [False, False, True, True]
