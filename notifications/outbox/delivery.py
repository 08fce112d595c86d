"""Hand over what is due: claim, commit, send, close."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import SystemRandom

from sqlalchemy.ext.asyncio import AsyncSession

from notifications.errors import THROTTLED, ChannelRefused, ChannelUnavailable, NoAddress
from notifications.models import Contact, Delivery, OutgoingMessage
from notifications.outbox import sealing
from notifications.outbox.claims import ClaimRepository
from notifications.outbox.models import HOLDER_GONE, RINGING, Claimed, DeliveryReport, MessageState, Outcome
from notifications.outbox.policy import DeliveryPolicy
from notifications.outbox.repository import OutboxRepository
from notifications.ports import Channel, Clock, Contacts, FieldCipher, SendOutcome, UnitOfWork

BATCHES_AT_ONCE = 2  # of a channel: one is with the provider while another is read and written
LONGEST_PAUSE_S = 1.0  # a channel whose limit is used up looks again after at most so long
RECEIPTS_AT_ONCE = 500


@dataclass
class _Round:
    """What each channel may still hand over. The round is over for all once one of them has used its part up: a
    channel with much to do gets its part, and none waits for a slow one."""

    left: dict[str, int]
    asked_for: Counter[str] = field(default_factory=Counter)  # by claims that are under way
    outcomes: Counter[MessageState] = field(default_factory=Counter)

    @property
    def over(self) -> bool:
        return not all(self.left.values())

    def ask(self, channel: Channel) -> int:
        """How many a channel may claim next."""
        wanted = 0 if self.over else min(channel.batch, self.left[channel.name] - self.asked_for[channel.name])
        self.asked_for[channel.name] += wanted
        return wanted

    def took(self, channel: Channel, wanted: int, claimed: int) -> None:
        """What came of asking."""
        self.asked_for[channel.name] -= wanted
        self.left[channel.name] -= claimed


class Delivering:
    """One worker's hands. Many may work at once, in one process and in several."""

    def __init__(
        self,
        clock: Clock,
        cipher: FieldCipher,
        contacts: Contacts,
        channels: Mapping[str, Channel],
        policy: DeliveryPolicy,
    ) -> None:
        self._clock = clock
        self._cipher = cipher
        self._contacts = contacts
        self._channels = channels
        self._policy = policy
        self._random = SystemRandom()

    async def run(self, uow: UnitOfWork, limit: int) -> DeliveryReport:
        """See `Outbox.deliver`."""
        part = _Round(dict.fromkeys(self._channels, limit))
        settled = RECEIPTS_AT_ONCE
        while settled == RECEIPTS_AT_ONCE:
            async with uow.transaction() as session:
                settled = await OutboxRepository(session).settle(RECEIPTS_AT_ONCE)
        worked = True
        while worked and not part.over:  # what one channel refuses is at once due on the next
            works = [self._work(uow, channel, part) for channel in self._channels.values() for _ in _HANDS]
            ended = await asyncio.gather(*works, return_exceptions=True)
            for one in ended:
                if isinstance(one, BaseException):
                    raise one
            worked = any(ended)
        done = part.outcomes
        return DeliveryReport(
            sent=done[MessageState.SENT] + done[MessageState.DELIVERED],
            failed=done[MessageState.FAILED],
            retried=done[MessageState.PENDING],
            cancelled=done[MessageState.CANCELLED],
        )

    async def waits(self, session: AsyncSession) -> bool:
        """See `Outbox.waits`."""
        now = self._clock.now()
        channels = {name: self._urgent_only(name, now) for name in self._channels}
        return await ClaimRepository(session).has_due(channels, now)

    def _urgent_only(self, channel: str, now: datetime) -> bool:
        return channel in RINGING and self._policy.quiet is not None and self._policy.quiet.include(now)

    async def _work(self, uow: UnitOfWork, channel: Channel, part: _Round) -> bool:
        """Empty a channel's queue; gives whether there was anything."""
        worked = False
        while wanted := part.ask(channel):
            now = self._clock.now()
            async with uow.transaction() as session:
                claimed = await ClaimRepository(session).claim(
                    channel.name,
                    wanted,
                    now,
                    now + timedelta(seconds=self._policy.lease_s),
                    urgent_only=self._urgent_only(channel.name, now),
                )
            part.took(channel, wanted, len(claimed))
            if not claimed:
                break
            worked = True
            attempted = await self._attempt(uow, channel, claimed)
            async with uow.transaction() as session:
                closed = await self._close(ClaimRepository(session), channel, attempted)
            part.outcomes.update(outcome.state for message, outcome in attempted.outcomes if message.id in closed)
            if attempted.unreadable is not None:
                raise attempted.unreadable
            if pause_s := self._pause_s(attempted.outcomes):
                await asyncio.sleep(pause_s)
        return worked

    async def _attempt(self, uow: UnitOfWork, channel: Channel, claimed: Sequence[Claimed]) -> "_Attempted":
        # A transaction of its own after the claim's commit: a text that does not open must not undo the claim, or
        # the message would stay at the head of the queue.
        async with uow.transaction() as session:
            entries = await ClaimRepository(session).entries([message.id for message in claimed])
            contacts = await self._contacts.find(session, {message.draft.holder_id for message in claimed})
        outcomes: list[tuple[Claimed, Outcome]] = []
        deliveries: list[tuple[Claimed, Delivery]] = []
        unreadable: Exception | None = None
        for message in claimed:
            said, contact = entries.get(message.id), contacts.get(message.draft.holder_id)
            if reason := self._moot(message, said, contact):
                outcomes.append((message, Outcome(MessageState.CANCELLED, reason)))
            elif message.attempts > self._policy.max_attempts:  # its workers died each time
                outcomes.append((message, self._failed("attempts_exhausted")))
            else:
                assert said is not None
                assert contact is not None
                try:
                    deliveries.append((message, self._delivery(message, said, contact)))
                except Exception as error:  # noqa: BLE001  (the cipher's own; raised once the others are on their way)
                    unreadable = error
        answers = await self._send(channel, [delivery for _, delivery in deliveries]) if deliveries else []
        outcomes += [
            (message, self._outcome(message, answer)) for (message, _), answer in zip(deliveries, answers, strict=True)
        ]
        subjects = {message_id: [subject for subject, _ in said] for message_id, said in entries.items()}
        return _Attempted(outcomes, subjects, unreadable)

    def _moot(self, message: Claimed, said: object, contact: Contact | None) -> str | None:
        """Why a message need not be sent any more."""
        if not said:
            return "withdrawn"
        if contact is None:
            return HOLDER_GONE
        until = message.draft.useful_until
        return "out_of_date" if until is not None and until <= self._clock.now() else None

    def _delivery(self, message: Claimed, said: Sequence[tuple[str, bytes]], contact: Contact) -> Delivery:
        draft = message.draft
        title, text = sealing.compose(self._cipher, draft, said, contact.language)
        outgoing = OutgoingMessage(
            idempotency_key=message.id,
            holder_id=draft.holder_id,
            kind=draft.kind,
            title=title,
            text=text,
            attempt=message.attempts,
            provider=message.provider,
            useful_until=draft.useful_until,
        )
        return Delivery(outgoing, contact)

    async def _send(self, channel: Channel, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
        try:
            async with asyncio.timeout(self._policy.send_timeout_s):
                return await channel.send(deliveries)
        except TimeoutError:
            late = ChannelUnavailable("channel_timeout", "no answer in time", uncertain=True)
            return [late] * len(deliveries)

    def _outcome(self, message: Claimed, answer: SendOutcome) -> Outcome:
        if isinstance(answer, ChannelUnavailable):
            return self._held(message, answer) if answer.held else self._retry(message, answer)
        if isinstance(answer, ChannelRefused):
            no_address = isinstance(answer, NoAddress)
            return self._failed(answer.code, MessageState.CANCELLED if no_address else MessageState.FAILED)
        if answer.delivered:
            return Outcome(MessageState.DELIVERED, provider=answer.provider, provider_ref=answer.provider_ref)
        return Outcome(
            MessageState.SENT,
            provider=answer.provider,
            provider_ref=answer.provider_ref,
            falls_back_at=self._patience(),
        )

    def _failed(self, code: str, state: MessageState = MessageState.FAILED) -> Outcome:
        return Outcome(state, code, falls_back_at=self._clock.now())

    def _retry(self, message: Claimed, answer: ChannelUnavailable) -> Outcome:
        if message.attempts >= self._policy.max_attempts:
            return self._failed(answer.code)
        delay_s = self._policy.delay_s(message.attempts, self._random.random(), answer.retry_after_s)
        return Outcome(
            MessageState.PENDING,
            answer.code,
            provider=(answer.provider if answer.uncertain else None) or message.provider,  # it still may have it
            provider_stays=answer.uncertain and answer.provider is None,
            not_before=self._clock.now() + timedelta(seconds=delay_s),
            falls_back_at=self._patience(),
        )

    def _held(self, message: Claimed, answer: ChannelUnavailable) -> Outcome:
        """We hold it back ourselves: nobody was asked, so that it was no attempt."""
        wait = timedelta(seconds=answer.retry_after_s or LONGEST_PAUSE_S)
        return Outcome(
            MessageState.PENDING,
            answer.code,
            provider=message.provider,
            attempts=message.attempts - 1,
            not_before=self._clock.now() + wait,
            # Our own limit must not turn pushes into messages that cost money.
            falls_back_at=None if answer.code == THROTTLED else self._patience(),
        )

    def _patience(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self._policy.sms_after_s)

    def _pause_s(self, outcomes: Sequence[tuple[Claimed, Outcome]]) -> float:
        """How long to leave a channel alone that holds everything back."""
        now = self._clock.now()
        waits = [
            (outcome.not_before - now).total_seconds()
            for message, outcome in outcomes
            if outcome.not_before is not None and outcome.attempts == message.attempts - 1
        ]
        return max(0.0, min([*waits, LONGEST_PAUSE_S])) if waits and len(waits) == len(outcomes) else 0.0

    async def _close(self, repository: ClaimRepository, channel: Channel, attempted: "_Attempted") -> frozenset[str]:
        if not attempted.outcomes:
            return frozenset()
        now = self._clock.now()
        closed = await repository.close(attempted.outcomes, now)
        mine = [(message, outcome) for message, outcome in attempted.outcomes if message.id in closed]
        await repository.keep_told(attempted.told, channel.name)  # also where a receipt or another worker was faster
        delivered = [message.draft for message, outcome in mine if outcome.state is MessageState.DELIVERED]
        await repository.cancel_fallbacks(delivered, now)
        waiting = [
            (message, outcome.falls_back_at)
            for message, outcome in mine
            if outcome.falls_back_at is not None and message.draft.fallbacks
        ]
        await repository.fall_back(waiting, now)
        return closed


@dataclass(frozen=True)
class _Attempted:
    """What became of a batch, what each message was about, and the error of one whose text does not open: that one
    stays claimed."""

    outcomes: Sequence[tuple[Claimed, Outcome]]
    subjects: Mapping[str, Sequence[str]]
    unreadable: Exception | None

    @property
    def told(self) -> Mapping[str, Sequence[str]]:
        """What the messages that were handed over were about."""
        handed = (MessageState.SENT, MessageState.DELIVERED)
        return {message.id: self.subjects[message.id] for message, outcome in self.outcomes if outcome.state in handed}


_HANDS = range(BATCHES_AT_ONCE)
