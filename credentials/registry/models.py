"""What the registry speaks of: states, steps, rows of an intake, licences and holders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from credentials.catalogue.models import CertState as CertState
from credentials.registry.errors import RowError

SHANGHAI = ZoneInfo("Asia/Shanghai")


class OperateType(StrEnum):
    """operateType of the MOHURD C-standards: what a department's row asks for. `lifecycle.STEPS` says when it may."""

    ISSUE = "01"  # 新发
    RENEW = "02"  # 延续
    SUSPEND = "03"  # 暂扣
    EXPIRE = "04"  # 过期失效
    END = "05"  # 注销 (撤销 / 吊销 / 转出): the row's cert_state says which
    RESUME = "06"  # 暂扣发还
    OTHER = "07"  # 其他
    TRANSFER_IN = "08"  # 转入
    CHANGE = "09"  # 变更
    CANCEL_TRANSFER_OUT = "10"  # 取消转出


@dataclass(frozen=True)
class HolderEntry:
    """A holder (持证主体) as a licence names them.

    Attributes:
        code_type: GB/T 36903 appendix A, e.g. `111` resident ID, `001` unified social credit code.
        code: the identity number, checked and in normal form.
        mobile: E.164, or None.
    """

    name: str
    code_type: str
    code: str
    mobile: str | None = None


@dataclass(frozen=True)
class IntakeRow:
    """One row of a department's file, checked for form (GB/T 36903 names; see `formats/gbt36903.py`).

    The content is None in rows that only move a state (all but 01, 02, 08 and 09).
    """

    source_record_id: str
    source_version: int
    operate_type: OperateType
    cert_state: CertState
    reason: str | None
    content: "LicenceContent | None"


@dataclass(frozen=True)
class LicenceContent:
    """What a new licence, or a new version of one, says.

    Attributes:
        valid_until: the last valid Shanghai day, or None for a long-term licence.
        items: the type's data items, not yet checked against the type.
        representatives: the persons whom it names to act for the holder.
        predecessor_identifier: the licence that it takes the place of (associatedZzeCertID), where the row names it.
    """

    type_code: str
    identifier: str | None
    number: str
    authority_code: str
    area_code: str | None
    issued_on: date
    valid_from: date
    valid_until: date | None
    holders: tuple[HolderEntry, ...]
    items: Mapping[str, object]
    representatives: tuple[HolderEntry, ...] = ()
    predecessor_identifier: str | None = None


@dataclass(frozen=True)
class Licence:
    """A licence record with its personal data opened.

    Attributes:
        type_code: the catalogue's code, e.g. `driving-licence`.
        version: 1 for a first issue; renewals and changes count up.
        predecessor_id: the licence that this one took the place of, when the store holds it.
        predecessor_identifier: its identifier, also when it was transferred in from elsewhere.
    """

    id: str
    identifier: str
    type_code: str
    type_version: int
    version: int
    number: str
    authority_code: str
    authority_name: str
    area_code: str | None
    holder_ids: tuple[str, ...]
    holders: tuple[HolderEntry, ...]
    issued_on: date
    valid_from: date
    valid_until: date | None
    state: CertState
    predecessor_id: str | None
    source_system: str
    source_record_id: str
    source_version: int
    items: Mapping[str, object]
    representatives: tuple[HolderEntry, ...] = ()
    predecessor_identifier: str | None = None

    def in_force(self, now: datetime) -> bool:
        """Whether the licence is valid on the Shanghai day of `now`: its state, its first and its last day."""
        today = now.astimezone(SHANGHAI).date()
        started = self.valid_from <= today
        return self.state is CertState.VALID and started and (self.valid_until is None or today <= self.valid_until)


@dataclass(frozen=True)
class StateChange:
    """A licence moved to a state; told to whoever follows in the same transaction."""

    licence_id: str
    state: CertState


@dataclass(frozen=True)
class LicenceEvent:
    """One line of a licence's history, as a follower of the feed reads it."""

    licence_id: str
    sequence: int
    operate_type: OperateType
    state: CertState
    occurred_at: datetime


@dataclass(frozen=True)
class HolderEnd:
    """One row of a register: a holder has ended (a person died, an organisation was dissolved), or has not after all.

    Attributes:
        code: the identity number, checked and in normal form.
        ended_on: the Shanghai day, or None: what this register said before was wrong.
        source_version: the version of the register's own record of the holder.
    """

    code_type: str
    code: str
    ended_on: date | None
    source_version: int


class EndOutcome(StrEnum):
    """What became of a register's row."""

    ACCEPTED = "accepted"
    UNCHANGED = "unchanged"
    UNKNOWN_HOLDER = "unknown_holder"  # nothing was written: to be sent again once the store knows them
    REJECTED = "rejected"


@dataclass(frozen=True)
class EndVerdict:
    """What became of one row; `refused` says why where it was rejected."""

    outcome: EndOutcome
    refused: RowError | None = None


@dataclass(frozen=True)
class HolderEndEvent:
    """One line of the feed of ends: a register said something of this holder's end, or took it back."""

    holder_id: str
    ended: bool
    occurred_at: datetime


@dataclass(frozen=True)
class LicenceSummary:
    """A licence in a list: what it is and when it last changed, without number, holders and items."""

    id: str
    identifier: str
    type_code: str
    type_version: int
    version: int
    authority_code: str
    state: CertState
    issued_on: date
    valid_from: date
    valid_until: date | None
    source_system: str
    source_record_id: str
    source_version: int
    updated_at: datetime


@dataclass(frozen=True)
class LicenceFilter:
    """Which licences a list has; None leaves a member open.

    Attributes:
        changed_since: those that were issued or moved at this instant or later.
        holder_ended: only those still alive although a holder of theirs has ended.
    """

    authority_codes: frozenset[str]
    type_code: str | None = None
    state: CertState | None = None
    changed_since: datetime | None = None
    holder_ended: bool = False


@dataclass(frozen=True)
class HistoryEntry:
    """One line of a licence's history as its department reads it.

    Attributes:
        reason: what the department wrote, opened; None where it wrote nothing.
    """

    sequence: int
    operate_type: OperateType
    state: CertState
    reason: str | None
    source_system: str
    source_version: int
    batch_id: str
    occurred_at: datetime


@dataclass(frozen=True)
class Rejection:
    """Why one line of a batch was refused. `line` counts from 1; the detail has no personal data."""

    line: int
    code: str
    field: str
    detail: str


@dataclass(frozen=True)
class BatchReport:
    """What became of a batch: `accepted + unchanged + rejected` is the number of lines taken so far.

    Attributes:
        duplicates: those of the unchanged that repeat a row of this same batch.
        flagged: those of the accepted that something is wrong with, though nothing to refuse them for.
    """

    id: str
    source_system: str
    started_at: datetime
    finished_at: datetime | None
    accepted: int
    unchanged: int
    rejected: int
    flagged: int
    duplicates: int = 0
    rejections: tuple[Rejection, ...] = ()


@dataclass(frozen=True)
class Quality:
    """What a batch says of the data that the source keeps.

    Attributes:
        rejected_by_code: how many rows were refused for what, the most frequent first.
        flags: accepted rows with what is wrong with them, by line.
    """

    rejected_by_code: Mapping[str, int]
    flags: Sequence[Rejection]


@dataclass(frozen=True)
class IntakeSource:
    """Who sends rows.

    Attributes:
        system: the name of the sending system; record ids are unique within it.
        authority_codes: the issuing authorities it may write for, or None for an operator at the console.
    """

    system: str
    authority_codes: frozenset[str] | None


@dataclass
class CurrentLicence:
    """The newest licence of a source record, as an intake moves it along."""

    id: str
    identifier: str
    type_code: str
    authority_code: str
    version: int
    state: CertState
    source_version: int
    event_count: int
