"""The access log: prove that nobody changed it."""

from typing import Annotated

import typer

from presentation.accesslog import ChainFault
from wallet_api.cli.console import console, errors, opened, run

app = typer.Typer(no_args_is_help=True, help=__doc__)


@app.callback()
def access_log() -> None:
    """The access log: prove that nobody changed it."""


@app.command()
def verify(
    holder: Annotated[str | None, typer.Option(help="Reference of one holder; all by default.")] = None,
) -> None:
    """Prove the chain of every holder; a changed, removed or reordered row is named, and the exit code is 1."""
    chains, faults = run(_verify(holder))
    for fault in faults:
        errors.print(f"[red]✗[/] holder {fault.holder_id}, row {fault.sequence}: {fault.what}")
    if faults:
        raise typer.Exit(1)
    console.print(f"[green]✓[/] {chains} chains hold")


async def _verify(holder: str | None) -> tuple[int, list[ChainFault]]:
    faults: list[ChainFault] = []
    chains = 0
    async with opened() as platform, platform.database.snapshot() as session:
        holders = [holder] if holder else [each async for each in platform.access_log.holders(session)]
        for each in holders:
            chains += 1
            faults.extend(await platform.access_log.verify(session, each))
    return chains, faults
