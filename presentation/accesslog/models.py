"""What the access log holds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Release:
    """That something of a licence was released; the names of items, never their values.

    Attributes:
        check_id: of the check or journal entry, unique per verifier.
        at: when it was released; for an offline check when the device says it was made.
        number_masked: the licence number as `minimal` shows it, whoever holds it.
        reason: the verifier's sentence saying why, None when it gave none.
        operator: the verifier's own id of its inspector; kept for the verifier's supervisors, not shown to holders.
        scene_id, scene_version: None where an offline check named no scene.
    """

    check_id: str
    holder_id: str
    at: datetime
    client_id: str
    organisation: str
    system_name: str
    licence_id: str
    type_code: str
    type_version: int
    number_masked: str
    items: Sequence[str]
    scene_id: str | None
    scene_version: int | None
    offline: bool
    reason: str | None = field(default=None, repr=False)
    operator: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class AccessEntry(Release):
    """A row of the log.

    Attributes:
        sequence: 1 for the holder's first, without gaps.
        recorded_at: when the row was written; for an offline check when its journal came in.
    """

    sequence: int = 0
    recorded_at: datetime | None = None


@dataclass(frozen=True)
class AccessPage:
    """Entries, newest first; `more` says whether older ones follow."""

    entries: tuple[AccessEntry, ...]
    more: bool


@dataclass(frozen=True)
class ChainFault:
    """Where a holder's chain does not hold: at which row, and what is wrong."""

    holder_id: str
    sequence: int
    what: str
