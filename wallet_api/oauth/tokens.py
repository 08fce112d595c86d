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
from wallet_api.oauth.authorization_details import authorization_details
from wallet_api.oauth.dpop import DpopInvalid, DpopProofs
from wallet_api.oauth.errors import AccessRefused, OAuthError
from wallet_api.oauth.models import INBOX_SCOPE, Access, Granted, WalletClient
from wallet_api.oauth.refresh_tokens import RefreshToken

BEARER_LIFETIME_S = 300  # OpenID4VCI 1.0 §13: what lives longer must be sender-constrained
DPOP_LIFETIME_S = 3_600  # long enough to fetch a credential and a week of passes on a bad line
GRACE = timedelta(seconds=60)  # for an answer that was lost on the way: a wallet tries again at once
GRANT_LIFETIME = timedelta(days=365)  # as long as a credential lives: after that the holder signs in again


class Tokens:
    """Grants and checks tokens. Access tokens are opaque: the store keeps a hash and what the token is for.

    Args:
        key: 32 bytes that only this deployment knows: refresh tokens are MAC'ed under it.
    """

    def __init__(self, database: Database, dpop: DpopProofs, clock: Clock, key: bytes) -> None:
        self._database = database
        self._dpop = dpop
        self._clock = clock
        self._key = key

    async def for_wallet(
        self, session: AsyncSession, grant_id: str, granted: Granted, jkt: str | None
    ) -> dict[str, object]:
        """Keep a grant, and answer with its first tokens (RFC 6749 §5.1).

        Args:
            grant_id: 32 hexadecimal digits of the caller's.
            jkt: the thumbprint of the wallet's DPoP key, or None for a bearer token, which no refresh token follows.
        """
        now = self._clock.now()
        row = {
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
        }
        await repository.insert_grant(session, row)
        scope = " ".join(granted.configuration_ids) or INBOX_SCOPE
        refresh_token = RefreshToken(grant_id, 0) if jkt else None
        return await self._for_grant(session, grant_id, granted.credential_identifiers, scope, jkt, refresh_token)

    async def refreshed(
        self, session: AsyncSession, token: RefreshToken, wallet: WalletClient, jkt: str | None, scope: str | None
    ) -> dict[str, object] | None:
        """Exchange a refresh token for new tokens. None: it was used before, and its grant has ended now.

        Asked again within a minute, while what was answered lies unused, the same refresh token is answered: the
        first answer was lost.

        Args:
            scope: a part of what was granted, or None for all of it.

        Raises:
            OAuthError: `invalid_grant`, `invalid_scope`; nothing was used up.
        """
        now = self._clock.now()
        bound_to = {"jkt": jkt, "instance_jkt": wallet.instance_jkt}
        grant = await repository.advance_grant(session, token.grant_id, token.generation, bound_to, now)
        if grant is None:
            grant = await repository.live_grant(session, token.grant_id, now)
            if grant is None or grant.refresh_generation <= token.generation:
                raise OAuthError("invalid_grant", "the refresh token is over, or bound to another key")
            is_lost_answer = grant.refresh_generation == token.generation + 1 and now <= grant.refreshed_at + GRACE
            if not is_lost_answer or (grant.jkt, grant.instance_jkt) != (jkt, wallet.instance_jkt):
                await repository.revoke_grant(session, token.grant_id, now)
                return None
        if grant.client_id is not None and wallet.client_id not in (None, grant.client_id):
            raise OAuthError("invalid_grant", "the refresh token is another client's")
        granted = grant.configuration_ids or [INBOX_SCOPE]
        asked = granted if scope is None else scope.split(" ")
        if not set(asked) <= set(granted):
            raise OAuthError("invalid_scope", "this was not granted")
        successor = RefreshToken(token.grant_id, token.generation + 1)
        return await self._for_grant(
            session, token.grant_id, grant.credential_identifiers, " ".join(asked), jkt, successor
        )

    async def _for_grant(
        self,
        session: AsyncSession,
        grant_id: str,
        credential_identifiers: Mapping[str, str],
        scope: str,
        jkt: str | None,
        refresh_token: RefreshToken | None,
    ) -> dict[str, object]:
        answer = await self._token(session, {"grant_id": grant_id}, scope, jkt)
        if refresh_token is not None:
            answer["refresh_token"] = refresh_token.to_text(self._key)
        if credential_identifiers:
            answer["authorization_details"] = authorization_details(credential_identifiers)
        return answer

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
        row = await repository.live_token(self._database, _hash(token), self._clock.now())
        if row is None:
            raise AccessRefused(scheme, "invalid_token", "the token is unknown or over")
        if (scheme == "DPoP") != (row.jkt is not None):
            raise AccessRefused(scheme, "invalid_token", "the token is not of this type")
        if row.jkt is not None:
            async with self._database.transaction() as session:
                await self._check_binding(session, row.jkt, dpop, method, url, token)
        if row.grant_id is None if scope is None else scope not in row.scope.split():
            raise AccessRefused(scheme, "insufficient_scope", "the token is not for this")
        return Access(row.scope, _grant(row), row.client_id, frozenset(row.authority_codes or ()), row.jkt)

    async def _check_binding(
        self, session: AsyncSession, jkt: str, dpop: Sequence[str], method: str, url: str, token: str
    ) -> None:
        try:
            shown = await self._dpop.key(session, dpop, method=method, url=url, access_token=token)
        except DpopInvalid as error:
            raise AccessRefused("DPoP", error.error, error.detail) from error
        if shown != jkt:
            raise AccessRefused("DPoP", "invalid_token", "the token is bound to another key")


def _grant(row: Row[Any]) -> IssuanceGrant | None:
    if row.grant_id is None:
        return None
    return IssuanceGrant(
        id=row.grant_id,
        holder_id=row.holder_id,
        configuration_ids=frozenset(row.scope.split()) - {INBOX_SCOPE},
        licence_id=row.licence_id,
        credential_identifiers=row.credential_identifiers,
        client_id=row.wallet_client_id,
    )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
