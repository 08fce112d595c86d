"""Operators' systems: who may keep verifiers and scenes over the API, and what was done."""

from typing import Annotated

import typer
from rich.markup import escape

from credentials.registry import SHANGHAI
from wallet_api.cli.console import console, fail, opened, run
from wallet_api.cli.department import register_client, show_clients
from wallet_api.oauth import OPERATOR_SCOPE, OAuthError

app = typer.Typer(no_args_is_help=True, help=__doc__)

ClientId = Annotated[str, typer.Argument(help="1 to 64 of a-z 0-9 . _ -")]


@app.command()
def register(client_id: ClientId, name: Annotated[str, typer.Option(help="For people.")] = "") -> None:
    """Register an operator's system with a new key pair; the private key is written to DATA_DIR/clients."""
    try:
        run(_register(client_id, name or client_id))
    except OAuthError as error:
        fail(error.description)


@app.command("list")
def list_operators() -> None:
    """Show all operators' systems."""
    run(show_clients(OPERATOR_SCOPE, "may work", "no operator is registered"))


@app.command()
def suspend(client_id: ClientId) -> None:
    """Refuse an operator's system from its next request on."""
    run(_set_active(client_id, active=False))
    console.print(f"[green]✓[/] {escape(client_id)} is suspended")


@app.command()
def resume(client_id: ClientId) -> None:
    """Let a suspended operator's system work again."""
    run(_set_active(client_id, active=True))
    console.print(f"[green]✓[/] {escape(client_id)} may work again")


@app.command()
def actions(limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50) -> None:
    """Show what operators did, by API and by command, the newest first."""
    run(_actions(limit))


async def _register(client_id: str, name: str) -> None:
    async with opened() as platform:
        key_file = await register_client(platform, client_id, name, [], OPERATOR_SCOPE)
    console.print(f"[green]✓[/] {client_id} is registered; its private key is in {key_file}")


async def _set_active(client_id: str, *, active: bool) -> None:
    async with opened(start=False) as platform, platform.database.transaction() as session:
        found = await platform.oauth.set_client_active(session, client_id, OPERATOR_SCOPE, active=active)
    if not found:
        fail(f"no operator is registered as {client_id}")


async def _actions(limit: int) -> None:
    async with opened(start=False) as platform, platform.database.snapshot() as session:
        found = await platform.operators.actions(session, None, limit)
    for one in found:
        at = f"{one.at.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}"
        console.print(f"{at}  {one.operator}  {one.action}  {escape(one.subject)}  {escape(one.reason or '')}")
    if not found:
        console.print("nothing was done yet")
