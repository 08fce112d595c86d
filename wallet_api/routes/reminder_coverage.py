"""For departments: how far the reminders of their licences' holders reached."""

from dataclasses import asdict
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from notifications import coverage
from notifications.reminders.planning import today
from wallet_api.dependencies import AppPlatform, Department
from wallet_api.openapi import answers
from wallet_api.problems import NO_STORE, problem

LONGEST = timedelta(days=366)

router = APIRouter(prefix="/api/v1", tags=["departments"])


class StageCoverageAnswer(BaseModel):
    """Reminders of one stage of one type, counted."""

    type_code: str
    stage: str
    reminders: dict[str, int] = Field(
        description="planned, switched_off (by the operator), queued, overtaken, withdrawn, lapsed → how many"
    )
    channels: dict[str, dict[str, int]] = Field(
        description="inbox, push, sms → sent, delivered, failed, no_address, cancelled, waiting → how many"
    )


class CoverageAnswer(BaseModel):
    """What became of the reminders that were due in a time, by type and stage."""

    first: date
    last: date
    stages: list[StageCoverageAnswer]


@router.get("/reminder-coverage", responses=answers({200: CoverageAnswer}, 422))
async def reminder_coverage(
    platform: AppPlatform,
    department: Department,
    first: Annotated[date | None, Query(description="Shanghai day; 30 days ago when left out")] = None,
    last: Annotated[date | None, Query(description="today when left out")] = None,
) -> JSONResponse:
    """How many reminders of the types that the department's authorities issue were planned, sent, delivered, failed,
    and found no address. A type that several authorities issue is counted for all of them together."""
    until = last or today(platform.clock.now())
    since = first or (until - timedelta(days=30) if until - date.min > LONGEST else date.min)
    if not timedelta(0) <= until - since <= LONGEST:
        return problem(422, "coverage_time_invalid", "first to last is at most a year", field="first")
    own = set(department.authority_codes)
    codes = [kind.code for kind in platform.catalogue.types() if own & {body.code for body in kind.issuing_authorities}]
    async with platform.database.snapshot() as session:
        stages = await coverage(session, codes, since, until)
    told = {"first": since.isoformat(), "last": until.isoformat(), "stages": [asdict(one) for one in stages]}
    return JSONResponse(told, headers=NO_STORE)
