"""What the embedded mode would have sent by push and SMS, as a page."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse

from credentials.registry import SHANGHAI
from notifications.channels.sink import SunkMessage, read_sink
from wallet_api.dependencies import AppPlatform
from wallet_api.routes.pages import page

SHOWN = 100

router = APIRouter(include_in_schema=False)


@router.get("/outbox")
async def outbox_page(
    platform: AppPlatform, channel: Annotated[str, Query(pattern=r"^(push|sms)?$")] = ""
) -> HTMLResponse:
    """The newest messages of the file that stands in for push and SMS."""
    if platform.settings.deployment != "embedded":
        raise HTTPException(404, "this page is of the embedded mode")
    found: list[SunkMessage] = []
    unreadable = False
    try:
        found = read_sink(platform.settings.data_dir / "sink.ndjson", SHOWN + 1, channel or None)
    except OSError:
        unreadable = True
    shown = [one.at(SHANGHAI) for one in found[:SHOWN]]
    return page(
        "outbox.html",
        base=platform.settings.url_path,
        messages=shown,
        cut=len(found) > SHOWN,
        channel=channel,
        unreadable=unreadable,
    )
