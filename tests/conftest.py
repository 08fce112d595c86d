"""Fixtures for every package: a clock, a protector, and a database on each backend."""

import asyncio
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel

from tests.fakes import FakeClock
from tests.log_scan import fail_on_leak
from wallet_api.database import Database
from wallet_api.protection import DataProtector

POSTGRESQL_URL = os.environ.get("TEST_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
TEST_DATABASE = f"liangzheng_test_{os.getpid()}"


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for the whole run, so that connection pools outlive a test."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def` tests in the session's loop."""
    if not asyncio.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    runner: asyncio.Runner = pyfuncitem._request.getfixturevalue("runner")
    runner.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """No test of the suite may log what names a person or opens a door."""
    report = yield
    fail_on_leak(report)
    return report


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def protector() -> DataProtector:
    return DataProtector({"test": b"k" * 32}, active="test", blind_index_key=b"i" * 32)


@contextmanager
def _postgresql_database(runner: asyncio.Runner, name: str) -> Iterator[str]:
    """The URL of a new database, dropped at the end. Without a server: skipped, but in CI failed."""

    async def administer(*statements: str) -> None:
        url = make_url(POSTGRESQL_URL).set(drivername="postgresql+asyncpg")
        engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            for statement in statements:
                await connection.execute(text(statement))
        await engine.dispose()

    drop = f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'
    try:
        # Processes are killed in the tests, the server is not: nothing is lost by not waiting for its disk.
        hurry = f'ALTER DATABASE "{name}" SET synchronous_commit = off'
        runner.run(administer(drop, f'CREATE DATABASE "{name}"', hurry))
    except OSError as error:
        if os.environ.get("CI"):
            pytest.fail(f"CI needs PostgreSQL at TEST_POSTGRESQL_URL: {error}")
        pytest.skip("no PostgreSQL server at TEST_POSTGRESQL_URL")
    yield make_url(POSTGRESQL_URL).set(database=name).render_as_string(hide_password=False)
    runner.run(administer(drop))


@pytest.fixture(scope="session")
def postgresql_url(runner: asyncio.Runner) -> Iterator[str]:
    """A database of this run's own, with the tables of the models, emptied after every test."""
    with _postgresql_database(runner, TEST_DATABASE) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest, runner: asyncio.Runner, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table, for tests that start whole processes or migrate."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'fresh.db'}"
        return
    with _postgresql_database(runner, f"{TEST_DATABASE}_fresh") as url:
        yield url


@pytest.fixture(scope="session")
def _postgresql(runner: asyncio.Runner, postgresql_url: str) -> Iterator[Database]:
    database = Database(postgresql_url, pool_size=20)
    runner.run(database.create_all())
    yield database
    runner.run(database.close())


@pytest.fixture
def postgresql_database(_postgresql: Database, runner: asyncio.Runner) -> Iterator[Database]:
    """An empty database on PostgreSQL."""
    yield _postgresql
    runner.run(_empty(_postgresql))


@pytest.fixture
def sqlite_database(runner: asyncio.Runner, tmp_path: Path) -> Iterator[Database]:
    """An empty database on SQLite."""
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    runner.run(database.create_all())
    yield database
    runner.run(database.close())


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database(request: pytest.FixtureRequest) -> Database:
    """An empty database; every test that takes it runs on SQLite and on PostgreSQL."""
    database: Database = request.getfixturevalue(f"{request.param}_database")
    return database


async def _empty(database: Database) -> None:
    tables = ", ".join(f'"{table.name}"' for table in SQLModel.metadata.sorted_tables)
    if tables:
        async with database.engine.begin() as connection:
            await connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
