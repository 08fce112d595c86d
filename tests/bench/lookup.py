"""Finding a licence among few and among many: what one look-up costs when the store grows (`--few`, `--many`)."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from time import perf_counter

from sqlalchemy import Select, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.catalogue import Catalogue
from credentials.registry import Intake, IntakeSource, Registry
from credentials.registry.repository import HOLDER, LICENCE
from tests.bench.registered import bench
from tests.bench.rows import SIZES, residents
from tests.bench.server import own_database
from tests.bench.suite import Prepare
from tests.fakes import FakeClock
from wallet_api.database import Database
from wallet_api.protection import DataProtector

ASKED_FOR = 2_000  # different ones, in turn
LookUp = Callable[[Registry, AsyncSession, str], Awaitable[object]]


@bench("lookup_identifier_postgresql_few", unit="look-up", timer=perf_counter)
def identifier_few(stack: ExitStack) -> Prepare:
    return _look_ups(stack, SIZES.few, select(LICENCE.c.identifier).order_by(LICENCE.c.number_index), _by_identifier)


@bench(
    "lookup_identifier_postgresql_many",
    unit="look-up",
    raw={"lookup_identifier_postgresql_few": 1},
    timer=perf_counter,
)
def identifier_many(stack: ExitStack) -> Prepare:
    return _look_ups(stack, SIZES.many, select(LICENCE.c.identifier).order_by(LICENCE.c.number_index), _by_identifier)


@bench("lookup_holder_postgresql_few", unit="look-up", timer=perf_counter)
def holder_few(stack: ExitStack) -> Prepare:
    return _look_ups(stack, SIZES.few, select(HOLDER.c.id).order_by(HOLDER.c.code_index), _of_holder)


@bench("lookup_holder_postgresql_many", unit="look-up", raw={"lookup_holder_postgresql_few": 1}, timer=perf_counter)
def holder_many(stack: ExitStack) -> Prepare:
    return _look_ups(stack, SIZES.many, select(HOLDER.c.id).order_by(HOLDER.c.code_index), _of_holder)


async def _by_identifier(registry: Registry, session: AsyncSession, identifier: str) -> None:
    await registry.by_identifier(session, identifier)


async def _of_holder(registry: Registry, session: AsyncSession, holder_id: str) -> None:
    assert await registry.of_holder(session, holder_id)


def _look_ups(stack: ExitStack, size: int, names: Select[tuple[str]], look_up: LookUp) -> Prepare:
    """`names` are in the order of a blind index, which is none that the store was filled in."""
    runner = stack.enter_context(asyncio.Runner())
    database = Database(own_database(stack, runner))
    stack.callback(lambda: runner.run(database.close()))
    protector = DataProtector({"bench": b"k" * 32}, active="bench", blind_index_key=b"i" * 32)
    registry = Registry(protector, FakeClock())
    asked_for = itertools.cycle(runner.run(_filled(database, protector, size, names)))

    def prepare(count: int) -> Callable[[], object]:
        wanted = list(itertools.islice(asked_for, count))

        async def work() -> None:
            for name in wanted:
                async with database.snapshot() as session:
                    await look_up(registry, session, name)

        return lambda: runner.run(work())

    return prepare


async def _filled(database: Database, protector: DataProtector, size: int, names: Select[tuple[str]]) -> list[str]:
    async def pieces() -> AsyncIterator[bytes]:
        for line in residents(size):
            yield line

    await database.create_all()
    intake = Intake(Catalogue.default(), protector, FakeClock())
    report = await intake.take_stream(database, IntakeSource("bench", None), pieces())
    assert report.accepted == size
    async with database.engine.begin() as connection:
        await connection.execute(text("ANALYZE"))
        return list((await connection.execute(names.limit(ASKED_FOR))).scalars())
