"""All SQL of the inbox and of devices."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.channels.tables import InboxMessageRow, PushDeviceRow

_messages = InboxMessageRow.metadata.tables["inbox_message"]
_devices = PushDeviceRow.metadata.tables["push_device"]
_m, _d = _messages.c, _devices.c


class InboxRepository:
    """Statements in the caller's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def _run(self, statement: Any) -> Sequence[Any]:
        result = await (await self._session.connection()).execute(statement)
        return result.all() if result.returns_rows else ()

    async def add(self, messages: Sequence[Mapping[str, object]]) -> None:
        """Write messages, but those that are there."""
        statement = insert(_messages).on_conflict_do_nothing(index_elements=["id"])
        await (await self._session.connection()).execute(statement, messages)

    async def page(
        self, holder_id: str, before: tuple[datetime, str] | None, limit: int, *, unread: bool = False
    ) -> Sequence[Any]:
        """Rows of a holder, newest first; on demand only those not read yet."""
        statement = select(_messages).where(_visible(holder_id))
        if unread:
            statement = statement.where(_m.read_at.is_(None))
        if before is not None:
            statement = statement.where(tuple_(_m.received_at, _m.id) < before)
        return await self._run(statement.order_by(_m.received_at.desc(), _m.id.desc()).limit(limit))

    async def mark_read(self, holder_id: str, message_id: str, now: datetime) -> bool:
        """Note the first reading; False if the holder has no such message."""
        statement = update(_messages).where(_visible(holder_id), _m.id == message_id)
        statement = statement.values(read_at=func.coalesce(_m.read_at, now))
        return bool(await self._run(statement.returning(_m.id)))

    async def mark_all_read(self, holder_id: str, now: datetime) -> int:
        """Note that everything was read; gives how many were not before."""
        unread = (_visible(holder_id), _m.read_at.is_(None))
        return len(await self._run(update(_messages).where(*unread).values(read_at=now).returning(_m.id)))

    async def delete(self, holder_id: str, message_id: str, now: datetime) -> bool:
        """Take a message away; False if the holder has no such message.

        Its row stays as an empty shell, so that a repeated sending does not bring it back.
        """
        statement = update(_messages).where(_visible(holder_id), _m.id == message_id)
        return bool(await self._run(statement.values(deleted_at=now, body=b"").returning(_m.id)))

    async def glance(self, holder_id: str) -> tuple[int, str | None]:
        """How many messages are unread, and the newest one's id; one statement, so that the two agree."""
        newest = select(_m.id).where(_visible(holder_id)).order_by(_m.received_at.desc(), _m.id.desc()).limit(1)
        unread = select(func.count()).select_from(_messages).where(_visible(holder_id), _m.read_at.is_(None))
        row = (await self._run(select(unread.scalar_subquery(), newest.scalar_subquery())))[0]
        return row[0], row[1]


class DeviceRepository:
    """Statements in the caller's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def _run(self, statement: Any) -> Sequence[Any]:
        result = await (await self._session.connection()).execute(statement)
        return result.all() if result.returns_rows else ()

    async def save(self, values: Mapping[str, object]) -> str:
        """Write a device, or give a known address to its new holder; the id under which it stands."""
        statement = insert(_devices).values(id=secrets.token_hex(16), **values)
        changed = {name: statement.excluded[name] for name in values if name != "address_index"}
        statement = statement.on_conflict_do_update(index_elements=["address_index"], set_=changed)
        return str((await self._run(statement.returning(_d.id)))[0].id)

    async def of_holders(self, holder_ids: Collection[str]) -> Sequence[Any]:
        """The devices of several holders, of each the one seen last first."""
        statement = select(_devices).where(_d.holder_id.in_(holder_ids))
        return await self._run(statement.order_by(_d.holder_id, _d.seen_at.desc(), _d.id))

    async def keep_newest(self, holder_id: str, number: int) -> None:
        """Remove all but the devices seen last."""
        kept = select(_d.id).where(_d.holder_id == holder_id).order_by(_d.seen_at.desc(), _d.id).limit(number)
        await self._run(delete(_devices).where(_d.holder_id == holder_id, _d.id.not_in(kept)))

    async def remove(self, holder_id: str, device_id: str) -> bool:
        """Remove a holder's device; False if there is no such device."""
        own = (_d.holder_id == holder_id, _d.id == device_id)
        return bool(await self._run(delete(_devices).where(*own).returning(_d.id)))

    async def forget(self, address_index: bytes) -> None:
        """Remove an address."""
        await self._run(delete(_devices).where(_d.address_index == address_index))


def _visible(holder_id: str) -> Any:
    return (_m.holder_id == holder_id) & _m.deleted_at.is_(None)
