"""All SQL of the access log."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Table, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from presentation.accesslog.tables import AccessLogHeadRow, AccessLogRow

ENTRY: Table = AccessLogRow.__table__  # type: ignore[attr-defined]
HEAD: Table = AccessLogHeadRow.__table__  # type: ignore[attr-defined]

_TAKE = upsert(HEAD)
_TAKE = _TAKE.on_conflict_do_update(index_elements=["holder_id"], set_={"sequence": HEAD.c.sequence + 1})
_TAKE_PLACE = _TAKE.returning(HEAD.c.sequence, HEAD.c.entry_hash)


async def take_place(session: AsyncSession, holder_id: str, genesis: bytes) -> tuple[int, bytes]:
    """The next sequence of a holder's chain and the hash that it follows; one statement, whose row lock keeps others
    waiting until the caller's transaction ends."""
    row = (await session.execute(_TAKE_PLACE, {"holder_id": holder_id, "sequence": 1, "entry_hash": genesis})).one()
    return row.sequence, row.entry_hash


async def add(session: AsyncSession, entry: Mapping[str, Any]) -> None:
    """Write a row at the place that was taken, and move the head to it."""
    await session.execute(insert(ENTRY), entry)
    await session.execute(
        update(HEAD).where(HEAD.c.holder_id == entry["holder_id"]).values(entry_hash=entry["entry_hash"])
    )


async def holders_since(session: AsyncSession, since: datetime) -> dict[str, datetime]:
    """Holders with a row recorded since an instant, in order, and when the last of these was."""
    statement = select(ENTRY.c.holder_id, func.max(ENTRY.c.recorded_at)).where(ENTRY.c.recorded_at >= since)
    rows = await session.execute(statement.group_by(ENTRY.c.holder_id).order_by(ENTRY.c.holder_id))
    return {row[0]: row[1] for row in rows}


async def newest(session: AsyncSession, holder_id: str, before: int | None, limit: int) -> Sequence[Row[Any]]:
    """Rows of a holder with a sequence below `before`, newest first."""
    statement = select(ENTRY).where(ENTRY.c.holder_id == holder_id)
    if before is not None:
        statement = statement.where(ENTRY.c.sequence < before)
    return (await session.execute(statement.order_by(ENTRY.c.sequence.desc()).limit(limit))).all()


async def oldest(session: AsyncSession, holder_id: str, after: int, limit: int) -> Sequence[Row[Any]]:
    """Rows of a holder with a sequence above `after`, oldest first."""
    statement = select(ENTRY).where(ENTRY.c.holder_id == holder_id, ENTRY.c.sequence > after)
    return (await session.execute(statement.order_by(ENTRY.c.sequence).limit(limit))).all()


async def head(session: AsyncSession, holder_id: str) -> Row[Any] | None:
    """The end of a holder's chain."""
    return (await session.execute(select(HEAD).where(HEAD.c.holder_id == holder_id))).first()


async def holder_ids(session: AsyncSession, after: str, limit: int) -> Sequence[str]:
    """Holders with rows or with a head, in order, above `after`."""
    both = select(HEAD.c.holder_id).union(select(ENTRY.c.holder_id)).subquery()
    statement = select(both.c.holder_id).where(both.c.holder_id > after).order_by(both.c.holder_id).limit(limit)
    return list((await session.execute(statement)).scalars())
