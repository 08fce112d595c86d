"""An operator switches the reminders of a type off and on: nothing is told meanwhile, and nothing is lost."""

from datetime import timedelta

import pytest

from notifications import NotificationsError, ReminderSwitches, coverage
from tests.notifications.fakes import SOON, TODAY, City, food


async def switch_off(city: City, type_code: str = "food", reason: str = "the deadline was extended") -> None:
    async with city.database.transaction() as session:
        await ReminderSwitches(city.clock).switch_off(session, type_code, reason)


async def switch_on(city: City, type_code: str = "food") -> bool:
    async with city.database.transaction() as session:
        return await ReminderSwitches(city.clock).switch_on(session, type_code)


async def told(city: City) -> dict[str, dict[str, int]]:
    """Coverage: stage → state → how many."""
    async with city.database.snapshot() as session:
        return {one.stage: one.reminders for one in await coverage(session, ["food"], TODAY - timedelta(90), SOON)}


async def test_a_type_switched_off_is_not_told_and_is_caught_up_when_switched_on_again(city: City) -> None:
    city.changes.write(food())
    await switch_off(city)
    assert (await city.tick()).queued == 0
    city.clock.forward(days=3)
    assert (await city.tick()).queued == 0
    assert await city.inbox_of("holder-1") == []
    assert await switch_on(city)
    assert (await city.tick()).queued == 1
    assert (await city.tick()).queued == 0
    assert len(await city.inbox_of("holder-1")) == 1


async def test_of_several_stages_that_waited_the_latest_is_told(city: City) -> None:
    city.changes.write(food())
    await switch_off(city)
    await city.tick()
    city.clock.forward(days=25)
    await switch_on(city)
    assert (await city.tick()).queued == 1
    assert await told(city) == {"P90D": {"overtaken": 1}, "P30D": {"overtaken": 1}, "P7D": {"queued": 1}}


@pytest.mark.parametrize(("days", "queued", "state"), [(60, 1, "queued"), (61, 0, "lapsed")])
async def test_what_waited_longer_than_the_catch_up_lapses(city: City, days: int, queued: int, state: str) -> None:
    city.changes.write(food())
    await switch_off(city)
    await city.tick()
    city.clock.forward(days=days)  # the licence ends after 30 of them
    assert (await city.tick()).queued == 0
    assert (await told(city))["P7D"] == {"switched_off": 1}
    await switch_on(city)
    assert (await city.tick()).queued == queued
    assert (await told(city))["P7D"] == {state: 1}


async def test_a_holders_other_types_are_told_without_the_one_that_is_off(city: City) -> None:
    city.changes.write(food(), food(licence_id="licence-2", type_code="driving"))
    await switch_off(city)
    assert (await city.tick()).queued == 1
    (text,) = await city.inbox_of("holder-1")
    assert "驾驶证" in text
    assert "食品" not in text
    await switch_on(city)
    city.clock.forward(days=1)  # a holder gets one digest a day
    assert (await city.tick()).queued == 1
    assert "食品" in "".join(await city.inbox_of("holder-1"))


async def test_who_has_only_types_that_are_off_does_not_use_up_the_days_digest(city: City) -> None:
    city.changes.write(food())
    await switch_off(city)
    await city.tick()
    await switch_on(city)
    assert (await city.tick()).queued == 1


async def test_a_licence_that_changes_while_its_type_is_off_is_followed(city: City) -> None:
    city.changes.write(food(), food(licence_id="licence-2", holder_ids=("holder-2",)))
    await switch_off(city)
    await city.tick()
    city.changes.write(food(in_force=False))
    assert (await city.tick()).withdrawn == 3
    await switch_on(city)
    assert (await city.tick()).queued == 1
    assert await city.inbox_of("holder-1") == []
    assert len(await city.inbox_of("holder-2")) == 1


async def test_messages_that_wait_in_the_outbox_go_out_all_the_same(city: City) -> None:
    city.changes.write(food())
    await city.queue()
    await switch_off(city)
    assert (await city.tick()).sent == 2
    assert len(await city.inbox_of("holder-1")) == 1


async def test_what_was_told_before_the_switch_is_not_told_again_after_it(city: City) -> None:
    city.changes.write(food())
    assert (await city.tick()).queued == 1
    await switch_off(city)
    city.clock.forward(days=1)
    await city.tick()
    await switch_on(city)
    assert (await city.tick()).queued == 0


async def test_many_that_are_held_back_do_not_hold_back_the_others(city: City) -> None:
    numbers = range(120)
    city.changes.write(*(food(licence_id=f"l-{n}", holder_ids=(f"h-{n:03}",)) for n in numbers))
    city.changes.write(food(licence_id="z", type_code="driving", holder_ids=("z",)))
    await switch_off(city)
    assert (await city.tick()).queued == 1


async def test_coverage_tells_what_is_held_back_apart_from_what_is_planned(city: City) -> None:
    city.changes.write(food(), food(licence_id="licence-2", type_code="driving", holder_ids=("holder-2",)))
    await switch_off(city)
    await city.tick()
    assert await told(city) == {
        "P90D": {"switched_off": 1},
        "P30D": {"switched_off": 1},
        "P7D": {"switched_off": 1},
    }
    async with city.database.snapshot() as session:
        driving = {one.stage: one.reminders for one in await coverage(session, ["driving"], TODAY, SOON)}
    assert driving == {"P30D": {"queued": 1}, "P7D": {"planned": 1}}


async def test_a_switch_keeps_its_day_and_takes_a_new_reason(city: City) -> None:
    await switch_off(city)
    since = city.clock.now()
    city.clock.forward(days=2)
    await switch_off(city, reason="  until the new rule  ")
    async with city.database.snapshot() as session:
        (off,) = (await ReminderSwitches(city.clock).switched_off(session)).values()
    assert (off.since, off.reason) == (since, "until the new rule")
    assert await switch_on(city)
    assert not await switch_on(city)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 201, "a\nb", "\x1b[2J", "\x9b2J", "a\u202eb", "\ud800"])
async def test_no_type_is_switched_off_without_a_reason_that_can_be_shown(city: City, reason: str) -> None:
    with pytest.raises(NotificationsError, match="switch_reason_invalid"):
        await switch_off(city, reason=reason)
