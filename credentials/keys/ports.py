"""What this folder needs from outside, and what it gives to those who sign."""

from datetime import datetime
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""


class Signer(Protocol):
    """A P-256 private key that stays where it is, and its certificate."""

    @property
    def kid(self) -> bytes:
        """The first 8 bytes of SHA-256 over the leaf certificate's DER."""

    @property
    def x5c_der(self) -> tuple[bytes, ...]:
        """The certificate chain as DER, leaf first, without the anchor."""

    @property
    def public_key(self) -> EllipticCurvePublicKey:
        """The public key of the leaf certificate."""

    def sign(self, message: bytes) -> bytes:
        """ES256 over the message (RFC 7518 §3.4): 64 bytes, r and s big-endian."""
