"""Pages for people: the start page, the directory of types, and where a live code's link leads."""

import hashlib
from datetime import date
from functools import lru_cache
from importlib import resources

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FunctionLoader, select_autoescape

from credentials.catalogue import UnknownType, face_values, render_face
from credentials.catalogue.service import MAX_QUERY
from notifications.preferences import KINDS, STATUTORY
from wallet_api.dependencies import AppPlatform
from wallet_api.routes.trust import cached
from wallet_api.sample import City
from wallet_api.tour import cast, further, steps

_WEB = resources.files("wallet_api") / "web"
_POLICY = "default-src 'self'; style-src 'self'; script-src 'self'; base-uri 'none'; frame-ancestors 'none'"
_MEDIA = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_ASSETS = {one.name: _MEDIA[ending] for one in _WEB.iterdir() if (ending := one.name.rpartition(".")[2]) in _MEDIA}
_pages = Environment(
    loader=FunctionLoader(lambda name: (_WEB / name).read_text("utf-8")),
    autoescape=select_autoescape(),
    trim_blocks=True,
    lstrip_blocks=True,
)

router = APIRouter(include_in_schema=False)


@router.get("/")
async def start_page(platform: AppPlatform) -> HTMLResponse:
    """What runs here, and in the embedded mode the six steps as commands, and what else can be tried."""
    settings = platform.settings
    actors = await cast(platform) if settings.deployment == "embedded" else None
    return page(
        "start.html",
        embedded=settings.deployment == "embedded",
        base=settings.url_path,
        types=platform.catalogue.types(),
        steps=steps(actors, settings) if actors else (),
        further=further(settings) if actors else (),
    )


@router.get("/v")
async def live_code_page(platform: AppPlatform) -> HTMLResponse:
    """Where a phone camera lands that read a live code. It says what the code needs; it never says valid."""
    settings = platform.settings
    return page("live_code.html", base=settings.url_path, public_url=settings.public_url)


@router.get("/types")
async def types_page(platform: AppPlatform, q: str = "") -> HTMLResponse:
    """The directory of licence types, all of it or what holds every word of `q`."""
    found = sorted(platform.catalogue.search(q), key=lambda kind: kind.code)
    return page("types.html", base=platform.settings.url_path, q=q.strip()[:MAX_QUERY], types=found)


@router.get("/inbox")
async def inbox_page(platform: AppPlatform) -> HTMLResponse:
    """A holder's messages, and reminders in this browser. The same for everybody: its script is a wallet."""
    settings = platform.settings
    return page(
        "inbox.html",
        base=settings.url_path,
        public_url=settings.public_url,
        signs_in=settings.signs_in,
        attested_only=settings.wallet_attestation_required,
        kinds=KINDS,
        statutory=STATUTORY,
        types=platform.catalogue.types(),
    )


@router.get("/types/{code}")
async def type_page(code: str, platform: AppPlatform, version: int | None = None) -> HTMLResponse:
    """One type with everything that its pack says; a page of its own when there is none."""
    base = platform.settings.url_path
    try:
        kind = platform.catalogue.get(code, version)
    except UnknownType:
        return page("type.html", status=404, base=base, type=None)
    names = {claim.name: claim.label for claim in kind.common_claims} | {item.name: item.label for item in kind.items}
    return page("type.html", base=base, type=kind, versions=platform.catalogue.versions(code), names=names)


@router.get("/types/{code}/{version}/specimen.svg")
async def specimen(code: str, version: int, platform: AppPlatform) -> Response:
    """A type's face filled with a made-up licence."""
    kind = platform.catalogue.get(code, version)
    row = City(platform.catalogue, seed=0, today=date(2026, 1, 1)).row(kind, 1)
    authorities = {body.code: body.name.zh for body in kind.issuing_authorities}
    claims = {
        "holder_name": "、".join(one["certificate_holder_name"] for one in row["certificate_holders"]),
        "certificate_number": row["certificate_number"],
        "certificate_identifier": "样本 SPECIMEN",
        "issuing_authority_name": authorities[row["certificate_issuing_authority_code"]],
        "issued_on": row["certificate_issued_date"],
        "valid_until": row["certificate_validate_end"],
        **row["business_information"],
    }
    return Response(render_face(kind, face_values(kind, claims)), media_type="image/svg+xml")


@router.get("/assets/{name}")
async def asset(request: Request, name: str) -> Response:
    """Style, scripts and mark of the pages; asked for each time, for scripts must be of one release."""
    if name not in _ASSETS:
        raise HTTPException(404, "there is no such asset")
    body, etag = _asset(name)
    return cached(request, body, _ASSETS[name], etag, max_age_s=0)


@lru_cache
def _asset(name: str) -> tuple[bytes, str]:
    body = (_WEB / name).read_bytes()
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def page(name: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """A page in both languages; it may load nothing foreign and nothing inline, and be framed by nobody."""
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"}
    return HTMLResponse(_pages.get_template(name).render(values), status, headers)
