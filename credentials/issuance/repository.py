"""All SQL of issuance."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Table, delete, exists, func, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from credentials.issuance.models import IssuedToken
from credentials.issuance.tables import (
    CredentialNotificationRow,
    CredentialOfferRow,
    DeferredIssuanceRow,
    IssuanceRow,
    RequestEncryptionKeyRow,
)
from credentials.status import StatusReference


def _table(row: type[SQLModel]) -> Table:
    table: Table = row.__table__  # type: ignore[attr-defined]
    return table


OFFER, ISSUANCE, DEFERRED = _table(CredentialOfferRow), _table(IssuanceRow), _table(DeferredIssuanceRow)
NOTIFICATION, ENCRYPTION_KEY = _table(CredentialNotificationRow), _table(RequestEncryptionKeyRow)


async def insert_offer(session: AsyncSession, offer: Mapping[str, Any]) -> None:
    """Keep a new offer."""
    await session.execute(insert(OFFER).values(offer))


async def open_offer(session: AsyncSession, offer_id: str, now: datetime) -> Row[Any] | None:
    """An offer that is neither used nor over; that a wallet has fetched it is noted."""
    statement = (
        update(OFFER)
        .where(OFFER.c.id == offer_id, OFFER.c.used_at.is_(None), OFFER.c.expires_at > now)
        .values(opened_at=func.coalesce(OFFER.c.opened_at, now))
        .returning(*OFFER.c)
    )
    return (await session.execute(statement)).first()


async def offer(session: AsyncSession, offer_id: str) -> Row[Any] | None:
    """An offer in whatever state it is."""
    return (await session.execute(select(OFFER).where(OFFER.c.id == offer_id))).first()


async def offer_by_code(session: AsyncSession, code_hash: bytes) -> Row[Any] | None:
    """The offer that a pre-authorized code belongs to, in whatever state it is."""
    return (await session.execute(select(OFFER).where(OFFER.c.code_hash == code_hash))).first()


async def offer_by_issuer_state(session: AsyncSession, state_hash: bytes, now: datetime) -> Row[Any] | None:
    """The live offer that an `issuer_state` belongs to."""
    live = (OFFER.c.used_at.is_(None)) & (OFFER.c.expires_at > now)
    return (await session.execute(select(OFFER).where(OFFER.c.issuer_state_hash == state_hash, live))).first()


async def pushed_offers(session: AsyncSession, holder_id: str, now: datetime) -> Sequence[Row[Any]]:
    """The live offers that departments pushed to a holder and that nothing was issued for since, the newest first."""
    taken_up = exists().where(
        ISSUANCE.c.licence_id == OFFER.c.licence_id,
        ISSUANCE.c.holder_id == holder_id,
        ISSUANCE.c.issued_at >= OFFER.c.created_at,
    )
    statement = select(OFFER).where(OFFER.c.holder_id == holder_id, OFFER.c.pushed, OFFER.c.expires_at > now, ~taken_up)
    return (await session.execute(statement.order_by(OFFER.c.created_at.desc(), OFFER.c.id))).all()


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


async def licences_issued(session: AsyncSession, holder_id: str, token_format: str, now: datetime) -> frozenset[str]:
    """The licences of which the holder has something of this format that has not expired."""
    statement = select(ISSUANCE.c.licence_id).where(
        ISSUANCE.c.holder_id == holder_id, ISSUANCE.c.format == token_format, ISSUANCE.c.expires_at > now
    )
    return frozenset((await session.execute(statement.distinct())).scalars())


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


async def any_at_status_list(session: AsyncSession, status_uri: str, since: datetime) -> bool:
    """Whether anything that points to a status list ended after `since`, or has not ended."""
    statement = select(ISSUANCE.c.id).where(ISSUANCE.c.status_uri == status_uri, ISSUANCE.c.expires_at > since)
    return (await session.execute(statement.limit(1))).first() is not None


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


async def insert_deferred(session: AsyncSession, deferred: Mapping[str, Any]) -> None:
    """Keep keys until a clerk has decided."""
    await session.execute(insert(DEFERRED).values(deferred))


async def deferred(session: AsyncSession, transaction_hash: bytes, now: datetime) -> Row[Any] | None:
    """A transaction that is neither delivered nor over."""
    live = (DEFERRED.c.state != "delivered") & (DEFERRED.c.expires_at > now)
    return (
        await session.execute(select(DEFERRED).where(DEFERRED.c.transaction_hash == transaction_hash, live))
    ).first()


async def move_deferred(session: AsyncSession, deferred_id: str, before: str, **values: Any) -> bool:
    """Compare and set its `state`; True for exactly one caller."""
    statement = update(DEFERRED).where(DEFERRED.c.id == deferred_id, DEFERRED.c.state == before)
    return (await session.execute(statement.values(values).returning(DEFERRED.c.id))).first() is not None


async def waiting_releases(
    session: AsyncSession, authority_codes: Iterable[str], after: str, limit: int, now: datetime
) -> Sequence[Row[Any]]:
    """What waits for these authorities' clerks, the oldest first, from an id on."""
    statement = select(DEFERRED).where(
        DEFERRED.c.authority_code.in_(list(authority_codes)),
        DEFERRED.c.state == "waiting",
        DEFERRED.c.expires_at > now,
        DEFERRED.c.id > after,
    )
    return (await session.execute(statement.order_by(DEFERRED.c.id).limit(limit))).all()


async def release(session: AsyncSession, release_id: str, authority_codes: Iterable[str]) -> Row[Any] | None:
    """A deferred issuance of one of these authorities, in whatever state it is."""
    statement = select(DEFERRED).where(
        DEFERRED.c.id == release_id, DEFERRED.c.authority_code.in_(list(authority_codes))
    )
    return (await session.execute(statement)).first()


async def prune_deferred(session: AsyncSession, now: datetime) -> None:
    """Forget the keys of transactions that are over."""
    await session.execute(delete(DEFERRED).where(DEFERRED.c.expires_at < now))


async def note_event(session: AsyncSession, notification: Mapping[str, Any]) -> None:
    """Record an event of a response; the same once more changes nothing."""
    await session.execute(upsert(NOTIFICATION).values(notification).on_conflict_do_nothing())


async def encryption_keys(session: AsyncSession, periods: Iterable[int]) -> Sequence[Row[Any]]:
    """The request encryption keys of these periods."""
    return (await session.execute(select(ENCRYPTION_KEY).where(ENCRYPTION_KEY.c.period.in_(list(periods))))).all()


async def add_encryption_key(session: AsyncSession, key: Mapping[str, Any]) -> None:
    """Keep a period's key, unless another process has just made it."""
    await session.execute(upsert(ENCRYPTION_KEY).values(key).on_conflict_do_nothing(index_elements=["period"]))


async def prune_encryption_keys(session: AsyncSession, before: int) -> None:
    """Forget the keys of periods that nobody encrypts for any more."""
    await session.execute(delete(ENCRYPTION_KEY).where(ENCRYPTION_KEY.c.period < before))
