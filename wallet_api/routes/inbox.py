"""For a holder's wallet: the inbox, what changes in it while the wallet is open, and the devices that take push."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sse_starlette import EventSourceResponse, ServerSentEvent

from notifications import (
    Choices,
    Device,
    InboxMessage,
    Language,
    NotificationsError,
    RegisteredDevice,
    fcm_device,
    web_push_device,
)
from notifications.outbox.models import EVERY_CHANNEL
from notifications.preferences import KINDS
from wallet_api.dependencies import AppPlatform, SignedInHolder
from wallet_api.openapi import answers
from wallet_api.problems import NO_STORE, problem
from wallet_api.wiring import Platform

LOOK_EVERY_S = 2  # two small queries; what another process writes is seen as soon as what this one does
RETRY_MS = 2_000
MAX_STREAMS = 10  # of one holder at one process: phone, tablet, and some tabs
STREAM_LIFE_S = 600  # then the wallet opens another with a fresh proof, so that an ended grant ends its streams too

router = APIRouter(prefix="/api/v1/me", tags=["holders"])

MessageId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class DeviceRegistration(BaseModel):
    """A device that takes push: Firebase's id of the installation, or else a browser's push subscription."""

    model_config = ConfigDict(strict=True, extra="forbid")

    fcm: str | None = Field(default=None, max_length=1024)
    web_push: dict[str, Any] | None = None
    language: Language = "zh"

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.fcm is None) == (self.web_push is None):
            raise ValueError("give exactly one of fcm and web_push")
        return self

    def device(self) -> Device:
        """The device in its normal form, or NotificationsError `device_malformed`."""
        return web_push_device(self.web_push) if self.web_push is not None else fcm_device(self.fcm or "")


class ChannelSwitches(BaseModel):
    """Whether a kind of message goes over a channel."""

    model_config = ConfigDict(strict=True, extra="forbid")

    inbox: bool = True
    push: bool = True
    sms: bool = True


class NotificationSettings(BaseModel):
    """Kind of message → channels, licence types whose reminders go to the inbox alone, and the language of messages.

    Kinds: `licence_expiry` and `licence_news` (statutory: the inbox stays on), `credential_offer`, `licence_shown`.
    Without a language it is that of the device seen last.
    """

    model_config = ConfigDict(strict=True, extra="forbid")

    kinds: dict[str, ChannelSwitches] = Field(default_factory=dict, max_length=20)
    silent_types: list[str] = Field(default_factory=list, max_length=500)
    language: Language | None = None


@router.get("/inbox")
async def list_inbox(
    holder_id: SignedInHolder,
    platform: AppPlatform,
    cursor: Annotated[str | None, Query(max_length=1024)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    unread: bool = False,
) -> JSONResponse:
    """The holder's messages, newest first, and how many are unread."""
    list_of = f"inbox:{holder_id}:{unread}"
    before = None
    if cursor:
        received_at, message_id = platform.cursors.open(list_of, cursor)
        before = (datetime.fromisoformat(str(received_at)), str(message_id))
    async with platform.database.snapshot() as session:
        page = await platform.inbox.list(session, holder_id, before, limit, unread=unread)
        glance = await platform.inbox.glance(session, holder_id)
    messages = [_message(one) for one in page.messages]
    last = [page.messages[-1].received_at.isoformat(), page.messages[-1].id] if page.more else None
    more = last and platform.cursors.seal(list_of, last)
    return JSONResponse({"messages": messages, "unread": glance.unread, "next_cursor": more}, 200, NO_STORE)


@router.get("/inbox/events", responses=answers({}, 429))
async def watch_inbox(holder_id: SignedInHolder, platform: AppPlatform) -> Response:
    """Server-sent events for an open wallet: `inbox` with the unread count and the newest message's id, at once and
    whenever they change. The stream ends after ten minutes; open another. A holder has a handful at a time."""
    if platform.streams[holder_id] >= MAX_STREAMS:
        return problem(429, "too_many_streams", f"at most {MAX_STREAMS} streams of a holder are open at a time")
    return EventSourceResponse(inbox_events(platform, holder_id), headers=NO_STORE)


@router.post("/inbox/read-all")
async def mark_all_read(holder_id: SignedInHolder, platform: AppPlatform) -> JSONResponse:
    """Note that everything was read."""
    async with platform.database.transaction() as session:
        read = await platform.inbox.mark_all_read(session, holder_id)
    return JSONResponse({"read": read}, 200, NO_STORE)


@router.post("/inbox/{message_id}/read", status_code=204)
async def mark_read(message_id: MessageId, holder_id: SignedInHolder, platform: AppPlatform) -> Response:
    """Note that a message was read; the first reading counts."""
    async with platform.database.transaction() as session:
        await platform.inbox.mark_read(session, holder_id, message_id)
    return Response(status_code=204)


@router.delete("/inbox/{message_id}", status_code=204)
async def delete_message(message_id: MessageId, holder_id: SignedInHolder, platform: AppPlatform) -> Response:
    """Take a message away for good."""
    async with platform.database.transaction() as session:
        await platform.inbox.delete(session, holder_id, message_id)
    return Response(status_code=204)


@router.post("/receipts/{message_id}", status_code=204)
async def acknowledge_push(message_id: MessageId, holder_id: SignedInHolder, platform: AppPlatform) -> Response:
    """The wallet received a push (its data names `message_id`): no SMS need follow."""
    async with platform.database.transaction() as session:
        await platform.outbox.acknowledge(session, holder_id, message_id)
    return Response(status_code=204)


@router.get("/devices")
async def list_devices(holder_id: SignedInHolder, platform: AppPlatform) -> JSONResponse:
    """The devices that take push for this holder, the one seen last first; never their addresses."""
    async with platform.database.snapshot() as session:
        devices = await platform.devices.of_holder(session, holder_id)
    return JSONResponse({"devices": [_device(one) for one in devices]}, 200, NO_STORE)


@router.post("/devices", status_code=201)
async def register_device(wanted: DeviceRegistration, holder_id: SignedInHolder, platform: AppPlatform) -> JSONResponse:
    """Register a device, or refresh it: wallets do so at every start."""
    device = wanted.device()
    async with platform.database.transaction() as session:
        device_id = await platform.devices.register(session, holder_id, device, wanted.language)
    return JSONResponse({"id": device_id}, 201, NO_STORE)


@router.delete("/devices/{device_id}", status_code=204)
async def remove_device(device_id: MessageId, holder_id: SignedInHolder, platform: AppPlatform) -> Response:
    """Push no longer goes to this device."""
    async with platform.database.transaction() as session:
        await platform.devices.remove(session, holder_id, device_id)
    return Response(status_code=204)


@router.get("/notification-settings", responses=answers({200: NotificationSettings}))
async def read_settings(holder_id: SignedInHolder, platform: AppPlatform) -> JSONResponse:
    """What the holder is told, and where."""
    async with platform.database.snapshot() as session:
        choices = (await platform.preferences.of(session, [holder_id]))[holder_id]
    return JSONResponse(_settings(choices), 200, NO_STORE)


@router.put("/notification-settings", responses=answers({200: NotificationSettings}, 422))
async def choose_settings(
    wanted: NotificationSettings, holder_id: SignedInHolder, platform: AppPlatform
) -> JSONResponse:
    """Replace the holder's choices; what is left out is as at first. A statutory notice always reaches the inbox."""
    choices = Choices(
        {kind: frozenset(name for name, on in dict(one).items() if not on) for kind, one in wanted.kinds.items()},
        frozenset(wanted.silent_types),
        wanted.language,
    )
    async with platform.database.transaction() as session:
        held = (await platform.preferences.of(session, [holder_id]))[holder_id]
        known = held.silent_types.union(kind.code for kind in platform.catalogue.types())
        if not choices.silent_types <= known:
            raise NotificationsError("type_unknown", "silent_types: there is no such licence type")
        await platform.preferences.choose(session, holder_id, choices)
    return JSONResponse(_settings(choices), 200, NO_STORE)


def _settings(choices: Choices) -> dict[str, object]:
    kinds = {}
    for kind in KINDS:
        off = choices.muted_for(kind, None)
        kinds[kind] = {name: name not in off for name in EVERY_CHANNEL}
    return {"kinds": kinds, "silent_types": sorted(choices.silent_types), "language": choices.language}


async def inbox_events(platform: Platform, holder_id: str) -> AsyncGenerator[ServerSentEvent, None]:
    """The events of one stream; what they say is read from the database, whichever process wrote it."""
    loop = asyncio.get_running_loop()
    ends_at, last = loop.time() + STREAM_LIFE_S, None
    platform.streams[holder_id] += 1
    try:
        while loop.time() < ends_at:
            async with platform.database.snapshot() as session:
                glance = await platform.inbox.glance(session, holder_id)
            if glance != last:
                yield ServerSentEvent(data=json.dumps(asdict(glance)), event="inbox", retry=RETRY_MS)
                last = glance
            await asyncio.sleep(LOOK_EVERY_S)
    finally:
        platform.streams[holder_id] -= 1
        if not platform.streams[holder_id]:
            del platform.streams[holder_id]


def _message(one: InboxMessage) -> dict[str, object]:
    return {
        "id": one.id,
        "kind": one.kind,
        "title": one.title,
        "text": one.text,
        "received_at": one.received_at.isoformat(),
        "read_at": one.read_at and one.read_at.isoformat(),
    }


def _device(one: RegisteredDevice) -> dict[str, object]:
    return {"id": one.id, "kind": one.kind.value, "language": one.language, "seen_at": one.seen_at.isoformat()}
