"""Days as laws count them, rules that change, and what holders switch off."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications import Choices, Lead, LeadUnit, NotificationsError, Preferences, Stage, TickReport, coverage
from notifications.reminders import calendar, service
from notifications.reminders.calendar import day_before, is_working_day
from tests.notifications.fakes import SOON, STAGES, TODAY, City, food

WORKING, MONTHS = LeadUnit.WORKING_DAYS, LeadUnit.MONTHS


@pytest.mark.parametrize(
    ("day", "leads", "expected"),
    [
        (date(2026, 3, 31), [Lead(1, MONTHS)], date(2026, 2, 28)),
        (date(2028, 3, 29), [Lead(1, MONTHS)], date(2028, 2, 29)),
        (date(2026, 1, 15), [Lead(13, MONTHS)], date(2024, 12, 15)),
        (date(2026, 10, 9), [Lead(1, WORKING)], date(2026, 10, 8)),
        (date(2026, 10, 8), [Lead(1, WORKING)], date(2026, 9, 30)),  # the National Day's holiday lies between
        (date(2026, 2, 24), [Lead(1, WORKING)], date(2026, 2, 14)),  # a Saturday worked for the Spring Festival
        (date(2026, 11, 30), [Lead(5, WORKING), Lead(3)], date(2026, 11, 20)),
        (date(2026, 11, 30), [Lead(0, WORKING)], date(2026, 11, 30)),
        (date.min, [Lead(9, MONTHS), Lead(9, WORKING), Lead(9)], date.min),
        (date.max, [Lead(-1)], date.max),
        (date(2051, 1, 9), [Lead(5, WORKING)], date(2051, 1, 2)),  # not announced: Monday to Friday
    ],
)
def test_days_before_a_day(day: date, leads: list[Lead], expected: date) -> None:
    assert day_before(day, tuple(leads)) == expected


@given(st.dates(date(2020, 1, 1), date(2027, 12, 31)), st.integers(1, 90))
def test_a_working_day_before_is_one_with_so_many_from_it_on(day: date, amount: int) -> None:
    begin = day_before(day, (Lead(amount, WORKING),))
    between = [begin + timedelta(days=n) for n in range((day - begin).days)]
    assert is_working_day(begin)
    assert sum(map(is_working_day, between)) == amount


@settings(deadline=None)  # the first call reads the calendar's library
@given(st.dates(), st.lists(st.builds(Lead, st.integers(-400, 1095), st.sampled_from(LeadUnit)), max_size=3))
def test_any_leads_from_any_day_give_a_day(day: date, leads: list[Lead]) -> None:
    assert isinstance(day_before(day, tuple(leads)), date)


async def states(city: City) -> list[tuple[str, date, str]]:
    async with city.database.snapshot() as session:
        query = "SELECT stage, due_on, state FROM reminder ORDER BY due_on, stage, state"
        rows = (await (await session.connection()).exec_driver_sql(query)).all()
    return [(stage, due_on if isinstance(due_on, date) else date.fromisoformat(due_on), s) for stage, due_on, s in rows]


async def test_a_changed_rule_plans_anew_what_is_not_yet_sent(city: City) -> None:
    for number in range(3):
        city.changes.write(food(licence_id=f"l-{number}", holder_ids=(f"h-{number}",)))
    await city.tick()
    assert len(city.push.sent) == 3
    city.rules.by_type["food"] = (Stage("P30D", (Lead(30),)), Stage("W5", (Lead(5, WORKING),)))
    await city.tick()
    planned = [(stage, state) for stage, _, state in await states(city)]
    assert planned.count(("W5", "planned")) == 3
    assert planned.count(("P30D", "queued")) == 3
    assert planned.count(("P7D", "withdrawn")) == 3
    assert len(city.push.sent) == 3
    city.rules.by_type["food"] = ()
    await city.tick()
    assert {state for stage, _, state in await states(city) if stage == "W5"} == {"withdrawn"}


async def test_a_stage_that_keeps_its_name_and_gets_another_day_moves_what_is_not_yet_sent(city: City) -> None:
    city.changes.write(food())
    await city.tick()
    assert len(city.push.sent) == 1
    named, ends = [stage.name for stage in city.rules.by_type["food"]], SOON
    city.rules.by_type["food"] = tuple(Stage(name, (Lead(4 + at),)) for at, name in enumerate(named))
    assert (await city.tick()).sent == 0
    days = {stage: due_on for stage, due_on, state in await states(city) if state == "planned"}
    told = {stage for stage, _, state in await states(city) if state in ("queued", "overtaken")}
    assert told
    assert days == {name: ends - timedelta(4 + at) for at, name in enumerate(named) if name not in told}
    assert (await city.tick()) == TickReport()


async def test_an_overtaken_stage_that_gets_a_later_day_has_its_turn_then(city: City) -> None:
    city.changes.write(food())
    await city.tick()
    assert ("P90D", "overtaken") in [(stage, state) for stage, _, state in await states(city)]
    city.rules.by_type["food"] = tuple(replace(stage, leads=(Lead(20),)) for stage in STAGES if stage.name == "P90D")
    assert (await city.tick()).sent == 0
    assert ("P90D", SOON - timedelta(20), "planned") in await states(city)
    city.clock.forward(days=10)
    assert (await city.tick()).sent == 2
    city.clock.forward(days=1)
    assert (await city.tick()).sent == 0


async def test_a_year_that_becomes_known_moves_what_is_counted_in_working_days(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    city.rules.by_type["food"] = (Stage("W5", (Lead(5, WORKING),)),)
    city.changes.write(food(valid_until=date(2051, 1, 9)))
    await city.tick()
    assert await states(city) == [("W5", date(2051, 1, 2), "planned")]
    monkeypatch.setattr(calendar, "is_working_day", lambda day: day.weekday() < 5 and day != date(2051, 1, 2))
    monkeypatch.setattr(service, "HOLIDAYS_OF", "a release that knows 2051")
    calendar._working_days_before.cache_clear()
    try:
        await city.tick()
    finally:
        calendar._working_days_before.cache_clear()
    assert await states(city) == [("W5", date(2050, 12, 30), "planned")]


async def test_planning_anew_goes_on_where_it_was_broken_off(city: City) -> None:
    for number in range(5):
        city.changes.write(food(licence_id=f"l-{number}", holder_ids=(f"h-{number}",)))
    await city.tick()
    city.rules.by_type["food"] = (Stage("P3D", (Lead(3),)),)
    seen = []
    for _ in range(4):
        async with city.database.transaction() as session:
            seen.append((await city.reminders.follow_rules(session, 2)).planned)
    assert seen == [2, 2, 1, 0]


async def test_a_type_that_goes_while_it_is_planned_anew_does_not_stop_every_run(city: City) -> None:
    for number in range(5):
        city.changes.write(food(licence_id=f"l-{number}", holder_ids=(f"h-{number}",)))
    await city.tick()
    gone = city.rules.by_type.pop("food")
    city.rules.by_type["food"] = (Stage("P3D", (Lead(3),)),)
    async with city.database.transaction() as session:
        assert (await city.reminders.follow_rules(session, 2)).planned == 2
    del city.rules.by_type["food"]
    assert await city.tick() == TickReport()
    city.rules.by_type["food"] = gone
    assert (await city.tick()).withdrawn == 2


async def choose(city: City, holder_id: str, choices: Choices) -> None:
    async with city.database.transaction() as session:
        await Preferences(city.clock).choose(session, holder_id, choices)


async def test_what_a_holder_switched_off_does_not_ring(city: City) -> None:
    await choose(city, "h-1", Choices({"licence_expiry": frozenset({"push"})}))
    await choose(city, "h-2", Choices(silent_types=frozenset({"food"})))
    for number in range(3):
        city.changes.write(food(licence_id=f"l-{number}", holder_ids=(f"h-{number}",)))
    city.changes.write(food(licence_id="driving", type_code="driving", holder_ids=("h-2",)))
    await city.tick()
    assert sorted(message.holder_id for message in city.push.sent) == ["h-0", "h-2"]
    assert [message.holder_id for message in city.sms.sent] == ["h-1"]
    assert "驾驶证" in next(m.text for m in city.push.sent if m.holder_id == "h-2")
    assert "食品" not in next(m.text for m in city.push.sent if m.holder_id == "h-2")
    assert all([len(await city.inbox_of(f"h-{number}")) == 1 for number in range(3)])


@pytest.mark.parametrize(
    ("choices", "code"),
    [
        (Choices({"licence_expiry": frozenset({"inbox"})}), "statutory_notice_needs_a_channel"),
        (Choices({"licence_news": frozenset({"inbox", "push", "sms"})}), "statutory_notice_needs_a_channel"),
        (Choices({"gossip": frozenset({"push"})}), "preference_unknown"),
        (Choices({"licence_expiry": frozenset({"fax"})}), "preference_unknown"),
        (Choices(silent_types=frozenset(map(str, range(501)))), "preference_unknown"),
    ],
)
async def test_choices_that_may_not_be_are_refused(city: City, choices: Choices, code: str) -> None:
    with pytest.raises(NotificationsError) as refused:
        await choose(city, "h-1", choices)
    assert refused.value.code == code
    async with city.database.snapshot() as session:
        assert (await Preferences(city.clock).of(session, ["h-1"]))["h-1"] == Choices()


async def test_coverage_counts_what_became_of_reminders(city: City) -> None:
    for number in range(4):
        city.changes.write(food(licence_id=f"l-{number}", holder_ids=(f"h-{number}",)))
    city.contacts.known["h-0"] = replace(city.contacts.everybody("h-0"), phone=None)
    city.push.delivered = False
    await city.tick()
    async with city.database.snapshot() as session:
        found = {one.stage: one for one in await coverage(session, ["food"], TODAY, SOON)}
        nothing = await coverage(session, ["driving"], TODAY, SOON)
    assert found["P30D"].reminders == {"queued": 4}
    assert found["P30D"].channels == {"inbox": {"delivered": 4}, "push": {"sent": 4}, "sms": {"waiting": 4}}
    assert found["P7D"].reminders == {"planned": 4}
    assert found["P7D"].channels == {}
    assert nothing == []
