"""Refresh tokens on the wire: which grant, which generation of it, and a MAC over both.

base64url of: 16 bytes grant id, 4 bytes generation (big endian), 32 bytes HMAC-SHA-256. The store keeps the number of
the newest generation; a genuine token of an older one is one that was used before (RFC 9700 §4.14.2).
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Self

from credentials.keys.errors import MalformedBase64Url
from credentials.keys.formats.jws import b64u_decode, b64u_encode

_BODY_BYTES, _MAC_BYTES = 16 + 4, 32


class RefreshTokenInvalid(Exception):
    """Not a refresh token of ours."""


@dataclass(frozen=True)
class RefreshToken:
    """A genuine refresh token; whether it is the newest, the store knows."""

    grant_id: str
    generation: int

    @classmethod
    def from_text(cls, text: str, key: bytes) -> Self:
        """Read a token.

        Raises:
            RefreshTokenInvalid: not ours, or altered.
        """
        try:
            raw = b64u_decode(text)
        except MalformedBase64Url as error:
            raise RefreshTokenInvalid("not base64url") from error
        body, mac = raw[:_BODY_BYTES], raw[_BODY_BYTES:]
        if len(raw) != _BODY_BYTES + _MAC_BYTES or not hmac.compare_digest(mac, _mac(key, body)):
            raise RefreshTokenInvalid("not a refresh token of this server")
        return cls(body[:16].hex(), int.from_bytes(body[16:], "big"))

    def to_text(self, key: bytes) -> str:
        """The token as a wallet gets it."""
        body = bytes.fromhex(self.grant_id) + self.generation.to_bytes(4, "big")
        return b64u_encode(body + _mac(key, body))


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, b"refresh_token\x00" + body, hashlib.sha256)
