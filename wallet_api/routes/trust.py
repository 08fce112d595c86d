"""What readers need: the trust list, the status lists, the anchor's certificate."""

import gzip
import re
from functools import lru_cache

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from credentials.status import StatusListFormat
from wallet_api.dependencies import AppPlatform

TRUST_LIST_MAX_AGE_S = 300
ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}  # public documents: verifiers run in browsers too

_QVALUE = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")

router = APIRouter(tags=["verifiers"])


@router.get("/api/v1/trust-list")
async def trust_list(request: Request, platform: AppPlatform) -> Response:
    """The signed trust list (`credentials/keys/TRUST_LIST.md`)."""
    async with platform.database.snapshot() as session:
        published = await platform.trust_list.current(session)
    return cached(request, published.token.encode(), "application/jwt", published.etag, TRUST_LIST_MAX_AGE_S)


@router.get("/api/v1/trust-anchor")
async def trust_anchor(platform: AppPlatform) -> Response:
    """The certificates to pin (PEM), the platform's root first. Compare fingerprints by another channel before."""
    return PlainTextResponse("".join(platform.key_ring.ring.anchors_pem), media_type="application/x-pem-file")


@router.get("/s")
async def status_list_aggregation(platform: AppPlatform) -> JSONResponse:
    """Every status list (Token Status List §9)."""
    async with platform.database.snapshot() as session:
        return JSONResponse(await platform.status.aggregation(session), headers=ANY_ORIGIN)


@router.get("/s/{list_id}")
async def status_list(list_id: int, request: Request, platform: AppPlatform) -> Response:
    """A status list token, JWT or CWT by `Accept` (Token Status List §8). Historical resolution is not offered."""
    if "time" in request.query_params:
        raise HTTPException(501, "historical resolution is not offered")
    wanted = _negotiated(request)
    async with platform.database.snapshot() as session:
        token = await platform.status.token(session, list_id, wanted)
    packed = wanted is StatusListFormat.JWT and _takes_gzip(request)  # a CWT holds its list compressed and unencoded
    etag = f'{token.etag[:-1]}-gzip"' if packed else token.etag
    body = _gzipped(token.body) if packed else token.body
    answer = cached(request, body, token.media_type, etag, token.max_age_s)
    answer.headers["Vary"] = "Accept, Accept-Encoding"
    if packed:
        answer.headers["Content-Encoding"] = "gzip"
    return answer


def _negotiated(request: Request) -> StatusListFormat:
    """The format with the highest quality; JWT where both have it (RFC 9110 §12.5.1)."""
    asked = _qualities(request, "Accept") or {"*/*": 1.0}

    def quality(offered: StatusListFormat) -> float:
        media_ranges = (offered.media_type, "application/*", "*/*")  # the most specific one counts
        return next((asked[media_range] for media_range in media_ranges if media_range in asked), 0.0)

    best = max(StatusListFormat, key=quality)
    if not quality(best):
        detail = " or ".join(offered.media_type for offered in StatusListFormat)
        raise HTTPException(406, detail, {"Vary": "Accept"})
    return best


def _takes_gzip(request: Request) -> bool:
    """RFC 9110 §12.5.3; without the header field nothing is compressed."""
    asked = _qualities(request, "Accept-Encoding")
    return asked.get("gzip", asked.get("*", 0.0)) > 0


def _qualities(request: Request, field: str) -> dict[str, float]:
    """The members of a list in a header field, in lower case, with their quality values (RFC 9110 §12.4.2)."""
    qualities: dict[str, float] = {}
    for member in ",".join(request.headers.getlist(field)).lower().split(","):
        name, *parameters = (part.strip() for part in member.split(";"))
        weight = next((part.partition("=")[2] for part in parameters if part.startswith("q=")), "1")
        if name:
            qualities[name] = float(weight) if _QVALUE.fullmatch(weight) else 0.0
    return qualities


@lru_cache(maxsize=16)  # the lists in use: some hundred kilobytes each
def _gzipped(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


def cached(request: Request, body: bytes, media_type: str, etag: str, max_age_s: int) -> Response:
    """A public document, or 304 when the caller holds it already (RFC 9110 §13.1.2).

    Args:
        etag: with its quotes.
        max_age_s: 0 for a document that is to be asked for each time.
    """
    lifetime = f"public, max-age={max_age_s}" if max_age_s else "no-cache"
    headers = {**ANY_ORIGIN, "ETag": etag, "Cache-Control": lifetime}
    seen = [tag.strip().removeprefix("W/") for tag in ",".join(request.headers.getlist("If-None-Match")).split(",")]
    if etag in seen or seen == ["*"]:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)
