"""Passes whose signature was verified a moment ago: a second proof over one costs one signature instead of two."""

import threading
from collections import OrderedDict

from ._ecdsa import PublicKey

MAX_PASSES = 4096  # about 1 kB each; a gate sees fewer holders within the minutes in which they show again


class SeenPasses:
    """A bounded memory, keyed by the digest of the whole pass and of the certificate that signed it.

    Only the signature is remembered. Time, status and the certificate's validity are looked at in every check.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder_keys: OrderedDict[tuple[bytes, bytes], PublicKey] = OrderedDict()

    def get(self, pass_sha256: bytes, leaf_sha256: bytes) -> PublicKey | None:
        """The holder's key in a pass that was verified under this certificate."""
        with self._lock:
            holder_key = self._holder_keys.get((pass_sha256, leaf_sha256))
            if holder_key is not None:
                self._holder_keys.move_to_end((pass_sha256, leaf_sha256))
            return holder_key

    def remember(self, pass_sha256: bytes, leaf_sha256: bytes, holder_key: PublicKey) -> None:
        """Keep a pass that was just verified; the least recently shown one makes room."""
        with self._lock:
            self._holder_keys[pass_sha256, leaf_sha256] = holder_key
            if len(self._holder_keys) > MAX_PASSES:
                self._holder_keys.popitem(last=False)
