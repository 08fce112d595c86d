"""All SQL of verifiers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Table, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from presentation.verifiers.models import Registration, Verifier
from presentation.verifiers.tables import VerifierRow

VERIFIER: Table = VerifierRow.__table__  # type: ignore[attr-defined]


async def save(session: AsyncSession, registration: Registration, now: datetime) -> None:
    """Insert a registration, or replace one; whether it is suspended stays as it was."""
    values = {
        "organisation": registration.organisation,
        "system_name": registration.system_name,
        "scenes": list(registration.scenes),
        "holders_per_minute": registration.holders_per_minute,
        "refusals_per_10_minutes": registration.refusals_per_10_minutes,
    }
    statement = insert(VERIFIER).values(client_id=registration.client_id, registered_at=now, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["client_id"], set_=values))


async def find(session: AsyncSession, client_id: str) -> Verifier | None:
    """One verifier."""
    row = (await session.execute(select(VERIFIER).where(VERIFIER.c.client_id == client_id))).first()
    return None if row is None else verifier_of(row)


async def every(session: AsyncSession) -> Sequence[Verifier]:
    """All of them, by client id."""
    return [verifier_of(row) for row in await session.execute(select(VERIFIER).order_by(VERIFIER.c.client_id))]


async def set_suspended(session: AsyncSession, client_id: str, at: datetime | None) -> bool:
    """Suspend or resume; False when there is no such verifier."""
    statement = update(VERIFIER).where(VERIFIER.c.client_id == client_id).values(suspended_at=at)
    return (await session.execute(statement.returning(VERIFIER.c.client_id))).first() is not None


def verifier_of(row: Any) -> Verifier:
    """A row as a value."""
    return Verifier(
        client_id=row.client_id,
        organisation=row.organisation,
        system_name=row.system_name,
        scenes=tuple(row.scenes),
        holders_per_minute=row.holders_per_minute,
        refusals_per_10_minutes=row.refusals_per_10_minutes,
        registered_at=row.registered_at,
        suspended_at=row.suspended_at,
    )
