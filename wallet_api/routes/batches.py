"""What became of a department's deliveries: its batches, and the refused and flagged rows of each, page by page."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from credentials.registry import BatchReport, Quality, Rejection
from credentials.registry.intake import MAX_REJECTIONS
from wallet_api.dependencies import AppPlatform, Department
from wallet_api.edge import Cursors
from wallet_api.openapi import answers
from wallet_api.problems import NO_STORE

MAX_BATCH_BYTES = 8 * 2**30  # a department's whole history; it is never held, and a broken delivery can be resumed

COUNTS = ("accepted", "unchanged", "rejected", "duplicates", "flagged")
PATH = "/api/v1/licence-batches"

router = APIRouter(prefix=PATH, tags=["departments"])


class Page(BaseModel):
    """Which page of a list. A cursor is good for the client and the list (with its filters) that it was given for."""

    model_config = ConfigDict(extra="forbid")

    cursor: str | None = Field(default=None, max_length=1024, description="`next_cursor` of the page before")
    limit: int = Field(default=100, ge=1, le=1000)


class BatchEntry(BaseModel):
    """A delivery and its counts; `finished_at` is null when it broke off.

    `duplicates` of the unchanged rows repeat a row of this same delivery; something is wrong with `flagged` of the
    accepted ones, though nothing to refuse them for.
    """

    batch_id: str
    started_at: AwareDatetime
    finished_at: AwareDatetime | None
    accepted: int
    unchanged: int
    rejected: int
    duplicates: int
    flagged: int


class Remark(BaseModel):
    """What is wrong with one line; lines count from 1."""

    line: int
    code: str
    field: str
    detail: str


class BatchAnswer(BatchEntry):
    """A delivery, how many rows were refused for what, and its first 1000 refused and 1000 flagged rows.

    `next_cursor` leads to the next refused rows, `next_flag_cursor` to the next flagged ones.
    """

    rejected_by_code: dict[str, int]
    rejections: list[Remark]
    next_cursor: str | None
    flags: list[Remark]
    next_flag_cursor: str | None


class BatchPage(BaseModel):
    """Deliveries, the newest first."""

    batches: list[BatchEntry]
    next_cursor: str | None


class RejectionPage(BaseModel):
    """Refused rows in the order of their lines."""

    rejections: list[Remark]
    next_cursor: str | None


class FlagPage(BaseModel):
    """Accepted rows with what is wrong with them, in the order of their lines."""

    flags: list[Remark]
    next_cursor: str | None


@router.get("", responses={200: {"model": BatchPage}})
async def batches(page: Annotated[Page, Query()], platform: AppPlatform, department: Department) -> JSONResponse:
    """The department's own batches, the newest first."""
    system = department.client_id or ""
    list_of = f"batches:{system}"
    before = str(platform.cursors.open(list_of, page.cursor)[0]) if page.cursor else None
    async with platform.database.snapshot() as session:
        found = await platform.intake.batches(session, system, before, page.limit + 1)
    shown = found[: page.limit]
    more = platform.cursors.seal(list_of, [shown[-1].id]) if len(found) > page.limit else None
    return JSONResponse({"batches": [_entry(batch) for batch in shown], "next_cursor": more}, headers=NO_STORE)


@router.get("/{batch_id}", responses={200: {"model": BatchAnswer}})
async def batch_report(batch_id: str, platform: AppPlatform, department: Department) -> JSONResponse:
    """What became of one of the department's own batches; `finished_at` is null when the delivery broke off."""
    async with platform.database.snapshot() as session:
        report = await platform.intake.report(session, batch_id, department.client_id)
        quality = await platform.intake.quality(session, batch_id)
    return JSONResponse(batch_answer(report, quality, platform.cursors), headers=NO_STORE)


@router.get("/{batch_id}/rejections", responses={200: {"model": RejectionPage}})
async def batch_rejections(
    batch_id: str, page: Annotated[Page, Query()], platform: AppPlatform, department: Department
) -> JSONResponse:
    """Every refused row of one of the department's own batches, page by page."""
    list_of = f"rejections:{batch_id}"  # only its own department gets so far
    after = _line_in(platform.cursors, list_of, page.cursor)
    async with platform.database.snapshot() as session:
        report = await platform.intake.report(
            session, batch_id, department.client_id, after_line=after, limit=page.limit + 1
        )
    return JSONResponse(_remarks("rejections", report.rejections, page.limit, list_of, platform.cursors), 200, NO_STORE)


@router.get("/{batch_id}/flags", responses=answers({200: FlagPage}, 404))
async def batch_flags(
    batch_id: str, page: Annotated[Page, Query()], platform: AppPlatform, department: Department
) -> JSONResponse:
    """Every accepted row that something is wrong with, of one of the department's own batches, page by page."""
    list_of = f"flags:{batch_id}"
    after = _line_in(platform.cursors, list_of, page.cursor)
    async with platform.database.snapshot() as session:
        await platform.intake.report(session, batch_id, department.client_id, limit=0)
        found = await platform.intake.flags(session, batch_id, after_line=after, limit=page.limit + 1)
    return JSONResponse(_remarks("flags", found, page.limit, list_of, platform.cursors), 200, NO_STORE)


def batch_answer(report: BatchReport, quality: Quality, cursors: Cursors) -> dict[str, object]:
    """A report as it is answered; the counts tell of all rows."""
    refused, flagged = report.rejections, quality.flags
    more_refused = report.rejected > len(refused) == MAX_REJECTIONS
    more_flagged = report.flagged > len(flagged) == MAX_REJECTIONS
    return {
        **_entry(report),
        "rejected_by_code": quality.rejected_by_code,
        "rejections": [asdict(remark) for remark in refused],
        "next_cursor": cursors.seal(f"rejections:{report.id}", [refused[-1].line]) if more_refused else None,
        "flags": [asdict(remark) for remark in flagged],
        "next_flag_cursor": cursors.seal(f"flags:{report.id}", [flagged[-1].line]) if more_flagged else None,
    }


def _entry(report: BatchReport) -> dict[str, object]:
    counts = {name: getattr(report, name) for name in COUNTS}
    return {
        "batch_id": report.id,
        "started_at": report.started_at.isoformat(),
        "finished_at": report.finished_at and report.finished_at.isoformat(),
        **counts,
    }


def _line_in(cursors: Cursors, list_of: str, cursor: str | None) -> int:
    return int(cursors.open(list_of, cursor)[0]) if cursor else 0


def _remarks(member: str, found: Sequence[Rejection], limit: int, list_of: str, cursors: Cursors) -> dict[str, object]:
    """A page of remarks; one more than the limit was looked for."""
    more = cursors.seal(list_of, [found[limit - 1].line]) if len(found) > limit else None
    return {member: [asdict(remark) for remark in found[:limit]], "next_cursor": more}
