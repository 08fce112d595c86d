"""What the SDK gives back: frozen values, only ever made by a check that passed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Literal

CLOCK_TOLERANCE = timedelta(seconds=30)  # the skew that live codes are read with (format §5)

ItemValue = str | int | bool | tuple[str | int | bool, ...]


@dataclass(frozen=True, slots=True)
class Label:
    """A text in Chinese and English."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Authority:
    """A department: its code (统一社会信用代码) and name."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the licence's face: `key` 0 is the holder's name, 1 the licence number."""

    key: int
    label: Label
    value: ItemValue


@dataclass(frozen=True, slots=True)
class Scene:
    """A situation in which licences are checked, as the signed trust list describes it.

    Attributes:
        id: `[a-z0-9-]{1,64}`, e.g. `road-traffic`.
        version: Grows with every change.
        licence_types: The types that may be checked.
        items: By type, the names of the items that may be looked at.
        offline: Whether a check without a network is enough.
        legal_basis: What entitles the verifier.
    """

    id: str
    version: int
    name: Label
    licence_types: frozenset[str]
    items: Mapping[str, frozenset[str]]
    offline: bool
    legal_basis: str


class Profile(StrEnum):
    """How much a live code shows."""

    MINIMAL = "minimal"
    FACE = "face"


@dataclass(frozen=True, slots=True)
class Valid:
    """A live code that holds.

    Attributes:
        type_code: The licence type, e.g. `driving-licence`.
        type_name: Its name in the trust list; the code itself where the list does not name it.
        profile: How much the holder shows.
        items: What the holder shows, in the order of their keys; in a scene only those it names.
        state: The state in the status list.
        valid_until: The last valid day (a Shanghai day), None for a long-term licence.
        authority: The authority of the signing key, where the trust list binds it to one.
        issuer_kid: The pass key, hex.
        trust_age: Age of the trust list used, from its signed issue time.
        status_age: Age of the status list used, likewise.
        checked_at: The one reading of the clock that all of this refers to.
        cti: The code's random id, for the journal.
        scene: The scene it was checked in, None without one.
        status_uri: The status list it stands in, for the journal.
        status_idx: Its place there.
    """

    type_code: str
    type_name: Label
    profile: Profile
    items: tuple[Item, ...]
    state: Literal["valid"]
    valid_until: date | None
    authority: Authority | None
    issuer_kid: str
    trust_age: timedelta
    status_age: timedelta
    checked_at: datetime
    cti: bytes
    scene: Scene | None
    status_uri: str
    status_idx: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A live code whose signatures and times hold; neither the licence's state nor a second use is checked.

    Attributes:
        status_uri, status_idx: Where the pass's status stands.
        device_key_x: The x coordinate of the key that made the code, 32 bytes.
        made_at_s: The proof's `iat`, seconds since 1970.
        cti: The code's random id, 16 bytes.
    """

    type_code: str
    type_version: int
    profile: Profile
    status_uri: str
    status_idx: int
    device_key_x: bytes
    made_at_s: int
    cti: bytes


@dataclass(frozen=True, slots=True)
class KeyBinding:
    """The holder's own signature over a presentation."""

    audience: str
    nonce: str
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class ValidCredential:
    """An SD-JWT VC that holds.

    Attributes:
        vct: The type as the credential names it.
        type_code: The same type in the trust list.
        type_name: Its name there.
        claims: The processed payload: disclosed claims in place, digests removed (RFC 9901 §7.1).
        cnf_jwk: The holder's public key, None when the credential is not bound to one.
        state: The state in the status list; None only where the policy lets a credential go without one.
        authority: Who issued it, from the trust list.
        issuer_kid: The credential key, hex.
        expires_at: The credential's own end.
        trust_age: Age of the trust list used.
        status_age: Age of the status list used.
        checked_at: The one reading of the clock.
        key_binding: The verified key binding; None after `check_credential`.
    """

    vct: str
    type_code: str
    type_name: Label
    claims: Mapping[str, object]
    cnf_jwk: Mapping[str, str] | None
    state: Literal["valid"] | None
    authority: Authority | None
    issuer_kid: str
    expires_at: datetime
    trust_age: timedelta
    status_age: timedelta | None
    checked_at: datetime
    key_binding: KeyBinding | None


@dataclass(frozen=True, slots=True)
class NamedItem:
    """One item that the platform released: its name in the licence type, and its value."""

    name: str
    label: Label
    value: object


@dataclass(frozen=True, slots=True)
class Redeemed:
    """A live code that the platform checked on line: its live state, and what the scene lets the verifier see.

    Attributes:
        check_id: The platform's id of this check, for questions later.
        type_code, type_version, type_name: The licence type.
        items: What was released, in the platform's order.
        portrait: The holder's photo as a `data:` URI, where the scene has it.
        state: The licence's state at this moment.
        valid_until: The last valid day (a Shanghai day), None for a long-term licence.
        scene_id, scene_version: The scene that decided what was released.
        shown_at: When the holder's device made the code.
        checked_at: When the platform checked it.
    """

    check_id: str
    type_code: str
    type_version: int
    type_name: Label
    items: tuple[NamedItem, ...]
    portrait: str | None
    state: Literal["valid"]
    valid_until: date | None
    scene_id: str
    scene_version: int
    shown_at: datetime
    checked_at: datetime


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """A check without a network that ended in valid.

    Attributes:
        id: 32 hexadecimal digits, made with the entry; the platform knows it again by it.
        checked_at: Seconds since 1970.
        scene: The scene's id, None without one.
        cti: The code's random id, 16 bytes.
        status_uri, status_idx: Where the pass's status stands: the licence, without naming it.
    """

    id: str
    checked_at: int
    scene: str | None
    cti: bytes
    status_uri: str
    status_idx: int


@dataclass(frozen=True, slots=True)
class UploadReport:
    """What became of uploaded entries: taken, known already, refused (id and the platform's code)."""

    accepted: int
    unchanged: int
    rejected: tuple[tuple[str, str], ...]

    def __add__(self, other: "UploadReport") -> "UploadReport":
        return UploadReport(
            self.accepted + other.accepted, self.unchanged + other.unchanged, self.rejected + other.rejected
        )


class Outcome(StrEnum):
    """What synchronisation did with one document."""

    REFRESHED = "refreshed"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SyncItem:
    """One document of a synchronisation; `code` and `detail` say why it failed, `age` what is now held."""

    uri: str
    outcome: Outcome
    age: timedelta | None = None
    code: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a synchronisation did, document by document.

    Attributes:
        clock_ahead: By how much this device's clock is ahead of the server's, from the `Date` of its answer; None
            when the server did not say. Nothing signs it, so it warns and decides nothing; a trust list that was
            signed in this device's future is refused as `trust_list_from_the_future`.
    """

    trust_list: SyncItem
    aggregation: SyncItem | None
    status_lists: tuple[SyncItem, ...]
    clock_ahead: timedelta | None = None

    @property
    def clock_is_off(self) -> bool:
        """Whether this device and the server disagree about the time by more than codes are read with."""
        return self.clock_ahead is not None and abs(self.clock_ahead) > CLOCK_TOLERANCE

    @property
    def complete(self) -> bool:
        """Whether nothing failed."""
        items = (self.trust_list, *([self.aggregation] if self.aggregation else []), *self.status_lists)
        return all(item.outcome is not Outcome.FAILED for item in items)


@dataclass(frozen=True, slots=True)
class HeldStatusList:
    """A status list in the cache."""

    uri: str
    age: timedelta
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What this device knows and how old it is."""

    url: str | None
    sequence: int | None
    trust_age: timedelta | None
    trust_expires_at: datetime | None
    status_lists: tuple[HeldStatusList, ...]
    scenes: tuple[Scene, ...]
