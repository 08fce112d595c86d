"""The clerk's counter of the embedded demo: offer a licence, show its code, watch it being fetched.

A real counter is the department's own application over `/api/v1/credential-offers`; this page shows how it goes, and
is there in the embedded mode only.
"""

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse

from credentials.issuance import NotIssuable
from credentials.registry import SHANGHAI, UnknownLicence
from wallet_api.dependencies import AppPlatform
from wallet_api.offers import offer_links
from wallet_api.problems import NO_STORE
from wallet_api.routes.oauth import sent_form
from wallet_api.routes.pages import page
from wallet_api.wiring import Platform

LISTED = 12  # enough to pick from; any other licence is found by its identifier

router = APIRouter(prefix="/counter", include_in_schema=False)


@router.get("")
async def counter(platform: AppPlatform) -> HTMLResponse:
    """Pick a sample licence, or name one."""
    return await _counter_page(platform)


@router.post("/offers")
async def offer_at_the_counter(request: Request, platform: AppPlatform) -> HTMLResponse:
    """Make an offer and show it: link, code to scan, transaction code, progress."""
    _check_embedded(platform)
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":  # `Origin` is null under no-referrer
        raise HTTPException(403, "the form was sent from another site")
    identifier = (await sent_form(request)).get("certificate_identifier", "").strip().replace("\x00", "")
    try:
        async with platform.database.transaction() as session:
            licence = await platform.registry.by_identifier(session, identifier)
            offer = await platform.issuance.offer_licence(session, licence.id, with_sign_in=platform.settings.signs_in)
    except (UnknownLicence, NotIssuable) as refused:
        return await _counter_page(platform, refused=refused.code, status=409)
    return page(
        "counter_offer.html",
        base=platform.settings.url_path,
        offer=offer,
        until=offer.expires_at.astimezone(SHANGHAI),
        links=offer_links(offer, platform.settings.public_url),
        licence=licence,
        kind=platform.catalogue.get(licence.type_code, licence.type_version),
    )


@router.get("/offers/{offer_id}")
async def progress_at_the_counter(offer_id: str, platform: AppPlatform) -> JSONResponse:
    """How far an offer has come, for the page's script."""
    _check_embedded(platform)
    async with platform.database.snapshot() as session:
        state = await platform.issuance.offer_state(session, offer_id)
    return JSONResponse({"progress": state.progress.value}, headers=NO_STORE)


async def _counter_page(platform: Platform, *, refused: str = "", status: int = 200) -> HTMLResponse:
    _check_embedded(platform)
    async with platform.database.snapshot() as session:
        licences = await platform.registry.valid_licences(session, limit=LISTED)
    listed = [(one, platform.catalogue.get(one.type_code, one.type_version)) for one in licences]
    return page("counter.html", status=status, base=platform.settings.url_path, listed=listed, refused=refused)


def _check_embedded(platform: Platform) -> None:
    if platform.settings.deployment != "embedded":
        raise HTTPException(404)
