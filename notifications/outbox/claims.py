"""SQL of handing over: take messages, read what they say, write down what became of them."""

import secrets
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    DateTime,
    Integer,
    String,
    case,
    column,
    delete,
    literal,
    select,
    update,
    values,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.outbox.models import Claimed, Draft, MessageState, Outcome
from notifications.outbox.repository import OutboxRepository, message_values
from notifications.outbox.tables import OutboxEntryRow, OutboxMessageRow
from notifications.ports import UnitOfWork

_messages = OutboxMessageRow.metadata.tables["outbox_message"]
_entries = OutboxEntryRow.metadata.tables["outbox_entry"]
_m, _e = _messages.c, _entries.c

_INSTANT = DateTime(timezone=True)


class ClaimRepository:
    """Statements in the caller's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def _run(self, statement: Any) -> Sequence[Any]:
        result = await (await self._session.connection()).execute(statement)
        return result.all() if result.returns_rows else ()

    async def claim(
        self, channel: str, limit: int, now: datetime, lease_until: datetime, *, urgent_only: bool
    ) -> Sequence[Claimed]:
        """Take messages of a channel, those that waited longest, in one statement.

        What a worker left behind is taken one by one: it may be what killed it. On PostgreSQL rows that others are
        taking are skipped; SQLite has one writer at a time.
        """
        due = [_m.channel == channel, _m.not_before <= now]
        if urgent_only:
            due.append(_m.urgent)
        left_behind = await self._take([*due, _m.state == MessageState.CLAIMED], 1, lease_until)
        return left_behind or await self._take([*due, _m.state == MessageState.PENDING], limit, lease_until)

    async def _take(self, due: Sequence[ColumnElement[bool]], limit: int, lease_until: datetime) -> Sequence[Claimed]:
        free = select(_m.id).where(*due).order_by(_m.not_before).limit(limit)
        chosen = free.with_for_update(skip_locked=True).cte("free")
        taken = {
            "state": MessageState.CLAIMED,
            "attempts": _m.attempts + 1,
            "not_before": lease_until,
            "claim": secrets.token_hex(16),
        }
        statement = update(_messages).where(_m.id.in_(select(chosen.c.id))).values(taken).returning(*_messages.c)
        return [_claimed(row) for row in await self._run(statement)]

    async def entries(self, message_ids: Collection[str]) -> Mapping[str, Sequence[tuple[str, bytes]]]:
        """Subject and sealed body of what is still to be said, in order, by message."""
        statement = select(_e.message_id, _e.subject, _e.body).where(_e.message_id.in_(message_ids))
        found: defaultdict[str, list[tuple[str, bytes]]] = defaultdict(list)
        for row in await self._run(statement.order_by(_e.message_id, _e.position)):
            found[row.message_id].append((row.subject, row.body))
        return found

    async def note_asked(self, message_ids: Collection[str], provider: str) -> None:
        """Write down who is about to be given messages."""
        # Locked in the order of ids, as in `close`.
        claimed = select(_m.id).where(_m.id.in_(message_ids), _m.state == MessageState.CLAIMED).order_by(_m.id)
        locked = claimed.with_for_update().cte("locked")
        await self._run(update(_messages).where(_m.id.in_(select(locked.c.id))).values(provider=provider))

    async def close(self, outcomes: Sequence[tuple[Claimed, Outcome]], now: datetime) -> frozenset[str]:
        """Write what became of messages; gives the ids of those whose lease was not lost to another worker."""
        # Locked in the order in which a withdrawal locks them, so that the two do not wait for each other in a circle.
        ids = [message.id for message, _ in outcomes]
        await self._run(select(_m.id).where(_m.id.in_(ids)).order_by(_m.id).with_for_update())
        told = (
            values(
                column("id", String),
                column("claim", String),
                column("state", String),
                column("reason", String),
                column("provider", String),
                column("provider_ref", String),
                column("provider_stays", Boolean),
                column("attempts", Integer),
                column("not_before", _INSTANT),
                name="told",
            )
            .data(
                [
                    (
                        message.id,
                        message.claim,
                        outcome.state.value,
                        outcome.reason,
                        outcome.provider,
                        outcome.provider_ref,
                        outcome.provider_stays,
                        message.attempts if outcome.attempts is None else outcome.attempts,
                        outcome.not_before or now,
                    )
                    for message, outcome in outcomes
                ]
            )
            .cte("told")
        )
        t = told.c
        again = t.state == MessageState.PENDING
        statement = update(_messages).where(_m.id == t.id, _m.state == MessageState.CLAIMED, _m.claim == t.claim)
        statement = statement.values(
            state=t.state,
            claim=None,
            reason=t.reason,
            provider=case((t.provider_stays, _m.provider), else_=t.provider),
            provider_ref=t.provider_ref,
            attempts=t.attempts,
            not_before=t.not_before,
            closed_at=_when(~again, now),
            delivered_at=_when(t.state == MessageState.DELIVERED, now),
        )
        return frozenset(row.id for row in await self._run(statement.returning(_m.id)))

    async def fall_back(self, waiting: Sequence[tuple[Claimed, datetime]], now: datetime) -> None:
        """Write the next channel's messages, with what their predecessors still had to say, for the given instants.

        What is already written for another time goes at once when its predecessor is out of the way.
        """
        if not waiting:
            return
        followers = {message.id: (_follower(message.draft), at) for message, at in waiting}
        ids = {old: secrets.token_hex(16) for old in followers}
        rows = [message_values(draft, ids[old], at, now) for old, (draft, at) in followers.items()]
        statement = insert(_messages).values(rows).on_conflict_do_nothing(index_elements=["dedupe_key"])
        written = {row.id for row in await self._run(statement.returning(_m.id))}
        fresh = {old: new for old, new in ids.items() if new in written}
        speaking = await self._copy_entries({old: (new, followers[old][0].channel) for old, new in fresh.items()})
        if silent := written - speaking:
            await self._run(delete(_messages).where(_m.id.in_(silent)))
        hurried = [draft.dedupe_key for old, (draft, at) in followers.items() if old not in fresh and at <= now]
        if hurried:
            idle = (_m.dedupe_key.in_(hurried), _m.state == MessageState.PENDING, _m.attempts == 0)
            await self._run(update(_messages).where(*idle, _m.not_before > now).values(not_before=now))

    async def _copy_entries(self, followers: Mapping[str, tuple[str, str]]) -> set[str]:
        """Give messages (id, channel) what their predecessors had to say there; gives those that got something."""
        speaking: set[str] = set()
        for channel in {channel for _, channel in followers.values()}:
            pairs = [(old, new) for old, (new, on) in followers.items() if on == channel]
            heirs = values(column("old", String), column("new", String), name="heirs").data(pairs).cte("heirs")
            unmuted = ~(literal(",") + _e.muted + ",").contains(f",{channel},")
            copied = select(_e.subject, literal(channel), heirs.c.new, _e.position, _e.body, _e.muted).where(
                _e.message_id == heirs.c.old, unmuted
            )
            statement = insert(_entries).from_select(
                ["subject", "channel", "message_id", "position", "body", "muted"], copied
            )
            statement = statement.on_conflict_do_nothing(index_elements=["subject", "channel"])
            speaking |= {row.message_id for row in await self._run(statement.returning(_e.message_id))}
        return speaking

    async def cancel_fallbacks(self, delivered: Sequence[Draft], now: datetime) -> None:
        """Cancel what waits on the channels after these, and is not yet under way."""
        later = {draft.digest_id for draft in delivered if draft.fallbacks}
        channels = {channel for draft in delivered for channel in draft.fallbacks}
        if later:
            await OutboxRepository(self._session).cancel_fallbacks(later, channels, now)


class AskedBook:
    """Writes into claimed messages which provider is about to get them; who takes a message over asks that one."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def note(self, provider: str, idempotency_keys: Sequence[str]) -> None:
        """Commit it, in a transaction of its own."""
        async with self._uow.transaction() as session:
            await ClaimRepository(session).note_asked(idempotency_keys, provider)


def _claimed(row: Any) -> Claimed:
    draft = Draft(
        digest_id=row.digest_id,
        holder_id=row.holder_id,
        channel=row.channel,
        day=row.day,
        kind=row.kind,
        body=row.body,
        occasion=row.dedupe_key.removesuffix(f":{row.channel}"),
        fallbacks=tuple(filter(None, row.fallbacks.split(","))),
        urgent=row.urgent,
        useful_until=row.useful_until,
    )
    return Claimed(row.id, draft, row.attempts, row.claim, row.provider)


def _follower(draft: Draft) -> Draft:
    """The same on the next channel."""
    channel, *later = draft.fallbacks
    return replace(draft, channel=channel, fallbacks=tuple(later))


def _when(condition: Any, now: datetime) -> Any:
    return case((condition, literal(now, _INSTANT)), else_=None)
