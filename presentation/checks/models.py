"""What checks speak of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from presentation.scenes import Scene
from presentation.shows import Profile
from presentation.verifiers import Verifier


class LicenceState(StrEnum):
    """What a licence is at this moment, as far as a verifier needs to know."""

    VALID = "valid"
    SUSPENDED = "suspended"
    REVOKED = "revoked"  # withdrawn, cancelled or revoked
    LAPSED = "lapsed"  # over, replaced by a newer version, or not begun
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class CheckRequest:
    """What a verifier asks.

    Attributes:
        qr_text: as the camera read it.
        challenge: the `cnonce` that it gave the holder's device, None without such an exchange.
        asked: names of items it wants, None for all that the scene allows.
    """

    qr_text: str = field(repr=False)
    scene_id: str
    challenge: bytes | None = None
    asked: frozenset[str] | None = None
    reason: str | None = field(default=None, repr=False)
    operator: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class StatusPlaceKey:
    """A status list's URI and an index in it: what names a pass without naming anybody."""

    uri: str
    idx: int


@dataclass(frozen=True)
class ShownLicence:
    """The licence behind a pass, as the store knows it now.

    Attributes:
        holder_id: to whom the pass was issued.
        profile: of the pass; None where it was recorded before profiles were.
        claims: item name → value: common claims and data items.
        face_items: names of the data items that a `face` pass carries.
        portrait: the holder's photo as a data URI, None when the type has none.
        issued_at, expires_at: of the pass.
    """

    licence_id: str
    holder_id: str
    type_code: str
    type_version: int
    state: LicenceState
    number: str = field(repr=False)
    held_by_persons: bool
    valid_until: date | None
    profile: Profile | None
    claims: Mapping[str, object] = field(repr=False)
    face_items: frozenset[str]
    portrait: str | None = field(repr=False)
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class Ground:
    """What a check is decided on, read in one moment; None for what is not there.

    Attributes:
        scene: in its newest version, retired or not.
        refusals, holders: of the verifier's last checks, as `patterns` counts them.
    """

    verifier: Verifier | None
    scene: Scene | None
    licence: ShownLicence | None
    refusals: int
    holders: int


class Written(StrEnum):
    """What became of a release."""

    DONE = "done"
    ALREADY_USED = "already_used"
    SEQUENCE = "sequence"  # its number is one more in a long row
    CHANGED = "changed"  # licence or verifier are not what they were when the check was decided


@dataclass(frozen=True)
class JournalEntry:
    """One offline check in a verifier's journal; `valid` says whether it ended so.

    Attributes:
        id: 32 hex digits, made by the SDK.
        digest: SHA-256 over the entry as it was sent.
    """

    id: str
    checked_at: datetime
    scene_id: str | None
    cti: bytes
    place: StatusPlaceKey
    outcome: str
    code: str
    digest: bytes


@dataclass(frozen=True)
class EntryOutcome:
    """What became of a journal entry: `accepted`, `unchanged` or `rejected` with a code."""

    id: str
    outcome: str
    code: str | None = None


@dataclass(frozen=True)
class PatternReport:
    """A pattern that was stopped, for operators."""

    client_id: str
    kind: str
    window_start: datetime
    last_at: datetime
    stopped: int
