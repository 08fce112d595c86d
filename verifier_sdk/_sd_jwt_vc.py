"""The claims of an SD-JWT VC (draft-ietf-oauth-sd-jwt-vc-19 §2.2) and of its key binding (RFC 9901 §4.3)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from . import _base64url, _ecdsa
from ._fault import Fault
from .errors import NotValid

NEVER_DISCLOSABLE = frozenset({"iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status"})
_MAX_NUMERIC_DATE = 1 << 40  # year 36812: keeps arithmetic on times harmless


@dataclass(frozen=True, slots=True)
class HolderKey:
    """`cnf.jwk`: its four members, and the key they make."""

    jwk: Mapping[str, str]
    key: _ecdsa.PublicKey


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims that rule a credential, in their right form; times in seconds since 1970."""

    vct: str
    exp: float
    nbf: float | None
    holder: HolderKey | None
    status: tuple[str, int] | None  # uri and idx


def read(claims: Mapping[str, object]) -> Claims:
    """Check the form of the ruling claims in a processed payload.

    Raises:
        NotValid: `claim_missing`, `claim_malformed`.
    """
    for name in ("iss", "sub", "vct#integrity"):
        _optional_text(claims, name)
    _numeric_date(claims, "iat")
    vct, exp = _text(claims, "vct"), _numeric_date(claims, "exp")
    if exp is None:
        raise NotValid("claim_missing", "exp is missing")
    _expect_aka_vcts(claims, vct)
    return Claims(
        vct=vct, exp=exp, nbf=_numeric_date(claims, "nbf"), holder=_holder_key(claims), status=_status(claims)
    )


@dataclass(frozen=True, slots=True)
class KeyBindingClaims:
    """The claims of a KB-JWT in their right form."""

    iat: float
    exp: float | None
    nbf: float | None
    aud: str
    nonce: str
    sd_hash: str

    @classmethod
    def from_claims(cls, claims: Mapping[str, object]) -> "KeyBindingClaims":
        """Check the form (RFC 9901 §4.3): all of iat, aud, nonce and sd_hash, `aud` a single string.

        Raises:
            NotValid: `kb_malformed`.
        """
        try:
            iat = _numeric_date(claims, "iat")
            if iat is None:
                raise NotValid("claim_missing", "iat is missing")
            return cls(
                iat=iat,
                exp=_numeric_date(claims, "exp"),
                nbf=_numeric_date(claims, "nbf"),
                aud=_text(claims, "aud"),
                nonce=_text(claims, "nonce"),
                sd_hash=_text(claims, "sd_hash"),
            )
        except NotValid as error:
            raise NotValid("kb_malformed", error.detail) from error


def _text(claims: Mapping[str, object], name: str) -> str:
    if name not in claims:
        raise NotValid("claim_missing", f"{name} is missing")
    value = claims[name]
    if not isinstance(value, str) or not value:
        raise NotValid("claim_malformed", f"{name} is not a text")
    return value


def _optional_text(claims: Mapping[str, object], name: str) -> None:
    if name in claims:
        _text(claims, name)


def _numeric_date(claims: Mapping[str, object], name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if type(value) not in (int, float) or not isinstance(value, int | float):
        raise NotValid("claim_malformed", f"{name} is not a number")
    if not math.isfinite(value) or not 0 <= value <= _MAX_NUMERIC_DATE:
        raise NotValid("claim_malformed", f"{name} is not a time")
    return value


def _expect_aka_vcts(claims: Mapping[str, object], vct: str) -> None:
    if "aka_vcts" not in claims:
        return
    others = claims["aka_vcts"]
    if not isinstance(others, list) or not others or not all(isinstance(other, str) for other in others):
        raise NotValid("claim_malformed", "aka_vcts is not a list of types")
    if vct in others:
        raise NotValid("claim_malformed", "aka_vcts repeats vct")


def _holder_key(claims: Mapping[str, object]) -> HolderKey | None:
    if "cnf" not in claims:
        return None
    cnf = claims["cnf"]
    jwk = cnf.get("jwk") if isinstance(cnf, dict) else None
    if not isinstance(jwk, dict) or jwk.get("kty") != "EC" or jwk.get("crv") != "P-256":
        raise NotValid("claim_malformed", "cnf has no P-256 jwk")
    if "d" in jwk:
        raise NotValid("claim_malformed", "cnf holds a private key")
    x, y = jwk.get("x"), jwk.get("y")
    if not isinstance(x, str) or not isinstance(y, str):
        raise NotValid("claim_malformed", "cnf has no coordinates")
    try:
        key = _ecdsa.from_coordinates(_base64url.decode(x), _base64url.decode(y))
    except Fault as fault:
        raise NotValid("claim_malformed", f"cnf: {fault.reason}") from fault
    return HolderKey({"kty": "EC", "crv": "P-256", "x": x, "y": y}, key)


def _status(claims: Mapping[str, object]) -> tuple[str, int] | None:
    if "status" not in claims:
        return None
    status = claims["status"]
    reference = status.get("status_list") if isinstance(status, dict) else None
    if not isinstance(reference, dict):
        raise NotValid("claim_malformed", "status has no status list")
    idx, uri = reference.get("idx"), reference.get("uri")
    if type(idx) is not int or idx < 0 or not isinstance(uri, str):
        raise NotValid("claim_malformed", "the status list is not referred to by idx and uri")
    return uri, idx
