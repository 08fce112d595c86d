"""What is taken first, how a round is shared between channels, and that a long queue is not read to its end."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from notifications import Bilingual, ChannelUnavailable, DeliveryPolicy, Notice
from notifications.outbox.claims import ClaimRepository
from notifications.outbox.policy import QuietHours
from tests.notifications.fakes import City, FakeChannel
from wallet_api.database import Database


def notice(number: int, *, urgent: bool = False) -> Notice:
    text = Bilingual(f"正文{number}", f"Text {number}")
    return Notice(f"holder-{number}", "test", f"s{number}", Bilingual("标题", "Title"), text, urgent=urgent)


async def notify(city: City, *notices: Notice) -> None:
    async with city.database.transaction() as session:
        await city.outbox.notify(session, notices)
    city.clock.forward(seconds=1)


@pytest.mark.parametrize("batch", [1, 2, 10])
async def test_what_is_urgent_goes_before_what_has_waited_longer(city: City, batch: int) -> None:
    city.configure(city.push)
    city.push.batch = batch
    await notify(city, notice(1), notice(2))
    await notify(city, notice(3, urgent=True))
    await city.outbox.deliver(city.database, limit=batch)
    assert [message.text for message in city.push.sent[:1]] == ["正文3"]
    await city.outbox.deliver(city.database)
    assert sorted(message.text for message in city.push.sent) == ["正文1", "正文2", "正文3"]


async def test_at_night_what_is_urgent_does_not_make_room_for_the_rest(city: City) -> None:
    city.configure(city.push, policy=DeliveryPolicy(quiet=QuietHours.parse("09:00-10:00")))
    city.push.batch = 10
    await notify(city, notice(1), notice(2, urgent=True))
    assert (await city.outbox.deliver(city.database)).sent == 1
    assert await city.counts() == {("push", "delivered"): 1, ("push", "pending"): 1}


async def test_each_channel_has_its_part_of_a_round_whatever_it_takes_at_once(city: City) -> None:
    few, many = FakeChannel("inbox"), city.push
    many.batch = 10
    city.configure(few, many)
    await notify(city, *(notice(number) for number in range(40)))
    await city.outbox.deliver(city.database, limit=20)
    assert len(many.sent) == 20
    while (await city.outbox.deliver(city.database, limit=20)).sent:
        pass
    assert await city.counts() == {("inbox", "delivered"): 40, ("push", "delivered"): 40}


async def test_a_channel_that_takes_all_at_once_leaves_the_others_their_part(city: City) -> None:
    greedy, late = FakeChannel("inbox"), city.push
    greedy.batch = 20
    city.configure(greedy, late)
    await notify(city, notice(1), notice(2))
    await city.outbox.deliver(city.database, limit=20)
    assert await city.counts() == {("inbox", "delivered"): 2, ("push", "delivered"): 2}


async def test_a_slow_channel_does_not_hold_the_others_back(city: City) -> None:
    all_but_one = asyncio.Event()

    class Slow(FakeChannel):
        async def send(self, deliveries: Any) -> Any:
            await all_but_one.wait()
            return await super().send(deliveries)

    class Fast(FakeChannel):
        async def send(self, deliveries: Any) -> Any:
            if len(self.sent) == 4:
                all_but_one.set()
            return await super().send(deliveries)

    slow, fast = Slow("inbox"), Fast("push")
    city.configure(slow, fast)
    await notify(city, *(notice(number) for number in range(6)))
    await city.outbox.deliver(city.database, limit=5)
    assert len(fast.sent) == 5
    assert len(slow.sent) <= 2  # what was under way, and no more


async def waits(city: City) -> bool:
    async with city.database.snapshot() as session:
        return await city.outbox.waits(session)


async def test_something_waits_from_when_it_is_written_until_it_is_handed_over(city: City) -> None:
    city.configure(city.push)
    assert not await waits(city)
    await notify(city, notice(1))
    assert await waits(city)
    city.push.failures = [ChannelUnavailable("down", "provider down")]
    await city.outbox.deliver(city.database)
    assert not await waits(city)  # until the next attempt
    city.clock.forward(seconds=30)
    assert await waits(city)
    await city.outbox.deliver(city.database)
    assert not await waits(city)


async def test_what_a_dead_worker_left_waits_once_its_lease_is_over(city: City) -> None:
    city.configure(city.push)
    await notify(city, notice(1))
    now = city.clock.now()
    async with city.database.transaction() as session:
        await ClaimRepository(session).claim("push", 1, now, now + timedelta(minutes=3), urgent_only=False)
    assert not await waits(city)
    city.clock.forward(minutes=3)
    assert await waits(city)


async def test_at_night_only_what_is_urgent_waits_and_the_inbox(city: City) -> None:
    night = DeliveryPolicy(quiet=QuietHours.parse("09:00-10:00"))
    city.configure(city.push, policy=night)
    await notify(city, notice(1))
    assert not await waits(city)
    await notify(city, notice(2, urgent=True))
    assert await waits(city)
    city.configure(city.inbox, policy=night)
    await notify(city, notice(3))
    assert await waits(city)


async def test_nothing_waits_where_there_is_no_channel(city: City) -> None:
    await notify(city, notice(1))
    city.configure()
    assert not await waits(city)


async def _plan(database: Database, statement: str, values: Any) -> str:
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    async with database.transaction() as session:
        connection = await session.connection()
        if not database.is_sqlite:  # a table of a test is so small that reading all of it would be the cheapest
            await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        rows = await connection.exec_driver_sql(f"{explain} {statement}", values)
        return "\n".join(" ".join(map(str, row)) for row in rows)


@contextmanager
def noting(database: Database, begin: str) -> Iterator[list[tuple[str, Any]]]:
    """The statements of a beginning that are run, with their parameters."""
    seen: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if statement.startswith(begin):
            seen.append((statement, parameters))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def test_erasing_walks_what_has_a_text(city: City) -> None:
    """However much was erased before."""
    with noting(city.database, "UPDATE outbox_message") as seen:
        async with city.database.transaction() as session:
            await city.outbox.prune(session, timedelta(days=90))
    for statement, index in zip(seen, ("closed", "brief"), strict=True):
        assert f"ix_outbox_message_{index}" in await _plan(city.database, *statement)


async def test_a_claim_walks_an_index_and_sorts_nothing(city: City) -> None:
    await notify(city, *(notice(number, urgent=number % 2 == 0) for number in range(20)))
    now = city.clock.now()
    with noting(city.database, "WITH") as seen:
        async with city.database.transaction() as session:
            taken = await ClaimRepository(session).claim("push", 15, now, now + timedelta(minutes=3), urgent_only=False)
    assert (len(taken), len(seen)) == (15, 3)  # what was left behind, what is urgent, the rest
    for statement, index in zip(seen, ("claimed", "pending", "pending"), strict=True):
        plan = await _plan(city.database, *statement)
        assert f"ix_outbox_message_{index}" in plan
        assert not any(sorting in plan for sorting in ("Sort", "TEMP B-TREE")), plan
