"""Try the platform as a department's system would use it, over its public interface."""

import os
from datetime import date
from pathlib import Path
from typing import Annotated

import httpx
import orjson
import typer
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from rich.markup import escape

from credentials.keys.formats.jwk import KeyMalformed, PublicJwk
from credentials.registry import SHANGHAI
from wallet_api.cli.console import console, explain, fail, opened, run
from wallet_api.clock import SystemClock
from wallet_api.oauth import DEPARTMENT_SCOPE, OAuthError
from wallet_api.reference.department import DepartmentClient
from wallet_api.settings import Settings
from wallet_api.tour import DEMO_CLIENT
from wallet_api.wiring import Platform

app = typer.Typer(no_args_is_help=True, help=__doc__)

ClientId = Annotated[str, typer.Option("--client", help="The client id of the department's system.")]
Identifier = Annotated[str, typer.Argument(help="GB/T 36904 identifier, 1.2.156.3005.2.…")]
Reason = Annotated[str, typer.Option(help="Kept sealed with the event.")]


@app.command()
def register(
    client_id: Annotated[str, typer.Argument(help="1 to 64 of a-z 0-9 . _ -")],
    authority: Annotated[list[str], typer.Option(help="统一社会信用代码 it issues for; may be repeated.")],
    name: Annotated[str, typer.Option(help="For people.")] = "",
    jwk: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Its own public key (P-256).")] = None,
) -> None:
    """Register a department's system by its own public key, a JWK in a file; it keeps the private one.

    Without a key a pair is made, and the private key written to DATA_DIR/clients.
    """
    try:
        run(_register(client_id, name or client_id, authority, public_key(jwk) if jwk else None))
    except OAuthError as error:
        fail(error.description)


@app.command()
def revoke(identifier: Identifier, reason: Reason = "依法吊销", client: ClientId = DEMO_CLIENT) -> None:
    """Revoke (吊销) a licence: operate_type 05, cert_state 07."""
    _step(client, identifier, "05", cert_state="07", reason=reason)


@app.command()
def suspend(identifier: Identifier, reason: Reason = "依法暂扣", client: ClientId = DEMO_CLIENT) -> None:
    """Suspend (暂扣) a licence: operate_type 03."""
    _step(client, identifier, "03", reason=reason)


@app.command()
def resume(identifier: Identifier, reason: Reason = "发还", client: ClientId = DEMO_CLIENT) -> None:
    """Give a suspended licence back (暂扣发还): operate_type 06."""
    _step(client, identifier, "06", reason=reason)


@app.command()
def renew(
    identifier: Identifier,
    until: Annotated[str, typer.Option(help="The new last day, YYYY-MM-DD.")],
    client: ClientId = DEMO_CLIENT,
) -> None:
    """Renew (延续) a licence: operate_type 02, valid from today."""
    try:
        date.fromisoformat(until)
    except ValueError:
        fail("--until is a day as YYYY-MM-DD")
    settings, clock = Settings(), SystemClock()
    today = clock.now().astimezone(SHANGHAI).date().isoformat()
    with httpx.Client(timeout=10) as http:
        try:
            _client(http, settings, client).renew(identifier, today, until)
        except httpx.HTTPError as error:
            explain(error, settings.public_url)
    console.print(f"[green]✓[/] renewed until {until}; the version before it has lapsed")


def _step(client: str, identifier: str, operate_type: str, **members: str) -> None:
    settings = Settings()
    with httpx.Client(timeout=10) as http:
        try:
            outcome = _client(http, settings, client).take_step(identifier, operate_type, **members)
        except httpx.HTTPError as error:
            explain(error, settings.public_url)
    console.print(f"[green]✓[/] {outcome['outcome']}; the status list follows within five seconds")


def _client(http: httpx.Client, settings: Settings, client_id: str) -> DepartmentClient:
    key_file = _key_file(settings, client_id)
    if not key_file.exists():
        fail(f"no key for {client_id} in {key_file.parent}; register it with: liangzheng department register")
    return DepartmentClient(http, settings.public_url, client_id, key_file, SystemClock())


def _key_file(settings: Settings, client_id: str) -> Path:
    return settings.data_dir / "clients" / f"{client_id}.pem"


def public_key(file: Path) -> PublicJwk:
    """The public key, a JWK, in a file; ends the command when there is none."""
    try:
        return PublicJwk.from_object(orjson.loads(file.read_bytes()))
    except orjson.JSONDecodeError:
        fail(f"{file} is not JSON")
    except KeyMalformed as error:
        fail(f"{file}: {error.detail}")


async def _register(client_id: str, name: str, authorities: list[str], jwk: PublicJwk | None) -> None:
    async with opened() as platform:
        known = {body.code for kind in platform.catalogue.types() for body in kind.issuing_authorities}
        for code in authorities:
            if code not in known:
                fail(f"no type pack names {code} as an issuing authority")
        if jwk is None:
            key_file = await register_client(platform, client_id, name, authorities)
            done = f"{client_id} is registered; its private key is in {key_file}"
        else:
            async with platform.database.transaction() as session:
                await platform.oauth.register_client(session, client_id, name, authorities, jwk)
            done = f"{client_id} is registered by its own key {jwk.thumbprint()}"
    console.print(f"[green]✓[/] {done}")


async def register_client(
    platform: Platform, client_id: str, name: str, authorities: list[str], scope: str = DEPARTMENT_SCOPE
) -> Path:
    """Register a client under a new key, and keep the private key in a file of the owner's only.

    Raises:
        OAuthError: the id is out of form.
    """
    key = new_client_key()
    async with platform.database.transaction() as session:
        jwk = PublicJwk.from_key(key.public_key())
        await platform.oauth.register_client(session, client_id, name, authorities, jwk, scope)
    return keep_client_key(platform.settings, client_id, key)


async def show_clients(scope: str, may: str, nobody: str) -> None:
    """Print the machines that may be granted a scope, and which of them are suspended.

    Args:
        may: what those that are active may do.
        nobody: what to say when there is none.
    """
    async with opened(start=False) as platform, platform.database.snapshot() as session:
        clients = await platform.oauth.clients(session, scope)
    for one in clients:
        state = f"[green]{may}[/]" if one.active else "[red]suspended[/]"
        console.print(f"{one.client_id}  {state}  {escape(one.name)}")
    if not clients:
        console.print(nobody)


def new_client_key() -> ec.EllipticCurvePrivateKey:
    """A key pair for a machine that may call."""
    return ec.generate_private_key(ec.SECP256R1())


def keep_client_key(settings: Settings, client_id: str, key: ec.EllipticCurvePrivateKey) -> Path:
    """Write a private key to the file from which the reference clients read it; only its owner may."""
    key_file = _key_file(settings, client_id)
    key_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    draft = key_file.with_suffix(".draft")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
        file.write(pem)
    draft.rename(key_file)
    return key_file
