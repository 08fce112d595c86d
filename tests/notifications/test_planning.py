"""The reminder calendar, for any dates and any order of events."""

import asyncio
import tempfile
from collections import Counter
from datetime import date, datetime, time, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifications import DeliveryPolicy, Lead, LicenceChange, Stage
from notifications.reminders.models import Plan, Reminder, ReminderState
from notifications.reminders.planning import digest_day, newest_of_each_licence, plan, successions, today, wanted
from tests.fakes import FakeClock
from tests.notifications.fakes import TODAY, City
from wallet_api.database import Database
from wallet_api.protection import DataProtector

stages = st.lists(
    st.builds(Stage, st.sampled_from("ABCD"), st.tuples(st.builds(Lead, st.integers(-4_000_000, 4_000_000)))),
    max_size=6,
)
changes = st.builds(
    LicenceChange,
    licence_id=st.sampled_from(("l-1", "l-2")),
    licence_version=st.integers(0, 5),
    type_code=st.just("food"),
    holder_ids=st.lists(st.sampled_from(("h-1", "h-2")), max_size=3).map(tuple),
    in_force=st.booleans(),
    valid_until=st.none() | st.dates(),
)


@given(changes, stages, st.dates())
@example(LicenceChange("l", 1, "food", ("h",), True, date.max), [Stage("A", (Lead(-1),))], date.min)
@example(LicenceChange("l", 1, "food", ("h",), True, date.min), [Stage("A", (Lead(1),))], date.min)
def test_any_change_on_any_day_gives_each_plan_once(change: LicenceChange, stages: list[Stage], day: date) -> None:
    plans = plan(change, stages, day)
    assert len({planned.occasion for planned in plans}) == len(plans)
    if not change.in_force or change.valid_until is None:
        assert plans == ()
    elif (day - change.valid_until).days <= 30:
        assert len(plans) == len(set(change.holder_ids)) * len({stage.name for stage in stages})


@given(st.lists(changes, max_size=6))
def test_of_several_changes_the_newest_version_and_in_it_the_last_one_counts(several: list[LicenceChange]) -> None:
    found = wanted(several, {"food": [Stage("A", (Lead(1),))]}, date(2026, 11, 23))
    assert found.keys() == {change.licence_id for change in several}
    for licence_id, plans in found.items():
        mine = [change for change in several if change.licence_id == licence_id]
        newest = max(change.licence_version for change in mine)
        last = [change for change in mine if change.licence_version == newest][-1]
        assert plans == plan(last, [Stage("A", (Lead(1),))], date(2026, 11, 23))


@pytest.mark.parametrize(("first", "remindable"), [("old", False), ("new", True)])
def test_a_renewal_silences_its_predecessor_unless_that_changes_after_it(first: str, remindable: bool) -> None:
    old = LicenceChange("l-old", 1, "food", ("h",), True, date(2027, 1, 1))
    new = LicenceChange("l-new", 1, "food", ("h",), True, date(2029, 1, 1), replaces_licence_id="l-old")
    several = (old, new) if first == "old" else (new, old)
    found = wanted(several, {"food": [Stage("A", (Lead(1),))]}, date(2026, 11, 23))
    assert bool(found["l-old"]) is remindable
    assert found["l-new"]


@given(st.permutations(range(6)), st.sets(st.integers(0, 5)))
def test_who_took_whose_place_is_given_in_the_order_of_each_line(order: list[int], first: set[int]) -> None:
    changes = [LicenceChange(f"l-{n}", 1, "food", (), True, None, None if n in first else f"l-{n - 1}") for n in order]
    found = successions(changes)
    assert sorted(found) == [(f"l-{n - 1}", f"l-{n}") for n in range(6) if n not in first]
    assert all(found.index((old, new)) < found.index(after) for old, new in found for after in found if after[0] == new)


def test_licences_that_took_each_others_place_are_given_all_the_same() -> None:
    pairs = [("a", "b"), ("b", "a")]
    assert (
        sorted(successions(LicenceChange(n, 1, "food", (), True, None, old) for old, n in [*pairs, ("c", "c")]))
        == pairs
    )


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.times(timezones=st.just(timezone(timedelta(hours=8)))))
def test_the_digests_day_begins_at_nine_in_shanghai(day: date, time: time) -> None:
    now = datetime.combine(day, time)
    assert today(now) == now.date()
    assert digest_day(now) == (now.date() if now.hour >= 9 else now.date() - timedelta(days=1))


reminders = st.builds(
    Reminder,
    id=st.uuids().map(str),
    plan=st.builds(
        Plan,
        licence_id=st.sampled_from(("l-1", "l-2")),
        licence_version=st.integers(1, 3),
        type_code=st.just("food"),
        valid_until=st.sampled_from((date(2027, 1, 1), date(2028, 1, 1))),
        stage=st.sampled_from("ABC"),
        due_on=st.dates(date(2026, 1, 1), date(2026, 1, 5)),
        holder_id=st.just("h"),
    ),
    state=st.just(ReminderState.PLANNED),
)
told = reminders.map(lambda reminder: Reminder(reminder.id, reminder.plan, ReminderState.QUEUED))


@given(st.lists(reminders, max_size=8), st.lists(told, max_size=3))
def test_each_licence_is_announced_once_and_never_after_a_later_stage(
    due: list[Reminder], queued: list[Reminder]
) -> None:
    newest = newest_of_each_licence(due, queued)
    ends = [(reminder.plan.licence_id, reminder.plan.valid_until) for reminder in newest]
    assert len(set(ends)) == len(ends)
    for sent in newest:
        same = [r for r in (*due, *queued) if (r.plan.licence_id, r.plan.valid_until) == ends[newest.index(sent)]]
        assert all(other.plan.due_on <= sent.plan.due_on for other in same)
        assert all(other.plan.due_on < sent.plan.due_on for other in same if other in queued)
    for due_end in {(r.plan.licence_id, r.plan.valid_until) for r in due} - set(ends):
        assert any((r.plan.licence_id, r.plan.valid_until) == due_end for r in queued)


@given(st.floats(0, 1), st.integers(1, 10_000), st.none() | st.floats(0, 1e9))
def test_the_delay_is_capped_and_never_before_retry_after(
    spread: float, attempts: int, retry_after_s: float | None
) -> None:
    policy = DeliveryPolicy()
    delay_s = policy.delay_s(attempts, spread, retry_after_s)
    assert policy.backoff_s / 2 <= delay_s <= policy.retry_after_max_s
    assert delay_s >= min(retry_after_s or 0, policy.retry_after_max_s)
    assert policy.delay_s(attempts, spread) <= policy.backoff_max_s


events = st.lists(
    st.tuples(
        st.sampled_from(("l-1", "l-2")),
        st.booleans(),
        st.sampled_from((None, 0, 8, 31, 95)),
        st.integers(0, 2),
        st.sampled_from((0, 1, 40)),
    ),
    max_size=6,
)


@settings(max_examples=25, deadline=None)
@given(events)
def test_whatever_happens_nothing_is_told_twice_or_of_a_licence_out_of_force(
    runner: asyncio.Runner, events: list[tuple[str, bool, int | None, int, int]]
) -> None:
    runner.run(_live(events))


async def _live(events: list[tuple[str, bool, int | None, int, int]]) -> None:
    """Change licences, run, let days pass; look at every message that left."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'test.db'}", pool_size=5)
        await database.create_all()
        clock = FakeClock()
        protector = DataProtector({"test": b"k" * 32}, active="test", blind_index_key=b"i" * 32)
        city = City(database, clock, protector)
        city.configure(city.push)
        state: dict[str, LicenceChange] = {}
        try:
            for licence_id, in_force, ends_in, later, wait in events:
                version = state[licence_id].licence_version + later if licence_id in state else 1
                ends = None if ends_in is None else TODAY + timedelta(days=ends_in)
                type_code = "food" if licence_id == "l-1" else "driving"
                change = LicenceChange(licence_id, version, type_code, ("h",), in_force, ends)
                state[licence_id] = change
                city.changes.write(change)
                before = len(city.push.sent)
                await city.tick()
                for message in city.push.sent[before:]:
                    for current in state.values():
                        name = city.rules.names[current.type_code].zh
                        assert name not in message.text or (current.in_force and current.valid_until)
                clock.forward(days=wait)
            told = Counter(message.idempotency_key for message in city.push.sent)
            assert all(count == 1 for count in told.values())
            days = Counter((message.holder_id, message.text) for message in city.push.sent)
            assert all(count <= 3 for count in days.values())  # at most once for each stage
            await city.tick()
            quiet = len(city.push.sent)
            await city.tick()
            assert len(city.push.sent) == quiet
        finally:
            await database.close()
