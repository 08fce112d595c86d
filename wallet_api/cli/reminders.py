"""Reminders: run them, rehearse a day and see what would go out, hold back a licence type's."""

from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime, time, timedelta
from typing import Annotated

import typer
from rich.markup import escape

from credentials.registry import SHANGHAI
from notifications import NotificationsError, SwitchedOff, TickReport, coverage
from notifications.reminders.planning import DUE_HOUR, today
from notifications.service import BATCH
from wallet_api.cli.console import console, fail, in_our_times, opened, run
from wallet_api.cli.operate import remind
from wallet_api.clock import StandingClock, SystemClock
from wallet_api.database import Rehearsal
from wallet_api.reminding import PackRules
from wallet_api.settings import Settings
from wallet_api.wiring import Platform

app = typer.Typer(no_args_is_help=True, help=__doc__)

At = Annotated[
    datetime | None,
    typer.Option("--at", formats=["%Y-%m-%d"], callback=in_our_times, help="As if it were 09:00 of this day."),
]


@app.command()
def plan(at: At = None) -> None:
    """Show what would be told on a day, by type and stage, when the days before it had their runs.

    Nothing is written or sent.
    """
    instant = _instant(at)
    before = [instant - timedelta(days=1)] if today(instant) > today(SystemClock().now()) else []
    _show(run(_rehearse(*before, instant)), "would be told")


@app.command("run")
def run_reminders(
    at: At = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go out.")] = False,
) -> None:
    """Plan, queue and deliver once, as the worker does every minute; `--at` does it as if it were that day.

    What would come before it is given up then, and retries wait until then: outside the embedded mode `--at` needs
    `--dry-run`.
    """
    if dry_run:
        _show(run(_rehearse(_instant(at))), "would be told")
    elif at is None:
        remind()
    elif Settings().deployment != "embedded":
        fail("workers beside it know another time: run without --at, or add --dry-run")
    else:
        report = run(_run_at(_instant(at)))
        console.print(f"[green]✓[/] planned {report.planned}, queued {report.queued}, sent {report.sent}")


@app.command("coverage")
def show_coverage(days: Annotated[int, typer.Option(min=1, max=366, help="Up to today.")] = 30) -> None:
    """Show how far the reminders that were due in the last days reached."""
    run(_coverage(days))


@app.command()
def types() -> None:
    """Show the licence types, how many stages each has, and which are switched off."""
    run(_types())


TypeCode = Annotated[str, typer.Argument(metavar="TYPE", help="As `reminders types` lists it.")]


@app.command()
def mute(
    type_code: TypeCode, reason: Annotated[str, typer.Option(help="Who decided it, and why; at most 200 characters.")]
) -> None:
    """Hold back the reminders of a licence type, in all processes from their next run on.

    What is due waits; `unmute` lets out what is still of use. Messages that already wait in the outbox go out.
    """
    run(_mute(type_code, reason))
    console.print(f"[green]✓[/] reminders of {escape(type_code)} are switched off; what is due waits")


@app.command()
def unmute(
    type_code: TypeCode, reason: Annotated[str | None, typer.Option(help="At most 200 characters.")] = None
) -> None:
    """Let the reminders of a licence type go out again; what waited is caught up with the next run."""
    if not run(_unmute(type_code, reason)):
        fail(f"reminders of {type_code} are not switched off")
    console.print(f"[green]✓[/] reminders of {escape(type_code)} go out again")


async def _rehearse(*instants: datetime) -> Mapping[tuple[str, str], int]:
    """Everything of runs at these instants but the sending, in a transaction that is not kept; what the last did."""
    clock, found = StandingClock(instants[0]), Counter[tuple[str, str]]()
    async with _opened_by(clock) as platform, platform.database.rehearsal() as rehearsal:
        for instant in instants:
            clock.move(instant)
            found = await _queue_all(platform, rehearsal)
    return found


async def _queue_all(platform: Platform, rehearsal: Rehearsal) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    more = True
    while more:
        async with rehearsal.transaction() as session:
            followed = await platform.reminders.follow(session, BATCH)
        async with rehearsal.transaction() as session:
            replanned = await platform.reminders.follow_rules(session, BATCH)
        more = bool(followed.changes or replanned.changes)
    more = True
    while more:
        async with rehearsal.transaction() as session:
            due = await platform.reminders.queue_due(session, BATCH)
        found.update(due.stages)
        more = due.closed > 0
    return found


async def _run_at(instant: datetime) -> TickReport:
    async with _opened_by(StandingClock(instant)) as platform:
        return await platform.remind()


def _instant(at: datetime | None) -> datetime:
    return datetime.combine(at.date(), time(DUE_HOUR), SHANGHAI) if at else SystemClock().now()


def _opened_by(clock: StandingClock) -> AbstractAsyncContextManager[Platform]:
    return opened(start=False, platform=Platform.of(Settings(), clock=clock))


def _show(found: Mapping[tuple[str, str], int], verb: str) -> None:
    for (type_code, stage), count in sorted(found.items()):
        console.print(f"{type_code}  {stage}  {count}")
    console.print(f"in all {sum(found.values())} reminders {verb}; nothing was written or sent")


async def _coverage(days: int) -> None:
    async with opened(start=False) as platform, platform.database.snapshot() as session:
        until = today(platform.clock.now())
        codes = [kind.code for kind in platform.catalogue.types()]
        stages = await coverage(session, codes, until - timedelta(days=days), until)
        off = await platform.reminder_switches.switched_off(session)
    for one in stages:
        reminders = ", ".join(f"{state} {count}" for state, count in sorted(one.reminders.items()))
        console.print(f"{one.type_code}  {one.stage}  {reminders}")
        for channel, outcomes in sorted(one.channels.items()):
            console.print(f"    {channel}: " + ", ".join(f"{what} {count}" for what, count in sorted(outcomes.items())))
    if not stages:
        console.print("no reminder was due")
    _show_switched_off(off)


async def _types() -> None:
    async with opened(start=False) as platform, platform.database.snapshot() as session:
        off = await platform.reminder_switches.switched_off(session)
    rules = PackRules(platform.catalogue)
    for code in sorted(rules.type_codes()):
        console.print(f"{code}  stages {len(rules.stages(code))}  {'[red]switched off[/]' if code in off else 'on'}")
    _show_switched_off(off)


def _show_switched_off(off: Mapping[str, SwitchedOff]) -> None:
    for code, switch in off.items():
        since = f"{switch.since.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
        console.print(f"[red]switched off[/] since {since}: {escape(code)}  {escape(switch.reason)}")


async def _mute(type_code: str, reason: str) -> None:
    async with opened(start=False) as platform, platform.database.transaction() as session:
        platform.catalogue.get(type_code)  # a mistyped code would hold back nothing
        try:
            await platform.operators.switch_reminders_off(session, type_code, reason)
        except NotificationsError as error:
            fail(f"{error.detail} ({error.code})")


async def _unmute(type_code: str, reason: str | None) -> bool:
    async with opened(start=False) as platform, platform.database.transaction() as session:
        try:
            return await platform.operators.switch_reminders_on(session, type_code, reason=reason)
        except NotificationsError as error:
            fail(f"{error.detail} ({error.code})")
