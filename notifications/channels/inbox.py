"""The inbox in the wallet: the channel that always works, and the one the holder reads later."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from notifications.channels.repository import InboxRepository
from notifications.errors import NotificationsError
from notifications.models import Delivery, OutgoingMessage, Receipt
from notifications.ports import Clock, FieldCipher, UnitOfWork

MAX_PAGE = 100  # a page is opened and decrypted in one request


@dataclass(frozen=True)
class InboxMessage:
    """A message as the holder sees it; `read_at` is None while it is unread."""

    id: str
    kind: str
    title: str = field(repr=False)
    text: str = field(repr=False)
    received_at: datetime
    read_at: datetime | None


@dataclass(frozen=True)
class InboxPage:
    """Messages, newest first; `more` says that others follow."""

    messages: tuple[InboxMessage, ...]
    more: bool


@dataclass(frozen=True)
class InboxGlance:
    """The number of unread messages, and the id of the newest message."""

    unread: int
    newest_id: str | None


class Inbox:
    """Writes, lists and marks a holder's messages."""

    name = "inbox"
    batch = 500

    def __init__(self, clock: Clock, cipher: FieldCipher, uow: UnitOfWork) -> None:
        self._clock = clock
        self._cipher = cipher
        self._uow = uow

    async def send(self, deliveries: Sequence[Delivery]) -> Sequence[Receipt]:
        """Put messages into their holders' inboxes, in a transaction of its own; a repetition changes nothing."""
        if not deliveries:
            return []
        now = self._clock.now()
        async with self._uow.transaction() as session:
            await InboxRepository(session).add([self._row(one.message, now) for one in deliveries])
        return [Receipt(delivered=True)] * len(deliveries)

    def _row(self, message: OutgoingMessage, now: datetime) -> Mapping[str, object]:
        key = message.idempotency_key
        body = self._cipher.seal(json.dumps([message.title, message.text]).encode(), _context(key))
        return {"id": key, "holder_id": message.holder_id, "kind": message.kind, "body": body, "received_at": now}

    async def list(
        self,
        session: AsyncSession,
        holder_id: str,
        before: tuple[datetime, str] | None = None,
        limit: int = 20,
        *,
        unread: bool = False,
    ) -> InboxPage:
        """A page of the holder's messages, newest first.

        Args:
            before: (received_at, id) of the last one of the page before; None for the first page.
            limit: at least 1; more than `MAX_PAGE` are never given.
            unread: only messages that were not read yet.
        """
        limit = max(1, min(limit, MAX_PAGE))
        rows = await InboxRepository(session).page(holder_id, before, limit + 1, unread=unread)
        messages = tuple(
            InboxMessage(row.id, row.kind, *self._read(row.id, row.body), row.received_at, row.read_at)
            for row in rows[:limit]
        )
        return InboxPage(messages, len(rows) > limit)

    async def mark_read(self, session: AsyncSession, holder_id: str, message_id: str) -> None:
        """Note that the holder has read a message; the first reading counts.

        Raises:
            NotificationsError: `message_not_found` for an unknown or another holder's message.
        """
        if not await InboxRepository(session).mark_read(holder_id, message_id, self._clock.now()):
            raise NotificationsError("message_not_found", "no such message for this holder")

    async def mark_all_read(self, session: AsyncSession, holder_id: str) -> int:
        """Note that the holder has read everything; gives how many messages were unread."""
        return await InboxRepository(session).mark_all_read(holder_id, self._clock.now())

    async def delete(self, session: AsyncSession, holder_id: str, message_id: str) -> None:
        """Take a message away for good; sending it again does not bring it back.

        Raises:
            NotificationsError: `message_not_found` for an unknown, deleted or another holder's message.
        """
        if not await InboxRepository(session).delete(holder_id, message_id, self._clock.now()):
            raise NotificationsError("message_not_found", "no such message for this holder")

    async def glance(self, session: AsyncSession, holder_id: str) -> InboxGlance:
        """What an open wallet watches: how many messages are unread, and which is the newest."""
        return InboxGlance(*await InboxRepository(session).glance(holder_id))

    def _read(self, message_id: str, body: bytes) -> tuple[str, str]:
        title, text = json.loads(self._cipher.open(body, _context(message_id)))
        return title, text


def _context(message_id: str) -> str:
    return f"inbox_message.body:{message_id}"
