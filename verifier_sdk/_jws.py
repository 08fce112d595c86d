"""Compact JWS (RFC 7515 §7.1), ES256 only."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from . import _base64url, _ecdsa, _json
from ._fault import Fault

MAX_HEADERS = 64  # remembered as read; a platform signs everything with a few keys, and so with a few headers


MAX_HEADER_CHARS = 48 << 10  # four certificates of the largest size, twice in base64


@lru_cache(MAX_HEADERS)
def _read_header(text: str) -> Mapping[str, object]:
    return MappingProxyType(_json.loads_object(_base64url.decode(text)))


@dataclass(frozen=True, slots=True)
class Jws:
    """A JWS taken apart. Nothing in it is verified before `verify` has returned.

    Attributes:
        header_text: The header as it came, base64url: the same text is the same header.
    """

    header_text: str
    unverified_header: Mapping[str, object]
    unverified_payload: Mapping[str, object]
    signing_input: bytes
    signature: bytes

    @classmethod
    def from_compact(cls, text: str, max_chars: int) -> "Jws":
        """Take a compact JWS with a JSON object as its payload apart.

        Raises:
            Fault: Longer than `max_chars`, not three base64url parts, header or payload not strict JSON objects.
        """
        if len(text) > max_chars:
            raise Fault("the JWS is too long")
        parts = text.split(".")
        if len(parts) != 3:
            raise Fault("not a compact JWS")
        header, payload, signature = parts
        if len(header) > MAX_HEADER_CHARS:
            raise Fault("the JWS header is too long")
        return cls(
            header_text=header,
            unverified_header=_read_header(header),
            unverified_payload=_json.loads_object(_base64url.decode(payload)),
            signing_input=text[: len(header) + 1 + len(payload)].encode("ascii"),
            signature=_base64url.decode(signature),
        )

    def expect_header(self, typ: str) -> None:
        """Check `typ`, `alg` and `crit` (RFC 8725 §3.1, §3.11). No extension is known, so any `crit` is refused.

        Raises:
            Fault: With the rule `typ`, `alg` or `crit`.
        """
        if self.unverified_header.get("alg") != "ES256":
            raise Fault("alg is not ES256", "alg")
        if self.unverified_header.get("typ") != typ:
            raise Fault(f"typ is not {typ}", "typ")
        if "crit" in self.unverified_header:
            raise Fault("crit names extensions unknown here", "crit")

    def x5c(self) -> list[bytes]:
        """The header's certificates as DER, leaf first. Raises `Fault` (rule `x5c`); the chain is not looked at."""
        return certificates(self.unverified_header.get("x5c"))

    def verify(self, key: _ecdsa.PublicKey) -> Mapping[str, object]:
        """The payload, once the signature holds. Raises `Fault` (rule `signature`)."""
        _ecdsa.verify(key, self.signature, self.signing_input)
        return self.unverified_payload


MAX_CERTIFICATES = 4  # a leaf and up to three intermediates; ours has none
MAX_CERTIFICATE_CHARS = 8192  # a P-256 certificate takes about 900


def certificates(x5c: object) -> list[bytes]:
    """The DER certificates of an `x5c` array (RFC 7515 §4.1.6). Raises `Fault` (rule `x5c`)."""
    if not isinstance(x5c, list) or not 0 < len(x5c) <= MAX_CERTIFICATES:
        raise Fault("x5c is missing or has too many certificates", "x5c")
    chain = []
    for text in x5c:
        if not isinstance(text, str) or len(text) > MAX_CERTIFICATE_CHARS:
            raise Fault("x5c holds something that is not a certificate", "x5c")
        try:
            chain.append(_base64url.decode_standard(text))
        except Fault as fault:
            raise Fault(fault.reason, "x5c") from fault
    return chain
