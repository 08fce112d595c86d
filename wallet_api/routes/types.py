"""The directory of licence types (证照类型目录库): for wallets as Type Metadata, for everybody to browse."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from credentials.catalogue import LicenceType, type_metadata
from wallet_api.dependencies import AppPlatform

CACHE = {"Cache-Control": "public, max-age=3600", "Access-Control-Allow-Origin": "*"}

router = APIRouter(tags=["types"])


@router.get("/types/{code}/{version}")
async def sd_jwt_vc_type_metadata(code: str, version: int, platform: AppPlatform) -> JSONResponse:
    """The document behind a credential's `vct` (SD-JWT VC Type Metadata)."""
    kind = platform.catalogue.get(code, version)
    return JSONResponse(type_metadata(kind, platform.settings.public_url), headers=CACHE)


@router.get("/types/{code}/{version}/face.svg")
async def face_template(code: str, version: int, platform: AppPlatform) -> Response:
    """The face as an SVG template, byte for byte what the type metadata's integrity speaks of."""
    policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Response(
        platform.catalogue.get(code, version).face.svg, media_type="image/svg+xml", headers={**CACHE, **policy}
    )


@router.get("/api/v1/types")
async def types(platform: AppPlatform, q: str = "") -> dict[str, Any]:
    """All types, or those whose names, codes or authorities hold every word of `q`."""
    return {"types": [_summary(kind, platform.settings.public_url) for kind in platform.catalogue.search(q)]}


def _summary(kind: LicenceType, public_url: str) -> dict[str, Any]:
    vct = kind.vct(public_url)
    return {
        "code": kind.code,
        "version": kind.version,
        "certificate_type_code": kind.certificate_type_code,
        "name": {"zh-CN": kind.name.zh, "en": kind.name.en},
        "issuing_authorities": [
            {"code": body.code, "name": {"zh-CN": body.name.zh, "en": body.name.en}}
            for body in kind.issuing_authorities
        ],
        "vct": vct,
        "face": f"{vct}/face.svg",
    }
