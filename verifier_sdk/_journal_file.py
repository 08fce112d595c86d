"""The journal's files: sealed records, one after the other, and beside them how many there must be.

    PATH        "LZJ1", device (16 bytes), first (8 bytes); then records: size (4 bytes), nonce (12), AES-256-GCM
    PATH.head   nonce (12), AES-256-GCM over: records (8 bytes), uploaded (8 bytes)
    PATH.lock   whose lock is held while one of them changes

Numbers are big-endian and count all records ever made; `first` is the number of the file's first one. A record is
sealed together with the file's device, its own number and its neighbour's tag, so that none can be changed, moved, left
out or taken from another file. The head is written after the record: a file that ends in the middle of a record or has
more of them than the head says was left by a process that died; one that has fewer was cut by somebody.

Whoever puts back both files as they were at an earlier time is not noticed.
"""

import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ._file_lock import locked
from .errors import JournalError

MAX_RECORD_BYTES = 2048  # an entry takes about 300; the longest URI that fits a live code leaves room to spare
KEY_BYTES = 32
_MAGIC = b"LZJ1"
_DEVICE_BYTES, _NONCE_BYTES, _TAG_BYTES = 16, 12, 16
_PREFIX_BYTES = len(_MAGIC) + _DEVICE_BYTES + 8


@dataclass(frozen=True, slots=True)
class Contents:
    """What the files hold: records from number `first` on, of which those below `uploaded` are done with."""

    device: bytes
    first: int
    uploaded: int
    records: tuple[bytes, ...]
    last_tag: bytes
    end: int


class JournalFile:
    """The files and the lock on them. Every method may raise `JournalError`."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._head = path.with_name(path.name + ".head")
        self._seal = AESGCM(key)
        self._threads = threading.Lock()
        with _system_errors():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            with self._alone():
                if not path.exists():
                    self._start(secrets.token_bytes(_DEVICE_BYTES), 0)
                self._read()
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Close the lock's file; the others are never open for longer than a call."""
        os.close(self._lock)

    def read(self) -> Contents:
        """What the files hold now."""
        with self._alone():
            return self._read()

    def append(self, record: bytes, may: Callable[[Contents], None]) -> None:
        """Add a record; it is on the disk when this returns.

        Args:
            may: Looks at what is there and raises when no more may be added.
        """
        if len(record) > MAX_RECORD_BYTES:
            raise JournalError("journal_full", "the entry is larger than any entry may be")
        with self._alone():
            held = self._read()
            may(held)
            number = held.first + len(held.records)
            nonce = secrets.token_bytes(_NONCE_BYTES)
            sealed = nonce + self._seal.encrypt(nonce, record, _bound(held.device, number, held.last_tag))
            with self._path.open("r+b") as file:
                file.truncate(held.end)  # what a process that died may have left of a record
                file.seek(held.end)
                file.write(len(sealed).to_bytes(4, "big") + sealed)
                file.flush()
                os.fsync(file.fileno())
            self._write_head(held.device, number + 1, held.uploaded)

    def set_uploaded(self, uploaded: int) -> None:
        """Records below this number are done with. Once all are, an empty file takes the place of theirs."""
        with self._alone():
            held = self._read()
            records = held.first + len(held.records)
            uploaded = max(held.uploaded, min(uploaded, records))
            self._write_head(held.device, records, uploaded)
            if uploaded == records and held.records:
                self._start(held.device, records)

    def _start(self, device: bytes, first: int) -> None:
        # The head first: a file whose first record lies at the head's count holds none, whatever it is replaced by.
        self._write_head(device, first, first)
        self._replace(self._path, _MAGIC + device + first.to_bytes(8, "big"))

    def _read(self) -> Contents:
        data = self._path.read_bytes()
        device, first_bytes = data[len(_MAGIC) : _PREFIX_BYTES - 8], data[_PREFIX_BYTES - 8 : _PREFIX_BYTES]
        first = int.from_bytes(first_bytes, "big")
        if len(data) < _PREFIX_BYTES or not data.startswith(_MAGIC):
            raise JournalError("journal_tampered", "the file does not begin as a journal does")
        records_due, uploaded = self._read_head(device)
        records: list[bytes] = []
        tag, end = b"", _PREFIX_BYTES
        for sealed, sealed_end in _sealed_records(data):
            records.append(self._open(sealed, device, first + len(records), tag))
            tag, end = sealed[-_TAG_BYTES:], sealed_end
        if not first <= uploaded <= records_due <= first + len(records):
            raise JournalError("journal_tampered", "the file has fewer records than were written")
        return Contents(device, first, uploaded, tuple(records), tag, end)

    def _open(self, sealed: bytes, device: bytes, number: int, tag: bytes) -> bytes:
        try:
            nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            return self._seal.decrypt(nonce, ciphertext, _bound(device, number, tag))
        except InvalidTag as error:
            raise JournalError("journal_tampered", f"record {number} is not as it was written") from error

    def _write_head(self, device: bytes, records: int, uploaded: int) -> None:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        counts = records.to_bytes(8, "big") + uploaded.to_bytes(8, "big")
        self._replace(self._head, nonce + self._seal.encrypt(nonce, counts, b"head" + device))

    def _read_head(self, device: bytes) -> tuple[int, int]:
        try:
            data = self._head.read_bytes()
            counts = self._seal.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], b"head" + device)
        except FileNotFoundError as error:
            raise JournalError("journal_tampered", "the journal's head is gone") from error
        except (InvalidTag, ValueError) as error:
            raise JournalError("journal_tampered", "the head does not open: another key, or another file") from error
        return int.from_bytes(counts[:8], "big"), int.from_bytes(counts[8:], "big")

    def _replace(self, path: Path, data: bytes) -> None:
        draft = path.with_name(path.name + ".draft")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._threads, _system_errors(), locked(self._lock):
            yield


def _sealed_records(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Each whole record and where it ends; what is left of one that was not finished is not given."""
    at = _PREFIX_BYTES
    while at + 4 <= len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            return
        yield data[at + 4 : end], end
        at = end


def _bound(device: bytes, number: int, tag: bytes) -> bytes:
    return b"record" + device + number.to_bytes(8, "big") + tag


@contextmanager
def _system_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise JournalError("journal_unavailable", f"{type(error).__name__} in the journal's files") from error


def key_beside(path: Path) -> bytes:
    """The key kept in PATH.key, readable by its owner only; made when there is neither key nor journal.

    Raises:
        JournalError: `journal_unavailable`, `journal_key_missing`, `journal_tampered` (another size).
    """
    kept = path.with_name(path.name + ".key")
    with _system_errors():
        if not kept.exists():
            if path.exists():
                raise JournalError("journal_key_missing", "the journal is there, but its key is not")
            _keep_new_key(kept)
        key = kept.read_bytes()
    if len(key) != KEY_BYTES:
        raise JournalError("journal_tampered", "the key file has another size")
    return key


def _keep_new_key(kept: Path) -> None:
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = kept.with_name(f"{kept.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, kept)  # never over the key of a process that was faster
    except FileExistsError:
        pass
    finally:
        draft.unlink()
