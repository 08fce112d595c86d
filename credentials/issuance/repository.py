"""All SQL of issuance."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Table, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.issuance.models import IssuedToken
from credentials.issuance.tables import CredentialOfferRow, IssuanceRow
from credentials.status import StatusReference

OFFER: Table = CredentialOfferRow.__table__  # type: ignore[attr-defined]
ISSUANCE: Table = IssuanceRow.__table__  # type: ignore[attr-defined]


async def insert_offer(session: AsyncSession, offer: Mapping[str, Any]) -> None:
    """Keep a new offer."""
    await session.execute(insert(OFFER).values(offer))


async def live_offer(session: AsyncSession, offer_id: str, now: datetime) -> Row[Any] | None:
    """An offer that is neither used nor over, by its id."""
    live = (OFFER.c.used_at.is_(None)) & (OFFER.c.expires_at > now)
    return (await session.execute(select(OFFER).where(OFFER.c.id == offer_id, live))).first()


async def offer_by_code(session: AsyncSession, code_hash: bytes) -> Row[Any] | None:
    """The offer that a pre-authorized code belongs to, in whatever state it is."""
    return (await session.execute(select(OFFER).where(OFFER.c.code_hash == code_hash))).first()


async def count_attempt(session: AsyncSession, offer_id: str, most: int) -> bool:
    """Note one try at the transaction code; False when the tries are used up."""
    statement = (
        update(OFFER)
        .where(OFFER.c.id == offer_id, OFFER.c.attempts < most)
        .values(attempts=OFFER.c.attempts + 1)
        .returning(OFFER.c.id)
    )
    return (await session.execute(statement)).first() is not None


async def burn_offer(session: AsyncSession, offer_id: str, now: datetime) -> bool:
    """Use the offer's code; True for exactly one caller, and only before it is over."""
    statement = (
        update(OFFER)
        .where(OFFER.c.id == offer_id, OFFER.c.used_at.is_(None), OFFER.c.expires_at > now)
        .values(used_at=now)
        .returning(OFFER.c.id)
    )
    return (await session.execute(statement)).first() is not None


async def insert_issuances(session: AsyncSession, issuances: Sequence[Mapping[str, Any]]) -> None:
    """Record what is about to be released."""
    await session.execute(insert(ISSUANCE), issuances)


async def credential_for_key(
    session: AsyncSession, licence_id: str, holder_id: str, thumbprint: str, token_format: str, now: datetime
) -> bool:
    """Whether something of this format that has not expired was issued to this key."""
    statement = select(ISSUANCE.c.id).where(
        ISSUANCE.c.licence_id == licence_id,
        ISSUANCE.c.holder_id == holder_id,
        ISSUANCE.c.key_thumbprint == thumbprint,
        ISSUANCE.c.format == token_format,
        ISSUANCE.c.expires_at > now,
    )
    return (await session.execute(statement.limit(1))).first() is not None


async def unexpired_status_places(
    session: AsyncSession, licence_ids: Iterable[str], now: datetime
) -> dict[str, list[tuple[str, int]]]:
    """Licence id → (status list URI, index) of everything issued for it that has not expired."""
    statement = select(ISSUANCE.c.licence_id, ISSUANCE.c.status_uri, ISSUANCE.c.status_index).where(
        ISSUANCE.c.licence_id.in_(list(licence_ids)), ISSUANCE.c.expires_at > now
    )
    places: dict[str, list[tuple[str, int]]] = {}
    for licence_id, uri, index in await session.execute(statement):
        places.setdefault(licence_id, []).append((uri, index))
    return places


async def licences_of_key(
    session: AsyncSession, holder_id: str, thumbprint: str, token_format: str, now: datetime
) -> list[str]:
    """The licences of a holder for which something unexpired of this format was issued to this key."""
    statement = (
        select(ISSUANCE.c.licence_id)
        .distinct()
        .where(
            ISSUANCE.c.holder_id == holder_id,
            ISSUANCE.c.key_thumbprint == thumbprint,
            ISSUANCE.c.format == token_format,
            ISSUANCE.c.expires_at > now,
        )
    )
    return list((await session.execute(statement)).scalars())


async def at_status_places(
    session: AsyncSession, references: Sequence[StatusReference]
) -> dict[StatusReference, IssuedToken]:
    """What was issued with its status at these places."""
    places = tuple_(ISSUANCE.c.status_uri, ISSUANCE.c.status_index)
    statement = select(ISSUANCE).where(places.in_([(each.uri, each.idx) for each in references]))
    return {
        StatusReference(row.status_uri, row.status_index): IssuedToken(
            row.licence_id, row.holder_id, row.format, row.issued_at, row.expires_at
        )
        for row in await session.execute(statement)
    }
