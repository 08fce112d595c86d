"""A database of a bench's own on the PostgreSQL server, dropped when the bench is over."""

import asyncio
import os
import secrets
from contextlib import ExitStack

import asyncpg
from sqlalchemy.engine import make_url

from tests.bench.suite import Unavailable

POSTGRESQL_URL = os.environ.get("TEST_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/postgres")


def own_database(stack: ExitStack, runner: asyncio.Runner) -> str:
    """The URL of a new database.

    Raises:
        Unavailable: no server answers at TEST_POSTGRESQL_URL, or not to us.
    """
    name = f"liangzheng_bench_{os.getpid()}_{secrets.token_hex(4)}"
    try:
        runner.run(_administer(f'CREATE DATABASE "{name}"'))
    except (OSError, asyncpg.PostgresError) as error:
        raise Unavailable(f"no PostgreSQL server at TEST_POSTGRESQL_URL ({type(error).__name__})") from error
    stack.callback(lambda: runner.run(_administer(f'DROP DATABASE "{name}" WITH (FORCE)')))
    return make_url(POSTGRESQL_URL).set(database=name).render_as_string(hide_password=False)


async def _administer(statement: str) -> None:
    connection = await asyncpg.connect(POSTGRESQL_URL)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def server_version() -> str | None:
    """The version of the server that answers, None without one."""
    try:
        return asyncio.run(_version())
    except (OSError, asyncpg.PostgresError):
        return None


async def _version() -> str:
    connection = await asyncpg.connect(POSTGRESQL_URL)
    try:
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()
