"""All SQL of the edge. Each state moves by one statement."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, Table, and_, case, delete, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from wallet_api.edge.tables import IdempotentRequestRow, RateWindowRow

REQUEST: Table = IdempotentRequestRow.__table__  # type: ignore[attr-defined]
WINDOW: Table = RateWindowRow.__table__  # type: ignore[attr-defined]


async def claim_request(session: AsyncSession, claim: dict[str, Any], now: datetime) -> bool:
    """Whether this attempt is the one that works: the key is new, over, or its same request was given up."""
    statement = upsert(REQUEST).values(**claim)
    given_up = and_(
        REQUEST.c.answer_sealed.is_(None),
        REQUEST.c.leased_until <= now,
        REQUEST.c.request_hash == statement.excluded.request_hash,
    )
    taken = {name: statement.excluded[name] for name in claim if name != "key_hash"}
    claimed = statement.on_conflict_do_update(
        index_elements=["key_hash"],
        set_=taken | {"answer_sealed": None},
        where=or_(REQUEST.c.expires_at <= now, given_up),
    ).returning(REQUEST.c.key_hash)
    return (await session.execute(claimed)).first() is not None


async def request_row(session: AsyncSession, key_hash: bytes) -> Row[Any] | None:
    """What is kept under a key."""
    return (await session.execute(select(REQUEST).where(REQUEST.c.key_hash == key_hash))).first()


async def keep_answer(session: AsyncSession, key_hash: bytes, attempt: str, answer_sealed: bytes) -> bool:
    """Keep the answer of the attempt that holds the key; False when another has taken it over."""
    statement = (
        update(REQUEST)
        .where(REQUEST.c.key_hash == key_hash, REQUEST.c.attempt == attempt, REQUEST.c.answer_sealed.is_(None))
        .values(answer_sealed=answer_sealed)
        .returning(REQUEST.c.key_hash)
    )
    return (await session.execute(statement)).first() is not None


async def release_request(session: AsyncSession, key_hash: bytes, attempt: str) -> None:
    """Let go of a key under which nothing was done."""
    await session.execute(
        delete(REQUEST).where(
            REQUEST.c.key_hash == key_hash, REQUEST.c.attempt == attempt, REQUEST.c.answer_sealed.is_(None)
        )
    )


async def take_calls(
    session: AsyncSession, caller_hash: bytes, wanted: int, now: datetime, ends_at: datetime
) -> Row[Any]:
    """Count calls in the caller's window, a new one when the last is over: (calls, ends_at)."""
    if session.get_bind().dialect.name == "postgresql":
        # A count that a power cut takes back is no loss; waiting for the disk would be one.
        await session.execute(text("SET LOCAL synchronous_commit = off"))
    statement = upsert(WINDOW).values(caller_hash=caller_hash, calls=wanted, ends_at=ends_at)
    over = WINDOW.c.ends_at <= now
    counted = statement.on_conflict_do_update(
        index_elements=["caller_hash"],
        set_={
            "calls": case((over, wanted), else_=WINDOW.c.calls + wanted),
            "ends_at": case((over, statement.excluded.ends_at), else_=WINDOW.c.ends_at),
        },
    ).returning(WINDOW.c.calls, WINDOW.c.ends_at)
    return (await session.execute(counted)).one()


async def prune(session: AsyncSession, now: datetime) -> None:
    """Forget keys and windows that are over."""
    await session.execute(delete(REQUEST).where(REQUEST.c.expires_at <= now))
    await session.execute(delete(WINDOW).where(WINDOW.c.ends_at <= now))
