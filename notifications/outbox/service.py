"""Write digests down with the change that causes them; hand them over later, once."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import SystemRandom

from sqlalchemy.ext.asyncio import AsyncSession

from notifications.errors import ChannelRefused, ChannelUnavailable, NoAddress, NotificationsError
from notifications.models import Delivery, OutgoingMessage
from notifications.outbox import sealing
from notifications.outbox.models import (
    Claimed,
    DeliveryPolicy,
    DeliveryReport,
    Digest,
    Draft,
    MessageState,
    Outcome,
)
from notifications.outbox.repository import OutboxRepository
from notifications.ports import Channel, Clock, Contacts, FieldCipher, UnitOfWork

# Each route starts at its first channel that is configured and falls back to the next.
ROUTES = (("inbox",), ("push", "sms"))
PARALLEL = 4  # enough to hide a provider's latency; more only queues at SQLite's one writer
DEFAULT_POLICY = DeliveryPolicy()


@dataclass
class _Budget:
    left: int
    outcomes: Counter[MessageState] = field(default_factory=Counter)


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
        self._contacts = contacts
        self._channels = {channel.name: channel for channel in channels}
        self._routes = [[name for name in route if name in self._channels] for route in ROUTES]
        self._policy = policy
        self._random = SystemRandom()

    async def post(self, session: AsyncSession, digest: Digest) -> int:
        """Write a digest for the first channel of each route, in the caller's transaction.

        A holder gets one digest of a kind on a channel and day; a second one is not written. Entries whose subject
        was already told on a channel are left out there.

        Returns:
            The number of messages written.
        """
        if not digest.entries:
            return 0
        repository, now = OutboxRepository(session), self._clock.now()
        sealed = sealing.seal(self._cipher, digest)
        written = 0
        for route in filter(None, self._routes):
            draft = Draft(sealed.digest_id, digest.holder_id, route[0], digest.day, digest.kind, sealed.body)
            message_id = await repository.add_message(draft, now, now)
            if message_id is None:
                continue
            if await repository.add_entries(message_id, draft.channel, sealed.entries):
                written += 1
            else:
                await repository.drop_message(message_id)
        return written

    async def withdraw(self, session: AsyncSession, subjects: Sequence[str]) -> frozenset[str]:
        """Take back what has not yet been sent about `subjects`.

        A message under way at this instant can no longer be stopped.

        Returns:
            The subjects about which something was already sent.
        """
        if not subjects:
            return frozenset()
        return await OutboxRepository(session).withdraw(subjects, self._clock.now())

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
        fallbacks = [name for route in self._routes for name in route[1:]]
        await repository.cancel_pending(digest_id, fallbacks, "delivered_otherwise", now)

    async def counts(self, session: AsyncSession) -> Mapping[tuple[str, str], int]:
        """The operator's view: how many messages there are by (channel, state)."""
        return await OutboxRepository(session).counts()

    async def deliver(self, uow: UnitOfWork, limit: int = 1000) -> DeliveryReport:
        """Hand over what is due, at most `limit` messages. Safe to run in any number of workers at once.

        Each message is claimed and committed, sent outside any transaction, and closed in another one. A worker
        that dies in between loses its lease, and the message is sent again under the same idempotency key.

        Raises:
            Exception: what a channel raises beside its own two errors, once the other workers are done; the message
                concerned stays claimed until its lease ends.
        """
        budget = _Budget(limit)
        workers = [self._work(uow, budget) for _ in range(min(PARALLEL, limit))]
        for ended in await asyncio.gather(*workers, return_exceptions=True):
            if ended is not None:
                raise ended
        done = budget.outcomes
        return DeliveryReport(
            sent=done[MessageState.SENT] + done[MessageState.DELIVERED],
            failed=done[MessageState.FAILED],
            retried=done[MessageState.PENDING],
            cancelled=done[MessageState.CANCELLED],
        )

    async def _work(self, uow: UnitOfWork, budget: _Budget) -> None:
        while budget.left > 0:
            budget.left -= 1
            now = self._clock.now()
            async with uow.transaction() as session:
                lease_until = now + timedelta(seconds=self._policy.lease_s)
                message = await OutboxRepository(session).claim(self._channels, now, lease_until)
            if message is None:
                return
            outcome = await self._attempt(uow, message)
            async with uow.transaction() as session:
                if await self._close(session, message, outcome):
                    budget.outcomes[outcome.state] += 1

    async def _attempt(self, uow: UnitOfWork, message: Claimed) -> Outcome:
        if message.attempts > self._policy.max_attempts:  # its workers died each time
            return Outcome(MessageState.FAILED, "attempts_exhausted", falls_back_at=self._clock.now())
        # A transaction of its own after the claim's commit: a text that does not open must not undo the claim, or
        # the message would stay at the head of the queue.
        async with uow.transaction() as session:
            entries = await OutboxRepository(session).entries(message.id)
            contacts = await self._contacts.find(session, [message.draft.holder_id])
        if not entries:
            return Outcome(MessageState.CANCELLED, "withdrawn")
        contact = contacts.get(message.draft.holder_id)
        if contact is None:
            return Outcome(MessageState.CANCELLED, "holder_gone")
        title, text = sealing.compose(self._cipher, message.draft, entries, contact.language)
        draft = message.draft
        outgoing = OutgoingMessage(message.id, draft.holder_id, draft.kind, title, text, message.attempts)
        return await self._send(message, Delivery(outgoing, contact))

    async def _send(self, message: Claimed, delivery: Delivery) -> Outcome:
        try:
            async with asyncio.timeout(self._policy.send_timeout_s):
                (receipt,) = await self._channels[message.draft.channel].send([delivery])
        except TimeoutError:
            return self._retry(message, "channel_timeout", None)
        if isinstance(receipt, ChannelUnavailable):
            return self._retry(message, receipt.code, receipt.retry_after_s)
        if isinstance(receipt, ChannelRefused):
            state = MessageState.CANCELLED if isinstance(receipt, NoAddress) else MessageState.FAILED
            return Outcome(state, receipt.code, falls_back_at=self._clock.now())
        if receipt.delivered:
            return Outcome(MessageState.DELIVERED, provider_ref=receipt.provider_ref)
        return Outcome(MessageState.SENT, provider_ref=receipt.provider_ref, falls_back_at=self._patience())

    def _retry(self, message: Claimed, code: str, retry_after_s: float | None) -> Outcome:
        if message.attempts >= self._policy.max_attempts:
            return Outcome(MessageState.FAILED, code, falls_back_at=self._clock.now())
        delay_s = self._policy.delay_s(message.attempts, self._random.random(), retry_after_s)
        not_before = self._clock.now() + timedelta(seconds=delay_s)
        return Outcome(MessageState.PENDING, code, not_before=not_before, falls_back_at=self._patience())

    def _patience(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self._policy.sms_after_s)

    async def _close(self, session: AsyncSession, message: Claimed, outcome: Outcome) -> bool:
        repository, now = OutboxRepository(session), self._clock.now()
        if not await repository.close(message, outcome, now):
            return False
        draft = message.draft
        route = next(route for route in self._routes if draft.channel in route)
        later = route[route.index(draft.channel) + 1 :]
        if outcome.state is MessageState.DELIVERED:
            await repository.cancel_pending(draft.digest_id, later, "delivered_otherwise", now)
        elif later and outcome.falls_back_at is not None:
            await self._fall_back(repository, message, later[0], outcome.falls_back_at)
        return True

    async def _fall_back(self, repository: OutboxRepository, message: Claimed, channel: str, at: datetime) -> None:
        draft, now = replace(message.draft, channel=channel), self._clock.now()
        message_id = await repository.add_message(draft, at, now)
        if message_id is None:
            if at <= now:
                await repository.bring_forward(draft, now)
        elif not await repository.copy_entries(message.id, message_id, channel):
            await repository.drop_message(message_id)
