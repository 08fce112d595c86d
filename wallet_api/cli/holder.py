"""Try the platform as a holder's device would: fetch a licence, show it without a network."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.table import Table

from presentation.shows import qr_symbol
from verifier_sdk import CannotTell, NotValid, TrustStore, Verifier
from wallet_api.cli.console import console, explain, fail
from wallet_api.clock import SystemClock
from wallet_api.reference.holder import PROFILES, HeldCredential, HolderError, HolderWallet
from wallet_api.settings import Settings

REFRESH_S = 15

app = typer.Typer(no_args_is_help=True, help=__doc__)


@app.command()
def get(
    link: Annotated[str, typer.Argument(metavar="OFFER", help="openid-credential-offer://… or the offer's URL.")],
    tx_code: Annotated[str | None, typer.Option(help="The transaction code, when the offer asks for one.")] = None,
    days: Annotated[int, typer.Option(min=1, max=7, help="For how many days ahead to fetch passes.")] = 3,
) -> None:
    """Fetch the licence of an offer over OpenID4VCI, check it, and keep it with its device key."""
    settings = Settings()
    with _fetching(settings) as http:
        held = _wallet(settings).get(http, link, tx_code, days, lambda vc: _check(settings, vc))
    _tell(held, days)


@app.command("sign-in")
def sign_in(
    types: Annotated[list[str] | None, typer.Argument(metavar="TYPE", help="Licence types; all when left out.")] = None,
    days: Annotated[int, typer.Option(min=1, max=7, help="For how many days ahead to fetch passes.")] = 3,
) -> None:
    """Sign in with a browser on this machine, and fetch the licences that you allow."""
    settings = Settings()

    def invite(url: str) -> None:
        console.print("Open this address in a browser on this machine, and sign in there:")
        typer.echo(url)

    with _fetching(settings) as http:
        for held in _wallet(settings).sign_in(
            http, settings.public_url, types or [], days, lambda vc: _check(settings, vc), invite
        ):
            _tell(held, days)


@app.command("list")
def list_held() -> None:
    """What is in the wallet."""
    table = Table("id", "type", "issuer", "passes")
    for held in _wallet(Settings()).held():
        table.add_row(held.id, held.configuration_id, held.issuer, str(len(held.passes)))
    console.print(table)


@app.command()
def show(
    credential_id: Annotated[str | None, typer.Argument(help="Which licence; the newest when left out.")] = None,
    profile: Annotated[str, typer.Option(help="minimal (masked) or face.")] = "minimal",
    once: Annotated[bool, typer.Option(help="One code, then end.")] = False,
    text: Annotated[bool, typer.Option(help="Print the code's text instead of the picture.")] = False,
    png: Annotated[Path | None, typer.Option(help="Also write the code as PNG.")] = None,
    challenge: Annotated[str | None, typer.Option(help="The verifier's challenge, in hexadecimal.")] = None,
) -> None:
    """Show a live code, renewed every 15 seconds. Nothing is asked of any server."""
    if profile not in PROFILES:
        fail("--profile is minimal or face")
    cnonce = _challenge(challenge)
    wallet = _wallet(Settings())
    try:
        held = wallet.find(credential_id)
        while True:
            _draw(wallet.live_code(held, profile, cnonce), held, text, png)
            if once:
                return
            time.sleep(REFRESH_S)
    except HolderError as error:
        fail(str(error))
    except KeyboardInterrupt:
        return


@contextmanager
def _fetching(settings: Settings) -> Iterator[httpx.Client]:
    """What may go wrong with an issuer ends the command with one line."""
    with httpx.Client(timeout=10) as http:
        try:
            yield http
        except HolderError as error:
            fail(str(error))
        except (NotValid, CannotTell) as error:
            fail(f"the issuer's credential was refused: {error.detail} ({error.code})")
        except (KeyError, IndexError, TypeError):
            fail("the issuer's answer is out of form")
        except httpx.HTTPError as error:
            explain(error, settings.public_url)


def _tell(held: HeldCredential, days: int) -> None:
    disclosures = held.credential.count("~") - 1
    console.print(
        f"[green]✓[/] {held.id}: an SD-JWT VC with {disclosures} disclosures, checked up to the anchor, "
        f"and {len(held.passes)} passes for the next {days} days"
    )


def _challenge(text: str | None) -> bytes | None:
    try:
        cnonce = None if text is None else bytes.fromhex(text)
    except ValueError:
        fail("--challenge is hexadecimal")
    if cnonce is not None and not 8 <= len(cnonce) <= 64:
        fail("a challenge has 8 to 64 bytes")
    return cnonce


def _draw(code: str, held: HeldCredential, text: bool, png: Path | None) -> None:
    symbol = qr_symbol(code)
    if png is not None:
        symbol.make_image().save(str(png))
    if text:
        typer.echo(code)
        return
    console.clear()
    symbol.print_ascii(invert=True)
    console.print(f"{held.configuration_id} · QR version {symbol.version}-M · renewed every {REFRESH_S} s")


def _wallet(settings: Settings) -> HolderWallet:
    return HolderWallet(settings.data_dir / "holder", SystemClock())


def _check(settings: Settings, credential: str) -> None:
    """What a wallet checks before it keeps a credential: chain, signature, form, status, up to the pinned anchor."""
    anchor = settings.data_dir / "anchor.pem"
    if not anchor.exists():
        fail(f"no anchor in {anchor}: a wallet pins the platform's root before it trusts it")
    home = settings.data_dir / "holder" / "trust"
    home.mkdir(parents=True, exist_ok=True)
    with TrustStore.open(home, anchors=[anchor.read_bytes()]) as trust:
        trust.sync(f"{settings.public_url}/api/v1/trust-list")
        Verifier(trust=trust).check_credential(credential)
