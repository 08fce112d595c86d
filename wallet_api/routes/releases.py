"""For the clerks of issuing authorities: credentials that wait for a release."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict

from wallet_api.dependencies import AppPlatform, Department
from wallet_api.problems import NO_STORE

router = APIRouter(prefix="/api/v1/credential-releases", tags=["departments"])


class Decision(BaseModel):
    """What a clerk decided."""

    model_config = ConfigDict(strict=True, extra="forbid")

    decision: Literal["release", "deny"]


@router.get("")
async def waiting_releases(
    platform: AppPlatform,
    department: Department,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> JSONResponse:
    """What waits for the department's authorities, the oldest first."""
    waiting: list[dict[str, Any]] = []
    page_of = f"credential-releases:{department.client_id}"
    after = str(platform.cursors.open(page_of, cursor)[0]) if cursor else ""
    async with platform.database.snapshot() as session:
        found = await platform.releases.waiting(session, department.authority_codes, after, limit)
        for one in found:
            licence = await platform.registry.licence(session, one.licence_id)
            waiting.append(
                {
                    "id": one.id,
                    "type": licence.type_code,
                    "certificate_identifier": licence.identifier,
                    "cert_state": licence.state.value,
                    "keys": one.keys,
                    "requested_at": one.requested_at.isoformat(),
                }
            )
    next_cursor = platform.cursors.seal(page_of, [found[-1].id]) if len(found) == limit else None
    return JSONResponse({"releases": waiting, "next_cursor": next_cursor}, headers=NO_STORE)


@router.post("/{release_id}", status_code=204)
async def decide_release(release_id: str, decided: Decision, platform: AppPlatform, department: Department) -> Response:
    """Release or deny; 409 when it was decided otherwise before."""
    async with platform.database.transaction() as session:
        await platform.releases.decide(
            session,
            release_id,
            department.authority_codes,
            department.client_id or "",
            release=decided.decision == "release",
        )
    return Response(status_code=204, headers=NO_STORE)
