"""Holders who have ended: the registers that say so, and reports of theirs that came as a file."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.markup import escape
from rich.table import Table

from credentials.keys.formats.jwk import PublicJwk
from credentials.registry import EndOutcome, HolderEnd, RowError, end_from_line
from credentials.registry.formats.holder_ends import MAX_ROWS
from credentials.registry.formats.ndjson import LineSplitter
from wallet_api.cli.console import console, fail, opened, run
from wallet_api.cli.department import keep_client_key, new_client_key, public_key, show_clients
from wallet_api.cli.intake import PIECE_BYTES, REJECTIONS_SHOWN, ROWS_REFUSED, WRONG_FILE
from wallet_api.oauth import REGISTER_SCOPE, OAuthError

app = typer.Typer(no_args_is_help=True, help=__doc__)

ClientId = Annotated[str, typer.Argument(help="1 to 64 of a-z 0-9 . _ -")]
Refusals = list[tuple[int, RowError]]


@app.command()
def register(
    client_id: ClientId,
    name: Annotated[str, typer.Option(help="For people.")] = "",
    jwk: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Its own public key (P-256).")] = None,
) -> None:
    """Let a register's system report over the API, by its own public key, a JWK in a file; it keeps the private one.

    Without a key a pair is made, and the private key written to DATA_DIR/clients.
    """
    try:
        run(_register(client_id, name or client_id, public_key(jwk) if jwk else None))
    except OAuthError as error:
        fail(error.description)


@app.command("list")
def list_registers() -> None:
    """Show all registers' systems."""
    run(show_clients(REGISTER_SCOPE, "may report", "no register may report"))


@app.command()
def suspend(client_id: ClientId) -> None:
    """Refuse a register's system from its next request on."""
    run(_set_active(client_id, active=False))
    console.print(f"[green]✓[/] {escape(client_id)} is suspended")


@app.command()
def resume(client_id: ClientId) -> None:
    """Let a suspended register's system report again."""
    run(_set_active(client_id, active=True))
    console.print(f"[green]✓[/] {escape(client_id)} may report again")


@app.command()
def report(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="NDJSON, one row a line.")],
    source: Annotated[str, typer.Option(help="The register that speaks: its client id.")],
) -> None:
    """Take a register's file: who has ended, and with `ended_on` null who has not after all. Exits with 3 when rows are
    refused.

    The rows are those of POST /api/v1/holder-ends. So many as one request may have are one transaction.
    """
    if not 1 <= len(source) <= 64:
        fail("--source has 1 to 64 characters", WRONG_FILE)
    counts, refused = run(_report(file, source))
    if not counts:
        fail(f"{file} has no row", WRONG_FILE)
    told = ", ".join(f"{outcome.value.replace('_', ' ')} {counts[outcome]}" for outcome in EndOutcome)
    console.print(f"[green]✓[/] {told}")
    if refused:
        table = Table("line", "code", "field", "reason")
        for line, error in refused:
            table.add_row(str(line), error.code, error.field, error.detail)
        console.print(table)
        if (more := counts[EndOutcome.REJECTED] - len(refused)) > 0:
            console.print(f"… and {more} more")
        raise typer.Exit(ROWS_REFUSED)


async def _register(client_id: str, name: str, jwk: PublicJwk | None) -> None:
    async with opened() as platform:
        key = None if jwk else new_client_key()
        public = PublicJwk.from_key(key.public_key()) if key else jwk
        assert public is not None, "given or made"
        async with platform.database.transaction() as session:
            await platform.operators.admit_register(session, client_id, name, public)
        kept = (
            f"its private key is in {keep_client_key(platform.settings, client_id, key)}" if key else "by its own key"
        )
    console.print(f"[green]✓[/] {client_id} may report ends of holders; {kept}")


async def _set_active(client_id: str, *, active: bool) -> None:
    async with opened(start=False) as platform, platform.database.transaction() as session:
        found = await platform.operators.set_register_active(session, client_id, active=active)
    if not found:
        fail(f"no register is registered as {client_id}")


async def _report(file: Path, source: str) -> tuple[Counter[EndOutcome], Refusals]:
    counts: Counter[EndOutcome] = Counter()
    refused: Refusals = []
    async with opened(start=False) as platform:
        with file.open("rb") as raw:
            for part in _parts(raw):
                taken = await platform.operators.report_holder_ends(platform.database, source, [row for _, row in part])
                for (line, _), verdict in zip(part, taken.verdicts, strict=True):
                    counts[verdict.outcome] += 1
                    if verdict.refused is not None and len(refused) < REJECTIONS_SHOWN:
                        refused.append((line, verdict.refused))
    return counts, refused


def _parts(raw: BinaryIO) -> Iterator[list[tuple[int, HolderEnd | RowError]]]:
    """Numbered rows, as many at a time as are one transaction; empty lines count as lines and not as rows."""
    part: list[tuple[int, HolderEnd | RowError]] = []
    for number, line in enumerate(_lines(raw), 1):
        if line.strip():
            part.append((number, end_from_line(line)))
        if len(part) == MAX_ROWS:
            yield part
            part = []
    if part:
        yield part


def _lines(raw: BinaryIO) -> Iterator[bytes]:
    splitter = LineSplitter()
    while piece := raw.read(PIECE_BYTES):
        yield from splitter.feed(piece)
    yield splitter.end()
