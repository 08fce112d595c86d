"""Write down what holders are to be told, with the change that causes it; hand it over later, once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.errors import NotificationsError
from notifications.models import Bilingual
from notifications.outbox import repository as stored
from notifications.outbox import sealing
from notifications.outbox.delivery import Delivering
from notifications.outbox.models import (
    EVERY_CHANNEL,
    ROUTES,
    DeliveryReport,
    Digest,
    Draft,
    Entry,
    MessageState,
    Notice,
    StoredMessage,
)
from notifications.outbox.policy import SHANGHAI, DeliveryPolicy
from notifications.outbox.repository import OutboxRepository
from notifications.ports import Channel, Clock, Contacts, FieldCipher, UnitOfWork

DEFAULT_POLICY = DeliveryPolicy()
RECEIPTS_KEPT = timedelta(days=3)  # of messages that are unknown here; providers try for two days
_AT_ONCE = 500  # rows an operator's or a timer's statement touches
_NOTHING = Bilingual("", "")
_FALLBACKS = frozenset(name for route in ROUTES for name in route[1:])


@dataclass(frozen=True)
class Selection:
    """Which messages an operator means; what is None does not narrow them down."""

    ids: tuple[str, ...] | None = None
    channel: str | None = None
    state: MessageState | None = None
    since: datetime | None = None

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """The same for the database."""
        given = (
            None if self.ids is None else stored.of_messages(self.ids),
            None if self.channel is None else stored.on_channel(self.channel),
            None if self.state is None else stored.in_state(self.state),
            None if self.since is None else stored.created_since(self.since),
        )
        return [condition for condition in given if condition is not None]


class Outbox:
    """Messages that wait to be handed over.

    Args:
        clock: gives aware instants.
        cipher: seals texts at rest.
        contacts: asked at send time, so that no address is stored here.
        channels: those that are configured, by name; the others of `ROUTES` are passed over.
        policy: the pace.
    """

    def __init__(
        self,
        clock: Clock,
        cipher: FieldCipher,
        contacts: Contacts,
        channels: Sequence[Channel],
        policy: DeliveryPolicy = DEFAULT_POLICY,
    ) -> None:
        self._clock = clock
        self._cipher = cipher
        self._configured = {channel.name: channel for channel in channels}
        self._policy = policy
        self._delivering = Delivering(clock, cipher, contacts, self._configured, policy)

    async def post(self, session: AsyncSession, digests: Sequence[Digest]) -> int:
        """Write digests for the first channel of each route, in the caller's transaction.

        A holder gets one digest of a kind on a channel and day; a second one is not written. Entries whose subject
        was already told on a channel, or that are muted there, are left out there.

        Returns:
            The number of messages written.
        """
        return await self._write(session, [(one, self._drafts(one)) for one in digests if one.entries])

    async def notify(self, session: AsyncSession, notices: Sequence[Notice]) -> int:
        """Write notices in the caller's transaction; gives the number of messages written.

        A notice of a kind about a subject is written once, however often this is called.
        """
        day = self._clock.now().astimezone(SHANGHAI).date()
        written = []
        for notice in notices:
            entry = Entry(f"{notice.kind}:{notice.subject}", notice.text, notice.muted)
            digest = Digest(notice.holder_id, day, notice.kind, notice.title, _NOTHING, _NOTHING, (entry,))
            written.append((digest, self._drafts(digest, notice)))
        return await self._write(session, written)

    def _drafts(self, digest: Digest, notice: Notice | None = None) -> "_Drafts":
        carriers = notice.channels if notice else EVERY_CHANNEL
        occasion = f"{digest.kind}:{digest.holder_id}:{digest.day}"
        if notice:
            occasion = f"{notice.kind}:{notice.subject}"
        routes = []
        for route in ROUTES:
            usable = [name for name in route if name in self._configured and name in carriers]
            heard = [name for name in usable if any(name not in entry.muted for entry in digest.entries)]
            if heard:
                routes.append(tuple(heard))
        urgent, useful_until = (notice.urgent, notice.useful_until) if notice else (False, None)
        return _Drafts(tuple(routes), occasion, urgent, useful_until)

    async def _write(self, session: AsyncSession, written: Sequence[tuple[Digest, "_Drafts"]]) -> int:
        drafts: dict[str, tuple[Draft, Sequence[sealing.SealedEntry]]] = {}
        for digest, terms in written:
            if not terms.routes:
                continue
            sealed = sealing.seal(self._cipher, digest)
            for first, *fallbacks in terms.routes:
                draft = Draft(
                    digest_id=sealed.digest_id,
                    holder_id=digest.holder_id,
                    channel=first,
                    day=digest.day,
                    kind=digest.kind,
                    body=sealed.body,
                    occasion=terms.occasion,
                    fallbacks=tuple(fallbacks),
                    urgent=terms.urgent,
                    useful_until=terms.useful_until,
                )
                told = [entry for entry in sealed.entries if first not in entry.muted]
                drafts.setdefault(draft.dedupe_key, (draft, told))
        return await OutboxRepository(session).add(list(drafts.values()), self._clock.now())

    async def withdraw(self, session: AsyncSession, subjects: Sequence[str]) -> frozenset[str]:
        """Take back what has not yet been sent about subjects of digests.

        A message under way at this instant can no longer be stopped.

        Returns:
            The subjects about which something was already sent.
        """
        if not subjects:
            return frozenset()
        return await OutboxRepository(session).withdraw(subjects, self._clock.now())

    async def kept_back(self, session: AsyncSession, subjects: Sequence[str]) -> frozenset[str]:
        """Those of the subjects that nobody was told of on any channel, because their holder was gone at the time."""
        return await OutboxRepository(session).kept_back(subjects) if subjects else frozenset()

    async def acknowledge(self, session: AsyncSession, holder_id: str, message_id: str) -> None:
        """Take a receipt from the holder's wallet: the message arrived, no other channel is needed.

        Args:
            message_id: the idempotency key that came with the message.

        Raises:
            NotificationsError: `message_not_found` for an unknown, cancelled or another holder's message.
        """
        repository, now = OutboxRepository(session), self._clock.now()
        digest_id = await repository.acknowledge(message_id, holder_id, now)
        if digest_id is None:
            raise NotificationsError("message_not_found", "no such message for this holder")
        await repository.cancel_fallbacks([digest_id], _FALLBACKS, now)

    async def awaits_push(self, session: AsyncSession, message_id: str) -> bool:
        """Whether there is such a push, and nobody has confirmed it yet."""
        return await OutboxRepository(session).awaits_push(message_id)

    async def confirm_push(self, session: AsyncSession, message_id: str) -> None:
        """Take a receipt from the device that a push reached; an id that no push has changes nothing."""
        repository, now = OutboxRepository(session), self._clock.now()
        digest_id = await repository.acknowledge_push(message_id, now)
        if digest_id is not None:
            await repository.cancel_fallbacks([digest_id], _FALLBACKS, now)

    async def counts(self, session: AsyncSession) -> Mapping[tuple[str, str], int]:
        """How many messages there are by (channel, state). Reads all of them."""
        return await OutboxRepository(session).counts()

    async def backlog(self, session: AsyncSession) -> Mapping[tuple[str, str], tuple[int, datetime]]:
        """Of what is open or failed, by (channel, state): how many, and when the oldest of them was written."""
        return await OutboxRepository(session).backlog()

    async def list(self, session: AsyncSession, selection: Selection, limit: int = 100) -> Sequence[StoredMessage]:
        """The messages an operator asks for, the newest first."""
        return await OutboxRepository(session).list(selection.conditions, limit)

    async def redrive(self, session: AsyncSession, selection: Selection) -> int:
        """Put failed messages back as if they had never been tried; gives their number.

        Left alone is what another channel has carried meanwhile, what is of no more use, and what has no text any
        more. At most 500 a call.
        """
        now, patience = self._clock.now(), timedelta(seconds=self._policy.sms_after_s)
        return await OutboxRepository(session).redrive(selection.conditions, _AT_ONCE, now, patience)

    async def prune(self, session: AsyncSession, kept: timedelta) -> bool:
        """Erase texts of messages that were closed so long ago, and of those that nobody needs any more.

        Returns:
            Whether there may be more: it takes 500 messages a call.
        """
        repository, now = OutboxRepository(session), self._clock.now()
        await repository.forget_receipts(now - RECEIPTS_KEPT)
        return await repository.erase(now - kept, now, _AT_ONCE) == _AT_ONCE

    async def waits(self, session: AsyncSession) -> bool:
        """Whether `deliver` would find a message now. Costs little however many there are."""
        return await self._delivering.waits(session)

    async def deliver(self, uow: UnitOfWork, limit: int = 1000) -> DeliveryReport:
        """Hand over what is due until a channel has had `limit` messages. Safe in any number of workers at once.

        Messages are claimed and committed, sent outside any transaction, and closed in another one. A worker that
        dies in between loses its lease, and they are sent again under the same idempotency keys.

        Raises:
            Exception: what a channel raises beside its outcomes, once the other channels are done; the messages
                concerned stay claimed until their lease ends.
        """
        return await self._delivering.run(uow, limit)


@dataclass(frozen=True)
class _Drafts:
    """The routes of a digest's messages, each from its first channel on, and what is common to them."""

    routes: tuple[tuple[str, ...], ...]
    occasion: str
    urgent: bool
    useful_until: datetime | None
