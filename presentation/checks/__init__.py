"""Checks on line (亮证核验): a registered verifier sends a live code and is told, signed, what it may know.

    result = await checks.check("sh-traffic", CheckRequest(qr_text, scene_id="traffic-police-check"))
    outcomes = await journals.take(session, "sh-traffic", read_journal(body))     # what was checked without a network

What is released is what the scene allows, the holder shows and the verifier asks for. It is released once a code, and
a row of the holder's access log stands in the same transaction. A refused check releases nothing and uses nothing up.
"""

from presentation.checks.errors import (
    AlreadyUsed,
    CheckRefused,
    CodeRefused,
    LicenceNotValid,
    PatternStopped,
    SceneNotAllowed,
)
from presentation.checks.formats.journal import JournalInvalid, read_journal
from presentation.checks.journals import Journals
from presentation.checks.live_trust import LiveTrust
from presentation.checks.models import (
    CheckRequest,
    EntryOutcome,
    JournalEntry,
    LicenceState,
    PatternReport,
    ShownLicence,
    StatusPlaceKey,
)
from presentation.checks.records import StoredRecords
from presentation.checks.service import Checks

__all__ = [
    "AlreadyUsed",
    "CheckRefused",
    "CheckRequest",
    "Checks",
    "CodeRefused",
    "EntryOutcome",
    "JournalEntry",
    "JournalInvalid",
    "Journals",
    "LicenceNotValid",
    "LicenceState",
    "LiveTrust",
    "PatternReport",
    "PatternStopped",
    "SceneNotAllowed",
    "ShownLicence",
    "StatusPlaceKey",
    "StoredRecords",
    "read_journal",
]
