"""All SQL of the authorization server but that of one-time values."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Table, bindparam, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningUpdate

from wallet_api.database import Database
from wallet_api.oauth.tables import AccessTokenRow, AuthorizationRequestRow, OAuthClientRow, WalletGrantRow

CLIENT: Table = OAuthClientRow.__table__  # type: ignore[attr-defined]
REQUEST: Table = AuthorizationRequestRow.__table__  # type: ignore[attr-defined]
GRANT: Table = WalletGrantRow.__table__  # type: ignore[attr-defined]
TOKEN: Table = AccessTokenRow.__table__  # type: ignore[attr-defined]

REQUEST_MEMORY = timedelta(days=1)  # a code that comes a second time ends what the first time began


async def active_client(session: AsyncSession, client_id: str) -> Row[Any] | None:
    """A client that may call."""
    return (await session.execute(select(CLIENT).where(CLIENT.c.client_id == client_id, CLIENT.c.active))).first()


async def client_exists(session: AsyncSession, client_id: str) -> bool:
    """Whether the id is taken."""
    return (
        await session.execute(select(CLIENT.c.client_id).where(CLIENT.c.client_id == client_id))
    ).first() is not None


async def clients(session: AsyncSession, scope: str) -> Sequence[Row[Any]]:
    """The clients with a scope, by id."""
    return (await session.execute(select(CLIENT).where(CLIENT.c.scope == scope).order_by(CLIENT.c.client_id))).all()


async def insert_client(session: AsyncSession, client: Mapping[str, Any]) -> None:
    """Register a client."""
    await session.execute(insert(CLIENT).values(client))


async def replace_client(session: AsyncSession, client_id: str, values: Mapping[str, Any]) -> bool:
    """Change the registration of a client with the same scope; False if there is none."""
    same = (CLIENT.c.client_id == client_id, CLIENT.c.scope == values["scope"])
    changed = update(CLIENT).where(*same).values(values).returning(CLIENT.c.client_id)
    return (await session.execute(changed)).first() is not None


async def insert_grant(session: AsyncSession, grant: Mapping[str, Any]) -> None:
    """Keep what a holder granted."""
    await session.execute(insert(GRANT).values(grant))


async def live_grant(session: AsyncSession, grant_id: str, now: datetime) -> Row[Any] | None:
    """A grant that is neither revoked nor over."""
    live = (GRANT.c.id == grant_id, GRANT.c.revoked_at.is_(None), GRANT.c.expires_at > now)
    return (await session.execute(select(GRANT).where(*live))).first()


async def advance_grant(
    session: AsyncSession, grant_id: str, generation: int, bound_to: Mapping[str, str | None], now: datetime
) -> Row[Any] | None:
    """Take a grant from this generation of refresh tokens to the next; the grant for exactly one caller."""
    statement = (
        update(GRANT)
        .where(GRANT.c.id == grant_id, GRANT.c.refresh_generation == generation)
        .where(GRANT.c.revoked_at.is_(None), GRANT.c.expires_at > now)
        .where(*(GRANT.c[name].is_not_distinct_from(value) for name, value in bound_to.items()))
        .values(refresh_generation=generation + 1, refreshed_at=now)
        .returning(GRANT)
    )
    return await _one(session, statement)


async def revoke_grant(session: AsyncSession, grant_id: str, now: datetime) -> None:
    """End a grant, and with it every token of it."""
    live = (GRANT.c.id == grant_id, GRANT.c.revoked_at.is_(None))
    await session.execute(update(GRANT).where(*live).values(revoked_at=now))


async def insert_token(session: AsyncSession, token: Mapping[str, Any]) -> None:
    """Keep a token's hash and what it is good for."""
    await session.execute(insert(TOKEN).values(token))


_TOKEN = (
    select(
        TOKEN,
        CLIENT.c.active,
        CLIENT.c.authority_codes,
        GRANT.c.revoked_at,
        GRANT.c.client_id.label("wallet_client_id"),
        GRANT.c.holder_id,
        GRANT.c.licence_id,
        GRANT.c.credential_identifiers,
    )
    .outerjoin(CLIENT, CLIENT.c.client_id == TOKEN.c.client_id)
    .outerjoin(GRANT, GRANT.c.id == TOKEN.c.grant_id)
    .where(TOKEN.c.token_hash == bindparam("token_hash"), TOKEN.c.expires_at > bindparam("now"))
)


async def live_token(database: Database, token_hash: bytes, now: datetime) -> Any:
    """A token that is not over, with its client's registration or its holder's grant.

    A suspended client's token is dead, and so is one whose grant was revoked. A query of its own: every request begins
    with it.
    """
    row = await database.read_one(_TOKEN, token_hash=token_hash, now=now)
    if row is None or row.revoked_at is not None or (row.client_id is not None and not row.active):
        return None
    return row


async def insert_request(session: AsyncSession, request: Mapping[str, Any]) -> None:
    """Keep a pushed authorization request."""
    await session.execute(insert(REQUEST).values(request))


async def move_request(
    session: AsyncSession, stages: Collection[str], now: datetime, where: Mapping[str, Any], values: Mapping[str, Any]
) -> Row[Any] | None:
    """Move a request that is in one of these stages and not over; the request as it is then, for who was in time.

    Args:
        where: what its columns must hold, None included.
    """
    statement = (
        update(REQUEST)
        .where(REQUEST.c.stage.in_(stages), REQUEST.c.expires_at > now)
        .where(*(REQUEST.c[name].is_not_distinct_from(value) for name, value in where.items()))
        .values(values)
        .returning(REQUEST)
    )
    return await _one(session, statement)


async def request_where(
    session: AsyncSession, stages: Collection[str], now: datetime, where: Mapping[str, Any]
) -> Row[Any] | None:
    """A request in one of these stages that is not over."""
    statement = select(REQUEST).where(REQUEST.c.stage.in_(stages), REQUEST.c.expires_at > now)
    found = statement.where(*(REQUEST.c[name] == value for name, value in where.items()))
    return (await session.execute(found)).first()


async def redeem_code(
    session: AsyncSession, code_hash: bytes, jkt: str | None, where: Mapping[str, Any], now: datetime
) -> Row[Any] | None:
    """Use an authorization code that is not over and bound to all of this; the request for exactly one caller."""
    statement = (
        update(REQUEST)
        .where(REQUEST.c.code_hash == code_hash, REQUEST.c.stage == "approved", REQUEST.c.expires_at > now)
        .where(or_(REQUEST.c.dpop_jkt.is_(None), REQUEST.c.dpop_jkt.is_not_distinct_from(jkt)))
        .where(*(REQUEST.c[name].is_not_distinct_from(value) for name, value in where.items()))
        .values(stage="redeemed")
        .returning(REQUEST)
    )
    return await _one(session, statement)


async def redeemed_request_id(session: AsyncSession, code_hash: bytes) -> str | None:
    """The request whose code this was, once it was used; its grant has the same id."""
    statement = select(REQUEST.c.id).where(REQUEST.c.code_hash == code_hash, REQUEST.c.stage == "redeemed")
    return (await session.execute(statement)).scalar_one_or_none()


async def prune(session: AsyncSession, now: datetime) -> None:
    """Forget tokens, requests and grants that are over. A used code is remembered as long as its first tokens live."""
    await session.execute(delete(TOKEN).where(TOKEN.c.expires_at < now))
    in_use = select(TOKEN.c.grant_id).where(TOKEN.c.grant_id.is_not(None))
    await session.execute(delete(GRANT).where(GRANT.c.expires_at < now, GRANT.c.id.not_in(in_use)))
    await session.execute(delete(REQUEST).where(REQUEST.c.expires_at < now - REQUEST_MEMORY))


async def _one(session: AsyncSession, statement: ReturningUpdate[Any]) -> Row[Any] | None:
    row: Row[Any] | None = (await session.execute(statement)).first()
    return row
