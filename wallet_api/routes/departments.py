"""For departments' systems: licences in, every later step on them, and offers to holders."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from credentials.registry import IntakeSource, Licence, RowError, UnknownLicence, row_of
from wallet_api.dependencies import AppPlatform, Department
from wallet_api.offers import offer_links
from wallet_api.problems import NO_STORE

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


def _check_owner(licence: Licence, authority_codes: frozenset[str]) -> None:
    """Another authority's licence is not found, not forbidden."""
    if licence.authority_code not in authority_codes:
        raise UnknownLicence("no licence carries this identifier")
