"""The outbox: what waits, what failed for good, and putting it back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import typer
from rich.markup import escape

from credentials.registry import SHANGHAI
from notifications import MessageState, Selection, StoredMessage
from wallet_api.cli.console import console, fail, in_our_times, opened, run

app = typer.Typer(no_args_is_help=True, help=__doc__)

Channel = Annotated[Literal["inbox", "push", "sms"] | None, typer.Option(help="Which channel.")]
Since = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], callback=in_our_times, help="Written on this Shanghai day or later."),
]


@app.command("list")
def list_messages(
    state: Annotated[MessageState, typer.Option(help="Which state.")] = MessageState.FAILED,
    channel: Channel = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
) -> None:
    """Show messages, the newest first: what is open or failed in all, and those of one state one by one."""
    backlog, messages = run(_list(_selection(channel=channel, state=state, since=since), limit))
    for (name, in_state), (count, oldest) in sorted(backlog.items()):
        console.print(f"{name} {in_state}: {count}, the oldest since {_day_and_time(oldest)}")
    if not messages:
        console.print(f"no message is {state.value}" + (f" on {channel}" if channel else ""))
        return
    for one in messages:
        line = (
            one.id,
            one.channel,
            one.kind,
            f"{one.attempts} attempts",
            one.reason or "-",
            _day_and_time(one.created_at),
        )
        console.print(escape("  ".join(line)), soft_wrap=True)
    if state is MessageState.FAILED:
        console.print("put back with: liangzheng outbox redrive ID… | --all")


@app.command()
def show(message_id: Annotated[str, typer.Argument(help="Id of the message.")]) -> None:
    """Show everything about a message but its text and where it goes."""
    _, messages = run(_list(Selection(ids=(message_id,)), 1))
    if not messages:
        fail(f"no such message: {message_id} (message_not_found)")
    (one,) = messages
    for name in StoredMessage.__dataclass_fields__:
        value = getattr(one, name)
        shown = _day_and_time(value) if isinstance(value, datetime) else "-" if value is None else str(value)
        console.print(f"{name:>13}  {escape(shown)}")


@app.command()
def redrive(
    message_ids: Annotated[list[str] | None, typer.Argument(help="Ids of failed messages.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All failed messages, narrowed by the options.")] = False,
    channel: Channel = None,
    since: Since = None,
) -> None:
    """Put failed messages back, as if they had never been tried.

    Left alone is what another channel carried meanwhile, what is of no more use, and what has lost its text to age.
    """
    if bool(message_ids) == everything:
        fail("name messages, or say --all")
    ids = tuple(message_ids) if message_ids else None
    count = run(_redrive(_selection(ids=ids, channel=channel, since=since)))
    if not count and ids:
        fail("none of these failed for good and is still of use; look: liangzheng outbox show ID")
    if not count:
        console.print("nothing to put back")
        return
    console.print(f"[green]✓[/] {count} put back; the next run of the worker sends them")


def _selection(
    *,
    ids: tuple[str, ...] | None = None,
    channel: str | None,
    state: MessageState | None = None,
    since: datetime | None,
) -> Selection:
    begins = since.replace(tzinfo=SHANGHAI) if since else None
    return Selection(ids=ids, channel=channel, state=state, since=begins)


async def _list(
    selection: Selection, limit: int
) -> tuple[dict[tuple[str, str], tuple[int, datetime]], Sequence[StoredMessage]]:
    async with opened(start=False) as platform, platform.database.snapshot() as session:
        backlog = dict(await platform.outbox.backlog(session))
        return backlog, await platform.outbox.list(session, selection, limit)


async def _redrive(selection: Selection) -> int:
    count = 0
    async with opened(start=False) as platform:
        while True:  # in parts, so that nobody waits long
            async with platform.database.transaction() as session:
                part = await platform.outbox.redrive(session, selection)
            count += part
            if not part:
                return count


def _day_and_time(instant: datetime) -> str:
    return f"{instant.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}"
