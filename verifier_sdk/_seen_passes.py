"""Passes whose signature was verified a moment ago: a second proof over one costs one signature instead of two."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from ._ecdsa import PublicKey
from ._live_code import Pass

MAX_PASSES = 4096  # about 3 kB each; a gate sees fewer holders within the minutes in which they show again


@dataclass(frozen=True, slots=True)
class SeenPass:
    """A pass as it was read, the certificate under which its signature held, and the holder's key in it."""

    show_pass: Pass
    leaf_sha256: bytes
    holder_key: PublicKey


class SeenPasses:
    """A bounded memory, keyed by every byte that the pass was read from: the protected header of its proof.

    Only reading and the signature are remembered. The signing key, time and status are looked at in every check.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._passes: OrderedDict[bytes, SeenPass] = OrderedDict()

    def read(self, protected: bytes) -> Pass | None:
        """The pass in a proof's protected header, when it was verified before."""
        seen = self._passes.get(protected)
        return None if seen is None else seen.show_pass

    def holder_key(self, protected: bytes, leaf_sha256: bytes) -> PublicKey | None:
        """The holder's key in a pass that was verified under this certificate."""
        with self._lock:
            seen = self._passes.get(protected)
            if seen is None or seen.leaf_sha256 != leaf_sha256:
                return None
            self._passes.move_to_end(protected)
            return seen.holder_key

    def remember(self, protected: bytes, seen: SeenPass) -> None:
        """Keep a pass that was just verified; the least recently shown one makes room."""
        with self._lock:
            self._passes[protected] = seen
            if len(self._passes) > MAX_PASSES:
                self._passes.popitem(last=False)
