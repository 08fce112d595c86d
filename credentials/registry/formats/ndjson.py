"""Newline-delimited JSON as it arrives: pieces of any size in, whole lines out, in bounded memory."""

from collections.abc import Iterator

from credentials.registry.formats.gbt36903 import MAX_ROW_BYTES


class LineSplitter:
    """Cuts a stream of bytes into lines.

    A line longer than a row may be is cut to one byte more than that, which the row's parser then refuses; the rest of
    it is dropped as it comes. A gigabyte without a line end takes no more memory than one row.
    """

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The lines that this piece completes, without their line ends."""
        *complete, rest = piece.split(b"\n")
        for part in complete:
            self._hold(part)
            yield self.end()
        self._hold(rest)

    def end(self) -> bytes:
        """What is held: at the end of the stream the last line, which may be empty."""
        line = bytes(self._held)
        self._held.clear()
        return line

    def _hold(self, part: bytes) -> None:
        self._held += part[: MAX_ROW_BYTES + 1 - len(self._held)]
