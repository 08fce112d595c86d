"""What a chunk of intake rows will write, decided before anything is written. No database, no clock.

Rows are taken in the order in which they came: a later row of a record sees what an earlier one of the chunk did.
"""

import re
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from credentials.catalogue import Catalogue, ItemError, LicenceType, UnknownType
from credentials.catalogue.models import HolderCodeType
from credentials.registry.errors import IdentifierError, RowError
from credentials.registry.formats.gbt36903 import RESIDENT_ID, district_is_known
from credentials.registry.formats.gbt36904 import MAX_VERSION, Identifier
from credentials.registry.lifecycle import check_step
from credentials.registry.models import (
    CertState,
    CurrentLicence,
    HolderEntry,
    IntakeRow,
    IntakeSource,
    LicenceContent,
    Rejection,
    StateChange,
)
from credentials.registry.ports import Protector

_PERSON_CODE_TYPES = frozenset(kind for kind in HolderCodeType if not kind.of_organisation)
ID_FORM = re.compile(r"[0-9a-f]{32}")  # what `new_id` gives


@dataclass
class ChunkPlan:
    """One chunk: what the store knew of its records, and what is to be written.

    Attributes:
        current: the newest licence of each source record, moved along as rows are planned.
        named: licences that rows name by identifier to take their place, or that rows of this chunk made.
        known: (source record, source version) → digest of the row that brought it, and the batch that this row was in.
        line: the number of the row that is being planned.
        stored_counts: licence id → the number of events that its row in the store still counts.
    """

    now: datetime
    batch_id: str
    source: IntakeSource
    current: dict[str, CurrentLicence]
    named: dict[str, CurrentLicence]
    taken: set[str]
    known: dict[tuple[str, int], tuple[bytes, str]]
    line: int = 0
    stored_counts: dict[str, int] = field(default_factory=dict)
    fresh: dict[str, dict[str, Any]] = field(default_factory=dict)
    holders: dict[bytes, dict[str, Any]] = field(default_factory=dict)
    licence_holders: list[tuple[str, bytes, int]] = field(default_factory=list)
    licence_representatives: list[tuple[str, bytes, int]] = field(default_factory=list)
    moved: dict[str, CurrentLicence] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    changes: list[StateChange] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    flags: list[Rejection] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def flag(self, code: str, field: str, detail: str) -> None:
        """Note what is wrong with the row that is being planned, although it is accepted; once a row."""
        if self.flags and self.flags[-1].line == self.line:
            return
        self.flags.append(Rejection(self.line, code, field, detail))
        self.counts["flagged"] += 1


class Planner:
    """Decides row by row."""

    def __init__(self, catalogue: Catalogue, protector: Protector) -> None:
        self._catalogue = catalogue
        self._protector = protector

    def plan(self, chunk: ChunkPlan, row: IntakeRow) -> bool:
        """Plan one row; False when the store has it already."""
        digest = self._protector.blind_index("intake-row", _canonical(row))
        known = chunk.known.get((row.source_record_id, row.source_version))
        if known is not None:
            if known[0] != digest:
                raise RowError("source_version_conflict", "source_version", "this version was sent with other content")
            if known[1] == chunk.batch_id:
                chunk.counts["duplicates"] += 1
            return False
        current = chunk.current.get(row.source_record_id)
        if current is not None and row.source_version < current.source_version:
            raise RowError("source_version_outdated", "source_version", "the store holds a newer version")
        check_step(row.operate_type, row.cert_state, current.state if current else None)
        self._check_authority(chunk.source, current.authority_code if current else None)
        if row.content is None:
            assert current is not None, "check_step asks for a licence"
            self._check_state(current.type_code, row.cert_state)
            current.source_version = row.source_version
            self._move(chunk, current, row, row.cert_state, digest)
        else:
            self._renew_or_issue(chunk, current, row, row.content, digest)
        chunk.known[row.source_record_id, row.source_version] = (digest, chunk.batch_id)
        return True

    def _renew_or_issue(
        self, chunk: ChunkPlan, current: CurrentLicence | None, row: IntakeRow, content: LicenceContent, digest: bytes
    ) -> None:
        licence_type, items = self._checked(chunk.source, content)
        predecessor = _predecessor(chunk, current, content)
        if predecessor is not None and predecessor.type_code != licence_type.code:
            raise RowError("type_changed", "certificate_type_code", "a new version keeps the licence's type")
        version = current.version + 1 if current else 1
        identifier = self._identifier(chunk, content, version, licence_type)
        if predecessor is not None:  # also one that has lapsed: who cancels it at this moment must notice
            self._move(chunk, predecessor, row, CertState.LAPSED if current else CertState.CANCELLED, digest)
        licence_id = new_id(chunk.now)
        successor = CurrentLicence(
            id=licence_id,
            identifier=str(identifier),
            type_code=licence_type.code,
            authority_code=content.authority_code,
            version=version,
            state=CertState.VALID,
            source_version=row.source_version,
            event_count=1,
        )
        self._add_licence(chunk, successor, content, identifier, licence_type, items, row, predecessor)
        chunk.current[row.source_record_id] = chunk.named[successor.identifier] = successor
        chunk.events.append(self._event(chunk, successor, row, digest))

    def _checked(self, source: IntakeSource, content: LicenceContent) -> tuple[LicenceType, Mapping[str, object]]:
        """What only the type can say about a row's content."""
        try:
            licence_type = self._catalogue.by_certificate_type_code(content.type_code)
        except UnknownType as error:
            raise RowError("type_unknown", "certificate_type_code", "no type pack has this code") from error
        if content.authority_code not in {authority.code for authority in licence_type.issuing_authorities}:
            raise RowError(
                "authority_unknown", "certificate_issuing_authority_code", "this authority does not issue this type"
            )
        self._check_authority(source, content.authority_code)
        if len(content.holders) > 1 and not licence_type.joint_holders:
            raise RowError("holder_type_not_allowed", "certificate_holders", "this type has one holder only")
        for at, holder in enumerate(content.holders):
            if holder.code_type not in licence_type.holder_code_types:
                raise RowError(
                    "holder_type_not_allowed",
                    f"certificate_holders[{at}].certificate_holder_type",
                    "this type is not granted to holders of this kind",
                )
        try:
            items = licence_type.check_items(content.items)
        except ItemError as error:
            raise RowError(error.code, f"business_information.{error.field}", error.detail) from error
        _check_representatives(licence_type, content.representatives, items)
        return licence_type, items

    def _check_state(self, type_code: str, state: CertState) -> None:
        """A type lists the states that its licences can have. One whose pack is gone can still be ended."""
        try:
            allowed = self._catalogue.get(type_code).states
        except UnknownType:
            return
        if state not in allowed:
            raise RowError(
                "state_not_allowed", "cert_state", f"a licence of type {type_code} is never in state {state.value}"
            )

    def _check_authority(self, source: IntakeSource, authority_code: str | None) -> None:
        allowed = source.authority_codes
        if authority_code is not None and allowed is not None and authority_code not in allowed:
            raise RowError(
                "authority_not_yours", "certificate_issuing_authority_code", "you do not write for this authority"
            )

    def _identifier(
        self, chunk: ChunkPlan, content: LicenceContent, version: int, licence_type: LicenceType
    ) -> Identifier:
        """GB/T 36904: strict on what we make, lenient on what is out there already (`_flag` tells of it)."""
        if content.identifier is None:
            if version > MAX_VERSION:
                raise RowError("versions_exhausted", "source_record_id", "an identifier counts to version 999")
            serial = secrets.token_hex(10).upper()
            return Identifier.issue(content.type_code, content.authority_code, serial, version)
        try:
            identifier = Identifier.from_text(content.identifier)
        except IdentifierError as error:
            raise RowError("identifier_malformed", "certificate_identifier", error.detail) from error
        issuers = {content.authority_code, content.area_code, _area_of(licence_type, content.authority_code)}
        if identifier.type_code != content.type_code or identifier.authority_code not in issuers:
            raise RowError("identifier_mismatch", "certificate_identifier", "names another type or another authority")
        if content.identifier in chunk.taken:
            raise RowError("identifier_taken", "certificate_identifier", "another licence carries this identifier")
        chunk.taken.add(content.identifier)
        return identifier

    def _add_licence(
        self,
        chunk: ChunkPlan,
        licence: CurrentLicence,
        content: LicenceContent,
        identifier: Identifier,
        licence_type: LicenceType,
        items: Mapping[str, object],
        row: IntakeRow,
        predecessor: CurrentLicence | None,
    ) -> None:
        names = {authority.code: authority.name.zh for authority in licence_type.issuing_authorities}
        sealed = {"number": content.number, "holders": content.holders, "items": items}
        if content.representatives:
            sealed["representatives"] = content.representatives
        _flag(chunk, content, identifier)
        chunk.fresh[licence.id] = {
            "id": licence.id,
            "identifier": str(identifier),
            "identifier_check_failed": not identifier.check_holds,
            "type_code": licence_type.code,
            "type_version": licence_type.version,
            "version": licence.version,
            "authority_code": content.authority_code,
            "authority_name": names[content.authority_code],
            "area_code": content.area_code,
            "issued_on": content.issued_on,
            "valid_from": content.valid_from,
            "valid_until": content.valid_until,
            "state": licence.state.value,
            "holder_ended": False,  # known once the holders are locked
            "predecessor_id": predecessor.id if predecessor else None,
            "predecessor_identifier": predecessor.identifier if predecessor else content.predecessor_identifier,
            "number_index": self._protector.blind_index(f"number:{licence_type.code}", content.number),
            "content_sealed": self._protector.seal(orjson.dumps(sealed), f"licence.content:{licence.id}"),
            "source_system": chunk.source.system,
            "source_record_id": row.source_record_id,
            "source_version": row.source_version,
            "event_count": licence.event_count,
            "created_at": chunk.now,
            "updated_at": chunk.now,
        }
        for position, holder in enumerate(content.holders):
            index = self._add_holder(chunk, holder)
            chunk.licence_holders.append((licence.id, index, position))
        for position, person in enumerate(content.representatives):
            chunk.licence_representatives.append((licence.id, self._add_holder(chunk, person), position))

    def _add_holder(self, chunk: ChunkPlan, holder: HolderEntry) -> bytes:
        index = self._protector.blind_index("holder", f"{holder.code_type}:{holder.code}")
        place = index.hex()
        mobile = holder.mobile and self._protector.seal(holder.mobile.encode(), f"holder.mobile:{place}")
        known = chunk.holders.get(index)
        if known is not None:
            known["mobile_sealed"] = mobile or known["mobile_sealed"]
            return index
        chunk.holders[index] = {
            "id": new_id(chunk.now),
            "code_type": holder.code_type,
            "code_index": index,
            "code_sealed": self._protector.seal(holder.code.encode(), f"holder.code:{place}"),
            "name_sealed": self._protector.seal(holder.name.encode(), f"holder.name:{place}"),
            "mobile_sealed": mobile,
            "created_at": chunk.now,
        }
        return index

    def _move(self, chunk: ChunkPlan, licence: CurrentLicence, row: IntakeRow, state: CertState, digest: bytes) -> None:
        """Bring a licence to a new state with the event that says so."""
        licence.state = state
        licence.event_count += 1
        fresh = chunk.fresh.get(licence.id)
        if fresh is None:
            chunk.moved[licence.id] = licence
        else:  # made by an earlier row of this very chunk
            fresh.update(
                state=licence.state.value, source_version=licence.source_version, event_count=licence.event_count
            )
        chunk.changes.append(StateChange(licence.id, licence.state))
        chunk.events.append(self._event(chunk, licence, row, digest))

    def _event(self, chunk: ChunkPlan, licence: CurrentLicence, row: IntakeRow, digest: bytes) -> dict[str, Any]:
        place = f"licence_event.reason:{licence.id}:{licence.event_count}"
        return {
            "licence_id": licence.id,
            "sequence": licence.event_count,
            "operate_type": row.operate_type.value,
            "state": licence.state.value,
            "reason_sealed": row.reason and self._protector.seal(row.reason.encode(), place),
            "source_system": chunk.source.system,
            "source_record_id": row.source_record_id,
            "source_version": row.source_version,
            "row_digest": digest,
            "batch_id": chunk.batch_id,
            "occurred_at": chunk.now,
        }


def _area_of(licence_type: LicenceType, authority_code: str) -> str | None:
    return next(body.area_code for body in licence_type.issuing_authorities if body.code == authority_code)


def _flag(chunk: ChunkPlan, content: LicenceContent, identifier: Identifier) -> None:
    """What is taken as it is, because the holder is not to suffer for it, and told to the department."""
    if not identifier.check_holds:
        chunk.flag("identifier_check_failed", "certificate_identifier", "the check character is not the right one")
    if identifier.authority_code != content.authority_code:
        chunk.flag("identifier_area_code", "certificate_identifier", "names an area in place of the issuing authority")
    for role, parties in (("holder", content.holders), ("representative", content.representatives)):
        for at, party in enumerate(parties):
            if party.code_type == RESIDENT_ID and not district_is_known(party.code):
                field = f"certificate_{role}s[{at}].certificate_{role}_code"
                chunk.flag("district_unknown", field, "no district had these six digits in the year of birth")


def _canonical(row: IntakeRow) -> str:
    """What makes a row the same row. Members that came with a later version of this software count where they are
    given: a row that was taken before them stays known."""
    text = orjson.dumps(row, option=orjson.OPT_SORT_KEYS)
    for absent in (b',"representatives":[]', b',"predecessor_identifier":null'):
        text = text.replace(absent, b"")
    return text.decode()


def _predecessor(chunk: ChunkPlan, current: CurrentLicence | None, content: LicenceContent) -> CurrentLicence | None:
    """The licence that a new version takes the place of, where the store holds it.

    In a renewal or change it is the record's newest, and a row that names another is refused. A transfer in names one
    of another record, which its authority must have let go (05 to 06), or one that another city keeps.
    """
    field, named = "associated_certificate_identifier", content.predecessor_identifier
    if current is not None:
        if named not in (None, current.identifier):
            raise RowError("predecessor_mismatch", field, "this record's newest licence has another identifier")
        return current
    if named is None:
        return None
    try:
        Identifier.from_text(named)
    except IdentifierError as error:
        raise RowError("identifier_malformed", field, error.detail) from error
    predecessor = chunk.named.get(named)
    if predecessor is not None and predecessor.state is not CertState.TRANSFERRING_OUT:
        raise RowError("predecessor_not_transferring", field, "its authority has not let it go (05 with cert_state 06)")
    return predecessor


def _check_representatives(
    licence_type: LicenceType, persons: Sequence[HolderEntry], items: Mapping[str, object]
) -> None:
    """Who may act for an organisation is what its registration prints, and no other licence's business."""
    if not persons:
        return
    if licence_type.represented_by is None:
        raise RowError("representatives_not_allowed", "certificate_representatives", "this type names none")
    for at, person in enumerate(persons):
        if person.code_type not in _PERSON_CODE_TYPES:
            field = f"certificate_representatives[{at}].certificate_representative_type"
            raise RowError("representatives_not_allowed", field, "a representative is a natural person")
    if persons[0].name not in str(items.get(licence_type.represented_by, "")):
        field = "certificate_representatives[0].certificate_representative_name"
        raise RowError("representative_mismatch", field, f"{licence_type.represented_by} prints another name")


def new_id(now: datetime) -> str:
    """32 hex digits: milliseconds since 1970 (12), then 80 random bits. Later ids sort later: index pages stay warm."""
    return f"{int(now.timestamp() * 1000):012x}{secrets.token_hex(10)}"
