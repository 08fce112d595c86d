"""All SQL of the inbox."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.channels.tables import InboxMessageRow

_messages = InboxMessageRow.metadata.tables["inbox_message"]
_m = _messages.c


class InboxRepository:
    """Statements in the caller's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def _run(self, statement: Any) -> Sequence[Any]:
        result = await (await self._session.connection()).execute(statement)
        return result.all() if result.returns_rows else ()

    async def add(self, values: Mapping[str, object]) -> None:
        """Write a message unless it is there."""
        await self._run(insert(_messages).values(**values).on_conflict_do_nothing(index_elements=["id"]))

    async def position(self, holder_id: str, message_id: str) -> tuple[datetime, str] | None:
        """Where a holder's message stands in the order of the list."""
        statement = select(_m.received_at, _m.id).where(_m.holder_id == holder_id, _m.id == message_id)
        rows = await self._run(statement)
        return (rows[0].received_at, rows[0].id) if rows else None

    async def page(self, holder_id: str, before: tuple[datetime, str] | None, limit: int) -> Sequence[Any]:
        """Rows of a holder, newest first."""
        statement = select(_messages).where(_m.holder_id == holder_id)
        if before is not None:
            statement = statement.where(tuple_(_m.received_at, _m.id) < before)
        return await self._run(statement.order_by(_m.received_at.desc(), _m.id.desc()).limit(limit))

    async def mark_read(self, holder_id: str, message_id: str, now: datetime) -> bool:
        """Note the first reading; False if the holder has no such message."""
        own = (_m.holder_id == holder_id, _m.id == message_id)
        statement = update(_messages).where(*own).values(read_at=func.coalesce(_m.read_at, now))
        return bool(await self._run(statement.returning(_m.id)))
