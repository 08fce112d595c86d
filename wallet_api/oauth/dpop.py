"""DPoP proofs (RFC 9449 §4.3)."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit, urlunsplit

from sqlalchemy.ext.asyncio import AsyncSession

from credentials.keys.formats.jwk import KeyMalformed, PublicJwk
from credentials.keys.formats.jws import b64u_encode
from credentials.keys.formats.signed_jwt import JwtMalformed, JwtSignatureInvalid, SignedJwt
from wallet_api.oauth.one_time import OneTimeValues

MAX_AGE = timedelta(seconds=60)
SKEW = timedelta(seconds=30)  # phones' clocks; the RFC speaks of seconds or minutes
MAX_JTI_CHARS = 256


class DpopInvalid(Exception):
    """The proof does not hold. The detail is plain ASCII and tells nothing of the input."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(detail)


async def check_dpop(
    session: AsyncSession,
    one_time: OneTimeValues,
    headers: Sequence[str],
    *,
    method: str,
    url: str,
    now: datetime,
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
        DpopInvalid: any rule of §4.3 is broken. Server nonces are not asked for.
    """
    if len(headers) != 1:
        raise DpopInvalid("exactly one DPoP header is wanted")
    try:
        proof = SignedJwt.from_compact(headers[0], typ="dpop+jwt")
        key = PublicJwk.from_object(proof.header.get("jwk"))
        claims = proof.verified(key.public_key())
    except (JwtMalformed, JwtSignatureInvalid, KeyMalformed) as error:
        raise DpopInvalid(error.detail) from error
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
    thumbprint = key.thumbprint()
    if not await one_time.burn(session, "dpop", f"{thumbprint}:{jti}", now + 2 * MAX_AGE + SKEW):
        raise DpopInvalid("this proof was used before")
    return thumbprint


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
