"""The authorization endpoint and the pages behind it: sign in, decide, back to the wallet (RFC 6749 §3.1, §4.1.1)."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from credentials.registry import UnknownHolder
from wallet_api.dependencies import AppPlatform, get_platform
from wallet_api.oauth import OAuthError, SignInRefused
from wallet_api.oauth.demo_provider import DemoProvider
from wallet_api.oauth.openid_connect import SignInFailed
from wallet_api.routes.oauth import sent_form
from wallet_api.routes.pages import page
from wallet_api.wiring import Platform

COOKIE = "liangzheng_sign_in"
MAX_PARAMETERS = 32  # an answer of a provider has three or four
STATUS = {"provider_away": 502, "sign_in_unavailable": 404, "nothing_to_grant": 403}

router = APIRouter(prefix="/oauth", include_in_schema=False)
_log = structlog.get_logger()


@router.get("/authorize")
async def authorize(request: Request, platform: AppPlatform) -> Response:
    """Open a pushed request in this browser, and ask the person to sign in."""
    parameters = _query(request)
    if "request_uri" not in parameters or "client_id" not in parameters:
        raise SignInRefused("request_missing")
    browser = request.cookies.get(COOKIE, "") or secrets.token_urlsafe(32)
    request_id = await platform.sign_ins.open(parameters["request_uri"], parameters["client_id"], browser)
    if await platform.sign_ins.is_signed_in(request_id, browser):
        answer = _see(platform, f"consent/{request_id}")
    else:
        answer = await _to_provider(platform, request_id, browser)
    settings = platform.settings
    answer.set_cookie(
        COOKIE,
        browser,
        path=f"{settings.url_path}/oauth",
        secure=settings.public_url.startswith("https:"),
        httponly=True,
        samesite="lax",  # it must come along when wallet or provider send the browser here
    )
    return answer


@router.get("/demo/{request_id}")
async def demo_provider(request_id: str, request: Request, platform: AppPlatform) -> HTMLResponse:
    """The demo provider: a page that says what it is, with sample citizens and companies to sign in as."""
    return await _demo_page(platform, request_id, _browser(request), "")


@router.post("/demo/{request_id}")
async def demo_sign_in(request_id: str, request: Request, platform: AppPlatform) -> Response:
    """Sign in as a sample citizen or company, or search for one: names have no place in an address."""
    browser, form = _browser(request), await _own_form(request, request_id)
    if "holder" not in form:
        return await _demo_page(platform, request_id, browser, form.get("name", ""))
    _demo(platform)
    try:
        async with platform.database.snapshot() as session:
            holder = await platform.registry.holder(session, form["holder"].replace("\x00", ""))
    except UnknownHolder as error:
        raise SignInRefused("form_stale") from error
    await platform.sign_ins.sign_in(request_id, browser, holder.id)
    return _see(platform, f"consent/{request_id}")


@router.get("/callback")
async def callback(request: Request, platform: AppPlatform) -> Response:
    """Where the city's provider sends the browser back to."""
    browser, answer = _browser(request), _query(request)
    state = answer.get("state", "")
    request_id = await platform.sign_ins.returned(state, browser)
    if platform.openid_provider is None:
        raise SignInRefused("sign_in_unavailable")
    try:
        number = await platform.openid_provider.id_number(answer, state)
    except SignInFailed as error:
        _log.warning("sign_in_failed", reason=str(error))
        raise SignInRefused("sign_in_failed", request_id=request_id) from error
    try:
        async with platform.database.snapshot() as session:
            kind = platform.settings.oidc_id_number_type
            holder = await platform.registry.holder_by_code(session, kind, number)
    except UnknownHolder:
        return await _consent_page(platform, request_id, browser, is_known=False)
    await platform.sign_ins.sign_in(request_id, browser, holder.id)
    return _see(platform, f"consent/{request_id}")


@router.get("/consent/{request_id}")
async def consent(request_id: str, request: Request, platform: AppPlatform) -> Response:
    """Who asks for what, and for whom it is granted."""
    browser = _browser(request)
    if not await platform.sign_ins.is_signed_in(request_id, browser):
        return await _to_provider(platform, request_id, browser)
    return await _consent_page(platform, request_id, browser, is_known=True)


@router.post("/consent/{request_id}")
async def decide(request_id: str, request: Request, platform: AppPlatform) -> Response:
    """Back to the wallet, with a code or with access_denied. The only place that sends a browser to a redirect URI."""
    browser, form = _browser(request), await _own_form(request, request_id)
    if form.get("decision") == "approve":
        location = await platform.sign_ins.approve(request_id, browser, form.get("holder", ""))
    elif form.get("decision") == "again":
        return await _to_provider(platform, request_id, browser)
    else:
        location = await platform.sign_ins.decline(request_id, browser)
    return RedirectResponse(location, 303, {"Cache-Control": "no-store"})  # RFC 9700 §4.12: never 307


async def refused(request: Request, error: Exception) -> HTMLResponse:
    """The page for a step that cannot be taken; from it nothing leads away but the person's own decision."""
    assert isinstance(error, SignInRefused)
    platform, browser = get_platform(request), request.cookies.get(COOKIE, "")
    return page(
        "sign_in_refused.html",
        status=STATUS.get(error.code, 400),
        base=platform.settings.url_path,
        code=error.code,
        request_id=error.request_id,
        csrf=_csrf(browser, error.request_id) if error.request_id else "",
    )


async def _demo_page(platform: Platform, request_id: str, browser: str, name: str) -> HTMLResponse:
    demo, wanted = _demo(platform), await platform.sign_ins.wanted(request_id, browser)
    async with platform.database.snapshot() as session:
        found = await demo.find(session, name.strip(), wanted)
    return page(
        "sign_in_demo.html",
        base=platform.settings.url_path,
        request_id=request_id,
        searched=name,
        found=found,
        wanted=wanted,
        csrf=_csrf(browser, request_id),
    )


async def _consent_page(platform: Platform, request_id: str, browser: str, *, is_known: bool) -> HTMLResponse:
    asked = await platform.sign_ins.consent(request_id, browser, is_known=is_known)
    return page(
        "sign_in_consent.html",
        base=platform.settings.url_path,
        request_id=request_id,
        csrf=_csrf(browser, request_id),
        asked=asked,
        types={code: platform.catalogue.get(code) for code in asked.configuration_ids},
    )


async def _to_provider(platform: Platform, request_id: str, browser: str) -> RedirectResponse:
    if platform.openid_provider is None:
        _demo(platform)
        return _see(platform, f"demo/{request_id}")
    state = await platform.sign_ins.begin(request_id, browser)
    try:
        url = await platform.openid_provider.authorization_url(state)
    except SignInFailed as error:
        _log.warning("sign_in_failed", reason=str(error))
        raise SignInRefused("provider_away", request_id=request_id) from error
    return RedirectResponse(url, 303, {"Cache-Control": "no-store"})


def _demo(platform: Platform) -> DemoProvider:
    if platform.demo_provider is None:
        raise SignInRefused("sign_in_unavailable")
    return platform.demo_provider


def _see(platform: Platform, step: str) -> RedirectResponse:
    return RedirectResponse(f"{platform.settings.public_url}/oauth/{step}", 303, {"Cache-Control": "no-store"})


def _browser(request: Request) -> str:
    browser = request.cookies.get(COOKIE, "")
    if not browser:
        raise SignInRefused("request_unknown")
    return browser


def _query(request: Request) -> Mapping[str, str]:
    """The query's parameters; one given twice, or not in UTF-8, counts for none of them (RFC 6749 §3.1)."""
    text = request.scope["query_string"].decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict")
    except ValueError as error:
        raise SignInRefused("request_missing") from error
    if len(dict(pairs)) != len(pairs):
        raise SignInRefused("request_missing")
    return dict(pairs)


async def _own_form(request: Request, request_id: str) -> Mapping[str, str]:
    """A form that one of our pages sent from this browser."""
    try:
        form = await sent_form(request)
    except OAuthError as error:
        raise SignInRefused("form_stale") from error
    given, wanted = form.get("csrf", "").encode(), _csrf(_browser(request), request_id).encode()
    if not hmac.compare_digest(given, wanted):
        raise SignInRefused("form_stale")
    return form


def _csrf(browser: str, request_id: str) -> str:
    """Only who knows the cookie's secret can make it."""
    key = browser.encode(errors="surrogatepass")
    return hmac.new(key, request_id.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()
