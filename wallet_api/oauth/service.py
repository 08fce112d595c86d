"""The authorization server: codes and client assertions in, access tokens out."""

import re
from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from credentials.issuance import PRE_AUTHORIZED_CODE, GrantRefused, Issuance
from credentials.keys.formats.jwk import PublicJwk
from credentials.registry.ports import Clock
from wallet_api.database import Database
from wallet_api.oauth import repository
from wallet_api.oauth.client_assertion import CLIENT_ID, authenticated_client
from wallet_api.oauth.dpop import DpopInvalid, check_dpop
from wallet_api.oauth.errors import OAuthError
from wallet_api.oauth.models import Access, Granted
from wallet_api.oauth.one_time import OneTimeValues
from wallet_api.oauth.tokens import Tokens

GRANT_TYPES = (PRE_AUTHORIZED_CODE, "client_credentials")
DEPARTMENT_SCOPE = "licences:write"
VERIFIER_SCOPE = "checks:write"
WALLET_ID = re.compile(r"[\x20-\x7e]{1,255}")  # RFC 6749 appendix A.1; a URL at most


class AuthorizationServer:
    """Grants and checks access tokens."""

    def __init__(
        self, database: Database, issuance: Issuance, one_time: OneTimeValues, clock: Clock, public_url: str
    ) -> None:
        self._database = database
        self._issuance = issuance
        self._one_time = one_time
        self._clock = clock
        self._tokens = Tokens(database, one_time, clock)
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
                granted = Granted(
                    holder_id=grant.holder_id,
                    configuration_ids=tuple(sorted(grant.configuration_ids)),
                    licence_id=grant.licence_id,
                    client_id=wallet,
                )
                return await self._tokens.for_wallet(session, granted, jkt)
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
            client = await authenticated_client(
                session,
                self._one_time,
                form,
                audiences=(self.issuer, self.token_endpoint),
                now=self._clock.now(),
            )
            asked = set(form.get("scope", client.scope).split())
            if not asked or not asked <= set(client.scope.split()):
                raise OAuthError("invalid_scope", "the client is not registered for this scope")
            return await self._tokens.for_machine(session, client.client_id, " ".join(sorted(asked)), jkt)

    async def access(
        self, authorization: Sequence[str], dpop: Sequence[str], *, method: str, url: str, scope: str | None
    ) -> Access:
        """Check the token of a request to a protected resource; see `Tokens.access`.

        Raises:
            AccessRefused: with the challenge to answer with.
        """
        return await self._tokens.access(authorization, dpop, method=method, url=url, scope=scope)

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
