"""For registers of persons and organisations: who has ended, and who has not after all."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from credentials.registry import EndOutcome, EndReport, EndVerdict, ends_from_body
from wallet_api.dependencies import AppPlatform, Register
from wallet_api.openapi import answers
from wallet_api.problems import NO_STORE
from wallet_api.routes.departments import check_content

router = APIRouter(prefix="/api/v1", tags=["registers"])


class EndRow(BaseModel):
    """What became of one row, counted from 1; `code`, `field` and `detail` where it was rejected."""

    row: int
    outcome: EndOutcome
    code: str | None = None
    field: str | None = None
    detail: str | None = None


class EndsAnswer(BaseModel):
    """How many rows became what, which are together all of them, and each row in its order.

    `unknown_holder`: the store knows nobody by this number, and keeps nothing of the row; send it again later.
    """

    accepted: int
    unchanged: int
    unknown_holder: int
    rejected: int
    rows: list[EndRow]


@router.post("/holder-ends", responses=answers({200: EndsAnswer}, 409, 415, 422))
async def report_holder_ends(request: Request, platform: AppPlatform, register: Register) -> JSONResponse:
    """Report that holders have ended (a person died, an organisation was dissolved), or take that back.

    1 to 1000 rows, all in one transaction. Nothing is sent to an ended holder any more, and what was planned is
    withdrawn; with `ended_on` null it is planned again. Licences stay as they are.

    The same rows again are *unchanged*. An older `source_version` is rejected (`source_version_outdated`), as is the
    same one with other content (`source_version_conflict`); versions count within the register that speaks.
    """
    check_content(request, "application/json", "a JSON array of rows")
    rows = ends_from_body(await request.body())
    caller = register.client_id or ""
    report = await platform.operators.report_holder_ends(platform.database, caller, rows, by=caller)
    return JSONResponse(ends_answer(report), headers=NO_STORE)


def ends_answer(report: EndReport) -> dict[str, Any]:
    """The report as JSON."""
    rows = [EndRow(row=at, **_told(verdict)) for at, verdict in enumerate(report.verdicts, 1)]
    return {**report.counts, "rows": [row.model_dump(mode="json", exclude_none=True) for row in rows]}


def _told(verdict: EndVerdict) -> dict[str, Any]:
    refused = verdict.refused
    why = {"code": refused.code, "field": refused.field, "detail": refused.detail} if refused else {}
    return {"outcome": verdict.outcome, **why}
