"""All SQL of the registry. Values in, values out; transactions belong to the caller."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from operator import itemgetter
from typing import Any

from asyncpg import PostgresError
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Row,
    Select,
    Table,
    TextClause,
    and_,
    any_,
    bindparam,
    column,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    union,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from credentials.registry import feeds
from credentials.registry.errors import Overtaken
from credentials.registry.models import (
    BatchReport,
    CertState,
    CurrentLicence,
    LicenceFilter,
    Rejection,
)
from credentials.registry.tables import (
    OF_ENDED_HOLDER,
    HolderEndRow,
    HolderRow,
    IntakeBatchRow,
    IntakeFlagRow,
    IntakeRejectionRow,
    LicenceEventRow,
    LicenceHolderRow,
    LicenceRepresentativeRow,
    LicenceRow,
)


def _table(row: type[SQLModel]) -> Table:
    table: Table = row.__table__  # type: ignore[attr-defined]
    return table


OTHER_WRITER = {"23505", "40P01", "40001"}  # PostgreSQL: a taken unique key, a deadlock, a failed serialization
_PARAMETERS = 10_000  # of one statement: SQLite takes 32,766

LICENCE, HOLDER, EVENT = _table(LicenceRow), _table(HolderRow), _table(LicenceEventRow)
LICENCE_HOLDER, LICENCE_REPRESENTATIVE = _table(LicenceHolderRow), _table(LicenceRepresentativeRow)
HOLDER_END = _table(HolderEndRow)
BATCH, REJECTION = _table(IntakeBatchRow), _table(IntakeRejectionRow)
FLAG = _table(IntakeFlagRow)


@contextmanager
def told_of_other_writers() -> Iterator[None]:
    """Raise `Overtaken` where the database refuses because of a concurrent writer.

    A COPY does not go through SQLAlchemy, so that what it raises comes from the driver.
    """
    try:
        yield
    except (DBAPIError, PostgresError) as error:
        refused = error.orig if isinstance(error, DBAPIError) else error
        said = str(refused) if isinstance(error, DBAPIError) else ""  # SQLite has no codes here
        if getattr(refused, "sqlstate", None) in OTHER_WRITER or "UNIQUE constraint" in said or "is locked" in said:
            raise Overtaken from error
        if isinstance(error, PostgresError):
            raise OperationalError("COPY", None, error) from error
        raise


def _is_postgresql(session: AsyncSession) -> bool:
    return session.get_bind().dialect.name == "postgresql"


async def _among(
    session: AsyncSession, statement: Select[Any], member: ColumnElement[Any], values: Iterable[Any]
) -> list[Row[Any]]:
    """The rows whose column has one of the values, however many: one array on PostgreSQL, lists of them on SQLite."""
    wanted = list(values)
    if _is_postgresql(session):
        within = member == any_(literal(wanted, ARRAY(member.type)))
        return list(await session.execute(statement.where(within))) if wanted else []
    found: list[Row[Any]] = []
    for start in range(0, len(wanted), _PARAMETERS):
        found += await session.execute(statement.where(member.in_(wanted[start : start + _PARAMETERS])))
    return found


def _unnested(table: Table, rows: Sequence[Mapping[str, Any]]) -> FromClause:
    """Rows as a table of their own: one array a column (PostgreSQL)."""
    columns = [table.c[name] for name in rows[0]]
    arrays = (literal([row[each.name] for row in rows], ARRAY(each.type)) for each in columns)
    return func.unnest(*arrays).table_valued(*(column(each.name, each.type) for each in columns)).render_derived()


async def known_versions(
    session: AsyncSession, system: str, records: Iterable[str]
) -> dict[tuple[str, int], tuple[bytes, str]]:
    """(record, source version) → digest of the row that brought it, and its batch."""
    statement = select(EVENT.c.source_record_id, EVENT.c.source_version, EVENT.c.row_digest, EVENT.c.batch_id)
    found = await _among(session, statement.where(EVENT.c.source_system == system), EVENT.c.source_record_id, records)
    return {(row.source_record_id, row.source_version): (row.row_digest, row.batch_id) for row in found}


_CURRENT = ("id", "identifier", "type_code", "authority_code", "version", "state", "source_version", "event_count")


async def current_licences(
    session: AsyncSession, system: str, records: Iterable[str], *, lock: bool = False
) -> dict[str, CurrentLicence]:
    """The newest licence of each record.

    Args:
        lock: hold the rows until the transaction ends. In id order: no deadlocks.
    """
    statement = (
        select(LICENCE.c.source_record_id, *(LICENCE.c[member] for member in _CURRENT))
        .where(LICENCE.c.source_system == system)
        .order_by(LICENCE.c.id)
    )
    if lock:
        statement = statement.with_for_update()
    current: dict[str, CurrentLicence] = {}
    for row in await _among(session, statement, LICENCE.c.source_record_id, records):
        held = current.get(row.source_record_id)
        if held is None or held.version < row.version:
            current[row.source_record_id] = _current(row)
    return current


async def named_licences(
    session: AsyncSession, identifiers: Sequence[str], current: Iterable[CurrentLicence], *, lock: bool = False
) -> dict[str, CurrentLicence]:
    """Licences by identifier, locked as `current_licences` locks; one that is among `current` is that very object."""
    known = {held.id: held for held in current}
    statement = select(*(LICENCE.c[member] for member in _CURRENT)).order_by(LICENCE.c.id)
    found = await _among(session, statement.with_for_update() if lock else statement, LICENCE.c.identifier, identifiers)
    return {row.identifier: known.get(row.id) or _current(row) for row in found}


def _current(row: Row[Any]) -> CurrentLicence:
    found = {member: getattr(row, member) for member in _CURRENT}
    return CurrentLicence(**found | {"state": CertState(row.state)})


async def taken_identifiers(session: AsyncSession, identifiers: Iterable[str]) -> set[str]:
    """Which of these identifiers the store holds already."""
    found = await _among(session, select(LICENCE.c.identifier), LICENCE.c.identifier, identifiers)
    return {row.identifier for row in found}


async def save_holders(session: AsyncSession, holders: Iterable[Mapping[str, Any]]) -> dict[bytes, str]:
    """Insert who is new, renew the mobile number of who brings one; code index → holder id for all of them."""
    ordered = sorted(holders, key=lambda holder: bytes(holder["code_index"]))  # one lock order for all writers
    bare = upsert(HOLDER)
    brought = bare.excluded.mobile_sealed
    statement = bare.on_conflict_do_update(
        index_elements=["code_index"], set_={"mobile_sealed": brought}, where=brought.is_not(None)
    )
    if _is_postgresql(session):
        await session.execute(statement.from_select(list(ordered[0]), select(_unnested(HOLDER, ordered))))
    else:
        await session.execute(statement, ordered)
    return await holder_ids(session, [holder["code_index"] for holder in ordered])


async def holder_ids(session: AsyncSession, code_indexes: Iterable[bytes]) -> dict[bytes, str]:
    """Code index → holder id, for those that the store knows."""
    found = await _among(session, select(HOLDER.c.code_index, HOLDER.c.id), HOLDER.c.code_index, code_indexes)
    return {row.code_index: row.id for row in found}


async def insert_events(session: AsyncSession, events: Sequence[dict[str, Any]]) -> None:
    """Write history; the number of the writing transaction, which orders the feed, is added to each event."""
    if events:
        written_in = await feeds.writing_transaction(session)
        for event in events:
            event["written_in"] = written_in
        await insert_rows(session, EVENT, events)


async def insert_rows(session: AsyncSession, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert many rows of one table, all with the same columns: COPY on PostgreSQL, one prepared statement on SQLite.

    A COPY is not announced to SQLAlchemy, which opens the transaction with its first statement: the caller must have
    executed one.
    """
    if rows and _is_postgresql(session):
        columns = list(rows[0])
        connection = await (await session.connection()).get_raw_connection()
        assert connection.driver_connection is not None, "it is open"
        records = map(itemgetter(*columns), rows)
        await connection.driver_connection.copy_records_to_table(table.name, columns=columns, records=records)
    elif rows:
        await session.execute(insert(table), rows)


async def move_licences(
    session: AsyncSession, licences: Sequence[CurrentLicence], seen: Mapping[str, int], updated_at: datetime
) -> bool:
    """Move licences' states by compare-and-set; False when a history no longer has as many events as were `seen`.

    Rows are locked in id order: no deadlocks.
    """
    values = [
        {
            "id": licence.id,
            "state": licence.state.value,
            "source_version": licence.source_version,
            "event_count": licence.event_count,
            "updated_at": updated_at,
        }
        for licence in sorted(licences, key=lambda moved: moved.id)
    ]
    if not values:
        return True
    held = await _among(
        session,
        select(LICENCE.c.id, LICENCE.c.event_count).order_by(LICENCE.c.id).with_for_update(),
        LICENCE.c.id,
        [value["id"] for value in values],
    )
    if {row.id: row.event_count for row in held} != {value["id"]: seen[str(value["id"])] for value in values}:
        return False
    if _is_postgresql(session):
        new = _unnested(LICENCE, values)
        changes = {name: new.c[name] for name in values[0] if name != "id"}
        await session.execute(update(LICENCE).where(LICENCE.c.id == new.c.id).values(changes))
    else:
        moving = [{"moved_id": value.pop("id"), **value} for value in values]
        await session.execute(update(LICENCE).where(LICENCE.c.id == bindparam("moved_id")), moving)
    return True


async def licence_row(session: AsyncSession, licence_id: str, *, lock: bool = False) -> Row[Any] | None:
    """One licence as stored, locked for the transaction when asked."""
    statement = select(LICENCE).where(LICENCE.c.id == licence_id)
    return (await session.execute(statement.with_for_update() if lock else statement)).first()


async def licence_rows(session: AsyncSession, licence_ids: Sequence[str]) -> list[Row[Any]]:
    """Licences as stored, in the order of their ids given."""
    place = {licence_id: at for at, licence_id in enumerate(licence_ids)}
    found = await session.execute(select(LICENCE).where(LICENCE.c.id.in_(licence_ids)))
    return sorted(found, key=lambda row: place[row.id])


async def licence_id_by_identifier(session: AsyncSession, identifier: str) -> str | None:
    """The licence that carries this identifier."""
    found = await session.execute(select(LICENCE.c.id).where(LICENCE.c.identifier == identifier))
    return found.scalar_one_or_none()


async def licence_ids_by_number(session: AsyncSession, number_index: bytes) -> list[str]:
    """Every version of the licences that carry this number, oldest first."""
    statement = select(LICENCE.c.id).where(LICENCE.c.number_index == number_index).order_by(LICENCE.c.version)
    return list((await session.execute(statement)).scalars())


async def licence_ids_of_holder(session: AsyncSession, holder_id: str) -> list[str]:
    """Every licence, of whatever state, that names this holder; the newest first."""
    statement = (
        select(LICENCE.c.id)
        .join(LICENCE_HOLDER, LICENCE_HOLDER.c.licence_id == LICENCE.c.id)
        .where(LICENCE_HOLDER.c.holder_id == holder_id)
        .order_by(LICENCE.c.created_at.desc(), LICENCE.c.id)
    )
    return list((await session.execute(statement)).scalars())


async def licence_ids_where(
    session: AsyncSession, *, type_code: str | None, last_day_until: date | None, last_day_from: date | None, limit: int
) -> list[str]:
    """Valid licences of a type and with a last day in a range; the one that ends first comes first."""
    statement = select(LICENCE.c.id).where(LICENCE.c.state == CertState.VALID.value)
    if type_code is not None:
        statement = statement.where(LICENCE.c.type_code == type_code)
    if last_day_until is not None:
        statement = statement.where(LICENCE.c.valid_until <= last_day_until)
    if last_day_from is not None:
        statement = statement.where(or_(LICENCE.c.valid_until >= last_day_from, LICENCE.c.valid_until.is_(None)))
    statement = statement.order_by(LICENCE.c.valid_until, LICENCE.c.id).limit(limit)
    return list((await session.execute(statement)).scalars())


def _in_force(today: date) -> ColumnElement[bool]:
    """As `Licence.in_force`."""
    return and_(LICENCE.c.valid_from <= today, _in_force_from(today))


def _in_force_from(today: date) -> ColumnElement[bool]:
    """In force today, or from a later day on."""
    not_over = or_(LICENCE.c.valid_until >= today, LICENCE.c.valid_until.is_(None))
    return and_(LICENCE.c.state == CertState.VALID.value, not_over)


async def licences_in_force(
    session: AsyncSession, holder_id: str, type_codes: Iterable[str], today: date
) -> list[tuple[str, str]]:
    """(type code, licence id) of a holder's licences of these types that are valid today, the newest first."""
    statement = (
        select(LICENCE.c.type_code, LICENCE.c.id)
        .join(LICENCE_HOLDER, LICENCE_HOLDER.c.licence_id == LICENCE.c.id)
        .where(
            LICENCE_HOLDER.c.holder_id == holder_id,
            LICENCE.c.type_code.in_(list(type_codes)),
            _in_force(today),
        )
        .order_by(LICENCE.c.issued_on.desc(), LICENCE.c.created_at.desc(), LICENCE.c.id.desc())
    )
    return [(type_code, licence_id) for type_code, licence_id in await session.execute(statement)]


async def lineage_ids(session: AsyncSession, licence_id: str) -> list[str]:
    """A licence, all that it took the place of and all that took its place, the oldest first."""
    start = select(LICENCE.c.id, LICENCE.c.predecessor_id, literal(0).label("place")).where(LICENCE.c.id == licence_id)
    older, newer = start.cte("older", recursive=True), start.cte("newer", recursive=True)
    older = older.union_all(
        select(LICENCE.c.id, LICENCE.c.predecessor_id, older.c.place - 1).where(LICENCE.c.id == older.c.predecessor_id)
    )
    newer = newer.union_all(
        select(LICENCE.c.id, LICENCE.c.predecessor_id, newer.c.place + 1).where(LICENCE.c.predecessor_id == newer.c.id)
    )
    both = union(select(older.c.id, older.c.place), select(newer.c.id, newer.c.place)).subquery()
    return list((await session.execute(select(both.c.id).order_by(both.c.place))).scalars())


async def successor_id(session: AsyncSession, licence_id: str) -> str | None:
    """The version that a renewal or change put in the place of this one."""
    found = await session.execute(select(LICENCE.c.id).where(LICENCE.c.predecessor_id == licence_id))
    return found.scalar_one_or_none()


async def licences_page(
    session: AsyncSession, wanted: LicenceFilter, after: tuple[datetime, str] | None, limit: int
) -> list[Row[Any]]:
    """Licences by (updated_at, id), those after a place. Each authority's own index range is read in order and cut
    at the limit: one condition over several authorities would sort all that they ever issued."""
    if not wanted.authority_codes:
        return []
    narrowed: list[ColumnElement[bool] | TextClause] = []
    if wanted.type_code is not None:
        narrowed.append(LICENCE.c.type_code == wanted.type_code)
    if wanted.state is not None:
        narrowed.append(LICENCE.c.state == wanted.state.value)
    if wanted.changed_since is not None:
        narrowed.append(LICENCE.c.updated_at >= wanted.changed_since)
    if wanted.holder_ended:
        narrowed.append(OF_ENDED_HOLDER)
    if after is not None:
        narrowed.append(tuple_(LICENCE.c.updated_at, LICENCE.c.id) > after)
    ranges = [
        select(
            select(LICENCE)
            .where(LICENCE.c.authority_code == code, *narrowed)
            .order_by(LICENCE.c.updated_at, LICENCE.c.id)
            .limit(limit)
            .subquery()
        )
        for code in sorted(wanted.authority_codes)
    ]
    merged = union_all(*ranges).subquery()
    return list(await session.execute(select(merged).order_by(merged.c.updated_at, merged.c.id).limit(limit)))


async def history_page(session: AsyncSession, licence_id: str, after: int, limit: int) -> list[Row[Any]]:
    """The events of one licence, oldest first, those after a sequence number."""
    statement = select(EVENT).where(EVENT.c.licence_id == licence_id, EVENT.c.sequence > after)
    return list(await session.execute(statement.order_by(EVENT.c.sequence).limit(limit)))


async def batches_page(session: AsyncSession, system: str, before: str | None, limit: int) -> list[BatchReport]:
    """A system's batches without their rejections, the newest first, those before an id."""
    statement = select(BATCH).where(BATCH.c.source_system == system)
    if before is not None:
        statement = statement.where(BATCH.c.id < before)
    found = await session.execute(statement.order_by(BATCH.c.id.desc()).limit(limit))
    return [BatchReport(**batch._mapping) for batch in found]


async def holders_of(session: AsyncSession, licence_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Licence id → holder ids in the order that the licence names them."""
    found = await session.execute(
        select(LICENCE_HOLDER.c.licence_id, LICENCE_HOLDER.c.holder_id)
        .where(LICENCE_HOLDER.c.licence_id.in_(licence_ids))
        .order_by(LICENCE_HOLDER.c.licence_id, LICENCE_HOLDER.c.position)
    )
    holders: dict[str, list[str]] = {}
    for licence_id, holder_id in found:
        holders.setdefault(licence_id, []).append(holder_id)
    return {licence_id: tuple(ids) for licence_id, ids in holders.items()}


async def holder_row(session: AsyncSession, holder_id: str) -> Row[Any] | None:
    """One holder as stored."""
    return (await session.execute(select(HOLDER).where(HOLDER.c.id == holder_id))).first()


async def holder_rows(session: AsyncSession, limit: int) -> list[Row[Any]]:
    """Some holders, in id order."""
    return list(await session.execute(select(HOLDER).order_by(HOLDER.c.id).limit(limit)))


async def holder_rows_by_id(session: AsyncSession, holder_ids: Collection[str]) -> list[Row[Any]]:
    """These holders, as far as they are there."""
    return list(await session.execute(select(HOLDER).where(HOLDER.c.id.in_(holder_ids))))


async def holder_row_by_code(session: AsyncSession, code_index: bytes) -> Row[Any] | None:
    """The holder whose identity number has this blind index."""
    return (await session.execute(select(HOLDER).where(HOLDER.c.code_index == code_index))).first()


async def holder_rows_represented_by(session: AsyncSession, person_holder_id: str, today: date) -> list[Row[Any]]:
    """Holders of licences in force today that name this person, who has not ended, to act for them, in id order."""
    licences = (
        select(LICENCE.c.id)
        .join(LICENCE_REPRESENTATIVE, LICENCE_REPRESENTATIVE.c.licence_id == LICENCE.c.id)
        .join(HOLDER, HOLDER.c.id == LICENCE_REPRESENTATIVE.c.holder_id)
        .where(HOLDER.c.id == person_holder_id, HOLDER.c.ended.is_(False), _in_force(today))
    )
    holders = select(LICENCE_HOLDER.c.holder_id).where(LICENCE_HOLDER.c.licence_id.in_(licences))
    return list(await session.execute(select(HOLDER).where(HOLDER.c.id.in_(holders)).order_by(HOLDER.c.id)))


async def representatives_of(
    session: AsyncSession, holder_ids: Collection[str], today: date
) -> dict[str, tuple[str, ...]]:
    """Holder → persons named by licences in force today or later, in their order; without those who have ended."""
    statement = (
        select(LICENCE_HOLDER.c.holder_id, LICENCE_REPRESENTATIVE.c.holder_id)
        .join(LICENCE, LICENCE.c.id == LICENCE_HOLDER.c.licence_id)
        .join(LICENCE_REPRESENTATIVE, LICENCE_REPRESENTATIVE.c.licence_id == LICENCE.c.id)
        .join(HOLDER, HOLDER.c.id == LICENCE_REPRESENTATIVE.c.holder_id)
        .where(LICENCE_HOLDER.c.holder_id.in_(holder_ids), HOLDER.c.ended.is_(False), _in_force_from(today))
        .order_by(LICENCE_HOLDER.c.holder_id, LICENCE.c.id, LICENCE_REPRESENTATIVE.c.position)
    )
    found: dict[str, dict[str, None]] = {}
    for holder_id, person_id in await session.execute(statement):
        found.setdefault(holder_id, {})[person_id] = None
    return {holder_id: tuple(persons) for holder_id, persons in found.items()}


async def ids_beside_representing(session: AsyncSession, licence_ids: Collection[str]) -> list[str]:
    """Licences whose holder also holds one of these, where that one names a representative."""
    naming = select(LICENCE_REPRESENTATIVE.c.licence_id).where(LICENCE_REPRESENTATIVE.c.licence_id.in_(licence_ids))
    holders = select(LICENCE_HOLDER.c.holder_id).where(LICENCE_HOLDER.c.licence_id.in_(naming))
    others = select(LICENCE_HOLDER.c.licence_id).where(
        LICENCE_HOLDER.c.holder_id.in_(holders), LICENCE_HOLDER.c.licence_id.not_in(licence_ids)
    )
    return list(await session.scalars(others.distinct().order_by(LICENCE_HOLDER.c.licence_id)))


async def ids_naming(session: AsyncSession, holder_ids: Collection[str]) -> list[str]:
    """Licences of these holders, and of all for whom a licence, in force or not, names one of them to act."""
    naming = select(LICENCE_REPRESENTATIVE.c.licence_id).where(LICENCE_REPRESENTATIVE.c.holder_id.in_(holder_ids))
    represented = select(LICENCE_HOLDER.c.holder_id).where(LICENCE_HOLDER.c.licence_id.in_(naming))
    theirs = select(LICENCE_HOLDER.c.licence_id).where(
        or_(LICENCE_HOLDER.c.holder_id.in_(holder_ids), LICENCE_HOLDER.c.holder_id.in_(represented))
    )
    return list(await session.scalars(theirs.distinct().order_by(LICENCE_HOLDER.c.licence_id)))


async def lock_licences_held(session: AsyncSession, code_indexes: Iterable[bytes]) -> None:
    """Hold the licences of these holders until the transaction ends, in the order of all writers."""
    statement = (
        select(LICENCE.c.id)
        .join(LICENCE_HOLDER, LICENCE_HOLDER.c.licence_id == LICENCE.c.id)
        .join(HOLDER, HOLDER.c.id == LICENCE_HOLDER.c.holder_id)
        .order_by(LICENCE.c.id)
        .with_for_update(of=LICENCE, key_share=True)
    )
    await _among(session, statement, HOLDER.c.code_index, code_indexes)


async def lock_holders(session: AsyncSession, code_indexes: Iterable[bytes]) -> dict[bytes, Row[Any]]:
    """Code index → id and `ended` of those that the store knows, held until the transaction ends."""
    statement = select(HOLDER.c.code_index, HOLDER.c.id, HOLDER.c.ended).order_by(HOLDER.c.code_index)
    found = await _among(session, statement.with_for_update(key_share=True), HOLDER.c.code_index, code_indexes)
    return {row.code_index: row for row in found}


async def ended_among(session: AsyncSession, holder_ids: Iterable[str]) -> frozenset[str]:
    """Which of these holders have ended."""
    statement = select(HOLDER.c.id).where(HOLDER.c.ended.is_(True))
    return frozenset(row.id for row in await _among(session, statement, HOLDER.c.id, holder_ids))


async def ends_of(session: AsyncSession, holder_ids: Iterable[str]) -> list[Row[Any]]:
    """All that registers ever said of these holders' ends."""
    return await _among(session, select(HOLDER_END), HOLDER_END.c.holder_id, holder_ids)


async def insert_ends(session: AsyncSession, ends: Sequence[dict[str, Any]]) -> None:
    """Write what registers say, as `insert_events` writes history."""
    if ends:
        written_in = await feeds.writing_transaction(session)
        await session.execute(insert(HOLDER_END), [end | {"written_in": written_in} for end in ends])


async def mark_ended(session: AsyncSession, holder_ids: Collection[str], *, ended: bool) -> None:
    """Say of holders whether they have ended, and of their licences whether any holder has. All are locked."""
    if not holder_ids:
        return
    await session.execute(update(HOLDER).where(HOLDER.c.id.in_(holder_ids)).values(ended=ended))
    any_ended = (
        select(LICENCE_HOLDER.c.licence_id)
        .join(HOLDER, HOLDER.c.id == LICENCE_HOLDER.c.holder_id)
        .where(LICENCE_HOLDER.c.licence_id == LICENCE.c.id, HOLDER.c.ended.is_(True))
        .exists()
    )
    held = select(LICENCE_HOLDER.c.licence_id).where(LICENCE_HOLDER.c.holder_id.in_(holder_ids))
    await session.execute(update(LICENCE).where(LICENCE.c.id.in_(held)).values(holder_ended=any_ended))


async def ids_of_type(session: AsyncSession, type_code: str, after: str | None, limit: int) -> list[str]:
    """A part of a type's licences, by id."""
    statement = select(LICENCE.c.id).where(LICENCE.c.type_code == type_code)
    if after is not None:
        statement = statement.where(LICENCE.c.id > after)
    return list(await session.scalars(statement.order_by(LICENCE.c.id).limit(limit)))


async def count_licences(session: AsyncSession) -> int:
    """How many licence rows the store holds."""
    count: int = (await session.execute(select(func.count()).select_from(LICENCE))).scalar_one()
    return count


async def insert_batch(session: AsyncSession, batch_id: str, system: str, now: datetime) -> None:
    """Open a batch with all counts at zero."""
    counts = dict.fromkeys(("accepted", "unchanged", "rejected", "flagged", "duplicates"), 0)
    await session.execute(insert(BATCH).values(id=batch_id, source_system=system, started_at=now, **counts))


async def add_to_batch(session: AsyncSession, batch_id: str, counts: Mapping[str, int]) -> None:
    """Add a chunk's counts to its batch, in the chunk's own transaction."""
    added = {name: BATCH.c[name] + count for name, count in counts.items()}
    await session.execute(update(BATCH).where(BATCH.c.id == batch_id).values(**added))


async def finish_batch(session: AsyncSession, batch_id: str, now: datetime) -> None:
    """Note that every line of the batch was taken."""
    await session.execute(update(BATCH).where(BATCH.c.id == batch_id).values(finished_at=now))


async def batch_report(
    session: AsyncSession, batch_id: str, system: str | None, after_line: int, limit: int
) -> BatchReport | None:
    """A batch with some of its rejections; None when it is not there, or not of this system."""
    statement = select(BATCH).where(BATCH.c.id == batch_id)
    if system is not None:
        statement = statement.where(BATCH.c.source_system == system)
    batch = (await session.execute(statement)).first()
    if batch is None:
        return None
    refused = await session.execute(
        select(REJECTION)
        .where(REJECTION.c.batch_id == batch_id, REJECTION.c.line > after_line)
        .order_by(REJECTION.c.line)
        .limit(limit)
    )
    return BatchReport(
        id=batch.id,
        source_system=batch.source_system,
        started_at=batch.started_at,
        finished_at=batch.finished_at,
        accepted=batch.accepted,
        unchanged=batch.unchanged,
        rejected=batch.rejected,
        flagged=batch.flagged,
        duplicates=batch.duplicates,
        rejections=tuple(Rejection(row.line, row.code, row.field, row.detail) for row in refused),
    )


async def rejections_by_code(session: AsyncSession, batch_id: str) -> dict[str, int]:
    """How many rows of a batch were refused for what, the most frequent first."""
    statement = select(REJECTION.c.code, func.count()).where(REJECTION.c.batch_id == batch_id)
    counts = await session.execute(statement.group_by(REJECTION.c.code).order_by(func.count().desc(), REJECTION.c.code))
    return {row[0]: row[1] for row in counts}


async def flags(session: AsyncSession, batch_id: str, after_line: int, limit: int) -> list[Rejection]:
    """What is wrong with accepted rows of a batch, by line."""
    statement = select(FLAG).where(FLAG.c.batch_id == batch_id, FLAG.c.line > after_line)
    found = await session.execute(statement.order_by(FLAG.c.line).limit(limit))
    return [Rejection(row.line, row.code, row.field, row.detail) for row in found]
