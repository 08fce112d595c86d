"""Public P-256 keys as JSON Web Keys (RFC 7517, RFC 7518 §6.2, RFC 7638)."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from credentials.errors import CredentialsError
from credentials.keys.errors import MalformedBase64Url
from credentials.keys.formats.jws import b64u_decode, b64u_encode

PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_COORDINATE = re.compile(r"[A-Za-z0-9_-]{43}")


class KeyMalformed(CredentialsError):
    """Not a public P-256 key in JWK form."""

    code = "key_malformed"


@dataclass(frozen=True)
class PublicJwk:
    """A P-256 public key that lies on the curve, in its four standard members.

    Attributes:
        x, y: base64url, 32 bytes each.
    """

    x: str
    y: str

    @classmethod
    def from_object(cls, value: object) -> "PublicJwk":
        """Read a JWK; members beyond `kty`, `crv`, `x`, `y` are dropped, private ones refused: they are never echoed.

        Raises:
            KeyMalformed: another key type or curve, private members, coordinates out of form or off the curve.
        """
        if not isinstance(value, Mapping):
            raise KeyMalformed("a JWK is an object")
        if PRIVATE_MEMBERS & value.keys():
            raise KeyMalformed("the JWK holds private members")
        x, y = value.get("x"), value.get("y")
        if value.get("kty") != "EC" or value.get("crv") != "P-256":
            raise KeyMalformed("only EC keys on P-256 are taken")
        if not (isinstance(x, str) and isinstance(y, str) and _COORDINATE.fullmatch(x) and _COORDINATE.fullmatch(y)):
            raise KeyMalformed("x and y are 32 bytes in base64url")
        key = cls(x, y)
        try:
            key.public_key()
        except (ValueError, MalformedBase64Url) as error:
            raise KeyMalformed("the point is not on the curve") from error
        return key

    @classmethod
    def from_key(cls, key: ec.EllipticCurvePublicKey) -> "PublicJwk":
        """The JWK of a P-256 key."""
        numbers = key.public_numbers()
        return cls(*(b64u_encode(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y)))

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The key to verify with."""
        x, y = (int.from_bytes(b64u_decode(text), "big") for text in (self.x, self.y))
        return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()

    def to_object(self) -> dict[str, str]:
        """The JWK, standard members only."""
        return {"kty": "EC", "crv": "P-256", "x": self.x, "y": self.y}

    def thumbprint(self) -> str:
        """SHA-256 thumbprint in base64url (RFC 7638 §3)."""
        canonical = f'{{"crv":"P-256","kty":"EC","x":"{self.x}","y":"{self.y}"}}'
        return b64u_encode(hashlib.sha256(canonical.encode()).digest())
