"""The directory of licence types (证照类型目录库): for wallets as Type Metadata, for everybody to browse."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from credentials.catalogue import type_metadata
from credentials.catalogue.formats.directory_36902 import directory_csv, directory_records
from wallet_api.dependencies import AppPlatform
from wallet_api.routes.type_answers import TypeDetail, TypePage, detail, summary

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


class TypePageRequest(BaseModel):
    """Which types, and which page of them."""

    model_config = ConfigDict(extra="forbid")

    q: str = Field(default="", description="words that codes, names or authorities hold; 100 characters count")
    cursor: str | None = Field(default=None, max_length=1024, description="`next_cursor` of the page before")
    limit: int = Field(default=100, ge=1, le=1000)


@router.get("/api/v1/types", response_model=TypePage)
async def types(page: Annotated[TypePageRequest, Query()], platform: AppPlatform) -> TypePage:
    """All types by code, or those whose names, codes or authorities hold every word of `q`."""
    list_of = f"types:{page.q}"
    after = str(platform.cursors.open(list_of, page.cursor)[0]) if page.cursor else ""
    found = sorted(platform.catalogue.search(page.q), key=lambda kind: kind.code)
    left = [kind for kind in found if kind.code > after]
    shown = left[: page.limit]
    more = platform.cursors.seal(list_of, [shown[-1].code]) if len(left) > page.limit else None
    return TypePage(types=[summary(kind, platform.settings.public_url) for kind in shown], next_cursor=more)


@router.get("/api/v1/types/{code}", response_model=TypeDetail)
async def one_type(
    code: str,
    platform: AppPlatform,
    version: Annotated[int | None, Query(ge=1, le=999, description="by default the newest")] = None,
) -> TypeDetail:
    """A type in full: data items, validity, renewal with its legal source, reminders, scenes, matters, versions."""
    kind = platform.catalogue.get(code, version)
    return detail(kind, platform.catalogue.versions(code), platform.settings.public_url)


@router.get("/api/v1/type-directory.json", response_model=list[dict[str, str | list[str]]])
async def directory_as_json(platform: AppPlatform) -> JSONResponse:
    """The directory in the names of GB/T 36902, one record a type."""
    return JSONResponse(directory_records(platform.catalogue.types()), headers=CACHE)


@router.get("/api/v1/type-directory.csv", response_class=Response, responses={200: {"content": {"text/csv": {}}}})
async def directory_as_csv(platform: AppPlatform) -> Response:
    """The same records as CSV (RFC 4180, UTF-8); elements that repeat are joined with `;`."""
    saved_as = {"Content-Disposition": 'attachment; filename="type-directory.csv"'}
    table = directory_csv(platform.catalogue.types())
    return Response(table, media_type="text/csv; charset=utf-8; header=present", headers=CACHE | saved_as)
