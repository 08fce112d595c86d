"""Access tokens: granted to wallets and machines, and checked at what they protect."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.issuance import IssuanceGrant
from credentials.registry.ports import Clock
from wallet_api.database import Database
from wallet_api.oauth import repository
from wallet_api.oauth.dpop import DpopInvalid, check_dpop
from wallet_api.oauth.errors import AccessRefused
from wallet_api.oauth.models import Access, Granted
from wallet_api.oauth.one_time import OneTimeValues

BEARER_LIFETIME_S = 300  # OpenID4VCI 1.0 §13: what lives longer must be sender-constrained
DPOP_LIFETIME_S = 3_600  # long enough to fetch a credential and a week of passes on a bad line
GRANT_LIFETIME = timedelta(days=365)  # as long as a credential lives: after that the holder signs in again


class Tokens:
    """Grants and checks access tokens. They are opaque: the store keeps a hash and what the token is for."""

    def __init__(self, database: Database, one_time: OneTimeValues, clock: Clock) -> None:
        self._database = database
        self._one_time = one_time
        self._clock = clock

    async def for_wallet(self, session: AsyncSession, granted: Granted, jkt: str | None) -> dict[str, object]:
        """Keep a grant, and answer with its first access token (RFC 6749 §5.1).

        Args:
            jkt: the thumbprint of the wallet's DPoP key, or None for a bearer token.
        """
        grant_id, now = secrets.token_hex(16), self._clock.now()
        await repository.insert_grant(
            session,
            {
                "id": grant_id,
                "client_id": granted.client_id,
                "instance_jkt": granted.instance_jkt,
                "holder_id": granted.holder_id,
                "licence_id": granted.licence_id,
                "configuration_ids": list(granted.configuration_ids),
                "credential_identifiers": dict(granted.credential_identifiers),
                "jkt": jkt,
                "refresh_generation": 0,
                "refreshed_at": now,
                "expires_at": now + GRANT_LIFETIME,
                "created_at": now,
            },
        )
        return await self._token(session, {"grant_id": grant_id}, " ".join(granted.configuration_ids), jkt)

    async def for_machine(
        self, session: AsyncSession, client_id: str, scope: str, jkt: str | None
    ) -> dict[str, object]:
        """Answer with an access token for a registered client."""
        return await self._token(session, {"client_id": client_id}, scope, jkt)

    async def _token(
        self, session: AsyncSession, owner: Mapping[str, str], scope: str, jkt: str | None
    ) -> dict[str, object]:
        token = secrets.token_urlsafe(32)
        lifetime_s = DPOP_LIFETIME_S if jkt else BEARER_LIFETIME_S
        expires_at = self._clock.now() + timedelta(seconds=lifetime_s)
        row = {"token_hash": _hash(token), "scope": scope, "jkt": jkt, "expires_at": expires_at, **owner}
        await repository.insert_token(session, row)
        return {
            "access_token": token,
            "token_type": "DPoP" if jkt else "Bearer",
            "expires_in": lifetime_s,
            "scope": scope,
        }

    async def access(
        self, authorization: Sequence[str], dpop: Sequence[str], *, method: str, url: str, scope: str | None
    ) -> Access:
        """Check the token of a request to a protected resource.

        Args:
            authorization: the values of all `Authorization` header fields; several are as good as none.
            url: the public URL of the resource.
            scope: what the token must be good for, or None where any wallet's will do.

        Raises:
            AccessRefused: with the challenge to answer with. A DPoP-bound token sent as Bearer is refused.
        """
        scheme, _, token = (authorization[0] if len(authorization) == 1 else "").partition(" ")
        if scheme.lower() not in ("bearer", "dpop") or not token:
            raise AccessRefused("Bearer" if scope else "DPoP", None)
        scheme = "DPoP" if scheme.lower() == "dpop" else "Bearer"
        async with self._database.transaction() as session:
            row = await repository.live_token(session, _hash(token), self._clock.now())
            if row is None:
                raise AccessRefused(scheme, "invalid_token", "the token is unknown or over")
            if (scheme == "DPoP") != (row.jkt is not None):
                raise AccessRefused(scheme, "invalid_token", "the token is not of this type")
            if row.jkt is not None:
                await self._check_binding(session, row.jkt, dpop, method, url, token)
        if row.grant_id is None if scope is None else scope not in row.scope.split():
            raise AccessRefused(scheme, "insufficient_scope", "the token is not for this")
        return Access(row.scope, _grant(row), row.client_id, frozenset(row.authority_codes or ()), row.jkt)

    async def _check_binding(
        self, session: AsyncSession, jkt: str, dpop: Sequence[str], method: str, url: str, token: str
    ) -> None:
        now = self._clock.now()
        try:
            shown = await check_dpop(session, self._one_time, dpop, method=method, url=url, now=now, access_token=token)
        except DpopInvalid as error:
            raise AccessRefused("DPoP", "invalid_dpop_proof", error.detail) from error
        if shown != jkt:
            raise AccessRefused("DPoP", "invalid_token", "the token is bound to another key")


def _grant(row: Row[Any]) -> IssuanceGrant | None:
    if row.grant_id is None:
        return None
    return IssuanceGrant(
        id=row.grant_id,
        holder_id=row.holder_id,
        configuration_ids=frozenset(row.scope.split()),
        licence_id=row.licence_id,
        credential_identifiers=row.credential_identifiers,
        client_id=row.wallet_client_id,
    )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
