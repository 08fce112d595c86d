"""COSE_Sign1 (RFC 9052 §4.2) in the live code's profile: ES256, everything protected."""

from collections.abc import Mapping
from dataclasses import dataclass

from . import _cbor, _ecdsa
from ._fault import Fault

ALG, CRIT, KID, KCWT = 1, 2, 4, 13  # header labels: RFC 9052 §3.1, RFC 9528
TYP, X5CHAIN = 16, 33  # RFC 9596, RFC 9360
ES256 = -7


@dataclass(frozen=True, slots=True)
class Sign1:
    """A COSE_Sign1 taken apart; nothing in it is verified before `verify` has returned."""

    protected: bytes
    payload: bytes
    signature: bytes

    @classmethod
    def from_cbor(cls, value: object) -> "Sign1":
        """Take `18([protected, {}, payload, signature])` apart. Raises `Fault` for anything else."""
        signed, unprotected = cls.with_unprotected(value)
        if unprotected != {}:
            raise Fault("the unprotected header is not empty")
        return signed

    @classmethod
    def with_unprotected(cls, value: object) -> "tuple[Sign1, object]":
        """The same with whatever stands in the unprotected header, which nothing vouches for. Raises `Fault`."""
        parts = value.value if isinstance(value, _cbor.Tagged) else None
        if not isinstance(parts, list) or len(parts) != 4:
            raise Fault("not a tagged COSE_Sign1")
        protected, unprotected, payload, signature = parts
        if not (isinstance(protected, bytes) and isinstance(payload, bytes) and isinstance(signature, bytes)):
            raise Fault("a part of the COSE_Sign1 is not a byte string")
        if len(signature) != _ecdsa.SIGNATURE_BYTES:
            raise Fault("the signature does not have 64 bytes")
        return cls(protected, payload, signature), unprotected

    def header(self, labels: frozenset[int | str]) -> Mapping[int | str, object]:
        """The protected header, which must hold exactly `labels`, with ES256. Raises `Fault`."""
        header = _cbor.loads(self.protected)
        if not isinstance(header, dict) or header.keys() != labels:
            raise Fault("the protected header does not hold exactly its labels")
        if header[ALG] != ES256:
            raise Fault("the protected header names another alg")
        return header

    def verify(self, key: _ecdsa.PublicKey, context: bytes) -> None:
        """Check the signature over context and protected bytes as received. Raises `Fault` (rule `signature`)."""
        to_be_signed = b"\x84\x6aSignature1" + _bstr(self.protected) + _bstr(context) + _bstr(self.payload)
        _ecdsa.verify(key, self.signature, to_be_signed)


def _bstr(data: bytes) -> bytes:
    size = len(data)
    if size < 24:
        return bytes([0x40 | size]) + data
    if size < 1 << 8:
        return bytes([0x58, size]) + data
    if size < 1 << 16:
        return b"\x59" + size.to_bytes(2, "big") + data
    return b"\x5a" + size.to_bytes(4, "big") + data
