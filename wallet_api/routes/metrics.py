"""Metrics for Prometheus, for whoever runs the platform and nobody else."""

import hmac
from ipaddress import ip_address

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from wallet_api.dependencies import AppPlatform
from wallet_api.oauth import AccessRefused
from wallet_api.problems import NO_STORE
from wallet_api.wiring import Platform

FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")  # what a proxy on this machine adds

router = APIRouter(tags=["operations"])


@router.get("/metrics", response_class=Response, responses={200: {"content": {CONTENT_TYPE_PLAIN_0_0_4: {}}}})
async def metrics(request: Request, platform: AppPlatform) -> Response:
    """This process's counters. With METRICS_TOKEN set: for its bearer; else for this machine itself, not by a proxy."""
    if not _may_read(request, platform):
        raise AccessRefused("Bearer", None)
    async with platform.database.snapshot() as session:
        backlog = await platform.outbox.backlog(session)
    platform.metrics.no_outbox()
    for (channel, state), (count, oldest) in backlog.items():
        platform.metrics.outbox(channel, state, count, (platform.clock.now() - oldest).total_seconds())
    return Response(platform.metrics.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4, headers=NO_STORE)


def _may_read(request: Request, platform: Platform) -> bool:
    wanted = platform.settings.metrics_token
    if wanted is not None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        given = token.encode("latin-1", "replace")
        return scheme.lower() == "bearer" and hmac.compare_digest(given, wanted.get_secret_value().encode())
    if request.client is None or any(name in request.headers for name in FORWARDING):
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False
