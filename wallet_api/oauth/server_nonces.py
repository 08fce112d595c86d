"""Nonces of the server's own: those for DPoP proofs (RFC 9449 §8) and the challenges of wallet attestations.

Like a c_nonce they carry their expiry under a MAC, so that handing one out stores nothing, and every process knows
those of the others. They live five minutes and may be used more than once meanwhile: each `jti` counts once.
"""

import hashlib
import hmac
from datetime import datetime

from credentials.issuance.formats.c_nonce import NonceInvalid, check_nonce, make_nonce
from credentials.registry.ports import Clock


class ServerNonces:
    """Nonces for one purpose.

    Args:
        key: 32 bytes that only this deployment knows; each purpose gets a key of its own from it.
    """

    def __init__(self, key: bytes, purpose: str, clock: Clock) -> None:
        self._key = hmac.digest(key, purpose.encode(), hashlib.sha256)
        self._clock = clock

    def make(self) -> str:
        """A fresh nonce."""
        return make_nonce(self._key, self._clock.now())

    def check(self, nonce: object) -> datetime:
        """When a live nonce of ours ends.

        Raises:
            NonceInvalid: not ours, altered, or over.
        """
        if not isinstance(nonce, str):
            raise NonceInvalid("not a text")
        return check_nonce(self._key, nonce, self._clock.now())
