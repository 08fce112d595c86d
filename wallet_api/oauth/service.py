"""The authorization server: pushed requests, codes and client assertions in, tokens out."""

import hashlib
import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from credentials.issuance import PRE_AUTHORIZED_CODE, GrantRefused
from credentials.keys.formats.jwk import PublicJwk
from credentials.keys.formats.jws import b64u_encode
from credentials.registry.ports import Clock
from wallet_api.database import Database
from wallet_api.oauth import repository
from wallet_api.oauth.authorization_details import new_identifiers, read_authorization_details
from wallet_api.oauth.authorization_request import AuthorizationRequest
from wallet_api.oauth.client_assertion import authenticated_client
from wallet_api.oauth.client_attestation import ClientAttestations
from wallet_api.oauth.client_ids import CLIENT_ID, WALLET_ID
from wallet_api.oauth.dpop import DpopInvalid, DpopProofs
from wallet_api.oauth.errors import OAuthError
from wallet_api.oauth.models import Access, ClientHeaders, Granted, RegisteredClient, WalletClient, WalletPolicy
from wallet_api.oauth.one_time import OneTimeValues
from wallet_api.oauth.ports import Offers
from wallet_api.oauth.redirect_uris import check_redirect_uri
from wallet_api.oauth.refresh_tokens import RefreshToken, RefreshTokenInvalid
from wallet_api.oauth.server_nonces import ServerNonces
from wallet_api.oauth.tokens import Tokens

GRANT_TYPES = ("authorization_code", "refresh_token", PRE_AUTHORIZED_CODE, "client_credentials")
DEPARTMENT_SCOPE = "licences:write"
VERIFIER_SCOPE = "checks:write"
OPERATOR_SCOPE = "platform:operate"
REGISTER_SCOPE = "holders:write"
CODE_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 §4.1
REQUEST_URI_PREFIX = "urn:ietf:params:oauth:request_uri:"  # RFC 9126 §2.2
REQUEST_URI_LIFETIME_S = 90  # RFC 9126 §2.2 speaks of 5 to 600; a wallet opens the browser at once


class AuthorizationServer:
    """Takes authorization requests, and grants and checks tokens. What the holder sees in between is `SignIns`' part.

    Args:
        configurations: the credential configuration ids; each is a scope value of its own.
        key: 32 bytes that only this deployment knows, the same in all its processes.
    """

    def __init__(
        self,
        *,
        database: Database,
        offers: Offers,
        one_time: OneTimeValues,
        clock: Clock,
        public_url: str,
        configurations: Collection[str],
        key: bytes,
        policy: WalletPolicy,
    ) -> None:
        self._database = database
        self._offers = offers
        self._one_time = one_time
        self._clock = clock
        self._configurations = frozenset(configurations)
        self._key = key
        self.issuer = public_url
        self.token_endpoint = f"{public_url}/oauth/token"
        self.par_endpoint = f"{public_url}/oauth/par"
        self.policy = policy
        self.dpop_nonces = ServerNonces(key, "dpop_nonce", clock)
        self.challenges = ServerNonces(key, "attestation_challenge", clock)
        self._dpop = DpopProofs(one_time, clock, self.dpop_nonces, nonce_required=policy.dpop_nonce_required)
        self._attestations = ClientAttestations(
            policy.attesters,
            one_time,
            clock,
            self.challenges,
            public_url,
            challenge_required=policy.challenge_required,
        )
        self._tokens = Tokens(database, self._dpop, clock, key)

    async def push(self, form: Mapping[str, str], headers: ClientHeaders) -> dict[str, object]:
        """Keep a pushed authorization request (RFC 9126 §2).

        Args:
            form: its parameters, each given once.

        Raises:
            OAuthError: nothing was kept or used up.
        """
        async with self._database.transaction() as session:
            wallet = await self._wallet(session, form, headers)
            if wallet.client_id is None:
                raise OAuthError("invalid_request", "client_id is missing")
            jkt = await self._proof_key(session, headers.dpop, self.par_endpoint)
            offer = await self._offers.offered_by_state(session, form.get("issuer_state", ""))
            request = AuthorizationRequest.from_form(
                form,
                client_id=wallet.client_id,
                configurations=self._configurations,
                issuer=self.issuer,
                offered=offer.configuration_id if offer else None,
                app_schemes=self.policy.app_schemes,
            )
            if jkt is not None and request.dpop_jkt not in (None, jkt):
                raise OAuthError("invalid_dpop_proof", "dpop_jkt is another key than the proof's")
            reference, now = secrets.token_urlsafe(32), self._clock.now()
            row = {
                "id": secrets.token_hex(16),
                "request_uri_hash": _hash(reference),
                "stage": "pushed",
                "client_id": request.client_id,
                "instance_jkt": wallet.instance_jkt,
                "redirect_uri": request.redirect_uri,
                "state": request.state,
                "code_challenge": request.code_challenge,
                "dpop_jkt": jkt or request.dpop_jkt,
                "configuration_ids": list(request.configuration_ids),
                "detailed_ids": list(request.detailed_ids),
                "expires_at": now + timedelta(seconds=REQUEST_URI_LIFETIME_S),
                "created_at": now,
            }
            await repository.insert_request(session, row)
        return {"request_uri": f"{REQUEST_URI_PREFIX}{reference}", "expires_in": REQUEST_URI_LIFETIME_S}

    async def token(self, form: Mapping[str, str], headers: ClientHeaders) -> dict[str, object]:
        """Answer a token request.

        Args:
            form: its parameters, each given once.

        Raises:
            OAuthError: as RFC 6749 §5.2, RFC 9449 §5 and OpenID4VCI 1.0 §6.3 write it. Nothing was used up, but for a
                try at a transaction code; a code or refresh token that comes again has ended its grant.
        """
        grant_type = form.get("grant_type")
        if grant_type is None:
            raise OAuthError("invalid_request", "grant_type is missing")
        answers = {
            "authorization_code": self._authorization_code,
            "refresh_token": self._refresh_token,
            PRE_AUTHORIZED_CODE: self._pre_authorized_code,
            "client_credentials": self._client_credentials,
        }
        if grant_type not in answers:
            raise OAuthError("unsupported_grant_type", "see grant_types_supported in the metadata")
        return await answers[grant_type](form, headers)

    async def _authorization_code(self, form: Mapping[str, str], headers: ClientHeaders) -> dict[str, object]:
        code, verifier = _required(form, "code"), _required(form, "code_verifier")
        redirect_uri = check_redirect_uri(form.get("redirect_uri"), self.policy.app_schemes)
        if not CODE_VERIFIER.fullmatch(verifier):
            raise OAuthError("invalid_grant", "code_verifier is out of form")
        asked = self._details(form)
        async with self._database.transaction() as session:
            wallet = await self._wallet(session, form, headers)
            if wallet.client_id is None:
                raise OAuthError("invalid_request", "client_id is missing")
            jkt = await self._proof_key(session, headers.dpop, self.token_endpoint)
            bound_to = {
                "client_id": wallet.client_id,
                "instance_jkt": wallet.instance_jkt,
                "redirect_uri": redirect_uri,
                "code_challenge": b64u_encode(hashlib.sha256(verifier.encode()).digest()),
            }
            request = await repository.redeem_code(session, _hash(code), jkt, bound_to, self._clock.now())
            if request is not None:
                granted = Granted(
                    holder_id=request.holder_id,
                    configuration_ids=tuple(request.configuration_ids),
                    client_id=wallet.client_id,
                    instance_jkt=wallet.instance_jkt,
                )
                granted = await self._detailed(session, granted, asked or tuple(request.detailed_ids))
                return await self._tokens.for_wallet(session, request.id, granted, jkt)
            used = await repository.redeemed_request_id(session, _hash(code))
            if used is not None:  # RFC 6749 §4.1.2: whoever came first may have been a thief
                await repository.revoke_grant(session, used, self._clock.now())
        raise OAuthError("invalid_grant", "the code is unknown, used, over, or bound to something else")

    async def _refresh_token(self, form: Mapping[str, str], headers: ClientHeaders) -> dict[str, object]:
        try:
            token = RefreshToken.from_text(_required(form, "refresh_token"), self._key)
        except RefreshTokenInvalid as error:
            raise OAuthError("invalid_grant", "the refresh token is not of this server") from error
        async with self._database.transaction() as session:
            wallet = await self._wallet(session, form, headers)
            jkt = await self._proof_key(session, headers.dpop, self.token_endpoint)
            answer = await self._tokens.refreshed(session, token, wallet, jkt, form.get("scope"))
        if answer is None:
            raise OAuthError("invalid_grant", "the refresh token was used before; its grant has ended")
        return answer

    async def _pre_authorized_code(self, form: Mapping[str, str], headers: ClientHeaders) -> dict[str, object]:
        code, tx_code = _required(form, "pre-authorized_code"), form.get("tx_code")
        asked = self._details(form)
        try:
            async with self._database.transaction() as session:
                wallet = await self._wallet(session, form, headers)
                jkt = await self._proof_key(session, headers.dpop, self.token_endpoint)
                await self._offers.count_tx_code_attempt(session, code, tx_code)
            async with self._database.transaction() as session:
                grant = await self._offers.redeem(session, code, tx_code)
                granted = Granted(
                    holder_id=grant.holder_id,
                    configuration_ids=tuple(sorted(grant.configuration_ids)),
                    licence_id=grant.licence_id,
                    client_id=wallet.client_id,
                    instance_jkt=wallet.instance_jkt,
                )
                granted = await self._detailed(session, granted, asked)
                return await self._tokens.for_wallet(session, secrets.token_hex(16), granted, jkt)
        except GrantRefused as error:
            raise OAuthError(error.code, error.detail) from error

    def _details(self, form: Mapping[str, str]) -> tuple[str, ...]:
        """What a token request asks for by authorization_details."""
        text = form.get("authorization_details")
        return () if text is None else read_authorization_details(text, self._configurations, self.issuer)

    async def _detailed(self, session: AsyncSession, granted: Granted, asked: Sequence[str]) -> Granted:
        """The grant with a `credential_identifier` for each licence of the configurations asked for by details."""
        if not set(asked) <= set(granted.configuration_ids):
            raise OAuthError("invalid_authorization_details", "more is asked for than was granted")
        identifiers: dict[str, str] = {}
        if asked and granted.licence_id is not None:
            identifiers = new_identifiers(asked[0], [granted.licence_id])
        elif asked:
            held = await self._offers.holdings(session, granted.holder_id, asked)
            for configuration_id in asked:
                identifiers |= new_identifiers(configuration_id, held.get(configuration_id, ()))
            if not identifiers:
                raise OAuthError("invalid_grant", "the holder has none of these licences in force any more")
        return replace(granted, credential_identifiers=identifiers)

    async def _client_credentials(self, form: Mapping[str, str], headers: ClientHeaders) -> dict[str, object]:
        async with self._database.transaction() as session:
            jkt = await self._proof_key(session, headers.dpop, self.token_endpoint)
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

    async def _wallet(self, session: AsyncSession, form: Mapping[str, str], headers: ClientHeaders) -> WalletClient:
        """Who asks. A wallet authenticates by its attestation, or not at all where that is allowed."""
        client_id, instance_jkt = form.get("client_id"), None
        if headers.attestations or headers.attestation_pops:
            attested = await self._attestations.wallet(session, headers.attestations, headers.attestation_pops)
            if client_id not in (None, attested.client_id):
                raise OAuthError("invalid_client", "client_id is not the client that the attestation names")
            client_id, instance_jkt = attested.client_id, attested.instance_key.thumbprint()
        elif self.policy.attestation_required:
            raise OAuthError("invalid_client", "authenticate with a client attestation")
        if client_id is not None and not WALLET_ID.fullmatch(client_id):
            raise OAuthError("invalid_request", "client_id is out of form")
        if client_id is not None and await repository.client_exists(session, client_id):
            raise OAuthError("invalid_client", "a registered machine is no wallet")
        return WalletClient(client_id, instance_jkt)

    async def _proof_key(self, session: AsyncSession, dpop: Sequence[str], url: str) -> str | None:
        """The thumbprint of the key that a request is bound to, or None when it carries no DPoP header."""
        if not dpop:
            return None
        try:
            return await self._dpop.key(session, dpop, method="POST", url=url)
        except DpopInvalid as error:
            raise OAuthError(error.error, error.detail) from error

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
            scope: what it may be granted, `licences:write`, `checks:write`, `platform:operate` or `holders:write`.

        Raises:
            OAuthError: `invalid_client_metadata` when the id is out of form, or another kind of client has it.
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
        if not await repository.replace_client(session, client_id, values):
            if await repository.client_exists(session, client_id):
                raise OAuthError("invalid_client_metadata", f"{client_id} is registered as something else")
            await repository.insert_client(session, {"client_id": client_id, "created_at": self._clock.now(), **values})

    async def clients(self, session: AsyncSession, scope: str) -> Sequence[RegisteredClient]:
        """The machines of one kind, by id."""
        return [
            RegisteredClient(row.client_id, row.name, row.active, row.created_at)
            for row in await repository.clients(session, scope)
        ]

    async def set_client_active(self, session: AsyncSession, client_id: str, scope: str, *, active: bool) -> bool:
        """Let a machine call, or refuse it from its next request on; False if there is no such one of this kind."""
        return await repository.replace_client(session, client_id, {"scope": scope, "active": active})


def _required(form: Mapping[str, str], name: str) -> str:
    if name not in form:
        raise OAuthError("invalid_request", f"{name} is missing")
    return form[name]


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
