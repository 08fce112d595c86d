"""Signing keys and their certificates: see them, rotate them, have them certified by an outside authority."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from rich.markup import escape
from rich.table import Column, Table

from credentials.keys import KeyPurpose, KeyRequest
from credentials.keys.models import KeyState, SigningKey
from wallet_api.cli.console import console, errors, fail, opened, run
from wallet_api.wiring import Platform

app = typer.Typer(no_args_is_help=True, help=__doc__)

LEAF_PURPOSES = [purpose.value for purpose in KeyPurpose if purpose is not KeyPurpose.ROOT]
STATE_COLOURS = {KeyState.ACTIVE: "green", KeyState.NEXT: "cyan", KeyState.PREVIOUS: "yellow", KeyState.RETIRED: "dim"}
TAKEN_OVER = "running processes take it over within a minute; the trust list is published"

Purpose = Annotated[str, typer.Argument(help=f"One of {', '.join(LEAF_PURPOSES)}.")]
AuthorityCode = Annotated[str, typer.Option("--authority", help="统一社会信用代码; for `credential` keys only.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command()
def init() -> None:
    """Make what is missing: the platform's root, its own keys, and a key for every issuing authority."""
    run(_init())


@app.command("list")
def list_keys(
    all_keys: Annotated[bool, typer.Option("--all", help="The retired ones too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show the keys, where they are kept, and the anchors that readers pin."""
    run(_list(all_keys, as_json))


@app.command()
def rotate(purpose: Purpose, authority: AuthorityCode = "", yes: Yes = False) -> None:
    """Let a successor sign at once: the announced one, else a new one. The old key stays in the trust list.

    Planned rotations go by themselves, a successor being announced for two weeks. Rotate by hand when a key may have
    leaked, was lost, moves into a token, or when an outside certificate was imported.
    """
    wanted = _purpose(purpose, authority)
    _ask(
        f"Rotate the {_place(wanted, authority)} key now? Readers that are off line may not know its successor yet.",
        yes,
    )
    kid = run(_rotate(wanted, authority or None))
    console.print(f"[green]✓[/] {kid.hex()} signs from now on; {TAKEN_OVER}")


@app.command()
def retire(kid: Annotated[str, typer.Argument(help="16 hex digits, as in the list.")], yes: Yes = False) -> None:
    """Take a rotated key out of the trust list: nothing that it signed is believed any more."""
    try:
        key_id = bytes.fromhex(kid)
    except ValueError:
        fail("a kid is written with 16 hex digits; see: liangzheng keys list")
    _ask(f"Retire {kid}? Every credential and pass that it signed stops being valid.", yes)
    run(_retire(key_id))
    console.print(f"[green]✓[/] {kid} is retired; the trust list is published without it")


@app.command()
def request(
    purpose: Purpose,
    out: Annotated[Path, typer.Option(help="The certificate request (PKCS #10, PEM) to write.")],
    authority: AuthorityCode = "",
) -> None:
    """Make a key whose certificate an outside authority shall sign, and write the request to send there."""
    if out.exists():
        fail(f"{out} exists; choose another name")
    out.write_text(run(_request(_purpose(purpose, authority), authority or None)))
    console.print(f"[green]✓[/] {out} is for the authority; bring its answer back with: liangzheng keys import")


@app.command("import")
def import_certificate(
    chain: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="PEM, leaf first; the root may be last.")],
    anchor: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The root, where it is apart.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Take what an outside authority answered to a request, after checking it. `rotate` then lets it sign."""
    pem, anchor_pem = chain.read_bytes(), anchor.read_bytes() if anchor else None
    _ask("Announce this certificate's key, and its root as an anchor that readers must pin?", yes)
    key = run(_import(pem, anchor_pem))
    owner = key.authority_code or ""
    command = f"liangzheng keys rotate {key.purpose.value}" + (f" --authority {owner}" if owner else "")
    console.print(
        f"[green]✓[/] {key.kid.hex()} is announced; readers pin the root with SHA-256 {key.anchor_sha256}",
        soft_wrap=True,
    )
    console.print(f"  once they have it, let the key sign with: {command}")


async def _init() -> None:
    async with opened() as platform, platform.database.snapshot() as session:
        keys = [key for key in await platform.keys.all(session) if key.state is not KeyState.RETIRED]
        root = next(key for key in keys if key.purpose is KeyPurpose.ROOT)
    console.print(f"[green]✓[/] the root and {len(keys) - 1} keys are there and proven by a test signature")
    console.print(f"  readers pin the root with SHA-256 {_fingerprint(root.certificates[0])}", soft_wrap=True)


async def _list(all_keys: bool, as_json: bool) -> None:
    async with opened(start=False) as platform, platform.database.snapshot() as session:
        keys = [key for key in await platform.keys.all(session) if all_keys or key.state is not KeyState.RETIRED]
        waiting = await platform.certificates.waiting(session)
    if as_json:
        typer.echo(json.dumps({"keys": [*map(_members, keys)], "waiting": [*map(_whose, waiting)]}, ensure_ascii=False))
        return
    if not keys:
        fail("there are no keys yet; make them with: liangzheng keys init")
    kid = Column("kid", no_wrap=True, min_width=16)  # whole: `retire` wants it
    table = Table(kid, "purpose", "authority", "state", "until", "kept in", "certified by", box=None)
    for key in sorted(keys, key=lambda key: (key.purpose, key.authority_code or "", key.created_at)):
        colour = STATE_COLOURS[key.state]
        table.add_row(
            key.kid.hex(),
            key.purpose.value,
            escape(f"{key.authority.name} {key.authority.code}") if key.authority else "",
            f"[{colour}]{key.state.value}[/]",
            f"{key.not_after:%Y-%m-%d}",
            _kept_in(key),
            f"outside {key.anchor_sha256[:16]}…" if key.outside else "platform",
        )
    console.print(table)
    for wanted in waiting:
        console.print(f"waiting for its certificate: {wanted.purpose.value} {wanted.authority_code or ''}")
    for root in (key for key in keys if key.purpose is KeyPurpose.ROOT):
        console.print(f"readers pin the root with SHA-256 {_fingerprint(root.certificates[0])}", soft_wrap=True)
    for anchor in sorted({key.anchor_sha256 for key in keys if key.outside}):
        console.print(f"and the outside root with SHA-256 {anchor}", soft_wrap=True)


async def _rotate(purpose: KeyPurpose, authority_code: str | None) -> bytes:
    async with opened(start=False) as platform:
        async with platform.database.transaction() as session:
            kid = await platform.keys.rotate(session, purpose, authority_code)
        await _publish(platform)
    return kid


async def _retire(kid: bytes) -> None:
    async with opened(start=False) as platform:
        async with platform.database.transaction() as session:
            await platform.keys.retire(session, kid)
        await _publish(platform)


async def _request(purpose: KeyPurpose, authority_code: str | None) -> str:
    async with opened(start=False) as platform:
        wanted = _wanted(platform, purpose, authority_code)
        async with platform.database.transaction() as session:
            return await platform.certificates.request(session, wanted)


async def _import(chain_pem: bytes, anchor_pem: bytes | None) -> SigningKey:
    async with opened(start=False) as platform:
        async with platform.database.transaction() as session:
            key = await platform.certificates.install(session, chain_pem, anchor_pem)
        await _publish(platform)
    return key


async def _publish(platform: Platform) -> None:
    """The keys are changed for good when this fails; the other keys' troubles must not hide that."""
    try:
        await platform.publish_trust()
    except Exception:
        errors.print("[yellow]the change is stored, but the trust list could not be published yet:[/]")
        raise


def _wanted(platform: Platform, purpose: KeyPurpose, authority_code: str | None) -> KeyRequest:
    by_place = {(wanted.purpose, wanted.authority_code): wanted for wanted in platform.wanted_keys()}
    if (purpose, authority_code) not in by_place:
        fail(f"no type pack names {authority_code} as an issuing authority")
    return by_place[purpose, authority_code]


def _purpose(text: str, authority_code: str) -> KeyPurpose:
    if text not in LEAF_PURPOSES:
        fail(f"{text} is no purpose of a key; they are {', '.join(LEAF_PURPOSES)}")
    purpose = KeyPurpose(text)
    if (purpose is KeyPurpose.CREDENTIAL) != bool(authority_code):
        fail("give --authority for a credential key, and for no other")
    return purpose


def _place(purpose: KeyPurpose, authority_code: str) -> str:
    return f"{purpose.value} {authority_code}".strip()


def _ask(question: str, yes: bool) -> None:
    if not yes and not typer.confirm(question):
        fail("nothing was changed")


def _kept_in(key: SigningKey) -> str:
    return "token" if key.key_reference.startswith("pkcs11:") else "file"


def _fingerprint(certificate: x509.Certificate) -> str:
    return sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def _members(key: SigningKey) -> dict[str, object]:
    return {
        "kid": key.kid.hex(),
        **_whose(key),
        "state": key.state.value,
        "not_before": key.not_before.isoformat(),
        "not_after": key.not_after.isoformat(),
        "key_reference": key.key_reference,
        "certificate_sha256": [_fingerprint(certificate) for certificate in key.certificates],
        "anchor_sha256": key.anchor_sha256 or None,
    }


def _whose(key: SigningKey | KeyRequest) -> dict[str, object]:
    authority = {"code": key.authority.code, "name": key.authority.name} if key.authority else None
    return {"purpose": key.purpose.value, "authority": authority, "licence_types": list(key.licence_types)}
