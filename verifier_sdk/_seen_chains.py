"""Certificate chains of credentials whose path was validated before: all credentials of a key carry the same one."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from ._x509 import Path

MAX_CHAINS = 256  # about 5 kB each; as many credential keys as an area has authorities


@dataclass(frozen=True, slots=True)
class SeenChain:
    """The leaf of a chain, and its path to a pinned anchor, which says for itself when it holds."""

    leaf_der: bytes
    path: Path


class SeenChains:
    """A bounded memory, keyed by the whole text of the protected header that carries the chain.

    Only that the header has the right form and its chain leads to an anchor is remembered; a store's anchors do not
    change while it is open. The path's time and whether the trust list has the leaf are looked at in every check.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._chains: OrderedDict[str, SeenChain] = OrderedDict()

    def get(self, header_text: str) -> SeenChain | None:
        """What was remembered for this header."""
        with self._lock:
            seen = self._chains.get(header_text)
            if seen is not None:
                self._chains.move_to_end(header_text)
            return seen

    def remember(self, header_text: str, seen: SeenChain) -> None:
        """Keep a chain that was just validated; the least recently used one makes room."""
        with self._lock:
            self._chains[header_text] = seen
            if len(self._chains) > MAX_CHAINS:
                self._chains.popitem(last=False)
