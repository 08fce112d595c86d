"""Status lists of a million entries: giving out an index, and publishing."""

import asyncio
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from time import perf_counter

from sqlalchemy import text

from credentials.status import StatusService
from credentials.status.formats.token_status_list import COMPRESSION_LEVEL, pack
from credentials.status.service import BITS
from tests.bench.registered import bench
from tests.bench.server import own_database
from tests.bench.suite import Prepare, repeat
from tests.credentials.keys.signing import self_signed
from tests.fakes import FakeClock
from wallet_api.database import Database
from wallet_api.protection import DataProtector

USED_PERCENT = 99
REVOKED_PERCENT = 1


@bench("status_allocate", unit="index", timer=perf_counter)
def allocate(stack: ExitStack) -> Prepare:
    """One index in a transaction of its own, from lists that nobody has taken from: PostgreSQL, one connection."""
    return _allocations(_World(stack))


@bench("status_allocate_full", unit="index", raw={"status_allocate": 1}, timer=perf_counter)
def allocate_full(stack: ExitStack) -> Prepare:
    """The same from lists that are 99 % full."""
    world = _World(stack)
    world.run(
        world.execute(f"UPDATE status_range SET first_free = range_end WHERE range_end <= {_of_a_list(USED_PERCENT)}")
    )
    world.run(world.publish())  # drops what is used up, as it does every two seconds
    return _allocations(world)


@bench("zlib_list", unit="list", timer=perf_counter, batch=1)
def deflate(_: ExitStack) -> Prepare:
    """Nothing but compressing the bytes of the list below."""
    packed = pack(BITS, 2**20, [(n * 100 + n % 97, 1) for n in range(_of_a_list(REVOKED_PERCENT))])
    return repeat(lambda: zlib.compress(packed, COMPRESSION_LEVEL))


@bench("status_publish", unit="list", raw={"zlib_list": 1}, timer=perf_counter, batch=1)
def publish(stack: ExitStack) -> Prepare:
    """A list of a million entries, every hundredth revoked: read, packed, compressed, signed as JWT and CWT, stored."""
    world = _World(stack, open_lists=1)
    revoked = f"SELECT 1, n * 100 + n % 97, 1 FROM generate_series(0, {_of_a_list(REVOKED_PERCENT)} - 1) AS n"
    world.run(world.execute(f"INSERT INTO status_entry (list_id, idx, value) {revoked} ON CONFLICT DO NOTHING"))

    def prepare(count: int) -> Callable[[], object]:
        async def work() -> None:
            for _ in range(count):
                world.clock.forward(hours=7)  # past the age at which a list is signed again
                assert await world.publish() == (1,)

        return lambda: world.run(work())

    return prepare


class _World:
    """A database with published lists."""

    def __init__(self, stack: ExitStack, *, open_lists: int = 2) -> None:
        self._runner = stack.enter_context(asyncio.Runner())
        self.run = self._runner.run
        self.clock = FakeClock()
        self.database = Database(own_database(stack, self._runner), pool_size=1)
        stack.callback(lambda: self.run(self.database.close()))
        protector = DataProtector({"bench": b"k" * 32}, active="bench", blind_index_key=b"i" * 32)
        self.statuses = StatusService(protector, self.clock, "https://wallet.example", open_lists=open_lists)
        self._signer = self_signed()
        self.run(self.database.create_all())
        self.run(self.publish())

    async def publish(self) -> tuple[int, ...]:
        async with self.database.transaction() as session:
            return await self.statuses.publish(session, self._signer)

    async def execute(self, statement: str) -> None:
        async with self.database.transaction() as session:
            await session.execute(text(statement))


def _allocations(world: _World) -> Prepare:
    def prepare(count: int) -> Callable[[], object]:
        async def work() -> None:
            for _ in range(count):
                async with world.database.transaction() as session:
                    await world.statuses.allocate(session, 1)

        return lambda: world.run(work())

    return prepare


def _of_a_list(percent: int) -> int:
    return 2**20 * percent // 100
