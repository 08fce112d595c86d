"""What an operator runs now and then."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from credentials.errors import CredentialsError
from wallet_api.cli.console import console, errors, opened, run
from wallet_api.deployment_secrets import Secrets, SecretsInvalid
from wallet_api.upkeep import (
    UNKNOWN_KEY,
    Finding,
    Severity,
    check_settings,
    check_store,
    count_by_key,
    is_new,
    read_settings,
)
from wallet_api.upkeep import reseal as reseal_all
from wallet_api.wiring import Platform


def reseal(
    check: Annotated[bool, typer.Option("--check", help="Only count what is sealed under which key.")] = False,
) -> None:
    """Seal all personal data under the first of ENCRYPTION_KEYS, so that the others can be dropped.

    It may run beside the platform, more than once at a time, and again after a break. Ends with 1 while anything is
    left under another key.
    """
    if not run(_check() if check else _reseal()):
        raise typer.Exit(1)


def check_config() -> None:
    """Say what is wrong with this deployment, and how to mend it. Changes nothing, and prints no secret.

    Ends with 1 when there is an error; warnings and notes are for a person to read.
    """
    findings = run(_findings())
    marks = {Severity.ERROR: "[red]✗ error  [/]", Severity.WARNING: "[yellow]! warning[/]", Severity.NOTE: "· note   "}
    for finding in sorted(findings, key=lambda finding: list(marks).index(finding.severity)):
        console.print(f"{marks[finding.severity]} {escape(f'{finding.subject}: {finding.problem}')}", soft_wrap=True)
        console.print(f"            → {escape(finding.mend)}", soft_wrap=True)
    wrong = sum(finding.severity is Severity.ERROR for finding in findings)
    console.print(f"[red]{wrong} to mend[/]" if wrong else "[green]✓[/] this deployment can run")
    if wrong:
        raise typer.Exit(1)


async def _findings() -> Sequence[Finding]:
    settings, findings = read_settings()
    if settings is None:
        return findings
    found = list(check_settings(settings))
    if is_new(settings):
        return [*found, Finding(Severity.NOTE, "database", "there is none yet", "the first start makes it")]
    try:
        platform = Platform.of(settings)
    except (CredentialsError, SecretsInvalid):  # told already; there is no platform to look at the store with
        return found
    try:
        return [*found, *await check_store(platform)]
    finally:
        await platform.close()


async def _check() -> bool:
    async with opened() as platform:
        protector = Secrets.of(platform.settings).protector
        found = await count_by_key(platform.database, protector)
    columns = [*protector.key_ids, UNKNOWN_KEY]
    table = Table("column", *(f"{key_id} (active)" if key_id == protector.active else key_id for key_id in columns))
    for column, counts in found.items():
        table.add_row(column, *(str(counts.get(key_id, 0)) for key_id in columns))
    console.print(table)
    left = sum(count for counts in found.values() for key_id, count in counts.items() if key_id != protector.active)
    console.print(f"{left} values are not under the active key" if left else "all values are under the active key")
    return not left


async def _reseal() -> bool:
    bars = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    async with opened() as platform:
        protector = Secrets.of(platform.settings).protector
        found = await count_by_key(platform.database, protector)
        todo = sum(count for counts in found.values() for key_id, count in counts.items() if key_id != protector.active)
        with Progress(*bars, console=console, transient=True) as bar:
            task = bar.add_task("sealing anew", total=todo)
            reports = await reseal_all(platform.database, protector, lambda values: bar.advance(task, values))
    for report in reports:
        if report.resealed:
            console.print(f"[green]✓[/] {report.column}: {report.resealed}")
        if report.left:
            errors.print(f"[red]✗[/] {report.column}: {report.left} left, of them {report.unreadable} do not open")
    left = sum(report.left for report in reports)
    if not left:
        console.print(f"everything is under key {protector.active}; the others can be dropped from ENCRYPTION_KEYS")
    return not left
