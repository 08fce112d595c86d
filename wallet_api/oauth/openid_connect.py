"""Signing in at the city's OpenID Connect provider (OpenID Connect Core 1.0 §3.1, RFC 7636, RFC 9207).

`authlib` writes requests, signs client assertions and validates claims, `joserfc` checks signatures, `httpx` carries.
Nonce and code verifier are derived from the `state`, so that nothing but its hash is kept between going and coming.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

import httpx
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7523 import private_key_jwt_sign
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from credentials.keys.formats.jwk import KeyMalformed
from credentials.keys.formats.jws import b64u_encode
from credentials.keys.formats.signed_jwt import JsonMalformed, json_object
from credentials.registry.ports import Clock
from wallet_api.settings import Settings

TIMEOUT_S = 10  # a person waits
METADATA_LIFETIME = timedelta(hours=1)  # OpenID providers rotate keys over days; an unknown key is asked for at once
KEYS_AGAIN_AFTER = timedelta(seconds=30)  # so that made-up key ids do not make us a load on the provider
SKEW_S = 60
ALGORITHMS = ["ES256", "PS256", "RS256"]
CLIENT_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_ID_NUMBER_CHARS = 64  # the longest kind of GB/T 36903 has far fewer


class SignInFailed(Exception):
    """The provider did not sign anybody in, or its answer does not hold. The detail is for the log, without data."""


@dataclass(frozen=True)
class Registration:
    """How we are registered at the provider.

    Attributes:
        client_secret, client_key: one of them: `client_secret_basic`, or `private_key_jwt` with ES256.
        claim: the claim that holds the person's identity number.
    """

    issuer: str
    client_id: str
    redirect_uri: str
    scope: str
    claim: str
    client_secret: str | None = None
    client_key: ECKey | None = None


def openid_provider(settings: Settings, clock: Clock, key: bytes) -> "OpenIdProvider | None":
    """The provider that the settings name, or None.

    Raises:
        KeyMalformed: the file of the client's key cannot be read.
    """
    if not settings.oidc_issuer:
        return None
    try:
        client_key = ECKey.import_key(settings.oidc_client_key.read_bytes()) if settings.oidc_client_key else None
    except (OSError, ValueError, JoseError) as error:
        raise KeyMalformed(f"OIDC_CLIENT_KEY: {settings.oidc_client_key} is no PEM file of a P-256 key") from error
    secret = settings.oidc_client_secret
    registration = Registration(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        redirect_uri=f"{settings.public_url}/oauth/callback",
        scope=settings.oidc_scope,
        claim=settings.oidc_id_number_claim,
        client_secret=secret.get_secret_value() if secret else None,
        client_key=client_key,
    )
    return OpenIdProvider(registration, httpx.AsyncClient(), clock, key)


@dataclass
class _Known:
    """What was fetched of the provider, and when."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    keys: KeySet | None = None
    metadata_at: datetime | None = None
    keys_at: datetime | None = None


class OpenIdProvider:
    """The city's provider, as its relying party sees it.

    Args:
        http: fetches from the provider only; redirects are not followed.
        key: 32 bytes that only this deployment knows.
    """

    def __init__(self, registration: Registration, http: httpx.AsyncClient, clock: Clock, key: bytes) -> None:
        self._registration = registration
        self._http = http
        self._clock = clock
        self._key = hmac.digest(key, b"openid_connect", hashlib.sha256)
        self._known = _Known()

    async def close(self) -> None:
        """Give back the connections to the provider."""
        await self._http.aclose()

    async def authorization_url(self, state: str) -> str:
        """Where to send the browser.

        Raises:
            SignInFailed: the provider's metadata cannot be read.
        """
        url: str = prepare_grant_uri(
            await self._endpoint("authorization_endpoint"),
            self._registration.client_id,
            "code",
            redirect_uri=self._registration.redirect_uri,
            scope=self._registration.scope,
            state=state,
            nonce=self._derived("nonce", state),
            code_challenge=create_s256_code_challenge(self._derived("code_verifier", state)),
            code_challenge_method="S256",
        )
        return url

    async def id_number(self, answer: Mapping[str, str], state: str) -> str:
        """The identity number of the person whom the provider signed in.

        Args:
            answer: the parameters of the authorization response, each once; its `state` was checked and burned.
            state: which the browser was sent with.

        Raises:
            SignInFailed: an error answer, or anything in it does not hold.
        """
        metadata = await self._metadata()
        issuer_named = answer.get("iss")
        if issuer_named is None and metadata.get("authorization_response_iss_parameter_supported") is True:
            raise SignInFailed("iss is missing in the answer")
        if issuer_named not in (None, self._registration.issuer):
            raise SignInFailed("iss of the answer is another provider")
        if "error" in answer or "code" not in answer:
            raise SignInFailed("the provider answered with an error")
        tokens = await self._tokens(answer["code"], state)
        claims = await self._id_token(tokens, state)
        found = claims.get(self._registration.claim)
        if found is None:
            found = (await self._userinfo(tokens, claims)).get(self._registration.claim)
        if not isinstance(found, str) or not 0 < len(found) <= MAX_ID_NUMBER_CHARS or "\x00" in found:
            raise SignInFailed("the claim with the identity number is missing")
        return found

    async def _tokens(self, code: str, state: str) -> Mapping[str, Any]:
        endpoint = await self._endpoint("token_endpoint")
        registration = self._registration
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": registration.redirect_uri,
            "code_verifier": self._derived("code_verifier", state),
            "client_id": registration.client_id,
        }
        if registration.client_key is not None:
            form |= {"client_assertion_type": CLIENT_ASSERTION_TYPE, "client_assertion": self._assertion(endpoint)}
            return await self._fetched("POST", endpoint, data=form)
        secret = httpx.BasicAuth(*map(quote_plus, (registration.client_id, registration.client_secret or "")))
        return await self._fetched("POST", endpoint, data=form, auth=secret)

    def _assertion(self, endpoint: str) -> str:
        now_s = int(self._clock.now().timestamp())
        assertion: str = private_key_jwt_sign(
            self._registration.client_key,
            self._registration.client_id,
            endpoint,
            alg="ES256",
            issued_at=now_s,
            expires_at=now_s + 60,
        )
        return assertion

    async def _id_token(self, tokens: Mapping[str, Any], state: str) -> Mapping[str, Any]:
        """The claims of the ID Token (OpenID Connect Core §3.1.3.7): signature, iss, aud, azp, exp, iat, nonce."""
        compact = tokens.get("id_token")
        if not isinstance(compact, str):
            raise SignInFailed("there is no ID Token")
        registration = self._registration
        try:
            token = await self._decoded(compact)
            claims = CodeIDToken(
                token.claims,
                token.header,
                options={
                    "iss": {"essential": True, "value": registration.issuer},
                    "aud": {"essential": True, "value": registration.client_id},
                },
                params={
                    "nonce": self._derived("nonce", state),
                    "client_id": registration.client_id,
                    "access_token": tokens.get("access_token"),
                },
            )
            claims.validate(now=int(self._clock.now().timestamp()), leeway=SKEW_S)
        except (JoseError, ValueError, TypeError, AttributeError) as error:
            raise SignInFailed(f"the ID Token does not hold: {type(error).__name__}") from error
        return dict(claims)

    async def _decoded(self, compact: str) -> jwt.Token:
        try:
            return jwt.decode(compact, await self._keys(), algorithms=ALGORITHMS)
        except (JoseError, ValueError):
            keys = await self._keys(fresh=True)  # the provider may have rotated them
            return jwt.decode(compact, keys, algorithms=ALGORITHMS)

    async def _userinfo(self, tokens: Mapping[str, Any], claims: Mapping[str, Any]) -> Mapping[str, Any]:
        """OpenID Connect Core §5.3; its `sub` must be that of the ID Token."""
        headers = {"Authorization": f"Bearer {tokens.get('access_token')}"}
        userinfo = await self._fetched("GET", await self._endpoint("userinfo_endpoint"), headers=headers)
        if userinfo.get("sub") != claims.get("sub"):
            raise SignInFailed("userinfo is about somebody else")
        return userinfo

    async def _keys(self, *, fresh: bool = False) -> KeySet:
        now, known = self._clock.now(), self._known
        limit = KEYS_AGAIN_AFTER if fresh else METADATA_LIFETIME
        if known.keys is None or known.keys_at is None or now - known.keys_at > limit:
            found = await self._fetched("GET", await self._endpoint("jwks_uri"))
            try:
                known.keys = KeySet.import_key_set({"keys": found["keys"]})
            except (JoseError, ValueError, TypeError, KeyError) as error:
                raise SignInFailed("the provider's keys cannot be read") from error
            known.keys_at = now
        return known.keys

    async def _endpoint(self, name: str) -> str:
        url = (await self._metadata()).get(name)
        if not isinstance(url, str):
            raise SignInFailed(f"the provider's metadata names no {name}")
        return url

    async def _metadata(self) -> Mapping[str, Any]:
        now, known = self._clock.now(), self._known
        if known.metadata_at is None or now - known.metadata_at > METADATA_LIFETIME:
            issuer = self._registration.issuer
            found = await self._fetched("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != issuer:
                raise SignInFailed("the provider's metadata names another issuer")
            known.metadata, known.metadata_at = found, now
        return known.metadata

    async def _fetched(self, method: str, url: str, **more: Any) -> Mapping[str, Any]:
        try:
            answer = await self._http.request(method, url, timeout=TIMEOUT_S, follow_redirects=False, **more)
            if answer.status_code != 200:
                raise SignInFailed(f"the provider answered {answer.status_code}")
            return json_object(answer.content)
        except (httpx.HTTPError, httpx.InvalidURL, JsonMalformed) as error:
            raise SignInFailed(f"the provider does not answer as it should: {type(error).__name__}") from error

    def _derived(self, purpose: str, state: str) -> str:
        return b64u_encode(hmac.digest(self._key, f"{purpose}\x00{state}".encode(), hashlib.sha256))
