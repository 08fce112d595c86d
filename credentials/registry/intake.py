"""Taking in what departments send: one path for a single licence, a batch over HTTP and a file.

A chunk of rows is one transaction: licences, holders, events, the batch's counts and its rejections are written
together or not at all, so a process killed in the middle has taken whole chunks, and sending the same rows again
changes nothing.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Protocol

import orjson
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.catalogue import Catalogue, ItemError, LicenceType, UnknownType
from credentials.registry import repository
from credentials.registry.errors import IdentifierError, IntakeConflict, RowError, UnknownBatch
from credentials.registry.formats.gbt36903 import row_from_line
from credentials.registry.formats.gbt36904 import Identifier
from credentials.registry.lifecycle import check_step
from credentials.registry.models import (
    BatchReport,
    CertState,
    HolderEntry,
    IntakeRow,
    IntakeSource,
    LicenceContent,
    Rejection,
    StateChange,
)
from credentials.registry.ports import Clock, Protector, StateFollower
from credentials.registry.repository import CurrentLicence

CHUNK_ROWS = 500  # one transaction: long enough to spread its cost, short enough to repeat and to let others write
ATTEMPTS = 5  # of a chunk that met another writer on the same records


class UnitOfWork(Protocol):
    """Gives transactions; `wallet_api.database.Database` does."""

    def transaction(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session that commits when the block ends and rolls back when it raises."""
        ...


@dataclass
class _Chunk:
    """What one chunk will write, gathered before the first statement that changes anything."""

    now: datetime
    batch_id: str
    source: IntakeSource
    current: dict[str, CurrentLicence]
    taken: set[str]
    known: dict[tuple[str, int], bytes]
    stored_states: dict[str, CertState] = field(default_factory=dict)
    fresh: dict[str, dict[str, Any]] = field(default_factory=dict)
    holders: dict[bytes, dict[str, Any]] = field(default_factory=dict)
    licence_holders: list[tuple[str, bytes, int]] = field(default_factory=list)
    moved: dict[str, CurrentLicence] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    changes: list[StateChange] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


class Intake:
    """Takes rows into the store.

    Args:
        followers: told of every change of state, inside the transaction that makes it.
    """

    def __init__(
        self, catalogue: Catalogue, protector: Protector, clock: Clock, followers: Sequence[StateFollower] = ()
    ) -> None:
        self._catalogue = catalogue
        self._protector = protector
        self._clock = clock
        self._followers = followers

    async def take_all(
        self,
        uow: UnitOfWork,
        source: IntakeSource,
        lines: Iterable[bytes],
        progress: Callable[[int], None] = lambda rows: None,
    ) -> BatchReport:
        """Take a whole file, chunk by chunk, and report row by row.

        Args:
            lines: NDJSON rows; empty lines are passed over (they count as lines, not as rows).
            progress: called with the number of rows of each chunk once it is committed.

        Raises:
            IntakeConflict: a chunk met other writers on its records again and again; what came before it is kept.
        """
        async with uow.transaction() as session:
            batch_id = await self.open_batch(session, source)
        for chunk in _chunks(lines, CHUNK_ROWS):
            await self.take_chunk(uow, source, batch_id, chunk)
            progress(len(chunk))
        async with uow.transaction() as session:
            await repository.finish_batch(session, batch_id, self._clock.now())
            return await self.report(session, batch_id)

    async def open_batch(self, session: AsyncSession, source: IntakeSource) -> str:
        """Start a batch; its id is what the report is read by."""
        batch_id = new_id(self._clock.now())
        await repository.insert_batch(session, batch_id, source.system, self._clock.now())
        return batch_id

    async def take_chunk(
        self, uow: UnitOfWork, source: IntakeSource, batch_id: str, lines: Sequence[tuple[int, bytes]]
    ) -> None:
        """Take (line number, row) pairs in one transaction, again from the start when another writer was faster."""
        for _ in range(ATTEMPTS):
            try:
                async with uow.transaction() as session:
                    return await self._take(session, source, batch_id, lines)
            except DBAPIError as error:
                if not _another_writer(error):
                    raise
            except _Overtaken:
                continue
        raise IntakeConflict("other writers kept changing the same records; send the rows again")

    async def report(self, session: AsyncSession, batch_id: str, system: str | None = None) -> BatchReport:
        """What became of a batch, readable at any later time.

        Raises:
            UnknownBatch: it is not there, or not of `system`.
        """
        report = await repository.batch_report(session, batch_id, system)
        if report is None:
            raise UnknownBatch("there is no such batch")
        return report

    async def _take(
        self, session: AsyncSession, source: IntakeSource, batch_id: str, lines: Sequence[tuple[int, bytes]]
    ) -> None:
        rows = [(number, _parsed(line)) for number, line in lines]
        good = [row for _, row in rows if isinstance(row, IntakeRow)]
        records = {row.source_record_id for row in good}
        identifiers = [row.content.identifier for row in good if row.content and row.content.identifier]
        chunk = _Chunk(
            now=self._clock.now(),
            batch_id=batch_id,
            source=source,
            # In this order: a row that another writer commits in between is then known, and not taken for a clash.
            current=await repository.lock_current(session, source.system, records),
            taken=await repository.taken_identifiers(session, identifiers),
            known=await repository.known_versions(session, source.system, records),
        )
        chunk.stored_states = {held.id: held.state for held in chunk.current.values()}
        for number, row in rows:
            try:
                if isinstance(row, RowError):
                    raise row
                chunk.counts["accepted" if self._apply(chunk, row) else "unchanged"] += 1
            except RowError as error:
                chunk.rejections.append(Rejection(number, error.code, error.field, error.detail))
                chunk.counts["rejected"] += 1
        await self._write(session, chunk)

    def _apply(self, chunk: _Chunk, row: IntakeRow) -> bool:
        """Plan one row; False when the store has it already."""
        digest = self._protector.blind_index("intake-row", orjson.dumps(row, option=orjson.OPT_SORT_KEYS).decode())
        known = chunk.known.get((row.source_record_id, row.source_version))
        if known is not None:
            if known != digest:
                raise RowError("source_version_conflict", "source_version", "this version was sent with other content")
            return False
        current = chunk.current.get(row.source_record_id)
        if current is not None and row.source_version < current.source_version:
            raise RowError("source_version_outdated", "source_version", "the store holds a newer version")
        check_step(row, current.state if current else None)
        self._check_authority(chunk.source, current.authority_code if current else None)
        if row.content is None:
            assert current is not None, "check_step asks for a licence"
            self._move(chunk, current, row, row.cert_state, digest)
        else:
            self._renew_or_issue(chunk, current, row, row.content, digest)
        chunk.known[row.source_record_id, row.source_version] = digest
        return True

    def _renew_or_issue(
        self, chunk: _Chunk, current: CurrentLicence | None, row: IntakeRow, content: LicenceContent, digest: bytes
    ) -> None:
        licence_type, items = self._checked(chunk.source, content)
        if current is not None and current.type_code != licence_type.code:
            raise RowError("type_changed", "certificate_type_code", "a new version keeps the licence's type")
        version = current.version + 1 if current else 1
        identifier = self._identifier(chunk, content, version)
        if current is not None and current.state is not CertState.LAPSED:
            self._move(chunk, current, row, CertState.LAPSED, digest)
        licence_id = new_id(chunk.now)
        successor = CurrentLicence(
            id=licence_id,
            type_code=licence_type.code,
            authority_code=content.authority_code,
            version=version,
            state=CertState.VALID,
            source_version=row.source_version,
            event_count=1,
        )
        self._add_licence(chunk, successor, content, identifier, licence_type, items, row, current)
        chunk.current[row.source_record_id] = successor
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
            return licence_type, licence_type.check_items(content.items)
        except ItemError as error:
            raise RowError(error.code, f"business_information.{error.field}", error.detail) from error

    def _check_authority(self, source: IntakeSource, authority_code: str | None) -> None:
        allowed = source.authority_codes
        if authority_code is not None and allowed is not None and authority_code not in allowed:
            raise RowError(
                "authority_not_yours", "certificate_issuing_authority_code", "you do not write for this authority"
            )

    def _identifier(self, chunk: _Chunk, content: LicenceContent, version: int) -> Identifier:
        if content.identifier is None:
            serial = secrets.token_hex(10).upper()
            return Identifier.issue(content.type_code, content.authority_code, serial, version)
        try:
            identifier = Identifier.from_text(content.identifier)
        except IdentifierError as error:
            raise RowError("identifier_malformed", "certificate_identifier", error.detail) from error
        if (identifier.type_code, identifier.authority_code) != (content.type_code, content.authority_code):
            raise RowError("identifier_mismatch", "certificate_identifier", "names another type or another authority")
        if content.identifier in chunk.taken:
            raise RowError("identifier_taken", "certificate_identifier", "another licence carries this identifier")
        chunk.taken.add(content.identifier)
        return identifier

    def _add_licence(
        self,
        chunk: _Chunk,
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
        if not identifier.check_holds:
            chunk.counts["flagged"] += 1
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
            "predecessor_id": predecessor.id if predecessor else None,
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

    def _add_holder(self, chunk: _Chunk, holder: HolderEntry) -> bytes:
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

    def _move(self, chunk: _Chunk, licence: CurrentLicence, row: IntakeRow, state: CertState, digest: bytes) -> None:
        """Bring a licence to a new state with the event that says so."""
        licence.state = state
        licence.source_version = row.source_version
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

    def _event(self, chunk: _Chunk, licence: CurrentLicence, row: IntakeRow, digest: bytes) -> dict[str, Any]:
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

    async def _write(self, session: AsyncSession, chunk: _Chunk) -> None:
        for licence in sorted(chunk.moved.values(), key=lambda moved: moved.id):
            was = chunk.stored_states[licence.id]
            if not await repository.update_licence(session, licence, was=was, updated_at=chunk.now):
                raise _Overtaken
        if chunk.fresh:
            holder_ids = await repository.save_holders(session, list(chunk.holders.values()))
            await repository.insert_rows(session, repository.LICENCE, list(chunk.fresh.values()))
            links = [
                {"licence_id": licence_id, "holder_id": holder_ids[index], "position": position}
                for licence_id, index, position in chunk.licence_holders
            ]
            await repository.insert_rows(session, repository.LICENCE_HOLDER, links)
        await repository.insert_rows(session, repository.EVENT, chunk.events)
        for follower in self._followers if chunk.changes else ():
            await follower.follow(session, chunk.changes)
        refused = [
            {"batch_id": chunk.batch_id, "line": no.line, "code": no.code, "field": no.field, "detail": no.detail}
            for no in chunk.rejections
        ]
        await repository.insert_rows(session, repository.REJECTION, refused)
        await repository.add_to_batch(session, chunk.batch_id, chunk.counts)


class _Overtaken(Exception):
    """Another writer moved a licence of this chunk; take the chunk again."""


def new_id(now: datetime) -> str:
    """32 hex digits: milliseconds since 1970 (12), then 80 random bits. Later ids sort later: index pages stay warm."""
    return f"{int(now.timestamp() * 1000):012x}{secrets.token_hex(10)}"


def _parsed(line: bytes) -> IntakeRow | RowError:
    try:
        return row_from_line(line)
    except RowError as error:
        return error


def _chunks(lines: Iterable[bytes], size: int) -> Iterator[list[tuple[int, bytes]]]:
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    while chunk := list(islice(numbered, size)):
        yield chunk


def _another_writer(error: DBAPIError) -> bool:
    """Whether the database refused because of a concurrent writer: a taken unique key, a deadlock, a busy file."""
    state = getattr(error.orig, "sqlstate", None)  # asyncpg
    return state in {"23505", "40P01", "40001"} or "UNIQUE constraint" in str(error.orig)
