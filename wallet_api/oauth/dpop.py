"""DPoP proofs (RFC 9449 §4.3, §8, §9)."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

from sqlalchemy.ext.asyncio import AsyncSession

from credentials.issuance.formats.c_nonce import NonceInvalid
from credentials.keys.formats.jwk import KeyMalformed, PublicJwk
from credentials.keys.formats.jws import b64u_encode
from credentials.keys.formats.signed_jwt import JwtMalformed, JwtSignatureInvalid, SignedJwt
from credentials.registry.ports import Clock
from wallet_api.oauth.one_time import OneTimeValues
from wallet_api.oauth.server_nonces import ServerNonces

MAX_AGE = timedelta(seconds=60)
SKEW = timedelta(seconds=30)  # phones' clocks; the RFC speaks of seconds or minutes
MAX_JTI_CHARS = 256


class DpopInvalid(Exception):
    """The proof does not hold.

    Attributes:
        error: `invalid_dpop_proof`, or `use_dpop_nonce` when only a fresh nonce is wanting.
        detail: plain ASCII that tells nothing of the input.
    """

    def __init__(self, detail: str, error: str = "invalid_dpop_proof") -> None:
        self.error = error
        self.detail = detail
        super().__init__(detail)


class DpopProofs:
    """Checks proofs and burns them.

    Args:
        nonce_required: whether a proof must carry a nonce of ours. One that carries a nonce is held to it in any case.
    """

    def __init__(
        self, one_time: OneTimeValues, clock: Clock, nonces: ServerNonces, *, nonce_required: bool = False
    ) -> None:
        self._one_time = one_time
        self._clock = clock
        self._nonces = nonces
        self._nonce_required = nonce_required

    async def key(
        self,
        session: AsyncSession,
        headers: Sequence[str],
        *,
        method: str,
        url: str,
        access_token: str | None = None,
    ) -> str:
        """Check the one DPoP proof of a request and burn its `jti`.

        Args:
            headers: the values of all `DPoP` header fields.
            url: the public URL of the endpoint, whatever was listened on.
            access_token: at a resource: the token that `ath` must hash to.

        Returns:
            The thumbprint of the proof's key (`jkt`), to be compared with the token's by the caller.

        Raises:
            DpopInvalid: any rule of §4.3 is broken.
        """
        if len(headers) != 1:
            raise DpopInvalid("exactly one DPoP header is wanted")
        try:
            proof = SignedJwt.from_compact(headers[0], typ="dpop+jwt")
            key = PublicJwk.from_object(proof.header.get("jwk"))
            claims = proof.verified(key.public_key())
        except (JwtMalformed, JwtSignatureInvalid, KeyMalformed) as error:
            raise DpopInvalid(error.detail) from error
        now = self._clock.now()
        jti, iat, htu = claims.get("jti"), claims.get("iat"), claims.get("htu")
        if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI_CHARS:
            raise DpopInvalid("jti is missing")
        if claims.get("htm") != method:
            raise DpopInvalid("htm is not the method of this request")
        if not isinstance(htu, str) or _normal(htu) != _normal(url):
            raise DpopInvalid("htu is not the public URL of this endpoint")
        if isinstance(iat, bool) or not isinstance(iat, int | float):
            raise DpopInvalid("iat is missing")
        if not (now - MAX_AGE - SKEW).timestamp() <= iat <= (now + SKEW).timestamp():
            raise DpopInvalid("iat is outside the window; check the clock")
        if access_token is not None and claims.get("ath") != _hash(access_token):
            raise DpopInvalid("ath is not the hash of the access token")
        if self._nonce_required or "nonce" in claims:
            self._check_nonce(claims.get("nonce"))
        thumbprint = key.thumbprint()
        if not await self._one_time.burn(session, "dpop", f"{thumbprint}:{jti}", now + 2 * MAX_AGE + SKEW):
            raise DpopInvalid("this proof was used before")
        return thumbprint

    def _check_nonce(self, nonce: object) -> None:
        try:
            self._nonces.check(nonce)
        except NonceInvalid as error:
            raise DpopInvalid("sign anew with the nonce of the DPoP-Nonce header", "use_dpop_nonce") from error


def _normal(url: str) -> str:
    """Scheme and host in lower case, default ports and an empty path written out, query and fragment left away.

    Empty for what is no URL, and for one with a user in it, which could be none of ours.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    if parts.username is not None or not url.isprintable():  # urlsplit() drops tabs and line ends
        return ""
    host = (parts.hostname or "").lower()
    default = {"http": 80, "https": 443}.get(parts.scheme.lower())
    authority = host if port in (None, default) else f"{host}:{port}"
    return urlunsplit((parts.scheme.lower(), authority, parts.path or "/", "", ""))


def _hash(access_token: str) -> str:
    return b64u_encode(hashlib.sha256(access_token.encode()).digest())
