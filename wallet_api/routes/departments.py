"""For departments' systems: licences in, every later step on them, and offers to holders."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from credentials.registry import BatchReport, IntakeSource, Licence, RowError, UnknownLicence, row_of
from wallet_api.dependencies import AppPlatform, Department
from wallet_api.offers import offer_links
from wallet_api.problems import NO_STORE

MAX_BATCH_BYTES = 8 * 2**30  # a department's whole history; it is never held, and a broken delivery can be resumed

router = APIRouter(prefix="/api/v1", tags=["departments"])


class Lookup(BaseModel):
    """Which licence is meant. In the body: an identifier may hold what the issuer put into its serial."""

    model_config = ConfigDict(strict=True, extra="forbid")

    certificate_identifier: str = Field(max_length=128, pattern=r"^[0-9A-Z.]+$")


class OfferRequest(Lookup):
    """Which licence to offer."""

    tx_code: bool = True


@router.post("/licences", status_code=201)
async def take_licence(request: Request, platform: AppPlatform, department: Department) -> JSONResponse:
    """Take one intake row: a new licence, or a step on one (renew, change, suspend, resume, end).

    201 when it was accepted, 200 when the store had it already, 422 with code and field when it is refused.
    """
    row = (await request.body()).strip() or b"null"  # intake passes over empty lines; here one is no row
    source = IntakeSource(department.client_id or "", department.authority_codes)
    report = await platform.intake.take_all(platform.database, source, [row])
    if report.rejections:
        refused = report.rejections[0]
        raise RowError(refused.code, refused.field, refused.detail)
    outcome = "accepted" if report.accepted else "unchanged"
    return JSONResponse({"outcome": outcome, "batch_id": report.id}, 201 if report.accepted else 200, NO_STORE)


@router.post("/licence-batches", status_code=201, max_body_size=MAX_BATCH_BYTES)
async def take_batch(request: Request, platform: AppPlatform, department: Department) -> JSONResponse:
    """Take a stream of intake rows (`application/x-ndjson`), row by row; the report tells what became of each.

    Rows are committed as they arrive. A delivery that breaks off has taken whole chunks; send it again from the start:
    what was taken is then *unchanged*.
    """
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/x-ndjson":
        raise HTTPException(415, "send application/x-ndjson: one JSON object a line")
    source = IntakeSource(department.client_id or "", department.authority_codes)
    report = await platform.intake.take_stream(platform.database, source, request.stream())
    return JSONResponse(_report(report), 201, NO_STORE)


@router.get("/licence-batches/{batch_id}")
async def batch_report(batch_id: str, platform: AppPlatform, department: Department) -> JSONResponse:
    """What became of one of the department's own batches; `finished_at` is null when the delivery broke off."""
    async with platform.database.snapshot() as session:
        report = await platform.intake.report(session, batch_id, department.client_id)
    return JSONResponse(_report(report), headers=NO_STORE)


@router.post("/licences/lookup")
async def look_up_licence(wanted: Lookup, platform: AppPlatform, department: Department) -> JSONResponse:
    """A licence of the department's own: its state, and the row that would bring it in, to build the next step on."""
    async with platform.database.snapshot() as session:
        licence = await platform.registry.by_identifier(session, wanted.certificate_identifier)
    _check_owner(licence, department.authority_codes)
    kind = platform.catalogue.get(licence.type_code, licence.type_version)
    found = {"cert_state": licence.state.value, "row": row_of(licence, kind.certificate_type_code)}
    return JSONResponse(found, headers=NO_STORE)


@router.post("/credential-offers", status_code=201)
async def offer_licence(wanted: OfferRequest, platform: AppPlatform, department: Department) -> JSONResponse:
    """Offer a licence to its holder's wallet; the transaction code is for the holder alone, by another channel."""
    async with platform.database.transaction() as session:
        licence = await platform.registry.by_identifier(session, wanted.certificate_identifier)
        _check_owner(licence, department.authority_codes)
        offer = await platform.issuance.offer_licence(session, licence.id, with_tx_code=wanted.tx_code)
    links: dict[str, Any] = offer_links(offer, platform.settings.public_url)
    return JSONResponse({**links, "tx_code": offer.tx_code, "expires_at": offer.expires_at.isoformat()}, 201, NO_STORE)


def _report(report: BatchReport) -> dict[str, object]:
    """The first 1000 refused rows by name; the counts tell of all."""
    counts = {name: getattr(report, name) for name in ("accepted", "unchanged", "rejected", "flagged")}
    return {
        "batch_id": report.id,
        "started_at": report.started_at.isoformat(),
        "finished_at": report.finished_at and report.finished_at.isoformat(),
        **counts,
        "rejections": [asdict(refused) for refused in report.rejections],
    }


def _check_owner(licence: Licence, authority_codes: frozenset[str]) -> None:
    """Another authority's licence is not found, not forbidden."""
    if licence.authority_code not in authority_codes:
        raise UnknownLicence("no licence carries this identifier")
