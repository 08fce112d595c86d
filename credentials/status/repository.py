"""All SQL about status lists."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, and_, delete, false, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from credentials.status.models import Allocation, DueList, StatusList, StatusListFormat, StatusValue
from credentials.status.tables import StatusEntryRow, StatusListRow, StatusRangeRow, StatusTokenRow

_lists = SQLModel.metadata.tables[str(StatusListRow.__tablename__)]
_ranges = SQLModel.metadata.tables[str(StatusRangeRow.__tablename__)]
_entries = SQLModel.metadata.tables[str(StatusEntryRow.__tablename__)]
_tokens = SQLModel.metadata.tables[str(StatusTokenRow.__tablename__)]
_INVALID = StatusValue.INVALID.value


class StatusRepository:
    """Status lists, in the caller's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def _execute(self, statement: Any, rows: Sequence[dict[str, Any]] | None = None) -> Sequence[RowMapping]:
        """Rows to insert are given beside the statement: it is then compiled once, however many there are."""
        result = await (await self._session.connection()).execute(statement, rows)
        return result.mappings().all() if result.returns_rows else ()

    async def take(self, count: int, *, decoys_of: int | None = None) -> Allocation | None:
        """Take counter values out of the first range that has them and that no other transaction is taking from.

        The row is locked first and updated then. One statement for both, an UPDATE with the lock in its subquery,
        runs that subquery anew when the row has changed meanwhile; it then holds two locks, and deadlocks.

        Args:
            count: how many values, all of one range.
            decoys_of: a list whose decoys are wanted, instead of values for credentials of any list.

        Returns:
            The values, or None when all ranges are used up or busy (PostgreSQL; SQLite has one writer anyway).
        """
        for_credentials = _ranges.c.decoys.is_(False)
        whose = for_credentials if decoys_of is None else and_(_ranges.c.decoys, _ranges.c.list_id == decoys_of)
        rows = await self._execute(
            select(_lists, _ranges.c.range_end, _ranges.c.first_free)
            .join_from(_ranges, _lists, _ranges.c.list_id == _lists.c.list_id)
            .where(_ranges.c.first_free + count <= _ranges.c.range_end, whose)
            .order_by(_ranges.c.list_id, _ranges.c.range_end)
            .limit(1)
            .with_for_update(of=_ranges, skip_locked=True)
        )
        if not rows:
            return None
        status_list, first = _status_list(rows[0]), rows[0]["first_free"]
        await self._execute(
            update(_ranges)
            .where(_ranges.c.list_id == status_list.list_id, _ranges.c.range_end == rows[0]["range_end"])
            .values(first_free=first + count)
        )
        return Allocation(status_list, rows[0]["sealed_permutation_key"], first, first + count)

    async def next_list_id(self) -> int:
        """The number after the highest."""
        rows = await self._execute(select(func.coalesce(func.max(_lists.c.list_id), 0).label("highest")))
        return int(rows[0]["highest"]) + 1

    async def add_list(self, row: StatusListRow, ranges: Sequence[StatusRangeRow]) -> bool:
        """Insert a list, unless another transaction has just opened it; then wait for that one and tell who won."""
        statement = insert(_lists).values(**row.model_dump()).on_conflict_do_nothing().returning(_lists.c.list_id)
        added = bool(await self._execute(statement))
        if added:
            await self._execute(insert(_ranges), [each.model_dump() for each in ranges])
        return added

    async def count_roomy(self, percent_used: int) -> int:
        """How many lists are used less than so far."""
        left = func.sum(_ranges.c.range_end - _ranges.c.first_free)
        roomy = (
            select(_lists.c.list_id)
            .join_from(_lists, _ranges, _ranges.c.list_id == _lists.c.list_id)
            .where(_ranges.c.decoys.is_(False))
            .group_by(_lists.c.list_id, _lists.c.size)
            .having(left * 100 > _lists.c.size * (100 - percent_used))
        )
        return len(await self._execute(roomy))

    async def drop_used_ranges(self) -> None:
        """Forget ranges that are used up, so that taking need not pass them over."""
        await self._execute(delete(_ranges).where(_ranges.c.first_free == _ranges.c.range_end))

    async def by_uri(self, uris: Sequence[str]) -> dict[str, StatusList]:
        """The lists that exist, by their URI."""
        rows = await self._execute(select(_lists).where(_lists.c.uri.in_(uris)))
        return {row["uri"]: _status_list(row) for row in rows}

    async def write(self, list_id: int, indexes: Sequence[int], value: StatusValue) -> int:
        """Set entries that are not INVALID; how many changed."""
        rows: list[dict[str, Any]] | None = None
        if value is StatusValue.VALID:
            statement: Any = delete(_entries).where(
                _entries.c.list_id == list_id, _entries.c.idx.in_(indexes), _entries.c.value != _INVALID
            )
        else:
            rows = [{"list_id": list_id, "idx": idx, "value": value.value} for idx in indexes]
            statement = insert(_entries)
            statement = statement.on_conflict_do_update(
                index_elements=[_entries.c.list_id, _entries.c.idx],
                set_={"value": statement.excluded.value},
                where=and_(_entries.c.value != _INVALID, _entries.c.value != value.value),
            )
        return len(await self._execute(statement.returning(_entries.c.idx), rows))

    async def any_invalid(self, list_id: int, indexes: Sequence[int]) -> bool:
        """Whether one of the entries is INVALID."""
        statement = select(_entries.c.idx).where(
            _entries.c.list_id == list_id, _entries.c.idx.in_(indexes), _entries.c.value == _INVALID
        )
        return bool(await self._execute(statement.limit(1)))

    async def bump(self, list_id: int) -> None:
        """Say that a list's entries changed."""
        await self._execute(update(_lists).where(_lists.c.list_id == list_id).values(version=_lists.c.version + 1))

    async def full(self) -> list[StatusList]:
        """The lists of which everything is given out, and that are not retired."""
        room = select(_ranges.c.list_id).where(_ranges.c.decoys.is_(False), _ranges.c.first_free < _ranges.c.range_end)
        rows = await self._execute(
            select(_lists)
            .where(_lists.c.retired_at.is_(None), _lists.c.list_id.not_in(room))
            .order_by(_lists.c.list_id)
        )
        return [_status_list(row) for row in rows]

    async def retire(self, list_id: int, now: datetime) -> bool:
        """Mark a list as retired, drop its tokens, entries and ranges; whether this call did. Its URI stays taken."""
        statement = update(_lists).where(_lists.c.list_id == list_id, _lists.c.retired_at.is_(None))
        retired = await self._execute(statement.values(retired_at=now).returning(_lists.c.list_id))
        if retired:
            for table in (_tokens, _entries, _ranges):
                await self._execute(delete(table).where(table.c.list_id == list_id))
        return bool(retired)

    async def is_retired(self, list_id: int) -> bool:
        """Whether there was a list of this number that is retired."""
        statement = select(_lists.c.list_id).where(_lists.c.list_id == list_id, _lists.c.retired_at.is_not(None))
        return bool(await self._execute(statement))

    async def due(self, exp_before: int) -> list[DueList]:
        """The lists without a token, with one of another version, or with one that ends before `exp_before`."""
        same = and_(_tokens.c.list_id == _lists.c.list_id, _tokens.c.format == StatusListFormat.JWT.value)
        rows = await self._execute(
            select(_lists, _tokens.c.version.label("seen_version"), _tokens.c.iat.label("seen_iat"))
            .select_from(_lists.outerjoin(_tokens, same))
            .where(
                _lists.c.retired_at.is_(None),
                or_(
                    _tokens.c.version.is_(None),
                    _tokens.c.version != _lists.c.version,
                    _tokens.c.exp < exp_before,
                ),
            )
            .order_by(_lists.c.list_id)
        )
        return [DueList(_status_list(row), row["seen_version"], row["seen_iat"]) for row in rows]

    async def entries(self, list_id: int) -> list[tuple[int, int]]:
        """Index and value of every entry that is not VALID."""
        rows = await self._execute(select(_entries.c.idx, _entries.c.value).where(_entries.c.list_id == list_id))
        return [(row["idx"], row["value"]) for row in rows]

    async def replace_token(self, row: StatusTokenRow, due: DueList) -> bool:
        """Compare and set: put a token in the place of the one that was seen, or of none."""
        statement = insert(_tokens).values(**row.model_dump())
        unchanged = and_(_tokens.c.version == due.seen_version, _tokens.c.iat == due.seen_iat)
        statement = statement.on_conflict_do_update(
            index_elements=[_tokens.c.list_id, _tokens.c.format],
            set_={name: statement.excluded[name] for name in ("token", "version", "iat", "exp")},
            where=false() if due.seen_version is None else unchanged,
        )
        return bool(await self._execute(statement.returning(_tokens.c.list_id)))

    async def token(self, list_id: int, format: StatusListFormat) -> StatusTokenRow | None:
        """The present token of a list."""
        rows = await self._execute(
            select(_tokens)
            .join_from(_tokens, _lists, _tokens.c.list_id == _lists.c.list_id)
            .where(_tokens.c.list_id == list_id, _tokens.c.format == format.value, _lists.c.retired_at.is_(None))
        )
        return StatusTokenRow(**rows[0]) if rows else None

    async def published_uris(self) -> list[str]:
        """The URIs of all lists that have a token."""
        published = select(_tokens.c.list_id).where(_tokens.c.format == StatusListFormat.JWT.value)
        rows = await self._execute(
            select(_lists.c.uri)
            .where(_lists.c.list_id.in_(published), _lists.c.retired_at.is_(None))
            .order_by(_lists.c.list_id)
        )
        return [row["uri"] for row in rows]


def _status_list(row: RowMapping) -> StatusList:
    return StatusList(row["list_id"], row["uri"], row["bits"], row["size"], row["version"])
