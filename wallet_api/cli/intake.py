"""Bringing licences in: files of departments, and a made-up city. Both go through the one intake."""

import asyncio
import codecs
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import orjson
import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from credentials.catalogue import Catalogue
from credentials.registry import SHANGHAI, BatchReport, FileError, IntakeSource, Quality
from credentials.registry.ports import UnitOfWork
from wallet_api.cli.console import console, fail, opened, run
from wallet_api.clock import SystemClock
from wallet_api.sample import City
from wallet_api.tour import DEMO_CLIENT
from wallet_api.wiring import Platform

REJECTIONS_SHOWN = 20
PIECE_BYTES = 262_144  # a few hundred rows: enough for one hand-over between threads
WRONG_FILE = 2  # exit code: nothing was taken, because the file or the command line is wrong
ROWS_REFUSED = 3  # exit code of --strict: the file was taken, but for some of its rows
HOLDERS = 1_000  # of a city that nobody gave a size
SAMPLE_CITY = "sample-city"  # the sending system of `liangzheng sample`


class Form(StrEnum):
    """How rows are written."""

    NDJSON = "ndjson"
    CSV = "csv"


class Encoding(StrEnum):
    """What CSV files are encoded in."""

    UTF_8 = "utf-8"
    GB18030 = "gb18030"


@dataclass(frozen=True)
class Outcome:
    """What became of a file."""

    report: BatchReport
    quality: Quality


def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="NDJSON or CSV.")],
    source: Annotated[str, typer.Option(help="The sending system: the department's client id.")] = DEMO_CLIENT,
    form: Annotated[Form | None, typer.Option("--format", help="By default csv for FILE.csv, else ndjson.")] = None,
    encoding: Annotated[Encoding, typer.Option(help="Of a CSV file.")] = Encoding.UTF_8,
    report: Annotated[Path | None, typer.Option(help="Write the whole report here, as JSON.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Take everything, report, and undo it all.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help=f"Exit with {ROWS_REFUSED} when rows are refused.")] = False,
) -> None:
    """Take a department's file into the store, row by row: accepted, unchanged, or refused with a reason."""
    if not 1 <= len(source) <= 64:
        fail("--source has 1 to 64 characters", WRONG_FILE)
    form = form or (Form.CSV if file.suffix.lower() == ".csv" else Form.NDJSON)
    _check_file(file, form)
    if report is not None and (report.is_dir() or not report.absolute().parent.is_dir()):
        fail(f"{report} is a folder, or in none", WRONG_FILE)
    outcome = run(import_licences(file, source, form=form, encoding=encoding, report_file=report, dry_run=dry_run))
    _tell(outcome, dry_run=dry_run)
    if strict and outcome.report.rejected:
        raise typer.Exit(ROWS_REFUSED)


def sample(
    holders: Annotated[int | None, typer.Option(min=1, max=30_000_000, help="A city of so many holders.")] = None,
    rows: Annotated[int | None, typer.Option(min=1, max=10_000_000, help="Or so many first issues, all good.")] = None,
    wrong: Annotated[int, typer.Option(min=0, max=1_000_000, help="Rows that must be refused.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and day give the same rows.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Write NDJSON here instead of taking it in.")] = None,
) -> None:
    """Make up a city: people and companies, their licences of every type, and what became of these over the years.

    Some end within a month, some are suspended, renewed, changed, revoked, or held by two. They are taken into the
    store as a department's file would be, or written to a file.
    """
    if holders is not None and rows is not None:
        fail("--holders or --rows, not both", WRONG_FILE)
    city = City(Catalogue.default(), seed, SystemClock().now().astimezone(SHANGHAI).date())
    if rows is None:
        total = holders or HOLDERS
        lives = city.lives(total, wrong=wrong)
    else:
        total = rows + wrong
        lives = ([row] for row in city.rows(rows, wrong=wrong))
    if out is None:
        _tell(run(_take_city(lives, total)), dry_run=False)
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("wb") as file, _bar("writing", total) as moved:
            count = sum(_written(file, life, moved) for life in lives)
    except OSError as error:
        fail(f"{out}: {error.strerror or error}")
    console.print(f"[green]✓[/] {count} rows, {wrong} of them wrong, in {out}")


async def import_licences(
    file: Path,
    source: str,
    *,
    form: Form = Form.NDJSON,
    encoding: Encoding = Encoding.UTF_8,
    report_file: Path | None = None,
    dry_run: bool = False,
) -> Outcome:
    """Take a file in with a progress bar by bytes."""
    sender = IntakeSource(source, None)
    with file.open("rb") as raw, _bar("importing", os.fstat(raw.fileno()).st_size) as moved:
        async with opened() as platform, _unit_of_work(platform, dry_run) as uow:
            pieces = _pieces(raw, moved)
            if form is Form.CSV:
                try:
                    report = await platform.intake.take_csv(uow, sender, pieces, encoding.value, moved.rows)
                except FileError as error:
                    fail(f"{file}: {error.detail}", WRONG_FILE)
            else:
                report = await platform.intake.take_stream(uow, sender, pieces, moved.rows)
            async with uow.snapshot() as session:
                quality = await platform.intake.quality(session, report.id)
            if report_file is not None:
                await _write_report(report_file, file.name, platform, uow, Outcome(report, quality), dry_run)
    return Outcome(report, quality)


async def _take_city(lives: Iterator[list[dict[str, Any]]], total: int) -> Outcome:
    async def pieces(moved: "_Moved") -> AsyncIterator[bytes]:
        for life in lives:
            yield b"".join(map(_line, life))
            moved.by(1)

    async with opened() as platform:
        database = platform.database
        with _bar("taking in", total) as moved:
            source = IntakeSource(SAMPLE_CITY, None)
            report = await platform.intake.take_stream(database, source, pieces(moved), moved.rows)
        async with database.snapshot() as session:
            return Outcome(report, await platform.intake.quality(session, report.id))


@asynccontextmanager
async def _unit_of_work(platform: Platform, dry_run: bool) -> AsyncIterator[UnitOfWork]:
    if not dry_run:
        yield platform.database
        return
    async with platform.database.rehearsal() as rehearsal:
        yield rehearsal


async def _pieces(raw: BinaryIO, moved: "_Moved") -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(raw.read, PIECE_BYTES):  # a pipe may keep us waiting
        yield piece
        moved.by(len(piece))


def _written(file: BinaryIO, life: list[dict[str, Any]], moved: "_Moved") -> int:
    file.writelines(map(_line, life))
    moved.by(1)
    moved.rows(len(life))
    return len(life)


def _line(row: dict[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


class _Moved:
    """Moves a progress bar."""

    def __init__(self, bar: Progress, description: str, total: int) -> None:
        self._bar = bar
        self._task = bar.add_task(description, total=total or None, rows=0)
        self._rows = 0

    def by(self, steps: int) -> None:
        """So many bytes or holders more have gone in."""
        self._bar.advance(self._task, steps)

    def rows(self, rows: int) -> None:
        """So many rows more are committed."""
        self._rows += rows
        self._bar.update(self._task, rows=self._rows)


@contextmanager
def _bar(description: str, total: int) -> Iterator[_Moved]:
    rows = TextColumn("{task.fields[rows]:,} rows")
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), rows, TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield _Moved(bar, description, total)


def _check_file(file: Path, form: Form) -> None:
    """End the command where the first bytes show that this is no such file. A pipe is not looked into."""
    if not file.is_file():
        return
    with file.open("rb") as raw:
        head = raw.read(PIECE_BYTES).removeprefix(codecs.BOM_UTF8)
    if not head.strip():
        fail(f"{file} is empty", WRONG_FILE)
    for magic, kind in ((b"\x1f\x8b", "gzip"), (b"PK\x03\x04", "a ZIP or Excel file"), (b"\xff\xfe", "UTF-16")):
        if head.startswith(magic):
            fail(f"{file} is {kind}; unpack it, or save it as UTF-8", WRONG_FILE)
    if form is Form.NDJSON and not any(line.lstrip().startswith(b"{") for line in head.split(b"\n")):
        fail(f"{file} does not look like NDJSON: no line begins with {{ (for CSV: --format csv)", WRONG_FILE)


def _tell(outcome: Outcome, *, dry_run: bool) -> None:
    """The report for people."""
    report, quality = outcome.report, outcome.quality
    console.print(
        f"[green]✓[/] accepted {report.accepted}, unchanged {report.unchanged}, "
        f"[{'yellow' if report.rejected else 'default'}]rejected {report.rejected}[/], flagged {report.flagged} "
        f"(batch {report.id})"
    )
    if report.duplicates:
        console.print(f"  {report.duplicates} of the unchanged repeat a row of this same file")
    for code, count in quality.rejected_by_code.items():
        console.print(f"  rejected {count}: {code}")
    shown = [("rejected", no) for no in report.rejections[:REJECTIONS_SHOWN]]
    shown += [("flagged", flag) for flag in quality.flags[: REJECTIONS_SHOWN - len(shown)]]
    if shown:
        table = Table("line", "row is", "code", "field", "reason")
        for verdict, remark in shown:
            table.add_row(str(remark.line), verdict, remark.code, remark.field, remark.detail)
        console.print(table)
    if (more := report.rejected + report.flagged - len(shown)) > 0:
        console.print(f"… and {more} more; --report FILE has all of them")
    if dry_run:
        console.print("[yellow]a rehearsal: nothing of it was kept[/]")


async def _write_report(
    target: Path, file: str, platform: Platform, uow: UnitOfWork, outcome: Outcome, dry_run: bool
) -> None:
    """The whole report as one JSON object; refused rows are read and written page by page."""
    report, quality = outcome.report, outcome.quality
    head = asdict(report) | {"file": file, "dry_run": dry_run, "rejected_by_code": quality.rejected_by_code}
    head |= {"batch_id": head.pop("id"), "rows": report.accepted + report.unchanged + report.rejected}
    head["flags"] = [asdict(flag) for flag in quality.flags]
    del head["rejections"]
    with target.open("wb") as out:
        out.write(orjson.dumps(head)[:-1] + b',"rejections":[')
        page, between = report, b"\n"
        while page.rejections:
            out.writelines(
                (between if at == 0 else b",\n") + orjson.dumps(asdict(no)) for at, no in enumerate(page.rejections)
            )
            between = b",\n"
            async with uow.snapshot() as session:
                page = await platform.intake.report(session, report.id, after_line=page.rejections[-1].line)
        out.write(b"]}\n")
