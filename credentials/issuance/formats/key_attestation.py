"""Key attestations (OpenID4VCI 1.0 appendix D): a wallet's provider says where keys are kept and how they are used."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeGuard

from cryptography import x509

from credentials.errors import CredentialsError
from credentials.keys.errors import CertificatePathInvalid
from credentials.keys.formats.certificate_path import chain_from_x5c, validate_path
from credentials.keys.formats.jwk import KeyMalformed, PublicJwk
from credentials.keys.formats.signed_jwt import JwtMalformed, JwtSignatureInvalid, SignedJwt

TYP = "key-attestation+jwt"
MAX_AGE = timedelta(days=365)  # of one without exp: a provider attests a device's keys when they are made
SKEW = timedelta(seconds=60)  # providers' clocks
MAX_KEYS = 100  # DoS bound: each is checked to lie on the curve; a batch has 32


class KeyAttestationInvalid(CredentialsError):
    """Not a key attestation of a provider that is trusted."""

    code = "key_attestation_invalid"


@dataclass(frozen=True)
class KeyAttestation:
    """A key attestation that was verified.

    Attributes:
        keys: `attested_keys`, each once, in the attestation's order.
        nonce: as the attestation says it, not checked; None when it has none.
        expires: whether it has an `exp`, which proofs of the type `jwt` demand.
        key_storage, user_authentication: the resistance that is claimed, e.g. `iso_18045_high`.
    """

    keys: tuple[PublicJwk, ...]
    nonce: str | None
    expires: bool
    key_storage: frozenset[str]
    user_authentication: frozenset[str]

    @classmethod
    def from_compact(cls, compact: object, anchors: tuple[x509.Certificate, ...], now: datetime) -> "KeyAttestation":
        """Verify a key attestation, in these steps:

        1. A JWT of the type, signed with ES256 by the leaf of its `x5c`.
        2. `x5c` leads to one of the anchors; without anchors nobody is trusted (HAIP 1.0 §4.5.1).
        3. It holds at `now`: `exp`, `iat`.
        4. `attested_keys` are public P-256 keys, each once; the other claims are in form.

        Not checked: its `status`, and the revocation of certificates.

        Raises:
            KeyAttestationInvalid: one of these does not hold.
        """
        try:
            attestation = SignedJwt.from_compact(compact, typ=TYP)  # (1)
            path = validate_path(chain_from_x5c(attestation.header.get("x5c")), anchors, now)  # (2)
            claims = attestation.verified(path.key)
        except (JwtMalformed, JwtSignatureInvalid, CertificatePathInvalid) as error:
            raise KeyAttestationInvalid(error.detail) from error
        _check_times(claims, now)  # (3)
        nonce = claims.get("nonce")
        if nonce is not None and not isinstance(nonce, str):
            raise KeyAttestationInvalid("nonce of the key attestation is no string")
        return cls(  # (4)
            keys=_attested_keys(claims.get("attested_keys")),
            nonce=nonce,
            expires="exp" in claims,
            key_storage=_names(claims, "key_storage"),
            user_authentication=_names(claims, "user_authentication"),
        )


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    issued_s, expires_s = claims.get("iat"), claims.get("exp", (now + SKEW).timestamp())
    if not (_is_number(issued_s) and _is_number(expires_s)):
        raise KeyAttestationInvalid("iat of the key attestation is missing, or a time is no number")
    if not (now - MAX_AGE).timestamp() <= issued_s <= (now + SKEW).timestamp():
        raise KeyAttestationInvalid("iat of the key attestation is outside the window")
    if not expires_s > now.timestamp():
        raise KeyAttestationInvalid("the key attestation is over")


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _attested_keys(jwks: object) -> tuple[PublicJwk, ...]:
    if not isinstance(jwks, list) or not 1 <= len(jwks) <= MAX_KEYS:
        raise KeyAttestationInvalid("attested_keys is an array of keys of bounded length")
    try:
        keys = tuple(map(PublicJwk.from_object, jwks))
    except KeyMalformed as error:
        raise KeyAttestationInvalid(error.detail) from error
    if len(set(keys)) < len(keys):
        raise KeyAttestationInvalid("attested_keys names a key twice")
    return keys


def _names(claims: Mapping[str, Any], name: str) -> frozenset[str]:
    names = claims.get(name, [])
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise KeyAttestationInvalid(f"{name} is an array of strings")
    return frozenset(names)
