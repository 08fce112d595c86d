"""What this folder needs from outside, and what it gives to those who sign."""

from datetime import datetime
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

from credentials.keys.models import KeyPurpose


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
    def not_after(self) -> datetime:
        """When the first certificate of the chain is over: nothing that it signs should outlive that."""

    @property
    def public_key(self) -> EllipticCurvePublicKey:
        """The public key of the leaf certificate."""

    def sign(self, message: bytes) -> bytes:
        """ES256 over the message (RFC 7518 §3.4): 64 bytes, r and s big-endian."""


class KeyStore(Protocol):
    """Where private keys are made and kept. Methods do I/O, possibly slow: call them from a thread."""

    def generate(self, purpose: KeyPurpose) -> tuple[str, EllipticCurvePrivateKey]:
        """Make a P-256 key and keep it durably; the reference to find it again, and the key to sign with."""

    def read(self, reference: str) -> EllipticCurvePrivateKey:
        """Find a key again.

        Raises:
            KeysError: it is not there or cannot be used; the detail says what to do.
        """

    def remove(self, reference: str) -> None:
        """Destroy a key that nothing refers to; one that is not there is no error."""
