"""Offline journals as verifiers' SDKs upload them (FORMAT.md §8).

`{"device": …, "entries": [{"id", "checked_at", "scene", "cti", "pass_status": {"uri", "idx"}, "outcome", "code"}, …]}`
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from presentation.checks.models import EntryOutcome, JournalEntry, StatusPlaceKey
from presentation.errors import PresentationError
from presentation.scenes.models import SCENE_ID

MAX_ENTRIES = 500  # one transaction's worth; a device sends the rest in the next request
MAX_URI_CHARS = 255  # what an issued pass can hold
MAX_INDEX = 1 << 31
MAX_TIME_S = 1 << 33  # year 2242: keeps arithmetic on times harmless

_ID = re.compile(r"[0-9a-f]{32}")
_CODE = re.compile(r"[a-z_]{1,64}")
_PRINTABLE_ASCII = re.compile(r"[\x21-\x7e]{1,64}")
_CTI = re.compile(r"[A-Za-z0-9_-]{22}")
_MEMBERS = {"id", "checked_at", "scene", "cti", "pass_status", "outcome", "code"}
_OUTCOMES = ("valid", "not_valid", "cannot_tell")


class JournalInvalid(PresentationError):
    """The upload as a whole is out of form; nothing of it was taken."""

    code = "journal_invalid"


@dataclass(frozen=True)
class Journal:
    """An upload: its entries in order, those out of form as their outcome already."""

    device: str
    entries: Sequence[JournalEntry | EntryOutcome]


def read_journal(body: Mapping[str, object]) -> Journal:
    """Read an upload; entries are judged one by one.

    Args:
        body: JSON as parsed.

    Raises:
        JournalInvalid: unknown or missing members, more than 500 entries, an entry without an id of its own: its
            outcome could not be told.
    """
    if body.keys() != {"device", "entries"}:
        raise JournalInvalid("a journal has exactly device and entries")
    device, entries = body["device"], body["entries"]
    if not isinstance(device, str) or not _PRINTABLE_ASCII.fullmatch(device):
        raise JournalInvalid("device is 1 to 64 printable ASCII characters")
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_ENTRIES:
        raise JournalInvalid(f"entries is an array of 1 to {MAX_ENTRIES}")
    ids = [entry.get("id") if isinstance(entry, dict) else None for entry in entries]
    if not all(isinstance(each, str) and _ID.fullmatch(each) for each in ids) or len(set(ids)) < len(ids):
        raise JournalInvalid("every entry is an object with an id of its own, 32 hex digits in lower case")
    return Journal(device, [_entry(entry) for entry in entries])


def _entry(entry: dict[str, object]) -> JournalEntry | EntryOutcome:
    try:
        return _well_formed(entry)
    except (ValueError, KeyError, TypeError):
        return EntryOutcome(str(entry["id"]), "rejected", "entry_malformed")


def _well_formed(entry: dict[str, object]) -> JournalEntry:
    checked_at, scene, cti = entry["checked_at"], entry["scene"], entry["cti"]
    place, outcome, code = entry["pass_status"], entry["outcome"], entry["code"]
    _expect(entry.keys() == _MEMBERS)
    _expect(_is_integer(checked_at, MAX_TIME_S))
    _expect(scene is None or (isinstance(scene, str) and SCENE_ID.fullmatch(scene)))
    _expect(isinstance(cti, str) and _CTI.fullmatch(cti))
    _expect(isinstance(place, dict) and place.keys() == {"uri", "idx"})
    assert isinstance(place, dict)
    uri, idx = place["uri"], place["idx"]
    _expect(isinstance(uri, str) and 0 < len(uri) <= MAX_URI_CHARS and uri.isascii() and uri.isprintable())
    _expect(_is_integer(idx, MAX_INDEX))
    _expect(outcome in _OUTCOMES)
    _expect(isinstance(code, str) and _CODE.fullmatch(code))
    assert isinstance(checked_at, int)
    assert isinstance(cti, str)
    canonical = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
    return JournalEntry(
        id=str(entry["id"]),
        checked_at=datetime.fromtimestamp(checked_at, UTC),
        scene_id=scene if isinstance(scene, str) else None,
        cti=_sixteen_bytes(cti),
        place=StatusPlaceKey(str(uri), int(idx)),
        outcome=str(outcome),
        code=str(code),
        digest=hashlib.sha256(canonical).digest(),
    )


def _expect(condition: object) -> None:
    if not condition:
        raise ValueError


def _is_integer(value: object, below: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < below


def _sixteen_bytes(text: str) -> bytes:
    try:
        data = base64.urlsafe_b64decode(text + "==")
    except binascii.Error as error:
        raise ValueError from error
    _expect(base64.urlsafe_b64encode(data).rstrip(b"=").decode() == text)
    return data
