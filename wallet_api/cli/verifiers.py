"""Verifiers: whose systems may check licences, and for which scenes."""

from typing import Annotated

import typer
from rich.markup import escape

from credentials.keys.formats.jwk import PublicJwk
from presentation.verifiers import Registration
from presentation.verifiers.models import HOLDERS_PER_MINUTE, REFUSALS_PER_10_MINUTES
from wallet_api.cli.console import console, fail, opened, run
from wallet_api.cli.department import keep_client_key, new_client_key
from wallet_api.oauth import OAuthError

app = typer.Typer(no_args_is_help=True, help=__doc__)

ClientId = Annotated[str, typer.Argument(help="1 to 64 of a-z 0-9 . _ -")]
SceneIds = Annotated[list[str], typer.Option("--scene", help="Id of a scene; may be repeated.")]


@app.command()
def register(
    client_id: ClientId,
    organisation: Annotated[str, typer.Option(help="Full name; holders read it.")],
    scene: SceneIds,
    system: Annotated[str, typer.Option(help="Which of its systems; holders read it.")] = "",
    holders_per_minute: Annotated[int, typer.Option(help="Distinct holders.")] = HOLDERS_PER_MINUTE,
    refusals: Annotated[int, typer.Option(help="Refused checks in ten minutes.")] = REFUSALS_PER_10_MINUTES,
) -> None:
    """Register a verifier with a new key pair, or replace its registration and key; the private key is written to
    DATA_DIR/clients."""
    registration = Registration(
        client_id, organisation, system or client_id, tuple(scene), holders_per_minute, refusals
    )
    try:
        run(_register(registration))
    except OAuthError as error:
        fail(error.description)


@app.command("list")
def list_verifiers() -> None:
    """Show all verifiers, and the patterns that were stopped last."""
    run(_list())


@app.command()
def suspend(client_id: ClientId) -> None:
    """Refuse a verifier from its next request on."""
    run(_suspend(client_id, suspended=True))
    console.print(f"[green]✓[/] {escape(client_id)} is suspended")


@app.command()
def resume(client_id: ClientId) -> None:
    """Let a suspended verifier check again."""
    run(_suspend(client_id, suspended=False))
    console.print(f"[green]✓[/] {escape(client_id)} may check again")


@app.command()
def scenes(client_id: ClientId, scene: SceneIds) -> None:
    """Replace the scenes that a verifier may check for."""
    run(_allow(client_id, scene))
    console.print(f"[green]✓[/] {escape(client_id)} may check for {escape(', '.join(scene))}")


async def _register(registration: Registration) -> None:
    key = new_client_key()
    async with opened() as platform:
        async with platform.database.transaction() as session:
            await platform.operators.register(session, registration, PublicJwk.from_key(key.public_key()))
        key_file = keep_client_key(platform.settings, registration.client_id, key)
    console.print(f"[green]✓[/] {registration.client_id} is registered; its private key is in {key_file}")


async def _list() -> None:
    async with opened() as platform, platform.database.snapshot() as session:
        verifiers, reports = await platform.verifiers.all(session), await platform.checks.reports(session)
    for one in verifiers:
        state = "[red]suspended[/]" if one.suspended_at else "[green]may check[/]"
        console.print(f"{one.client_id}  {state}  {escape(one.organisation)}  {escape(one.system_name)}")
        console.print(
            f"    scenes {', '.join(one.scenes)}; holders a minute {one.holders_per_minute}, "
            f"refusals in ten minutes {one.refusals_per_10_minutes}"
        )
    for report in reports:
        console.print(
            f"[yellow]stopped[/] {report.client_id}: {report.kind}, {report.stopped} times, "
            f"last {report.last_at:%Y-%m-%d %H:%M} UTC"
        )
    if not verifiers:
        console.print("no verifier is registered")


async def _suspend(client_id: str, *, suspended: bool) -> None:
    async with opened() as platform, platform.database.transaction() as session:
        await (platform.operators.suspend if suspended else platform.operators.resume)(session, client_id)


async def _allow(client_id: str, scene_ids: list[str]) -> None:
    async with opened() as platform, platform.database.transaction() as session:
        known = await platform.verifiers.find(session, client_id)
        registration = Registration(
            client_id,
            known.organisation,
            known.system_name,
            tuple(scene_ids),
            known.holders_per_minute,
            known.refusals_per_10_minutes,
        )
        await platform.operators.register(session, registration, None)
