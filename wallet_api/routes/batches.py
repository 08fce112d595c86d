"""What became of a department's deliveries: its batches, and the refused rows of each, page by page."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from credentials.registry import BatchReport
from credentials.registry.intake import MAX_REJECTIONS
from wallet_api.dependencies import AppPlatform, Department
from wallet_api.edge import Cursors
from wallet_api.problems import NO_STORE

MAX_BATCH_BYTES = 8 * 2**30  # a department's whole history; it is never held, and a broken delivery can be resumed

PATH = "/api/v1/licence-batches"

router = APIRouter(prefix=PATH, tags=["departments"])


class Page(BaseModel):
    """Which page of a list. A cursor is good for the client and the list (with its filters) that it was given for."""

    model_config = ConfigDict(extra="forbid")

    cursor: str | None = Field(default=None, max_length=1024, description="`next_cursor` of the page before")
    limit: int = Field(default=100, ge=1, le=1000)


class BatchEntry(BaseModel):
    """A delivery and its counts; `finished_at` is null when it broke off."""

    batch_id: str
    started_at: AwareDatetime
    finished_at: AwareDatetime | None
    accepted: int
    unchanged: int
    rejected: int
    flagged: int


class RefusedRow(BaseModel):
    """Why one line was refused; lines count from 1."""

    line: int
    code: str
    field: str
    detail: str


class BatchAnswer(BatchEntry):
    """A delivery with its first 1000 refused rows; the cursor leads to the next ones."""

    rejections: list[RefusedRow]
    next_cursor: str | None


class BatchPage(BaseModel):
    """Deliveries, the newest first."""

    batches: list[BatchEntry]
    next_cursor: str | None


class RejectionPage(BaseModel):
    """Refused rows in the order of their lines."""

    rejections: list[RefusedRow]
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
    return JSONResponse(batch_answer(report, platform.cursors), headers=NO_STORE)


@router.get("/{batch_id}/rejections", responses={200: {"model": RejectionPage}})
async def batch_rejections(
    batch_id: str, page: Annotated[Page, Query()], platform: AppPlatform, department: Department
) -> JSONResponse:
    """Every refused row of one of the department's own batches, page by page."""
    after = int(platform.cursors.open(_rejections_of(batch_id), page.cursor)[0]) if page.cursor else 0
    async with platform.database.snapshot() as session:
        report = await platform.intake.report(
            session, batch_id, department.client_id, after_line=after, limit=page.limit + 1
        )
    shown = [asdict(refused) for refused in report.rejections[: page.limit]]
    more = len(report.rejections) > page.limit
    cursor = platform.cursors.seal(_rejections_of(batch_id), [int(shown[-1]["line"])]) if more else None
    return JSONResponse({"rejections": shown, "next_cursor": cursor}, headers=NO_STORE)


def batch_answer(report: BatchReport, cursors: Cursors) -> dict[str, object]:
    """A report as it is answered; the counts tell of all rows."""
    refused = report.rejections
    more = report.rejected > len(refused) == MAX_REJECTIONS
    cursor = cursors.seal(_rejections_of(report.id), [refused[-1].line]) if more else None
    return {**_entry(report), "rejections": [asdict(row) for row in refused], "next_cursor": cursor}


def _entry(report: BatchReport) -> dict[str, object]:
    counts = {name: getattr(report, name) for name in ("accepted", "unchanged", "rejected", "flagged")}
    return {
        "batch_id": report.id,
        "started_at": report.started_at.isoformat(),
        "finished_at": report.finished_at and report.finished_at.isoformat(),
        **counts,
    }


def _rejections_of(batch_id: str) -> str:
    return f"rejections:{batch_id}"  # only its own department gets so far
