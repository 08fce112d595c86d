"""What a browser needs to receive push: our public key, the service worker, and a way to say that a message came."""

from importlib import resources
from typing import Annotated

from fastapi import APIRouter, Path, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from wallet_api.dependencies import AppPlatform
from wallet_api.openapi import answers
from wallet_api.problems import NO_STORE, problem

router = APIRouter(tags=["holders"])

_WORKER = (resources.files("wallet_api") / "web" / "push-worker.js").read_bytes()


class PushKey(BaseModel):
    """`applicationServerKey` of the Push API: an uncompressed P-256 point in base64url."""

    public_key: str


@router.get("/api/v1/push-key", responses=answers({200: PushKey}, 404))
async def push_key(platform: AppPlatform) -> JSONResponse:
    """The public key to subscribe a browser with (RFC 8292); the subscription goes to `POST /api/v1/me/devices`."""
    if platform.channels.push_key is None:
        return problem(404, "web_push_unavailable", "this platform sends no web push")
    return JSONResponse({"public_key": platform.channels.push_key}, headers={"Cache-Control": "public, max-age=3600"})


@router.post("/api/v1/push-receipts/{message_id}", status_code=204)
async def confirm_push(message_id: Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")], platform: AppPlatform) -> Response:
    """A pushed message has arrived: no SMS need follow. Whoever knows its random id has received it.

    The answer is the same for an id that is not there.
    """
    async with platform.database.snapshot() as session:
        awaited = await platform.outbox.awaits_push(session, message_id)
    if awaited:  # strangers do not make the store write
        async with platform.database.transaction() as session:
            await platform.outbox.confirm_push(session, message_id)
    return Response(status_code=204, headers=NO_STORE)


@router.get(
    "/push-worker.js",
    response_class=Response,
    responses=answers(
        {200: {"description": "The script", "content": {"text/javascript": {"schema": {"type": "string"}}}}}
    ),
)
async def push_worker() -> Response:
    """The service worker that shows pushed messages."""
    return Response(_WORKER, media_type="text/javascript", headers={"Cache-Control": "no-cache"})
