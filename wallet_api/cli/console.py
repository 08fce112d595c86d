"""What commands share: the two consoles, how a failure ends, and a platform for the length of one command."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NoReturn, TypeVar

import httpx
import typer
from asyncpg import PostgresError
from rich.console import Console
from rich.markup import escape
from sqlalchemy.exc import SQLAlchemyError

from credentials.errors import CredentialsError
from presentation.errors import PresentationError
from wallet_api import migrations
from wallet_api.deployment_secrets import SecretsInvalid
from wallet_api.settings import Settings
from wallet_api.wiring import Platform

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
T = TypeVar("T")


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command with one line that says what to do."""
    errors.print(f"[red]✗[/] {escape(message)}")
    raise typer.Exit(code)


def in_our_times(day: datetime | None) -> datetime | None:
    """An option's callback: no zone's calendar ends near these days."""
    if day is not None and not 2000 <= day.year <= 2999:
        raise typer.BadParameter("a day of the years 2000 to 2999")
    return day


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work; what the domains refuse ends as one line."""
    try:
        return asyncio.run(work)
    except (CredentialsError, PresentationError, SecretsInvalid, migrations.SchemaUnknown) as error:
        fail(f"{getattr(error, 'detail', error)} ({error.code})")
    except (SQLAlchemyError, PostgresError) as error:
        fail(f"the database does not serve us ({type(error).__name__}); ask: liangzheng check-config")
    except OSError as error:
        fail(f"{error.strerror or error}: {error.filename or 'is the database running?'}")


@asynccontextmanager
async def opened(
    settings: Settings | None = None, *, start: bool = True, platform: Platform | None = None
) -> AsyncIterator[Platform]:
    """A platform with an up-to-date schema and its keys loaded; in the embedded mode the schema is brought up to date.

    Production: a schema that is not current is refused, `liangzheng migrate` mends it.

    Args:
        platform: wired already.
        start: false leaves the keys alone: what mends them must run when they cannot be loaded.
    """
    platform = platform or Platform.of(settings or Settings())
    try:
        if platform.settings.deployment == "embedded":
            await migrations.upgrade(platform.database)
        elif not await migrations.is_current(platform.database):
            fail("the database's schema is not current; run: liangzheng migrate")
        if start:
            await platform.start()
        yield platform
    finally:
        await platform.close()


def explain(error: httpx.HTTPError, public_url: str) -> NoReturn:
    """End the command with what the platform answered, or that it did not."""
    if not isinstance(error, httpx.HTTPStatusError):
        fail(f"no answer from {public_url}; is it running? start it with: make run")
    try:
        body = error.response.json()
        fail(f"{body.get('detail') or body.get('error_description')} ({body.get('code') or body.get('error')})")
    except ValueError:
        fail(f"{public_url} answered {error.response.status_code}")
