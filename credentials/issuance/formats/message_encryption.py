"""Encrypted requests and responses (OpenID4VCI 1.0 §10): compact JWE, ECDH-ES on P-256, AES-GCM, never compressed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jwcrypto.common import JWException
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK

from credentials.issuance.errors import CredentialRequestRefused
from credentials.keys.errors import MalformedBase64Url
from credentials.keys.formats.jwk import KeyMalformed, PublicJwk
from credentials.keys.formats.jws import b64u_decode, json_bytes
from credentials.keys.formats.signed_jwt import JsonMalformed, json_object

ALG = "ECDH-ES"
ENC_VALUES = ("A128GCM", "A256GCM")
MAX_KID_CHARS = 256  # a thumbprint URI has about 90


@dataclass(frozen=True)
class ResponseEncryption:
    """How a wallet wants its response encrypted (§8.2)."""

    key: PublicJwk
    kid: str | None
    enc: str

    @classmethod
    def from_object(cls, value: object) -> "ResponseEncryption":
        """Read `credential_response_encryption`.

        Raises:
            CredentialRequestRefused: `invalid_encryption_parameters`, also for any `zip`.
        """
        if not isinstance(value, Mapping) or not isinstance(value.get("jwk"), Mapping):
            raise _refused("jwk and enc are required")
        jwk, enc = value["jwk"], value.get("enc")
        if jwk.get("alg") != ALG or enc not in ENC_VALUES or jwk.get("use", "enc") != "enc":
            raise _refused("only ECDH-ES with A128GCM or A256GCM is supported")
        if "zip" in value:
            raise _refused("compression is not supported")
        kid = jwk.get("kid")
        if kid is not None and not (isinstance(kid, str) and len(kid) <= MAX_KID_CHARS and kid.isprintable()):
            raise _refused("kid of the key is out of form")
        try:
            return cls(PublicJwk.from_object(jwk), kid, str(enc))
        except KeyMalformed as error:
            raise _refused(error.detail) from error

    def seal(self, body: bytes) -> str:
        """The body as compact JWE."""
        header = {"alg": ALG, "enc": self.enc} | ({} if self.kid is None else {"kid": self.kid})
        sealed = JWE(body, json_bytes(header).decode(), recipient=JWK(**self.key.to_object()))
        return str(sealed.serialize(compact=True))


def request_kid(compact: bytes) -> str:
    """Which of our keys a request names, once its unprotected form is one that we decipher.

    Raises:
        CredentialRequestRefused: `invalid_encryption_parameters`.
    """
    try:
        protected, encrypted_key, *sealed = (b64u_decode(part) for part in compact.decode("ascii").split("."))
        header = json_object(protected)
        PublicJwk.from_object(header.get("epk"))
    except (ValueError, MalformedBase64Url, JsonMalformed, KeyMalformed) as error:  # ValueError: not ASCII, one part
        raise _refused("not a compact JWE for one of our keys") from error
    if encrypted_key or len(sealed) != 3:
        raise _refused("a compact JWE with ECDH-ES has five parts, of which the second is empty")
    if header.get("alg") != ALG or header.get("enc") not in ENC_VALUES:
        raise _refused("only ECDH-ES with A128GCM or A256GCM is supported")
    if {"zip", "crit"} & header.keys():
        raise _refused("compression and critical extensions are not supported")
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise _refused("kid of the request is missing")
    return kid


def open_request(compact: bytes, private_jwk: Mapping[str, Any]) -> bytes:
    """Decipher a request whose header `request_kid` has read.

    Raises:
        CredentialRequestRefused: `invalid_encryption_parameters`.
    """
    sealed = JWE(algs=[ALG, *ENC_VALUES])
    try:
        sealed.deserialize(compact.decode("ascii"), JWK(**private_jwk))
        return bytes(sealed.payload)
    except (JWException, ValueError, TypeError) as error:  # jwcrypto lets those of base64 and JSON through
        raise _refused("the request cannot be deciphered") from error


def _refused(detail: str) -> CredentialRequestRefused:
    return CredentialRequestRefused("invalid_encryption_parameters", detail)
