"""Key rotation on a filled database: every sealed value opened under its key and sealed anew under the active one.

    report = await reseal(database, protector)      # beside a running platform, and beside another one of itself

A batch is one transaction over rows that nobody else holds, so it neither waits for a writer nor makes one wait long,
and each value is replaced by compare-and-set. Killed in the middle, it has done whole batches; run again, it does the
rest, because what is left to do is in the values themselves: they begin with the id of their key.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, bindparam, func, literal, select, tuple_, update

from wallet_api.database import Database
from wallet_api.protection import DataProtector, ProtectionError
from wallet_api.upkeep.sealed_columns import SEALED_COLUMNS, SealedColumn

BATCH_ROWS = 500  # a few milliseconds of locks
PASSES = 200  # over one column whose last rows others keep holding, a tenth of a second apart
PAUSE_S = 0.1
UNKNOWN_KEY = "?"


@dataclass(frozen=True)
class ColumnReport:
    """What became of one column.

    Attributes:
        resealed: values that were replaced.
        unreadable: values that do not open: sealed under a key that is not configured, or damaged.
        left: values under another key than the active one, the unreadable ones among them.
    """

    column: str
    resealed: int
    unreadable: int
    left: int


async def count_by_key(database: Database, protector: DataProtector) -> Mapping[str, Mapping[str, int]]:
    """Column → key id → how many values are sealed under it; `?` are keys that are not configured."""
    found: dict[str, Mapping[str, int]] = {}
    for sealed in SEALED_COLUMNS:
        counts = [
            func.count().filter(_begins_with(sealed, protector.prefix(key_id))).label(key_id)
            for key_id in protector.key_ids
        ]
        statement = select(*counts, func.count().label("all")).select_from(sealed.table).where(_filled(sealed))
        async with database.snapshot() as session:
            row = (await session.execute(statement)).one()._mapping
        by_key = {key_id: int(row[key_id]) for key_id in protector.key_ids}
        by_key[UNKNOWN_KEY] = int(row["all"]) - sum(by_key.values())
        found[str(sealed)] = {key_id: count for key_id, count in by_key.items() if count}
    return found


async def reseal(
    database: Database, protector: DataProtector, progress: Callable[[int], None] = lambda values: None
) -> tuple[ColumnReport, ...]:
    """Seal every value of every column under the active key.

    Args:
        progress: called with the number of values of each batch once it is committed.
    """
    return tuple([await _reseal_column(database, protector, sealed, progress) for sealed in SEALED_COLUMNS])


async def _reseal_column(
    database: Database, protector: DataProtector, sealed: SealedColumn, progress: Callable[[int], None]
) -> ColumnReport:
    counts: Counter[str] = Counter()
    left = await _left(database, protector, sealed)
    for turn in range(PASSES):
        if not left:
            break
        if turn:
            await asyncio.sleep(PAUSE_S)  # others hold the rest: a writer for a moment, another resealer to do it
        counts["unreadable"] = 0  # each pass meets them again
        await _pass_over(database, protector, sealed, counts, progress)
        left = await _left(database, protector, sealed)
        if left == counts["unreadable"]:
            break
    return ColumnReport(str(sealed), counts["resealed"], counts["unreadable"], left)


async def _pass_over(
    database: Database,
    protector: DataProtector,
    sealed: SealedColumn,
    counts: Counter[str],
    progress: Callable[[int], None],
) -> None:
    """Go through the column once, in the order of the primary key, by batches."""
    after: tuple[Any, ...] | None = None
    while True:
        todo = [_filled(sealed), ~_begins_with(sealed, protector.prefix(protector.active))]
        if after is not None:
            place = tuple_(*(literal(value, column.type) for value, column in zip(after, sealed.key, strict=True)))
            todo.append(tuple_(*sealed.key) > place)
        statement = sealed.select().where(*todo).order_by(*sealed.key).limit(BATCH_ROWS)
        async with database.transaction() as session:
            rows = list(
                await session.execute(statement.with_for_update(key_share=True, skip_locked=True, of=sealed.table))
            )
            renewed = [new for row in rows if (new := _renewed(protector, sealed, row)) is not None]
            if renewed:
                await session.execute(_replacement(sealed), renewed)
        if not rows:
            return
        counts["resealed"] += len(renewed)
        counts["unreadable"] += len(rows) - len(renewed)
        progress(len(renewed))
        after = tuple(rows[-1]._mapping[column.name] for column in sealed.key)


def _renewed(protector: DataProtector, sealed: SealedColumn, row: Row[Any]) -> dict[str, Any] | None:
    """The parameters of the statement that replaces one value, or None when it does not open."""
    old, context = row._mapping[sealed.name], sealed.context_of(row)
    try:
        new = protector.seal(protector.open(old, context), context)
    except ProtectionError:
        return None
    return {f"key_{column.name}": row._mapping[column.name] for column in sealed.key} | {"old": old, "new": new}


def _replacement(sealed: SealedColumn) -> Any:
    same_row = and_(*(column == bindparam(f"key_{column.name}", type_=column.type) for column in sealed.key))
    same_value = sealed.column == bindparam("old", type_=sealed.column.type)
    new = {sealed.name: bindparam("new", type_=sealed.column.type)}
    return update(sealed.table).where(same_row, same_value).values(new)


async def _left(database: Database, protector: DataProtector, sealed: SealedColumn) -> int:
    under_another = ~_begins_with(sealed, protector.prefix(protector.active))
    statement = select(func.count()).select_from(sealed.table).where(_filled(sealed), under_another)
    async with database.snapshot() as session:
        count: int = (await session.execute(statement)).scalar_one()
    return count


def _filled(sealed: SealedColumn) -> ColumnElement[bool]:
    return and_(sealed.column.is_not(None), func.length(sealed.column) > 0)  # a deleted message leaves nothing


def _begins_with(sealed: SealedColumn, prefix: bytes) -> ColumnElement[bool]:
    begin: ColumnElement[bool] = func.substr(sealed.column, 1, len(prefix), type_=sealed.column.type) == prefix
    return begin
