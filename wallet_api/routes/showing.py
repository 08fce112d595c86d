"""For holders: live codes for clients without a device key, and who was shown what."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from credentials.catalogue import Catalogue, UnknownType
from presentation.accesslog import AccessEntry
from presentation.scenes import Scene
from presentation.shows import Profile, qr_png, qr_svg
from wallet_api.dependencies import AppPlatform, SignedInHolder, WalletGrant
from wallet_api.problems import NO_STORE

PICTURES = {"image/png": qr_png, "image/svg+xml": qr_svg}

router = APIRouter(prefix="/api/v1/me", tags=["holders"])


class LiveCodeRequest(BaseModel):
    """Which licence to show, and how much of it.

    `licence` is its certificate_identifier, not needed where the token is for one licence.
    """

    model_config = ConfigDict(strict=True, extra="forbid")

    profile: Literal["minimal", "face"] = "minimal"
    licence: str | None = Field(default=None, max_length=128, pattern=r"^[0-9A-Z.]+$")


@router.post(
    "/live-codes",
    status_code=201,
    responses={201: {"content": {"image/png": {}, "image/svg+xml": {}}, "description": "The code"}},
)
async def make_live_code(
    wanted: LiveCodeRequest, request: Request, platform: AppPlatform, grant: WalletGrant
) -> Response:
    """A live code made by the server, for a client without a device key: good once, for a minute.

    `Accept: image/png` or `image/svg+xml` gives the picture, anything else JSON with the text.
    """
    async with platform.database.transaction() as session:
        licence_id = await platform.showable.chosen(session, grant, wanted.licence, None)
        code = await platform.held_keys.live_code(
            session, grant.id, licence_id, grant.holder_id, Profile[wanted.profile.upper()]
        )
    accepted = request.headers.get("Accept", "").partition(",")[0].partition(";")[0].strip().lower()
    if accepted in PICTURES:
        picture = await asyncio.to_thread(PICTURES[accepted], code.text)
        return Response(picture, 201, NO_STORE, accepted)
    body = {"text": code.text, "made_at": code.made_at_s, "expires_at": code.expires_at_s}
    return JSONResponse(body, 201, NO_STORE)


@router.get("/access-log")
async def access_log(
    platform: AppPlatform,
    holder_id: SignedInHolder,
    _: WalletGrant,  # a token for the inbox alone says nothing of licences
    cursor: Annotated[str | None, Query(max_length=1024)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> JSONResponse:
    """Who was told what of the licences of a holder who signed in, newest first: names of items, never values."""
    list_of = f"access_log:{holder_id}"
    before = int(platform.cursors.open(list_of, cursor)[0]) if cursor else None
    async with platform.database.snapshot() as session:
        page = await platform.access_log.page(session, holder_id, before, limit)
        scenes = {scene.id: scene for scene in await platform.scenes.all(session)}
    entries = [_entry(entry, platform.catalogue, scenes.get(entry.scene_id or "")) for entry in page.entries]
    more = platform.cursors.seal(list_of, [page.entries[-1].sequence]) if page.more else None
    return JSONResponse({"entries": entries, "next_cursor": more}, headers=NO_STORE)


def _entry(entry: AccessEntry, catalogue: Catalogue, scene: Scene | None) -> dict[str, object]:
    assert entry.recorded_at is not None
    try:
        name = catalogue.get(entry.type_code, entry.type_version).name
        licence_name = {"zh-CN": name.zh, "en": name.en}
    except UnknownType:  # the city has dropped the type since
        licence_name = {"zh-CN": entry.type_code, "en": entry.type_code}
    return {
        "id": f"{entry.sequence}",
        "at": entry.at.isoformat(),
        "recorded_at": entry.recorded_at.isoformat(),
        "organisation": entry.organisation,
        "system": entry.system_name,
        "licence": {"type": entry.type_code, "name": licence_name, "number": entry.number_masked},
        "items": list(entry.items),
        "reason": entry.reason,
        "scene": entry.scene_id
        and {
            "id": entry.scene_id,
            "version": entry.scene_version,
            "name": {"zh-CN": scene.name_zh, "en": scene.name_en} if scene else None,
        },
        "mode": "offline" if entry.offline else "online",
    }
