"""A number in memory that the folder's processes share: whether somebody has changed something since one looked.

It is odd while a change is being made, and one more afterwards. A reader that sees the even number of last time need
not ask the database; one that sees another, or an odd one, does. A process that dies while the number is odd costs
the others time and no correctness, until the next change.
"""

import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE_NAME = "changes"
_NUMBER = struct.Struct("<Q")


class ChangeCounter:
    """The number. May raise `OSError`."""

    def __init__(self, folder: Path) -> None:
        file = os.open(folder / FILE_NAME, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        try:
            if os.fstat(file).st_size < _NUMBER.size:
                os.truncate(file, _NUMBER.size)
            self._memory = mmap.mmap(file, _NUMBER.size)
        finally:
            os.close(file)  # the mapping stays

    def close(self) -> None:
        """End the mapping."""
        self._memory.close()

    def read(self) -> int:
        """The number now."""
        number: int = _NUMBER.unpack_from(self._memory)[0]
        return number

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Make a change visible in here; one process at a time."""
        number = self.read() | 1
        _NUMBER.pack_into(self._memory, 0, number)
        yield
        _NUMBER.pack_into(self._memory, 0, number + 1)
