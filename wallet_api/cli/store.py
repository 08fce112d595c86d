"""Looking licences up, and offering them."""

from datetime import timedelta
from typing import Annotated

import typer

from credentials.registry import SHANGHAI
from wallet_api.cli.console import console, opened, run
from wallet_api.offers import offer_links

MAX_DAYS = 36_500  # a century: no licence that has an end has a later one
HISTORY_SHOWN = 1000  # far more than happens to one version


def licences(
    type_code: Annotated[str | None, typer.Option("--type", help="For example driving-licence.")] = None,
    ending_within: Annotated[
        int | None, typer.Option(min=0, max=MAX_DAYS, help="The last day is at most so many days away.")
    ] = None,
    after: Annotated[int, typer.Option(min=0, max=MAX_DAYS, help="The last day is at least so many days away.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 10,
) -> None:
    """List licences in force, the one that ends first first. Names and numbers stay sealed."""
    run(_licences(type_code, ending_within, after, limit))


def lineage(identifier: Annotated[str, typer.Argument(help="GB/T 36904 identifier of any of its versions.")]) -> None:
    """Tell a licence's life: every version that came before and after, and what happened to each."""
    run(_lineage(identifier))


def offer(
    identifier: Annotated[str, typer.Argument(help="GB/T 36904 identifier, 1.2.156.3005.2.…")],
    tx_code: Annotated[bool, typer.Option(help="Ask the holder for a transaction code.")] = True,
    plain: Annotated[bool, typer.Option(help="Print only what `liangzheng holder get` takes.")] = False,
) -> None:
    """Offer a licence to its first holder's wallet (OpenID4VCI, pre-authorized code)."""
    link, code = run(_offer(identifier, tx_code))
    if plain:
        typer.echo(f"{link} --tx-code {code}" if code else link)
        return
    console.print(f"[green]✓[/] offer, good for 30 minutes and for one wallet:\n{link}", soft_wrap=True)
    if code:
        console.print(f"transaction code, for the holder only: [bold]{code}[/]")


async def _licences(type_code: str | None, ending_within: int | None, after: int, limit: int) -> None:
    async with opened() as platform:
        today = platform.clock.now().astimezone(SHANGHAI).date()
        first = today + timedelta(days=after)
        until = None if ending_within is None else today + timedelta(days=ending_within)
        async with platform.database.snapshot() as session:
            found = await platform.registry.valid_licences(
                session, type_code=type_code, last_day_from=first, last_day_until=until, limit=limit
            )
            total = await platform.registry.count(session)
    for licence in found:
        last = licence.valid_until.isoformat() if licence.valid_until else "long-term"
        typer.echo(f"{licence.identifier}  {licence.type_code}  v{licence.version}  {last}")
    console.print(f"{len(found)} shown of {total} licence records")


async def _lineage(identifier: str) -> None:
    async with opened() as platform, platform.database.snapshot() as session:
        start = await platform.registry.by_identifier(session, identifier)
        for licence in await platform.registry.lineage(session, start.id):
            typer.echo(
                f"{licence.identifier}  v{licence.version}  {licence.source_system}  {licence.state.name.lower()}"
            )
            for entry in await platform.registry.history(session, licence.id, 0, HISTORY_SHOWN):
                step, state = entry.operate_type, entry.state
                when = entry.occurred_at.astimezone(SHANGHAI)
                typer.echo(
                    f"  {when:%Y-%m-%d %H:%M}  {step.value} {step.name.lower()} → {state.value} {state.name.lower()}"
                )


async def _offer(identifier: str, tx_code: bool) -> tuple[str, str | None]:
    async with opened() as platform, platform.database.transaction() as session:
        licence = await platform.registry.by_identifier(session, identifier)
        made = await platform.issuance.offer_licence(session, licence.id, with_tx_code=tx_code)
    return offer_links(made, platform.settings.public_url)["deep_link"], made.tx_code
