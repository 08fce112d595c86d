"""What readers need: the trust list, the status lists, the anchor's certificate."""

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from credentials.status import StatusListFormat
from wallet_api.dependencies import AppPlatform

TRUST_LIST_MAX_AGE_S = 300

router = APIRouter(tags=["verifiers"])


@router.get("/api/v1/trust-list")
async def trust_list(request: Request, platform: AppPlatform) -> Response:
    """The signed trust list (`credentials/keys/TRUST_LIST.md`)."""
    async with platform.database.snapshot() as session:
        published = await platform.trust_list.current(session)
    return _cached(request, published.token.encode(), "application/jwt", published.etag, TRUST_LIST_MAX_AGE_S)


@router.get("/api/v1/trust-anchor")
async def trust_anchor(platform: AppPlatform) -> Response:
    """The root certificate (PEM). Compare its fingerprint by another channel before you pin it."""
    return PlainTextResponse(platform.key_ring.ring.anchor_pem, media_type="application/x-pem-file")


@router.get("/s")
async def status_list_aggregation(platform: AppPlatform) -> JSONResponse:
    """Every status list (Token Status List §9)."""
    async with platform.database.snapshot() as session:
        return JSONResponse(await platform.status.aggregation(session))


@router.get("/s/{list_id}")
async def status_list(list_id: int, request: Request, platform: AppPlatform) -> Response:
    """A status list token, JWT or CWT by `Accept` (Token Status List §8). Historical resolution is not offered."""
    if "time" in request.query_params:
        raise HTTPException(501, "historical resolution is not offered")
    wanted = _negotiated(request.headers.get("Accept", "*/*"))
    async with platform.database.snapshot() as session:
        token = await platform.status.token(session, list_id, wanted)
    answer = _cached(request, token.body, token.media_type, token.etag, token.max_age_s)
    answer.headers["Access-Control-Allow-Origin"] = "*"
    answer.headers["Vary"] = "Accept"
    return answer


def _negotiated(accept: str) -> StatusListFormat:
    """The format with the highest quality; JWT where both do (RFC 9110 §12.5.1)."""
    best: tuple[float, StatusListFormat] | None = None
    for offered in (StatusListFormat.JWT, StatusListFormat.CWT):
        quality = max((_quality(part) for part in accept.split(",") if _matches(part, offered.media_type)), default=0.0)
        if quality > 0 and (best is None or quality > best[0]):
            best = (quality, offered)
    if best is None:
        raise HTTPException(406, f"{StatusListFormat.JWT.media_type} or {StatusListFormat.CWT.media_type}")
    return best[1]


def _matches(part: str, media_type: str) -> bool:
    return part.partition(";")[0].strip().lower() in (media_type, "application/*", "*/*")


def _quality(part: str) -> float:
    for parameter in part.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _cached(request: Request, body: bytes, media_type: str, etag: str, max_age_s: int) -> Response:
    headers = {"ETag": etag, "Cache-Control": f"public, max-age={max_age_s}"}
    if etag in [tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)
