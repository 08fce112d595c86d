"""Planning for new licences; and what is due today, found and handed to the outbox.

The latter among few and among many licences in store (`--few`, `--many`).
"""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import ExitStack
from time import perf_counter

from sqlalchemy import text

from notifications import Bilingual, Inbox, Outbox, ReminderService
from tests.bench.registered import bench
from tests.bench.rows import SIZES
from tests.bench.server import own_database
from tests.bench.suite import Prepare
from tests.fakes import FakeClock
from tests.notifications.fakes import FakeChanges, FakeContacts, FakeRules, food
from wallet_api.database import Database
from wallet_api.protection import DataProtector

STAGES = 3  # a licence; one row each
DUE_AT_ONCE = 500
STORED_AT_ONCE = 50_000
PLANNED_AT_ONCE = 500

_PLANNED = """
WITH written AS (
    INSERT INTO reminder (id, licence_id, licence_version, type_code, valid_until, stage, due_on, holder_id, state,
        planned_at, changed_at) {} RETURNING due_on, holder_id, id, type_code
)
INSERT INTO reminder_planned (due_on, holder_id, reminder_id, type_code) SELECT * FROM written
"""
# Every licence has stages that come due over the next eight years.
STORED = _PLANNED.format("""
SELECT md5(n || ':' || s), md5(n::text), 1, 'food', DATE '2027-06-01' + (n % 2900)::int, 'S' || s,
    DATE '2026-12-01' + (n % 2900)::int + 30 * s, md5('h' || n), 'planned', now(), now()
FROM generate_series(CAST(:first AS int), :last) n, generate_series(1, :stages) s
""")
DUE = _PLANNED.format("""
SELECT md5('due' || n), md5('due' || n), 1, 'food', DATE '2026-12-23', 'P30D', DATE '2026-11-23', md5('due-h' || n),
    'planned', now(), now()
FROM generate_series(1, :due) n
""")
CONSTRAINTS = """
SELECT CAST(conrelid::regclass AS text), conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid IN ('reminder'::regclass, 'reminder_planned'::regclass) AND contype IN ('p', 'u')
"""
INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'reminder'"
_AS_BEFORE = (
    "TRUNCATE outbox_entry, outbox_message CASCADE",
    "TRUNCATE reminder_digest",
    "DELETE FROM reminder WHERE due_on < DATE '2026-12-01'",
    "DELETE FROM reminder_planned WHERE due_on < DATE '2026-12-01'",
)


@bench("reminders_due_postgresql_few", unit="reminder", batch=DUE_AT_ONCE, timer=perf_counter)
def due_among_few(stack: ExitStack) -> Prepare:
    return _queueing(stack, SIZES.few)


@bench(
    "reminders_due_postgresql_many",
    unit="reminder",
    raw={"reminders_due_postgresql_few": 1},
    batch=DUE_AT_ONCE,
    timer=perf_counter,
)
def due_among_many(stack: ExitStack) -> Prepare:
    return _queueing(stack, SIZES.many)


@bench("reminders_planned_postgresql", unit="licence", batch=PLANNED_AT_ONCE, timer=perf_counter)
def planned(stack: ExitStack) -> Prepare:
    """Licences that are new, each with three reminders to write."""
    runner = stack.enter_context(asyncio.Runner())
    database = _database(stack, runner)
    changes = FakeChanges()
    reminders = _service(database, changes)
    numbers = itertools.count()
    runner.run(database.create_all())

    async def follow() -> None:
        while True:
            async with database.transaction() as session:
                if not (await reminders.follow(session, 100)).changes:
                    return

    def prepare(count: int) -> Callable[[], object]:
        new = [f"{next(numbers):032}" for _ in range(count)]
        changes.write(*(food(licence_id=one, holder_ids=(one,)) for one in new))
        return lambda: runner.run(follow())

    return prepare


def _database(stack: ExitStack, runner: asyncio.Runner) -> Database:
    database = Database(own_database(stack, runner))
    stack.callback(lambda: runner.run(database.close()))
    return database


def _service(database: Database, changes: FakeChanges) -> ReminderService:
    protector = DataProtector({"bench": b"k" * 32}, active="bench", blind_index_key=b"i" * 32)
    clock = FakeClock()
    outbox = Outbox(clock, protector, FakeContacts(), [Inbox(clock, protector, database)])
    return ReminderService(clock, changes, FakeRules(), outbox, Bilingual("一网通办", "portal"))


async def store(database: Database, licences: int, stages: int) -> None:
    """Write so many licences' reminders, none of them due, and let the server know what it holds.

    The indexes are made when all is there: millions of rows in random order would else take an hour.
    """
    async with database.transaction() as session:
        constraints = (await session.execute(text(CONSTRAINTS))).all()
        for table, name, _ in constraints:
            await session.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
        indexes = (await session.execute(text(INDEXES))).all()
        for name, _ in indexes:
            await session.execute(text(f"DROP INDEX {name}"))
    for first in range(1, licences + 1, STORED_AT_ONCE):  # a long transaction holds up everybody's feeds
        last = min(first + STORED_AT_ONCE - 1, licences)
        async with database.transaction() as session:
            await session.execute(text(STORED), {"first": first, "last": last, "stages": stages})
    for statement in (
        *(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}" for table, name, definition in constraints),
        *(definition for _, definition in indexes),
    ):
        async with database.transaction() as session:
            await session.execute(text(statement))
    async with database.engine.connect() as connection:
        await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(text("VACUUM ANALYZE"))


def _queueing(stack: ExitStack, licences: int) -> Prepare:
    runner = stack.enter_context(asyncio.Runner())
    database = _database(stack, runner)
    reminders = _service(database, FakeChanges())

    async def fill() -> None:
        await database.create_all()
        await store(database, licences, STAGES)

    async def write(count: int) -> None:
        async with database.transaction() as session:
            for statement in _AS_BEFORE:
                await session.execute(text(statement))
            await session.execute(text(DUE), {"due": count})

    async def queue(count: int) -> None:
        queued = 0
        while queued < count:
            async with database.transaction() as session:
                queued += (await reminders.queue_due(session, 100)).queued

    runner.run(fill())

    def prepare(count: int) -> Callable[[], object]:
        runner.run(write(count))
        return lambda: runner.run(queue(count))

    return prepare
