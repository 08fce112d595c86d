"""Where a provider of SMS says what became of messages that it accepted."""

import hmac
from dataclasses import asdict

import structlog
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from notifications.channels.formats.aliyun_sms_report import ACKNOWLEDGED
from notifications.channels.sms_aliyun import PROVIDER
from wallet_api.dependencies import AppPlatform, limit_address
from wallet_api.openapi import answers
from wallet_api.problems import NO_STORE
from wallet_api.wiring import Platform

router = APIRouter(tags=["operations"])

_log = structlog.get_logger()


class Acknowledged(BaseModel):
    """What Aliyun takes for "received"; after any other status it posts again, three times."""

    code: int
    msg: str


@router.post("/api/v1/sms-reports/aliyun/{token}", responses=answers({200: Acknowledged}, 422, 429))
async def aliyun_reports(token: str, request: Request, platform: AppPlatform) -> JSONResponse:
    """Take Aliyun's delivery reports. They are not signed: whoever knows ALIYUN_REPORT_TOKEN is Aliyun.

    What is no report of ours is passed over and counted in the metrics.
    """
    if not _is_aliyun(token, platform):
        await limit_address(request)  # guessing is a stranger's call
        raise HTTPException(404)
    counts = asdict(await platform.aliyun_receipts.take(await request.body()))
    for outcome, count in counts.items():
        platform.metrics.sms_reports(PROVIDER, outcome, count)
    if counts["unreadable"]:
        _log.warning("sms_reports_unreadable", provider=PROVIDER, count=counts["unreadable"])
    return JSONResponse(ACKNOWLEDGED, headers=NO_STORE)


def _is_aliyun(token: str, platform: Platform) -> bool:
    wanted = platform.settings.aliyun_report_token
    return wanted is not None and hmac.compare_digest(
        token.encode("utf-8", "replace"), wanted.get_secret_value().encode()
    )
