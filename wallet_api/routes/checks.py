"""For verifiers: scenes, checks on line, and the journals of checks that had no network."""

import hashlib
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, field_validator

from credentials.errors import CredentialsError
from credentials.keys.formats.jws import b64u_decode, json_bytes
from credentials.keys.formats.signed_jwt import JsonMalformed, json_object
from presentation.checks import CheckRefused, CheckRequest, JournalInvalid, PatternStopped, read_journal
from wallet_api.dependencies import AppPlatform, Verifier
from wallet_api.problems import NO_STORE
from wallet_api.routes.trust import cached
from wallet_api.wiring import Platform

SCENES_MAX_AGE_S = 300
MAX_QR_CHARS = 8_192  # twice what a QR code holds, so that what is too long is told as such and not as out of form

router = APIRouter(prefix="/api/v1", tags=["verifiers"])
_log = structlog.get_logger()

_ItemName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


def printable(text: str | None) -> str | None:
    """A field's validator: what people read later must not steer what shows it; U+3000 may stand in it."""
    if text is not None and not (text.strip() and text.replace("\u3000", " ").isprintable()):
        raise ValueError("blank, or not printable")
    return text


class CheckBody(BaseModel):
    """What to check, and why.

    `code` is the QR text as the camera read it; `cnonce` (base64url) the challenge that the holder's device was given;
    `items` narrows what is released; `reason` is shown to the holder.
    """

    model_config = ConfigDict(strict=True, extra="forbid")

    code: str = Field(max_length=MAX_QR_CHARS)
    scene: str = Field(pattern=r"^[a-z0-9-]{1,64}$")
    reason: str | None = Field(default=None, min_length=1, max_length=200)
    operator: str | None = Field(default=None, min_length=1, max_length=64)
    cnonce: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{11,86}$")
    items: list[_ItemName] | None = Field(default=None, min_length=1, max_length=100)

    _is_printable = field_validator("reason", "operator")(printable)

    @field_validator("cnonce")
    @classmethod
    def _is_challenge(cls, text: str | None) -> str | None:
        if text is not None:
            _challenge(text)
        return text

    def request(self) -> CheckRequest:
        """The request as a value."""
        return CheckRequest(
            qr_text=self.code,
            scene_id=self.scene,
            challenge=None if self.cnonce is None else _challenge(self.cnonce),
            asked=None if self.items is None else frozenset(self.items),
            reason=self.reason,
            operator=self.operator,
        )


@router.get("/scenes")
async def scenes(request: Request, platform: AppPlatform) -> Response:
    """The scenes in which licences are checked: types, items, whether offline is enough, legal basis."""
    async with platform.database.snapshot() as session:
        body = json_bytes({"scenes": [scene.published() for scene in await platform.scenes.all(session)]})
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return cached(request, body, "application/json", etag, SCENES_MAX_AGE_S)


@router.post("/checks")
async def check(body: CheckBody, platform: AppPlatform, verifier: Verifier) -> JSONResponse:
    """Check a live code on line (`presentation/FORMAT.md` §7): exactly one check of a code is answered.

    200 with the signed result. A refusal has a stable `code` and, where it speaks of what was shown, `outcome`
    `not_valid` or `cannot_tell`; it releases nothing and leaves the code unused.
    """
    client_id = verifier.client_id or ""
    try:
        result = await platform.checks.check(client_id, body.request())
    except CheckRefused as refusal:
        await _note(platform, client_id, refusal)
        raise
    return JSONResponse({"result": result}, headers=NO_STORE)


@router.post(
    "/check-journals",
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def take_journal(request: Request, platform: AppPlatform, verifier: Verifier) -> JSONResponse:
    """Take in what a device checked without a network (`presentation/FORMAT.md` §8), entry by entry, each once."""
    client_id = verifier.client_id or ""
    try:
        journal = read_journal(json_object(await request.body()))
    except JsonMalformed as error:
        raise JournalInvalid(error.detail) from error
    try:
        async with platform.database.transaction() as session:
            outcomes = await platform.journals.take(session, client_id, journal)
    except PatternStopped as stopped:
        await _note(platform, client_id, stopped)
        raise
    entries: list[dict[str, Any]] = [
        {"id": one.id, "outcome": one.outcome, **({"code": one.code} if one.code else {})} for one in outcomes
    ]
    return JSONResponse({"entries": entries}, headers=NO_STORE)


async def _note(platform: Platform, client_id: str, refusal: CheckRefused) -> None:
    """Count a refusal, after its transaction was rolled back; operators hear of a pattern once a quarter of an hour."""
    async with platform.database.transaction() as session:
        begun = await platform.checks.note_refusal(session, client_id, refusal)
    if isinstance(refusal, PatternStopped):
        platform.metrics.pattern_stopped(refusal.kind)
        if begun:
            _log.warning("check_pattern_stopped", verifier=client_id, kind=refusal.kind)


def _challenge(text: str) -> bytes:
    try:
        challenge = b64u_decode(text)
    except CredentialsError as error:
        raise ValueError("not base64url") from error
    if not 8 <= len(challenge) <= 64:
        raise ValueError("8 to 64 bytes are wanted")
    return challenge
