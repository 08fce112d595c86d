"""All SQL of showing: the keys that the server holds for sessions without a device key."""

from datetime import datetime

from sqlalchemy import Table, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from presentation.shows.tables import HeldShowKeyRow

HELD: Table = HeldShowKeyRow.__table__  # type: ignore[attr-defined]


async def held_key(
    session: AsyncSession, session_id: str, licence_id: str, profile: int, good_until: datetime
) -> bytes | None:
    """The sealed key and pass of a session, when the pass lasts that long."""
    statement = select(HELD.c.key_and_pass_sealed).where(
        HELD.c.session_id == session_id,
        HELD.c.licence_id == licence_id,
        HELD.c.profile == profile,
        HELD.c.expires_at > good_until,
    )
    return (await session.execute(statement)).scalar_one_or_none()


async def keep_key(
    session: AsyncSession, session_id: str, licence_id: str, profile: int, sealed: bytes, expires_at: datetime
) -> None:
    """Keep a key, in the place of the session's last one."""
    values = {"key_and_pass_sealed": sealed, "expires_at": expires_at}
    statement = insert(HELD).values(session_id=session_id, licence_id=licence_id, profile=profile, **values)
    await session.execute(
        statement.on_conflict_do_update(index_elements=["session_id", "licence_id", "profile"], set_=values)
    )


async def prune(session: AsyncSession, now: datetime) -> None:
    """Forget keys whose pass is over."""
    await session.execute(delete(HELD).where(HELD.c.expires_at < now))
