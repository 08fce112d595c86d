"""The authorization server: pre-authorized codes and client credentials in, access tokens out."""

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeGuard

from sqlalchemy.ext.asyncio import AsyncSession

from credentials.issuance import PRE_AUTHORIZED_CODE, GrantRefused, Issuance, IssuanceGrant
from credentials.keys.formats.jwk import KeyMalformed, PublicJwk
from credentials.keys.formats.signed_jwt import JwtMalformed, JwtSignatureInvalid, SignedJwt
from credentials.registry.ports import Clock
from wallet_api.database import Database
from wallet_api.oauth import repository
from wallet_api.oauth.dpop import DpopInvalid, check_dpop
from wallet_api.oauth.errors import AccessRefused, OAuthError
from wallet_api.oauth.one_time import OneTimeValues

BEARER_LIFETIME_S = 300  # OpenID4VCI 1.0 §13: what lives longer must be sender-constrained
DPOP_LIFETIME_S = 3_600  # long enough to fetch a credential and a week of passes on a bad line
ASSERTION_LIFETIME = timedelta(minutes=5)
SKEW = timedelta(seconds=60)
CLIENT_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
GRANT_TYPES = (PRE_AUTHORIZED_CODE, "client_credentials")
CREDENTIAL_SCOPE = "credential"
DEPARTMENT_SCOPE = "licences:write"
VERIFIER_SCOPE = "checks:write"
CLIENT_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
WALLET_ID = re.compile(r"[\x20-\x7e]{1,255}")  # RFC 6749 appendix A.1; a URL at most


@dataclass(frozen=True)
class Access:
    """What the bearer of a token may do.

    Attributes:
        grant: for a wallet: the one licence that the token is for.
        client_id, authority_codes: for a department's system: who it is, and for which authorities it writes.
        jkt: the thumbprint of the key that the token is bound to, or None for a bearer token.
    """

    scope: str
    grant: IssuanceGrant | None
    client_id: str | None
    authority_codes: frozenset[str]
    jkt: str | None


class AuthorizationServer:
    """Grants and checks access tokens. They are opaque: the store keeps a hash and what the token is for."""

    def __init__(
        self, database: Database, issuance: Issuance, one_time: OneTimeValues, clock: Clock, public_url: str
    ) -> None:
        self._database = database
        self._issuance = issuance
        self._one_time = one_time
        self._clock = clock
        self.issuer = public_url
        self.token_endpoint = f"{public_url}/oauth/token"

    async def token(self, form: Mapping[str, str], dpop: Sequence[str]) -> dict[str, object]:
        """Answer a token request.

        Args:
            form: its parameters, each given once.
            dpop: the values of all `DPoP` header fields.

        Raises:
            OAuthError: as RFC 6749 §5.2, RFC 9449 §5 and OpenID4VCI 1.0 §6.3 write it. Nothing was used up, but for a
                try at a transaction code.
        """
        grant_type = form.get("grant_type")
        if grant_type is None:
            raise OAuthError("invalid_request", "grant_type is missing")
        if grant_type not in GRANT_TYPES:
            raise OAuthError("unsupported_grant_type", "see grant_types_supported in the metadata")
        if grant_type == "client_credentials":
            return await self._client_credentials(form, dpop)
        return await self._pre_authorized_code(form, dpop)

    async def _pre_authorized_code(self, form: Mapping[str, str], dpop: Sequence[str]) -> dict[str, object]:
        code, tx_code = form.get("pre-authorized_code"), form.get("tx_code")
        if not code:
            raise OAuthError("invalid_request", "pre-authorized_code is missing")
        wallet = form.get("client_id")
        if wallet is not None and not WALLET_ID.fullmatch(wallet):
            raise OAuthError("invalid_request", "client_id is out of form")
        if "authorization_details" in form:
            raise OAuthError("invalid_authorization_details", "authorization_details are not supported")
        try:
            async with self._database.transaction() as session:
                jkt = await self._proof_key(session, dpop) if dpop else None
                await self._issuance.count_tx_code_attempt(session, code, tx_code)
            async with self._database.transaction() as session:
                grant = await self._issuance.redeem(session, code, tx_code)
                return await self._grant(
                    session,
                    {
                        "wallet_client_id": wallet,
                        "holder_id": grant.holder_id,
                        "licence_id": grant.licence_id,
                        "configuration_id": next(iter(grant.configuration_ids)),
                        "scope": CREDENTIAL_SCOPE,
                    },
                    jkt,
                )
        except GrantRefused as error:
            raise OAuthError(error.code, error.detail) from error

    async def _proof_key(self, session: AsyncSession, dpop: Sequence[str]) -> str:
        try:
            return await check_dpop(
                session, self._one_time, dpop, method="POST", url=self.token_endpoint, now=self._clock.now()
            )
        except DpopInvalid as error:
            raise OAuthError("invalid_dpop_proof", error.detail) from error

    async def _client_credentials(self, form: Mapping[str, str], dpop: Sequence[str]) -> dict[str, object]:
        async with self._database.transaction() as session:
            jkt = await self._proof_key(session, dpop) if dpop else None
            client_id, scope = await self._authenticated_client(session, form)
            asked = set(form.get("scope", scope).split())
            if not asked or not asked <= set(scope.split()):
                raise OAuthError("invalid_scope", "the client is not registered for this scope")
            return await self._grant(session, {"client_id": client_id, "scope": " ".join(sorted(asked))}, jkt)

    async def _authenticated_client(self, session: AsyncSession, form: Mapping[str, str]) -> tuple[str, str]:
        """`private_key_jwt` (RFC 7523 §3, OpenID Connect Core §9): the client's id and registered scope."""
        if form.get("client_assertion_type") != CLIENT_ASSERTION_TYPE:
            raise OAuthError("invalid_client", "authenticate with private_key_jwt")
        try:
            assertion = SignedJwt.from_compact(form.get("client_assertion"), typ=None)
        except JwtMalformed as error:
            raise OAuthError("invalid_client", error.detail) from error
        unverified_id = assertion.unverified_claims.get("sub")
        if not isinstance(unverified_id, str) or not CLIENT_ID.fullmatch(unverified_id):
            raise OAuthError("invalid_client", "sub of the assertion is not a client id")
        client = await repository.active_client(session, unverified_id)
        if client is None or form.get("client_id", unverified_id) != unverified_id:
            raise OAuthError("invalid_client", "the client is unknown or suspended")
        claims = _verified_by_any(assertion, client.jwks)
        if claims.get("iss") != client.client_id or claims.get("aud") not in (self.issuer, self.token_endpoint):
            raise OAuthError("invalid_client", "iss or aud of the assertion is wrong")
        now = self._clock.now()
        _check_times(claims, now)
        jti = claims.get("jti")
        if not isinstance(jti, str) or not jti:
            raise OAuthError("invalid_client", "jti of the assertion is missing")
        memory = now + ASSERTION_LIFETIME + 3 * SKEW
        if not await self._one_time.burn(session, "client_assertion", f"{client.client_id}:{jti}", memory):
            raise OAuthError("invalid_client", "this assertion was used before")
        return client.client_id, client.scope

    async def _grant(
        self, session: AsyncSession, entitled: Mapping[str, str | None], jkt: str | None
    ) -> dict[str, object]:
        token = secrets.token_urlsafe(32)
        lifetime_s = DPOP_LIFETIME_S if jkt else BEARER_LIFETIME_S
        expires_at = self._clock.now() + timedelta(seconds=lifetime_s)
        await repository.insert_token(
            session, {"token_hash": _hash(token), "jkt": jkt, "expires_at": expires_at, **entitled}
        )
        return {
            "access_token": token,
            "token_type": "DPoP" if jkt else "Bearer",
            "expires_in": lifetime_s,
            "scope": entitled["scope"],
        }

    async def access(
        self, authorization: Sequence[str], dpop: Sequence[str], *, method: str, url: str, scope: str
    ) -> Access:
        """Check the token of a request to a protected resource.

        Args:
            authorization: the values of all `Authorization` header fields; several are as good as none.
            url: the public URL of the resource.
            scope: what the token must be good for.

        Raises:
            AccessRefused: with the challenge to answer with. A DPoP-bound token sent as Bearer is refused.
        """
        scheme, _, token = (authorization[0] if len(authorization) == 1 else "").partition(" ")
        if scheme.lower() not in ("bearer", "dpop") or not token:
            raise AccessRefused("DPoP" if scope == CREDENTIAL_SCOPE else "Bearer", None)
        scheme = "DPoP" if scheme.lower() == "dpop" else "Bearer"
        async with self._database.transaction() as session:
            row = await repository.live_token(session, _hash(token), self._clock.now())
            if row is None:
                raise AccessRefused(scheme, "invalid_token", "the token is unknown or over")
            if (scheme == "DPoP") != (row.jkt is not None):
                raise AccessRefused(scheme, "invalid_token", "the token is not of this type")
            if row.jkt is not None:
                await self._check_binding(session, row.jkt, dpop, method, url, token)
        if scope not in row.scope.split():
            raise AccessRefused(scheme, "insufficient_scope", "the token is not for this")
        grant = None
        if row.licence_id is not None:
            grant = IssuanceGrant(
                id=row.token_hash.hex(),
                holder_id=row.holder_id,
                configuration_ids=frozenset({row.configuration_id}),
                licence_id=row.licence_id,
                client_id=row.wallet_client_id,
            )
        return Access(row.scope, grant, row.client_id, frozenset(row.authority_codes or ()), row.jkt)

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

    async def register_client(
        self,
        session: AsyncSession,
        client_id: str,
        name: str,
        authority_codes: Sequence[str],
        key: PublicJwk,
        scope: str = DEPARTMENT_SCOPE,
    ) -> None:
        """Register a machine that may call, or replace its registration.

        Args:
            authority_codes: for a department's system: for which authorities it writes; empty for others.
            scope: what it may be granted, `licences:write` or `checks:write`.

        Raises:
            OAuthError: `invalid_client_metadata` when the id is out of form.
        """
        if not CLIENT_ID.fullmatch(client_id):
            raise OAuthError("invalid_client_metadata", "a client id is 1 to 64 of a-z 0-9 . _ -")
        values = {
            "name": name,
            "authority_codes": list(authority_codes),
            "scope": scope,
            "jwks": [key.to_object()],
            "active": True,
        }
        if await repository.client_exists(session, client_id):
            await repository.replace_client(session, client_id, values)
        else:
            await repository.insert_client(session, {"client_id": client_id, "created_at": self._clock.now(), **values})


def _verified_by_any(assertion: SignedJwt, jwks: Sequence[object]) -> Mapping[str, object]:
    """The claims under one of the client's registered keys."""
    for jwk in jwks:
        try:
            return assertion.verified(PublicJwk.from_object(jwk).public_key())
        except (JwtSignatureInvalid, KeyMalformed):
            continue
    raise OAuthError("invalid_client", "no registered key verifies the assertion")


def _check_times(claims: Mapping[str, object], now: datetime) -> None:
    """`exp` is required and near, `nbf` is optional (RFC 7523 §3, items 4 and 5)."""
    expires_s, starts_s = claims.get("exp"), claims.get("nbf", 0)
    if not _is_number(expires_s) or not _is_number(starts_s):
        raise OAuthError("invalid_client", "exp of the assertion is missing, or nbf is no number")
    if not now.timestamp() < expires_s + SKEW.seconds <= (now + ASSERTION_LIFETIME + 2 * SKEW).timestamp():
        raise OAuthError("invalid_client", "the assertion is over, or good for longer than five minutes")
    if starts_s > (now + SKEW).timestamp():
        raise OAuthError("invalid_client", "the assertion is not good yet")


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
