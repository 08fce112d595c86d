"""Feeds: tables that are only added to, read by followers with a cursor each. All SQL of reading them.

A feed's rows have `written_in`, the number of the transaction that wrote them, and `position`. On PostgreSQL a row is
handed out only when every transaction that began writing before it has ended: positions are given on insert but become
visible on commit, and a follower that went by position alone would step over a slower writer's rows for good.
Transaction numbers are the server's: a long write in a neighbouring database holds a feed back as well, and loses
nothing. A cursor ahead of the server means a restored dump: the follower then reads from the start again.
"""

from typing import Any

from sqlalchemy import Row, Table, and_, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.registry.tables import EventCursorRow, WritingTransaction

CURSOR: Table = EventCursorRow.__table__  # type: ignore[attr-defined]

_SETTLED = text("SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)")


async def writing_transaction(session: AsyncSession) -> int:
    """What the rows of a feed that this transaction writes have as `written_in`."""
    return (await session.execute(select(WritingTransaction()))).scalar_one()


async def hold(session: AsyncSession, consumer: str) -> tuple[int, int]:
    """A follower's place, which nobody moves until the caller's transaction ends."""
    await session.execute(
        upsert(CURSOR)
        .values(consumer=consumer, written_in=-1, position=-1)
        .on_conflict_do_nothing(index_elements=["consumer"])
    )
    cursor = (await session.execute(select(CURSOR).where(CURSOR.c.consumer == consumer).with_for_update())).one()
    return cursor.written_in, cursor.position


async def pull(session: AsyncSession, feed: Table, consumer: str, limit: int) -> list[Row[Any]]:
    """The next rows of a feed for a follower; its cursor moves with the caller's transaction.

    Args:
        consumer: names the cursor; a follower of two feeds has two.
    """
    seen = await hold(session, consumer)
    settled = None
    if session.get_bind().dialect.name == "postgresql":
        settled = (await session.execute(_SETTLED)).scalar_one()
        if seen[0] >= settled:
            await _forget_other_server(session, feed, settled)
            seen = (-1, -1)
    after = or_(feed.c.written_in > seen[0], and_(feed.c.written_in == seen[0], feed.c.position > seen[1]))
    statement = select(feed).where(after).order_by(feed.c.written_in, feed.c.position).limit(limit)
    if settled is not None:
        statement = statement.where(feed.c.written_in < settled)
    rows = list(await session.execute(statement))
    if rows:
        place = {"written_in": rows[-1].written_in, "position": rows[-1].position}
        await session.execute(update(CURSOR).where(CURSOR.c.consumer == consumer).values(place))
    return rows


async def _forget_other_server(session: AsyncSession, feed: Table, settled: int) -> None:
    """The history comes from another server, by a restored dump: its transaction numbers mean nothing here.

    Its rows are put before all that this server writes; the follower reads them once more. Silence would be worse.
    """
    await session.execute(update(feed).where(feed.c.written_in >= settled).values(written_in=0))
