"""All SQL of the authorization server but that of one-time values."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Table, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from wallet_api.oauth.tables import AccessTokenRow, OAuthClientRow, WalletGrantRow

CLIENT: Table = OAuthClientRow.__table__  # type: ignore[attr-defined]
GRANT: Table = WalletGrantRow.__table__  # type: ignore[attr-defined]
TOKEN: Table = AccessTokenRow.__table__  # type: ignore[attr-defined]


async def active_client(session: AsyncSession, client_id: str) -> Row[Any] | None:
    """A client that may call."""
    return (await session.execute(select(CLIENT).where(CLIENT.c.client_id == client_id, CLIENT.c.active))).first()


async def client_exists(session: AsyncSession, client_id: str) -> bool:
    """Whether the id is taken."""
    return (
        await session.execute(select(CLIENT.c.client_id).where(CLIENT.c.client_id == client_id))
    ).first() is not None


async def insert_client(session: AsyncSession, client: Mapping[str, Any]) -> None:
    """Register a client."""
    await session.execute(insert(CLIENT).values(client))


async def replace_client(session: AsyncSession, client_id: str, values: Mapping[str, Any]) -> None:
    """Change a registration."""
    await session.execute(update(CLIENT).where(CLIENT.c.client_id == client_id).values(values))


async def insert_grant(session: AsyncSession, grant: Mapping[str, Any]) -> None:
    """Keep what a holder granted."""
    await session.execute(insert(GRANT).values(grant))


async def insert_token(session: AsyncSession, token: Mapping[str, Any]) -> None:
    """Keep a token's hash and what it is good for."""
    await session.execute(insert(TOKEN).values(token))


async def live_token(session: AsyncSession, token_hash: bytes, now: datetime) -> Row[Any] | None:
    """A token that is not over, with its client's registration or its holder's grant.

    A suspended client's token is dead, and so is one whose grant was revoked.
    """
    statement = (
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
        .where(TOKEN.c.token_hash == token_hash, TOKEN.c.expires_at > now)
    )
    row = (await session.execute(statement)).first()
    if row is None or row.revoked_at is not None or (row.client_id is not None and not row.active):
        return None
    return row


async def prune_tokens(session: AsyncSession, now: datetime) -> None:
    """Forget tokens that are over, and grants that were over before them."""
    await session.execute(delete(TOKEN).where(TOKEN.c.expires_at < now))
    in_use = select(TOKEN.c.grant_id).where(TOKEN.c.grant_id.is_not(None))
    await session.execute(delete(GRANT).where(GRANT.c.expires_at < now, GRANT.c.id.not_in(in_use)))
