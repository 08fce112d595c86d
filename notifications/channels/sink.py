"""A file that stands in for push and SMS in the embedded set-up: one JSON line a message."""

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import MAXYEAR, MINYEAR, datetime, tzinfo
from pathlib import Path
from typing import Literal

from notifications.errors import ChannelUnavailable, NoAddress
from notifications.models import Contact, Delivery, OutgoingMessage, Receipt
from notifications.ports import Clock, SendOutcome

TAIL_BYTES = 1 << 20  # some thousand messages; the file itself may grow for as long as somebody tries things out


class Sink:
    """Appends messages to a file, and refuses holders whom the real channel could not reach either.

    A line holds time, channel, idempotency key, our holder reference, kind, title and text; never a phone number
    or push token. Nothing is de-duplicated: a repetition shows as a second line with the same key.

    Args:
        name: the channel it stands in for.
        path: the file, created when missing; its folder must exist.
        receipts: whether a message counts as delivered at once. Off: only accepted, so that push falls back to SMS.
    """

    def __init__(self, name: Literal["push", "sms"], path: Path, clock: Clock, *, receipts: bool = True) -> None:
        self.name = name
        self._path = path
        self._clock = clock
        self._receipts = receipts

    batch = 100

    async def send(self, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
        """Append one line a message.

        `NoAddress` is `no_push_token` or `no_phone`, `ChannelUnavailable` is `sink_unwritable`: the line could not be
        written whole.
        """
        return [await self._send(one.message, one.contact) for one in deliveries]

    async def _send(self, message: OutgoingMessage, contact: Contact) -> SendOutcome:
        if self.name == "push" and not contact.devices:
            return NoAddress("no_push_token", "the holder has no device with push")
        if self.name == "sms" and contact.phone is None:
            return NoAddress("no_phone", "the holder has no phone number")
        line = {
            "time": self._clock.now().isoformat(),
            "channel": self.name,
            "idempotency_key": message.idempotency_key,
            "holder_id": message.holder_id,
            "kind": message.kind,
            "title": message.title,
            "text": message.text,
        }
        try:
            await asyncio.to_thread(self._append, json.dumps(line, ensure_ascii=False).encode() + b"\n")
        except ChannelUnavailable as error:
            return error
        return Receipt(delivered=self._receipts)

    def _append(self, line: bytes) -> None:
        try:
            # One write with O_APPEND: lines of several processes do not mix.
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                written = os.write(file, line)
            finally:
                os.close(file)
        except OSError as error:
            raise ChannelUnavailable("sink_unwritable", "the sink's file cannot be written") from error
        if written != len(line):
            raise ChannelUnavailable("sink_unwritable", "the sink's file took only a part of the line")


@dataclass(frozen=True)
class SunkMessage:
    """A line of the file."""

    time: datetime
    channel: str
    kind: str
    title: str
    text: str

    def at(self, zone: tzinfo) -> "SunkMessage":
        """The same with its time in a zone."""
        return replace(self, time=self.time.astimezone(zone))


def read_sink(path: Path, limit: int, channel: str | None = None) -> list[SunkMessage]:
    """The newest messages, from the last `TAIL_BYTES` of the file; none when there is no file.

    A line that is torn or not ours is passed over.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read(TAIL_BYTES).splitlines()
    except FileNotFoundError:
        return []
    found: list[SunkMessage] = []
    for line in reversed(lines):
        message = _read_line(line)
        if message is not None and channel in (None, message.channel):
            found.append(message)
            if len(found) == limit:
                break
    return found


def _read_line(line: bytes) -> SunkMessage | None:
    try:
        members = json.loads(line)
        texts = [members[name] for name in ("channel", "kind", "title", "text")]
        "".join(texts).encode()  # a lone surrogate cannot be shown
        time = datetime.fromisoformat(members["time"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if texts[0] not in ("push", "sms") or time.tzinfo is None or not MINYEAR < time.year < MAXYEAR:
        return None
    return SunkMessage(time, *texts)
