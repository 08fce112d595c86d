"""All SQL of the outbox."""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import delete, exists, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.outbox.models import Claimed, Draft, MessageState, Outcome
from notifications.outbox.tables import OutboxEntryRow, OutboxMessageRow

_messages = OutboxMessageRow.metadata.tables["outbox_message"]
_entries = OutboxEntryRow.metadata.tables["outbox_entry"]
_m, _e = _messages.c, _entries.c

_OPEN = (MessageState.PENDING, MessageState.CLAIMED)


class OutboxRepository:
    """Statements in the caller's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def _run(self, statement: Any) -> Sequence[Any]:
        result = await (await self._session.connection()).execute(statement)
        return result.all() if result.returns_rows else ()

    async def add_message(self, draft: Draft, not_before: datetime, now: datetime) -> str | None:
        """Write a pending message and give its id; None if its dedupe key is taken."""
        values = {
            **asdict(draft),
            "id": secrets.token_hex(16),
            "dedupe_key": draft.dedupe_key,
            "state": MessageState.PENDING,
            "attempts": 0,
            "not_before": not_before,
            "created_at": now,
        }
        statement = insert(_messages).values(values).on_conflict_do_nothing(index_elements=["dedupe_key"])
        rows = await self._run(statement.returning(_m.id))
        return str(rows[0].id) if rows else None

    async def add_entries(self, message_id: str, channel: str, entries: Sequence[tuple[str, bytes]]) -> int:
        """Write (subject, sealed text) unless the subject was already told on the channel; gives their number."""
        values = [
            {"subject": subject, "channel": channel, "message_id": message_id, "position": position, "body": body}
            for position, (subject, body) in enumerate(entries)
        ]
        statement = insert(_entries).values(values).on_conflict_do_nothing(index_elements=["subject", "channel"])
        return len(await self._run(statement.returning(_e.subject)))

    async def copy_entries(self, message_id: str, to_message_id: str, to_channel: str) -> int:
        """Give a message the entries of another one, on another channel; gives their number."""
        copied = select(_e.subject, literal(to_channel), literal(to_message_id), _e.position, _e.body)
        statement = insert(_entries).from_select(
            ["subject", "channel", "message_id", "position", "body"], copied.where(_e.message_id == message_id)
        )
        statement = statement.on_conflict_do_nothing(index_elements=["subject", "channel"])
        return len(await self._run(statement.returning(_e.subject)))

    async def drop_message(self, message_id: str) -> None:
        """Remove a message that nothing is left to say in."""
        await self._run(delete(_messages).where(_m.id == message_id))

    async def claim(self, channels: Collection[str], now: datetime, lease_until: datetime) -> Claimed | None:
        """Take the message that has waited longest, or whose worker died, in one statement.

        On PostgreSQL rows that others are taking are skipped; SQLite has one writer at a time.
        """
        free = (
            select(_m.id)
            .where(_m.state.in_(_OPEN), _m.not_before <= now, _m.channel.in_(channels))
            .order_by(_m.not_before)
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        taken = {
            "state": MessageState.CLAIMED,
            "attempts": _m.attempts + 1,
            "not_before": lease_until,
            "claim": secrets.token_hex(16),
        }
        statement = update(_messages).where(_m.id == free).values(taken)
        drafted = (_m.digest_id, _m.holder_id, _m.channel, _m.day, _m.kind, _m.body)
        rows = await self._run(statement.returning(*drafted, _m.id, _m.attempts, _m.claim))
        if not rows:
            return None
        *draft, message_id, attempts, claim = rows[0]
        return Claimed(message_id, Draft(*draft), attempts, claim)

    async def entries(self, message_id: str) -> Sequence[tuple[str, bytes]]:
        """Subject and sealed body of what is still to be said, in order."""
        statement = select(_e.subject, _e.body).where(_e.message_id == message_id).order_by(_e.position)
        return [(row.subject, row.body) for row in await self._run(statement)]

    async def close(self, message: Claimed, outcome: Outcome, now: datetime) -> bool:
        """Write an attempt's outcome; False if the lease was lost to another worker meanwhile."""
        again = outcome.state is MessageState.PENDING
        values: dict[str, object] = {
            "state": outcome.state,
            "claim": None,
            "reason": outcome.reason,
            "provider_ref": outcome.provider_ref,
            "closed_at": None if again else now,
            "delivered_at": now if outcome.state is MessageState.DELIVERED else None,
        }
        if outcome.not_before is not None:
            values["not_before"] = outcome.not_before
        mine = (_m.id == message.id, _m.state == MessageState.CLAIMED, _m.claim == message.claim)
        return bool(await self._run(update(_messages).where(*mine).values(values).returning(_m.id)))

    async def bring_forward(self, draft: Draft, now: datetime) -> None:
        """Let a message that has waited for another channel go at once."""
        waiting = (_m.dedupe_key == draft.dedupe_key, _m.state == MessageState.PENDING, _m.attempts == 0)
        await self._run(update(_messages).where(*waiting, _m.not_before > now).values(not_before=now))

    async def cancel_pending(self, digest_id: str, channels: Collection[str], reason: str, now: datetime) -> None:
        """Cancel what is not yet under way of a digest on some channels."""
        waiting = (_m.digest_id == digest_id, _m.channel.in_(channels), _m.state == MessageState.PENDING)
        cancelled = {"state": MessageState.CANCELLED, "reason": reason, "closed_at": now}
        await self._run(update(_messages).where(*waiting).values(cancelled))

    async def withdraw(self, subjects: Sequence[str], now: datetime) -> frozenset[str]:
        """Remove the unsent entries of subjects and cancel messages left empty.

        Returns:
            The subjects that were already told on some channel, or that failed for good there.
        """
        mentions = select(_e.message_id).where(_e.subject.in_(subjects))
        # Lock first: a worker that is closing a message may be copying its entries to the next channel. The
        # statements after this one see what it wrote.
        locked = select(_m.id).where(_m.id.in_(mentions), _m.state.in_(_OPEN)).order_by(_m.id).with_for_update()
        await self._run(locked)
        unsent = select(_m.id).where(_m.state.in_(_OPEN))
        removal = delete(_entries).where(_e.subject.in_(subjects), _e.message_id.in_(unsent))
        touched = {row.message_id for row in await self._run(removal.returning(_e.message_id))}
        # A claimed message is left to its worker: it closes it as sent, or finds it empty and cancels it.
        empty = (_m.id.in_(touched), _m.state == MessageState.PENDING, ~exists().where(_e.message_id == _m.id))
        cancelled = {"state": MessageState.CANCELLED, "reason": "withdrawn", "closed_at": now}
        await self._run(update(_messages).where(*empty).values(cancelled))
        told = await self._run(select(_e.subject).where(_e.subject.in_(subjects)).distinct())
        return frozenset(row.subject for row in told)

    async def acknowledge(self, message_id: str, holder_id: str, now: datetime) -> str | None:
        """Note the receipt of a holder's message; gives its digest id, None if there is no such message.

        Any state but cancelled may move: a receipt can overtake the worker that is still writing "sent", and it
        tells the truth where an attempt seemed to fail.
        """
        own = (_m.id == message_id, _m.holder_id == holder_id, _m.state != MessageState.CANCELLED)
        values = {"state": MessageState.DELIVERED, "delivered_at": func.coalesce(_m.delivered_at, now)}
        rows = await self._run(update(_messages).where(*own).values(values).returning(_m.digest_id))
        return str(rows[0].digest_id) if rows else None

    async def counts(self) -> dict[tuple[str, str], int]:
        """Messages by (channel, state)."""
        statement = select(_m.channel, _m.state, func.count()).group_by(_m.channel, _m.state)
        return {(channel, state): number for channel, state, number in await self._run(statement)}
