"""Which live codes this device has seen: a file that its processes share and that outlives them.

A table of fixed size: 8192 rows, each of 16 times (8 bytes, seconds since 1970) and then 16 `cti` (16 bytes). A code's
row follows from its `cti`, which is random. A place is free once its code is older than the window, or lies further in
the future than the window: it was seen while this clock was ahead, and is from the future for it now. A code that
finds its row full is not recorded, and so not valid: nothing that could be replayed is ever forgotten.

A record of its own beside the SQLite file, because there an insert takes as long as a third of a signature. What is
written outlives the process at once; a power cut may lose the last seconds.
"""

import mmap
import os
import struct
import threading
from pathlib import Path

from ._file_lock import lock, unlock

FILE_NAME = "seen-codes"
ROWS, PLACES = 8192, 16  # 200 codes a second fill a row about once in ten million codes
CTI_BYTES = 16

_TIME = struct.Struct("<q")
_TIMES = struct.Struct(f"<{PLACES}q")
_ROW_BYTES = PLACES * (_TIME.size + CTI_BYTES)
_SIZE = ROWS * _ROW_BYTES  # 3 MiB, of which a file system keeps what was written


class ReplayRecord:
    """The file. Every method may raise `OSError`."""

    def __init__(self, folder: Path) -> None:
        self._threads = threading.Lock()
        self._file = os.open(folder / FILE_NAME, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        try:
            if os.fstat(self._file).st_size == 0:
                os.truncate(self._file, _SIZE)  # zeros are free places
            self._expect_whole()
            self._table = mmap.mmap(self._file, _SIZE)
        except BaseException:
            os.close(self._file)
            raise

    def close(self) -> None:
        """Close the file."""
        with self._threads:
            if self._file >= 0:
                self._table.close()
                os.close(self._file)
                self._file = -1

    def record(self, cti: bytes, now_s: int, window_s: int) -> bool:
        """Record a code as seen, unless it was seen within the window already: then False.

        Args:
            cti: 16 bytes.
        """
        row = int.from_bytes(cti[:4], "big") % ROWS * _ROW_BYTES
        with self._threads:
            lock(self._file)
            try:
                self._expect_whole()  # a table that was cut off under the mapping would end the process
                times = _TIMES.unpack_from(self._table, row)
                if self._is_seen(cti, row + _TIMES.size, times, now_s - window_s):
                    return False
                place = _free_place(times, now_s, window_s)
                at = row + _TIMES.size + place * CTI_BYTES
                self._table[at : at + CTI_BYTES] = cti
                _TIME.pack_into(self._table, row + place * _TIME.size, now_s)
                return True
            finally:
                unlock(self._file)

    def _is_seen(self, cti: bytes, start: int, times: tuple[int, ...], since_s: int) -> bool:
        if self._table.find(cti, start, start + PLACES * CTI_BYTES) < 0:
            return False
        places = (start + place * CTI_BYTES for place in range(PLACES))
        seen = (self._table[at : at + CTI_BYTES] for at in places)
        return any(each == cti and time_s >= since_s for each, time_s in zip(seen, times, strict=True))

    def _expect_whole(self) -> None:
        if os.fstat(self._file).st_size != _SIZE:
            raise OSError("the record of seen codes has another size")


def _free_place(times: tuple[int, ...], now_s: int, window_s: int) -> int:
    oldest, newest = min(times), max(times)
    if oldest < now_s - window_s:
        return times.index(oldest)
    if newest > now_s + window_s:
        return times.index(newest)
    raise OSError("no free place for this code")
