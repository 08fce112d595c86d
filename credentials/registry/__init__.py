"""The store (电子证照库): licences, holders, their life cycle, and the one way in.

intake = Intake(catalogue, protector, clock)
report = await intake.take_all(database, IntakeSource("traffic-police", None), rows)
print(report.accepted, report.unchanged, report.rejected)

async with database.snapshot() as session:
    licence = await Registry(protector, clock).by_identifier(session, "1.2.156.3005.2.…")
"""

from credentials.registry.errors import (
    FileError,
    IdentifierError,
    IntakeConflict,
    RowError,
    UnknownBatch,
    UnknownHolder,
    UnknownLicence,
)
from credentials.registry.formats.gbt36903 import row_of
from credentials.registry.formats.holder_ends import end_from_line, ends_from_body
from credentials.registry.holder_ends import EndReport, HolderEnds
from credentials.registry.intake import Intake
from credentials.registry.models import (
    SHANGHAI,
    BatchReport,
    CertState,
    EndOutcome,
    EndVerdict,
    HistoryEntry,
    HolderEnd,
    HolderEndEvent,
    HolderEntry,
    IntakeSource,
    Licence,
    LicenceEvent,
    LicenceFilter,
    LicenceSummary,
    OperateType,
    Quality,
    Rejection,
    StateChange,
)
from credentials.registry.planning import new_id
from credentials.registry.service import Holder, Registry

__all__ = [
    "SHANGHAI",
    "BatchReport",
    "CertState",
    "EndOutcome",
    "EndReport",
    "EndVerdict",
    "FileError",
    "HistoryEntry",
    "Holder",
    "HolderEnd",
    "HolderEndEvent",
    "HolderEnds",
    "HolderEntry",
    "IdentifierError",
    "Intake",
    "IntakeConflict",
    "IntakeSource",
    "Licence",
    "LicenceEvent",
    "LicenceFilter",
    "LicenceSummary",
    "OperateType",
    "Quality",
    "Registry",
    "Rejection",
    "RowError",
    "StateChange",
    "UnknownBatch",
    "UnknownHolder",
    "UnknownLicence",
    "end_from_line",
    "ends_from_body",
    "new_id",
    "row_of",
]
