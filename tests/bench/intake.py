"""Importing a department's file, end to end: NDJSON lines to committed licences, holders and events."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from sqlalchemy import text
from sqlmodel import SQLModel

from credentials.catalogue import Catalogue
from credentials.registry import Intake, IntakeSource
from tests.bench.registered import bench
from tests.bench.rows import BATCH, rows
from tests.bench.server import own_database
from tests.bench.suite import Prepare
from tests.credentials.rows import lines
from tests.fakes import FakeClock
from wallet_api.database import Database
from wallet_api.protection import DataProtector


@bench("import_sqlite", unit="row", raw={"bare_insert_sqlite": 1}, batch=BATCH, timer=perf_counter)
def import_sqlite(stack: ExitStack) -> Prepare:
    runner = stack.enter_context(asyncio.Runner())
    folder = Path(stack.enter_context(TemporaryDirectory()))
    return _imports(stack, runner, f"sqlite:///{folder / 'bench.db'}")


@bench("import_postgresql", unit="row", raw={"bare_copy_postgresql": 1}, batch=BATCH, timer=perf_counter)
def import_postgresql(stack: ExitStack) -> Prepare:
    runner = stack.enter_context(asyncio.Runner())
    return _imports(stack, runner, own_database(stack, runner))


def _imports(stack: ExitStack, runner: asyncio.Runner, url: str) -> Prepare:
    """Every slice begins with an empty store, and with connections and statements that are warm."""
    database = Database(url)
    stack.callback(lambda: runner.run(database.close()))
    runner.run(database.create_all())
    protector = DataProtector({"bench": b"k" * 32}, active="bench", blind_index_key=b"i" * 32)
    intake = Intake(Catalogue.default(), protector, FakeClock())
    source = IntakeSource("bench", None)

    def prepare(count: int) -> Callable[[], object]:
        runner.run(_empty(database))
        sent = lines(*rows(count))

        def work() -> None:
            report = runner.run(intake.take_all(database, source, sent))
            assert report.accepted == count, "rows that are refused cost less"

        return work

    return prepare


async def _empty(database: Database) -> None:
    names = [f'"{table.name}"' for table in reversed(SQLModel.metadata.sorted_tables)]
    statements = [f"DELETE FROM {name}" for name in names]
    if not database.is_sqlite:
        statements = [f"TRUNCATE {', '.join(names)} CASCADE"]
    async with database.engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))
