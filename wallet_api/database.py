"""One SQL layer over SQLite (embedded default) and PostgreSQL (production).

    database = Database("sqlite+aiosqlite:///data/liangzheng.db")
    async with database.transaction() as session:
        ...                                  # committed on leaving, rolled back on an exception

Repositories write `sqlalchemy.dialects.postgresql.insert` for ON CONFLICT (SQLite compiles the same clause), and
`DateTime(timezone=True)` for instants: what SQLite lacks of it is mended here, in one place.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import asyncpg
from sqlalchemy import JSON, Dialect, Select, event, text
from sqlalchemy.dialects.sqlite import DATETIME as SqliteDateTime
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.types import DateTime
from sqlmodel import SQLModel

BUSY_TIMEOUT_MS = 15_000  # a writer waits for the one SQLite writer; a whole import chunk takes well under 1 s


DRIVER_WAIT_S = 30  # for a free connection, as long as SQLAlchemy's pool waits
_DRIVER_AWAY = (
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # the server is shutting down
    asyncpg.InsufficientResourcesError,  # too many connections
)
_SQLALCHEMYS_OWN = frozenset({"prepared_statement_cache_size", "prepared_statement_name_func", "async_fallback"})


class _SqliteUtcInstant(SqliteDateTime):
    """An aware UTC instant on a backend that drops time zones."""

    def bind_processor(self, dialect: Any) -> Any:
        store: Any = super().bind_processor(dialect)

        def process(value: datetime | None) -> Any:
            if value is not None and value.tzinfo is None:
                raise ValueError("a naive datetime has no place in the database")
            return store(None if value is None else value.astimezone(UTC).replace(tzinfo=None))

        return process

    def result_processor(self, dialect: Any, coltype: object) -> Any:
        load: Any = super().result_processor(dialect, coltype)

        def process(value: Any) -> datetime | None:
            naive: datetime | None = load(value)
            return None if naive is None else naive.replace(tzinfo=UTC)

        return process


class Database:
    """An engine and the two ways to use it: `transaction` to write, `snapshot` to read."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        parsed = make_url(url)
        self._driver_connections = max(4, pool_size // 2)
        self._driver: asyncpg.Pool | None = None
        self._compiled: dict[Select[Any], _Compiled] = {}
        self._turns = asyncio.Lock()
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite:
            if parsed.database and parsed.database != ":memory:":
                Path(parsed.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.engine = create_async_engine(
                parsed.set(drivername="sqlite+aiosqlite"), pool_size=pool_size, hide_parameters=True
            )
            dialect = self.engine.sync_engine.dialect
            dialect.colspecs = {**dialect.colspecs, DateTime: _SqliteUtcInstant}
            event.listen(self.engine.sync_engine, "connect", _configure_sqlite)
            event.listen(self.engine.sync_engine, "begin", _begin_sqlite)
        else:
            self.engine = create_async_engine(
                parsed.set(drivername="postgresql+asyncpg"),
                pool_size=pool_size,
                pool_pre_ping=True,
                hide_parameters=True,  # an error that is logged must not carry what was written
            )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A read-write session, committed when the block ends and rolled back when it raises.

        On SQLite the write lock is taken at once (BEGIN IMMEDIATE), so that a transaction never fails half-way
        because another process began to write after its first read.
        """
        async with self._turn(), AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
            await session.connection(execution_options={"liangzheng_begin": "BEGIN IMMEDIATE"})
            yield session

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncSession]:
        """A session for reading; nothing it does is kept."""
        async with AsyncSession(self.engine, expire_on_commit=False) as session:
            yield session

    @asynccontextmanager
    async def rehearsal(self) -> AsyncIterator["Rehearsal"]:
        """One transaction for all that is done in the block, rolled back at its end.

        It holds what it locks for as long as it lasts: on SQLite every other writer, who gives up after 15 s.
        """
        async with self._turn(), AsyncSession(self.engine, expire_on_commit=False) as session:
            await session.connection(execution_options={"liangzheng_begin": "BEGIN IMMEDIATE"})
            yield Rehearsal(session)
            await session.rollback()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """On SQLite, the process's writers one after another, first come, first served.

        SQLite itself lets a writer who finds another one sleep ever longer and try again, so that whoever comes just
        then goes first: with 32 at once some waited for seconds, and now all wait a tenth of one. Between processes
        it stays so.

        Raises:
            TimeoutError: those in front take longer than SQLite would wait.
        """
        if not self.is_sqlite:
            yield
            return
        async with asyncio.timeout(BUSY_TIMEOUT_MS / 1000):
            await self._turns.acquire()
        try:
            yield
        finally:
            self._turns.release()

    async def fetch_one(self, statement: str, *values: Any) -> Any:
        """Run one statement past SQLAlchemy, a transaction by itself, and give its first row. PostgreSQL only.

        For the few statements that every check runs: SQLAlchemy takes several times what asyncpg takes.

        Args:
            statement: as asyncpg writes it, `$1` for the first value.

        Raises:
            ConnectionError: the database does not answer.
        """
        try:
            if self._driver is None:
                _, options = self.engine.dialect.create_connect_args(self.engine.url)  # `ssl` and its like, as for all
                own = {name: value for name, value in options.items() if name not in _SQLALCHEMYS_OWN}
                self._driver = await asyncpg.create_pool(  # opens no connection yet, so that nobody comes in between
                    min_size=0, max_size=self._driver_connections, reset=_leave_as_it_is, **own
                )
            async with self._driver.acquire(timeout=DRIVER_WAIT_S) as connection:
                return await connection.fetchrow(statement, *values)
        except _DRIVER_AWAY as error:
            raise ConnectionError("the database does not answer") from error

    async def read_one(self, statement: Select[Any], **values: Any) -> Any:
        """The first row of a Core query that stands by itself, or None; on PostgreSQL by `fetch_one`.

        Args:
            statement: one object for the life of the process, its values as `bindparam`s.
        """
        if self.is_sqlite:
            async with self.snapshot() as session:
                return (await session.execute(statement, values)).first()
        if statement not in self._compiled:
            self._compiled[statement] = _Compiled.of(statement, self.engine.dialect)
        compiled = self._compiled[statement]
        row = await self.fetch_one(compiled.text, *(values[name] for name in compiled.parameters))
        return None if row is None else compiled.opened(row)

    async def create_all(self) -> None:
        """Create the tables from the models. For tests and benches; deployments run the migrations."""
        async with self.engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)

    async def ping(self) -> None:
        """Raise if the database does not answer."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Give every connection back."""
        await self.engine.dispose()
        if self._driver is not None:
            await self._driver.close()
            self._driver = None


class Rehearsal:
    """Transactions within one that is not kept. Used as a `Database` is, one at a time: whoever comes second waits."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self._free = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """The session, with what the block does undone at once when it raises."""
        async with self._free, self._session.begin_nested():
            yield self._session

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncSession]:
        """The session, for reading what was done so far."""
        async with self._free:
            yield self._session


@dataclass(frozen=True)
class _Compiled:
    """A query as asyncpg takes it."""

    text: str
    parameters: Sequence[str]
    json_columns: Sequence[str]

    @classmethod
    def of(cls, statement: Select[Any], dialect: Dialect) -> Self:
        compiled: Any = statement.compile(dialect=dialect)
        json_columns = [str(column.key) for column in statement.selected_columns if isinstance(column.type, JSON)]
        return cls(str(compiled), compiled.positiontup, json_columns)

    def opened(self, row: Any) -> SimpleNamespace:
        """The row with its columns as attributes."""
        values = dict(row)
        for name in self.json_columns:
            values[name] = values[name] and json.loads(values[name])
        return SimpleNamespace(**values)


async def _leave_as_it_is(_connection: Any) -> None:
    """Nothing that `fetch_one` runs changes a connection, so that none needs a reset."""


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, see _begin_sqlite
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "synchronous=FULL",  # what was answered 201 survives a power cut
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:  # in this one switch SQLite does not wait for others
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: Any) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql(options.get("liangzheng_begin", "BEGIN"))
