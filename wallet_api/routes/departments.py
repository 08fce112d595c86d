"""For departments' systems: licences in, every later step on them, offers to holders, and the licence's face."""

from typing import Any, Literal

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.catalogue import face_values, render_face
from credentials.issuance import licence_claims
from credentials.registry import IntakeSource, Licence, RowError, UnknownLicence, row_of
from wallet_api.dependencies import AppPlatform, Department, OnceOnly
from wallet_api.oauth import Access
from wallet_api.openapi import answers
from wallet_api.problems import NO_STORE
from wallet_api.routes.batches import BatchAnswer, batch_answer
from wallet_api.wiring import Platform

SVG_POLICY = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}

router = APIRouter(prefix="/api/v1", tags=["departments"])


class Lookup(BaseModel):
    """Which licence is meant. In the body: an identifier may hold what the issuer put into its serial."""

    model_config = ConfigDict(strict=True, extra="forbid")

    certificate_identifier: str = Field(max_length=128, pattern=r"^[0-9A-Z.]+$")


class IntakeAnswer(BaseModel):
    """What became of one row."""

    outcome: Literal["accepted", "unchanged"]
    batch_id: str


class FoundLicence(BaseModel):
    """A licence's state (certState), and the row that would bring it in."""

    cert_state: str
    row: dict[str, Any]


@router.post(
    "/licences",
    status_code=201,
    responses=answers(
        {201: IntakeAnswer, 200: {"model": IntakeAnswer, "description": "The store had it already"}}, 409, 415, 422
    ),
)
async def take_licence(request: Request, platform: AppPlatform, department: Department, once: OnceOnly) -> JSONResponse:
    """Take one intake row: a new licence, or a step on one (renew, change, suspend, resume, end).

    201 when it was accepted, 200 when the store had it already, 422 with code and field when it is refused.
    """
    check_content(request, "application/json", "one JSON object")
    row = (await request.body()).strip() or b"null"  # intake passes over empty lines; here one is no row
    report = await platform.intake.take_all(platform.database, source_of(department), [row])
    if report.rejections:
        refused = report.rejections[0]
        raise RowError(refused.code, refused.field, refused.detail)
    outcome = "accepted" if report.accepted else "unchanged"
    status, answer = 201 if report.accepted else 200, {"outcome": outcome, "batch_id": report.id}
    async with platform.database.transaction() as session:
        await once.keep(session, status, answer)
    return JSONResponse(answer, status, NO_STORE)


@router.post("/licence-batches", status_code=201, responses=answers({201: BatchAnswer}, 409, 415))
async def take_batch(request: Request, platform: AppPlatform, department: Department) -> JSONResponse:
    """Take a stream of intake rows (`application/x-ndjson`), row by row; the report tells what became of each.

    Rows are committed as they arrive. A delivery that breaks off has taken whole chunks; send it again from the start:
    what was taken is then *unchanged*. It needs no `Idempotency-Key`, which would need the whole body first.
    """
    check_content(request, "application/x-ndjson", "one JSON object a line")
    report = await platform.intake.take_stream(platform.database, source_of(department), request.stream())
    async with platform.database.snapshot() as session:
        quality = await platform.intake.quality(session, report.id)
    return JSONResponse(batch_answer(report, quality, platform.cursors), 201, NO_STORE)


@router.post("/licences/lookup", responses=answers({200: FoundLicence}, 404))
async def look_up_licence(wanted: Lookup, platform: AppPlatform, department: Department) -> JSONResponse:
    """A licence of the department's own: its state, and the row that would bring it in, to build the next step on."""
    async with platform.database.snapshot() as session:
        licence = await own_licence(session, platform, department, wanted.certificate_identifier)
    kind = platform.catalogue.get(licence.type_code, licence.type_version)
    found = {"cert_state": licence.state.value, "row": row_of(licence, kind.certificate_type_code)}
    return JSONResponse(found, headers=NO_STORE)


@router.post("/licences/face", response_class=Response, responses=answers({}, 404))
async def licence_face(wanted: Lookup, platform: AppPlatform, department: Department) -> Response:
    """A licence of the department's own as it looks, filled in: the face of the type version it was issued under."""
    async with platform.database.snapshot() as session:
        licence = await own_licence(session, platform, department, wanted.certificate_identifier)
    kind = platform.catalogue.get(licence.type_code, licence.type_version)
    drawn = render_face(kind, face_values(kind, licence_claims(licence)))
    return Response(drawn, media_type="image/svg+xml", headers=NO_STORE | SVG_POLICY)


def check_content(request: Request, media_type: str, meaning: str) -> None:
    """Refuse another media type, or content that is encoded (compressed), which would arrive as nonsense."""
    given = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if given != media_type or request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise HTTPException(415, f"send {media_type}, not compressed: {meaning}")


def source_of(department: Access) -> IntakeSource:
    """The system that sends rows, and for whom it may."""
    return IntakeSource(department.client_id or "", department.authority_codes)


async def own_licence(session: AsyncSession, platform: Platform, department: Access, identifier: str) -> Licence:
    """A licence of the department's own; another authority's is not found, not forbidden."""
    licence = await platform.registry.by_identifier(session, identifier)
    if licence.authority_code not in department.authority_codes:
        raise UnknownLicence("no licence carries this identifier")
    return licence
