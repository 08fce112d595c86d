"""The c_nonce (OpenID4VCI 1.0 §7): it carries its own expiry under a MAC, so that handing one out stores nothing.

base64url of: 8 bytes expiry (seconds since 1970, big endian), 16 random bytes, 16 bytes HMAC-SHA-256 over both.
That it is used once is for the store of one-time values to see to.
"""

import hashlib
import hmac
import secrets
from datetime import UTC, datetime

from credentials.keys.errors import MalformedBase64Url
from credentials.keys.formats.jws import b64u_decode, b64u_encode

LIFETIME_S = 300  # a wallet asks its user for a fingerprint in between
_BYTES = 8 + 16 + 16


class NonceInvalid(Exception):
    """Not a nonce of ours, or over."""

    code = "invalid_nonce"


def make_nonce(key: bytes, now: datetime) -> str:
    """A fresh nonce, good for `LIFETIME_S` from `now`."""
    body = (int(now.timestamp()) + LIFETIME_S).to_bytes(8, "big") + secrets.token_bytes(16)
    return b64u_encode(body + _mac(key, body))


def check_nonce(key: bytes, nonce: str, now: datetime) -> datetime:
    """The instant at which a live nonce of ours ends.

    Raises:
        NonceInvalid: not ours, altered, or over.
    """
    try:
        raw = b64u_decode(nonce)
    except MalformedBase64Url as error:
        raise NonceInvalid("not base64url") from error
    body, mac = raw[:-16], raw[-16:]
    if len(raw) != _BYTES or not hmac.compare_digest(mac, _mac(key, body)):
        raise NonceInvalid("not a nonce of this issuer")
    expires_s = int.from_bytes(body[:8], "big")
    if expires_s <= now.timestamp():
        raise NonceInvalid("the nonce is over")
    return datetime.fromtimestamp(expires_s, UTC)


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, b"c_nonce\x00" + body, hashlib.sha256)[:16]
