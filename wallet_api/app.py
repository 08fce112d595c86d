"""The application: `create_app(settings)` has no global state."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI
from fastapi_offline import FastAPIOffline

from wallet_api import openapi, problems
from wallet_api.cross_origin import CrossOrigin
from wallet_api.dependencies import limit_address
from wallet_api.http import BodyLimit, RequestContext
from wallet_api.oauth import SignInRefused
from wallet_api.oauth.fresh_nonces import FreshNonces
from wallet_api.routes import (
    batches,
    checks,
    counter,
    credential_offers,
    departments,
    health,
    holder_ends,
    inbox,
    licence_lists,
    me,
    metrics,
    my_licences,
    oauth,
    openid4vci,
    operators,
    outbox,
    pages,
    push,
    releases,
    reminder_coverage,
    showing,
    sign_in,
    sms_reports,
    trust,
    types,
    well_known,
)
from wallet_api.settings import Settings
from wallet_api.wiring import Platform
from wallet_api.workers import ticking

MAX_BODY_BYTES = 262_144  # the largest presentation that the standards' own limits let through
TAGS = [
    {"name": "wallets", "description": "OpenID4VCI 1.0: metadata, sign-in, tokens, nonces, credentials"},
    {"name": "holders", "description": "What a holder's wallet asks for: licences, passes, inbox, access log"},
    {"name": "verifiers", "description": "Trust list, status lists, the anchor; scenes, checks on line, journals"},
    {"name": "departments", "description": "Licences in, every later step on them, offers and releases"},
    {"name": "operators", "description": "The register of verifiers, the scenes, and who changed what"},
    {"name": "registers", "description": "Registers of persons and organisations say whose holders have ended"},
    {"name": "types", "description": "The directory of licence types"},
    {"name": "operations", "description": "Health and metrics"},
]


def create_app(settings: Settings, *, platform: Platform | None = None) -> FastAPI:
    """The platform as an ASGI application.

    Args:
        platform: wired already, as tests do; by default it is wired from the settings.
    """
    platform = platform or Platform.of(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await platform.start()
        async with ticking(platform, works=settings.embedded_worker):
            yield
        await platform.close()

    at = settings.url_path
    app = FastAPIOffline(
        title="Liangzheng 亮证",
        version="0.1.0",
        description="The backend of a city's licence wallet.",
        lifespan=lifespan,
        openapi_tags=TAGS,
        openapi_url=f"{at}/openapi.json",
        docs_url=f"{at}/docs",
        redoc_url=None,
        redirect_slashes=False,  # the redirect would lead to whatever the Host header says
        static_url=f"{at}/docs-assets",
        telemetry=None,
    )
    app.state.platform = platform
    app.include_router(well_known.router(at))
    served = APIRouter(prefix=at)
    served.include_router(checks.router)  # first: routes are tried in order, and this is where speed counts
    for module in (openid4vci, oauth, sign_in):  # where strangers may call, and make the store write
        served.include_router(module.router, dependencies=[Depends(limit_address)])
    for module in (
        pages,
        counter,
        outbox,
        trust,
        types,
        departments,
        licence_lists,
        batches,
        releases,
        reminder_coverage,
        credential_offers,
        me,
        my_licences,
        inbox,
        showing,
        operators,
        holder_ends,
        push,
        sms_reports,
        health,
        metrics,
    ):
        served.include_router(module.router)
    app.include_router(served)
    problems.install(app)
    app.add_exception_handler(SignInRefused, sign_in.refused)
    openapi.install(app, at)
    larger = {
        f"{at}{batches.PATH}": batches.MAX_BATCH_BYTES,
        f"{at}{openid4vci.PATH}{openid4vci.CREDENTIAL}": openid4vci.MAX_REQUEST_BYTES,
    }
    app.add_middleware(BodyLimit, usual=MAX_BODY_BYTES, larger=larger)
    app.add_middleware(FreshNonces, server=platform.oauth, nonce_path=f"{at}/openid4vci/nonce")
    app.add_middleware(CrossOrigin, url_path=at)
    app.add_middleware(RequestContext, metrics=platform.metrics)
    return app
