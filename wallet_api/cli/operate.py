"""Running the platform."""

import asyncio
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Annotated

import typer
import uvicorn
from fastapi import FastAPI
from rich.markup import escape

from notifications import InboxPage, TickReport
from wallet_api import logging, migrations
from wallet_api.app import create_app
from wallet_api.bounded_heads import BoundedHeads
from wallet_api.cli.console import console, errors, fail, opened
from wallet_api.cli.console import run as complete
from wallet_api.cli.demo import run_demo
from wallet_api.cli.department import register_client
from wallet_api.cli.intake import import_licences, sample
from wallet_api.database import Database
from wallet_api.settings import Settings
from wallet_api.tour import DEMO_CLIENT, Cast, cast, steps
from wallet_api.wiring import Platform
from wallet_api.workers import ticking

EMBEDDED = "[yellow]embedded mode: secrets made by itself, for trying out only[/]"


def serve() -> None:
    """Serve the platform, with its timers unless EMBEDDED_WORKER=false."""
    settings = Settings()
    logging.configure()
    if settings.deployment == "embedded":
        errors.print(EMBEDDED)
    complete(_prepare(settings))
    with _listening(settings) as listening:
        complete(_server(create_app(settings)).serve([listening]))


def run() -> None:
    """Start with sample data when the store is empty, serve, and say how to follow one licence all the way."""
    settings = Settings()
    if settings.deployment != "embedded":
        fail("this is a production deployment: use `liangzheng serve`")
    logging.configure()
    complete(_fill_when_empty(settings))
    complete(_serve_and_tell(settings))


def migrate() -> None:
    """Bring the database's schema to the newest revision."""
    complete(_migrate(Settings()))
    console.print("[green]✓[/] the schema is current")


def worker() -> None:
    """Run the timers (status lists, trust list, reminders) without serving."""
    logging.configure()
    complete(_work())


def remind() -> None:
    """Plan, queue and deliver reminders once, as the worker does every minute."""
    report, messages = complete(_remind())
    console.print(
        f"[green]✓[/] planned {report.planned}, withdrawn {report.withdrawn}, queued {report.queued}, "
        f"sent {report.sent}, retried {report.retried}, failed {report.failed}"
    )
    for (channel, state), count in sorted(messages.items()):
        console.print(f"  in all: {channel} {state} {count}")


def inbox(identifier: Annotated[str, typer.Argument(help="A licence; its first holder's inbox is shown.")]) -> None:
    """Read the inbox of a licence's first holder."""
    page = complete(_inbox(identifier))
    for message in page.messages:
        console.print(f"[bold]{escape(message.title)}[/]  {message.received_at:%Y-%m-%d %H:%M} UTC")
        console.print(escape(message.text) + "\n")
    if not page.messages:
        console.print("the inbox is empty")
    if page.more:
        console.print(f"these are the newest {len(page.messages)}; the holder's wallet shows older ones as well")


def demo() -> None:
    """Go the six steps in order on a platform of its own, and say what happened at each."""
    sys.exit(run_demo())


async def prepare_embedded(platform: Platform) -> None:
    """What the embedded mode adds: a demo department with all authorities, and the anchor as a file to pin."""
    settings = platform.settings
    (settings.data_dir / "anchor.pem").write_text(platform.key_ring.ring.anchor_pem)
    if not (settings.data_dir / "clients" / f"{DEMO_CLIENT}.pem").exists():
        authorities = {body.code for kind in platform.catalogue.types() for body in kind.issuing_authorities}
        await register_client(platform, DEMO_CLIENT, "Demo department", sorted(authorities))


async def _prepare(settings: Settings) -> None:
    async with opened(settings) as platform:
        if settings.deployment == "embedded":
            await prepare_embedded(platform)


async def _fill_when_empty(settings: Settings) -> None:
    async with opened(settings) as platform:
        await prepare_embedded(platform)
        async with platform.database.snapshot() as session:
            if await platform.registry.count(session):
                return
    file = settings.data_dir / "sample.ndjson"
    sample(rows=300, out=file)
    report = (await import_licences(file, DEMO_CLIENT)).report
    console.print(f"[green]✓[/] imported: {report.accepted} accepted, {report.rejected} rejected")


async def _serve_and_tell(settings: Settings) -> None:
    platform = Platform.of(settings)
    with _listening(settings) as listening:
        actors = await cast(platform)
        if actors is not None:
            tell(actors, settings)
        await _server(create_app(settings, platform=platform)).serve([listening])


def _server(app: FastAPI) -> uvicorn.Server:
    config = uvicorn.Config(app, http=BoundedHeads, access_log=False, server_header=False, log_level="warning")
    return uvicorn.Server(config)


def _listening(settings: Settings) -> socket.socket:
    """The listening socket, taken before anything is announced."""
    family = socket.AF_INET6 if ":" in settings.listen_host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.listen_host, settings.listen_port))
    except OSError as error:
        listening.close()
        place = f"{settings.listen_host}:{settings.listen_port}"
        fail(f"cannot listen on {place} ({error.strerror}); choose another with LISTEN_PORT and PUBLIC_URL")
    return listening


def tell(actors: Cast, settings: Settings) -> None:
    """Print the six steps as commands that can be pasted."""
    console.print(f"\n[bold]亮证 Liangzheng[/] is running at {settings.public_url}")
    console.print(EMBEDDED)
    console.print(f"API documentation: {settings.public_url}/docs\n")
    console.print("Follow one licence all the way; paste these into another terminal:\n")
    for number, step in enumerate(steps(actors, settings), start=1):
        console.print(f"[bold cyan]# {number}. {step.title_en}[/]\n[cyan]#    {step.title_zh}[/]")
        for command in step.commands:
            console.print(escape(command), soft_wrap=True)
        console.print()


async def _migrate(settings: Settings) -> None:
    database = Database(settings.database)
    try:
        await migrations.upgrade(database)
    finally:
        await database.close()


async def _work() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with opened() as platform, ticking(platform):
        await stop.wait()


async def _remind() -> tuple[TickReport, Mapping[tuple[str, str], int]]:
    async with opened() as platform:
        report = await platform.remind()
        async with platform.database.snapshot() as session:
            return report, await platform.outbox.counts(session)


async def _inbox(identifier: str) -> InboxPage:
    async with opened() as platform, platform.database.snapshot() as session:
        licence = await platform.registry.by_identifier(session, identifier)
        return await platform.inbox.list(session, licence.holder_ids[0])
