"""What was checked without a network, kept sealed on the device until the platform has it.

with Journal.open("knowledge/journal") as journal:
    verifier = Verifier(trust, journal=journal)  # a code is valid only once it stands in the journal
    licence = verifier.check(qr_text, scene="road-traffic")
    ...
    report = journal.upload(client)  # later, with a network
"""

import json
import secrets
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from . import _base64url, _json
from ._fault import Fault
from ._journal_file import KEY_BYTES, Contents, JournalFile, key_beside
from .errors import JournalError
from .models import JournalEntry, UploadReport, Valid

MAX_ENTRIES = 4096  # weeks of an inspector's work, 1.5 MB; a device that uploads once a day never comes near
MAX_UPLOAD = 500  # entries a request: what the platform takes at once


class Uplink(Protocol):
    """Who takes entries to the platform: an `OnlineClient`."""

    def upload(self, device: str, entries: Sequence[JournalEntry]) -> UploadReport:
        """Deliver up to `MAX_UPLOAD` entries; each of them is accounted for in the report."""
        ...


class Journal:
    """A journal in a file, sealed with AES-256-GCM. May be shared by threads, its file by processes."""

    def __init__(self, file: JournalFile) -> None:
        self._file = file

    @classmethod
    def open(cls, path: str | PathLike[str], key: bytes | None = None) -> Self:
        """Open the journal, which is made when it does not exist.

        Args:
            path: Its file. Beside it lie `.head`, `.lock` and, without `key`, `.key`.
            key: 32 bytes out of a key store. Without one a key is made and kept beside the journal, readable by the
                owner only: that protects a copy of the journal, not the device.

        Raises:
            JournalError: `journal_unavailable`, `journal_key_missing`, `journal_tampered`.
            ValueError: The key does not have 32 bytes.
        """
        file = Path(path)
        if key is not None and len(key) != KEY_BYTES:
            raise ValueError("a journal's key has 32 bytes")
        return cls(JournalFile(file, key if key is not None else key_beside(file)))

    def close(self) -> None:
        """Close the journal."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def record(self, result: Valid) -> None:
        """Add a check that ended in valid; it is on the disk when this returns.

        Raises:
            JournalError: `journal_full`, `journal_tampered`, `journal_unavailable`.
        """
        entry = {
            "id": secrets.token_hex(16),
            "checked_at": int(result.checked_at.timestamp()),
            "scene": result.scene.id if result.scene else None,
            "cti": _base64url.encode(result.cti),
            "status_uri": result.status_uri,
            "status_idx": result.status_idx,
        }
        self._file.append(json.dumps(entry).encode(), _expect_room)

    def entries(self) -> tuple[JournalEntry, ...]:
        """What has not been uploaded, the oldest first.

        Raises:
            JournalError: `journal_tampered`, `journal_unavailable`.
        """
        return _waiting(self._file.read())

    def upload(self, uplink: Uplink) -> UploadReport:
        """Deliver everything, in portions; a portion counts as delivered once the platform has accounted for all of it.

        Whatever happens in between, an entry keeps its id, by which the platform knows it again: nothing is lost and
        nothing counts twice.

        Returns:
            What became of the entries. Those that were rejected are not offered again.

        Raises:
            CannotTell: As `OnlineClient.upload`; what was delivered before stays delivered.
            JournalError: `journal_tampered`, `journal_unavailable`.
        """
        report = UploadReport(0, 0, ())
        held = self._file.read()
        waiting = _waiting(held)
        for start in range(0, len(waiting), MAX_UPLOAD):
            portion = waiting[start : start + MAX_UPLOAD]
            report += uplink.upload(held.device.hex(), portion)
            self._file.set_uploaded(held.uploaded + start + len(portion))
        return report


def _expect_room(held: Contents) -> None:
    if len(held.records) >= MAX_ENTRIES:
        raise JournalError("journal_full", f"{MAX_ENTRIES} entries wait to be uploaded")


def _waiting(held: Contents) -> tuple[JournalEntry, ...]:
    return tuple(map(_entry, held.records[held.uploaded - held.first :]))


def _entry(record: bytes) -> JournalEntry:
    try:
        members = _json.loads_object(record)
        return JournalEntry(
            id=_json.as_text(members.get("id")),
            checked_at=_json.as_integer(members.get("checked_at")),
            scene=None if members.get("scene") is None else _json.as_text(members.get("scene")),
            cti=_base64url.decode(_json.as_text(members.get("cti"))),
            status_uri=_json.as_text(members.get("status_uri")),
            status_idx=_json.as_integer(members.get("status_idx")),
        )
    except Fault as fault:
        raise JournalError("journal_tampered", "a record is not an entry of this version") from fault
