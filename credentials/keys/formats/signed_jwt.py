"""Reading signed JWTs that others send: key proofs, DPoP proofs, client assertions (RFC 7515, RFC 7519, RFC 8725)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from credentials.errors import CredentialsError
from credentials.keys.errors import MalformedBase64Url, SignatureInvalid
from credentials.keys.formats.es256 import SIGNATURE_BYTES, verify_es256
from credentials.keys.formats.jws import b64u_decode

MAX_JWT_CHARS = 65_536  # a key attestation with a certificate chain takes about 10 kB


class JwtMalformed(CredentialsError):
    """Not a compact JWS with JSON header and claims in our profile."""

    code = "jwt_malformed"


class JsonMalformed(CredentialsError):
    """Not one JSON object in UTF-8 that names each member once."""

    code = "json_malformed"


class JwtSignatureInvalid(CredentialsError):
    """The signature does not verify under the key."""

    code = "jwt_signature_invalid"


@dataclass(frozen=True)
class SignedJwt:
    """A parsed JWT whose signature is not checked yet; `verified` gives the claims.

    Attributes:
        header: the JOSE header; `typ` and `alg` (ES256) are as demanded, there is no `crit`.
    """

    header: Mapping[str, Any]
    unverified_claims: Mapping[str, Any]
    _signing_input: bytes
    _signature: bytes

    @classmethod
    def from_compact(cls, text: object, *, typ: str | None) -> "SignedJwt":
        """Parse a compact JWS.

        Args:
            typ: the value that the header's `typ` must have, or None where the specification gives none.

        Raises:
            JwtMalformed: any other form, type or algorithm.
        """
        if not isinstance(text, str) or len(text) > MAX_JWT_CHARS:
            raise JwtMalformed("a compact JWS of bounded size is wanted")
        parts = text.split(".")
        if len(parts) != 3:
            raise JwtMalformed("a compact JWS has three base64url parts")
        header, claims = _json_object(parts[0]), _json_object(parts[1])
        if typ is not None and header.get("typ") != typ:
            raise JwtMalformed(f"typ is not {typ}")
        if header.get("alg") != "ES256":
            raise JwtMalformed("alg is not ES256")
        if "crit" in header or "b64" in header:
            raise JwtMalformed("critical header extensions are not understood")
        signature = _decoded(parts[2])
        if len(signature) != SIGNATURE_BYTES:
            raise JwtMalformed("an ES256 signature has 64 bytes")
        return cls(header, claims, f"{parts[0]}.{parts[1]}".encode(), signature)

    def verified(self, key: ec.EllipticCurvePublicKey) -> Mapping[str, Any]:
        """The claims, once the signature holds under `key`. Times and audience are not checked here.

        Raises:
            JwtSignatureInvalid: it does not.
        """
        try:
            verify_es256(key, self._signing_input, self._signature)
        except SignatureInvalid as error:
            raise JwtSignatureInvalid("the signature does not verify") from error
        return self.unverified_claims


def _decoded(part: str) -> bytes:
    try:
        return b64u_decode(part)
    except MalformedBase64Url as error:
        raise JwtMalformed("not base64url") from error


def _json_object(part: str) -> Mapping[str, Any]:
    try:
        return json_object(_decoded(part))
    except JsonMalformed as error:
        raise JwtMalformed("header and claims are JSON objects without duplicate members") from error


def json_object(data: bytes) -> Mapping[str, Any]:
    """Read a JSON object (RFC 8259) from UTF-8 without a byte order mark.

    Strings may hold lone surrogates and NUL; floats may be infinite (`1e400`). The size is for the caller to bound.

    Raises:
        JsonMalformed: anything else, also a member given twice, `NaN` and `Infinity`.
    """
    try:
        value = json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise JsonMalformed("not one JSON object in UTF-8 that names each member once") from error
    if not isinstance(value, dict):
        raise JsonMalformed("not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _refused(constant: str) -> float:
    raise ValueError(constant)
