"""SQL of handing over: take messages, read what they say, write down what became of them."""

import secrets
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.outbox.models import Claimed, Draft, MessageState, Outcome
from notifications.outbox.repository import OutboxRepository, listed, message_values
from notifications.outbox.tables import OutboxEntryRow, OutboxMessageRow
from notifications.ports import UnitOfWork

_messages = OutboxMessageRow.metadata.tables["outbox_message"]
_entries = OutboxEntryRow.metadata.tables["outbox_entry"]
_m, _e = _messages.c, _entries.c
_Conditions = Sequence[ColumnElement[bool]]


class ClaimRepository:
    """Statements in the caller's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def _run(self, statement: Any, rows: Sequence[Mapping[str, object]] | None = None) -> Sequence[Any]:
        result = await (await self._session.connection()).execute(statement, rows)
        return result.all() if result.returns_rows else ()

    async def claim(
        self, channel: str, limit: int, now: datetime, lease_until: datetime, *, urgent_only: bool
    ) -> Sequence[Claimed]:
        """Take messages of a channel, the urgent ones first, then those that waited longest.

        What a worker left behind is taken one by one: it may be what killed it. On PostgreSQL rows that others are
        taking are skipped; SQLite has one writer at a time.
        """
        left_behind, *waiting = _due(channel, now, urgent_only=urgent_only)
        if taken := await self._take(left_behind, 1, lease_until):
            return taken
        for due in waiting:
            if len(taken) < limit:
                taken += await self._take(due, limit - len(taken), lease_until)
        return taken

    async def has_due(self, channels: Mapping[str, bool], now: datetime) -> bool:
        """Whether there is anything to claim.

        Args:
            channels: by name, whether only what is urgent counts.
        """
        due = [one for name, urgent_only in channels.items() for one in _due(name, now, urgent_only=urgent_only)]
        rows = await self._run(select(or_(*(exists().where(*conditions) for conditions in due)))) if due else ()
        return bool(rows and rows[0][0])

    async def _take(self, due: _Conditions, limit: int, lease_until: datetime) -> list[Claimed]:
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
        statement = select(_e.message_id, _e.subject, _e.body).where(_e.message_id.in_(message_ids), _e.body != b"")
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
        locked = select(_m.id, _m.claim, _m.provider).where(_m.id.in_(ids), _m.state == MessageState.CLAIMED)
        held = {(row.id, row.claim): row for row in await self._run(locked.order_by(_m.id).with_for_update())}
        mine = [(held[key], *pair) for pair in outcomes if (key := (pair[0].id, pair[0].claim)) in held]
        if mine:
            closed = [_closed(row, message, outcome, now) for row, message, outcome in mine]
            await OutboxRepository(self._session).set_each(closed)
        return frozenset(row.id for row, _, _ in mine)

    async def keep_told(self, said: Mapping[str, Sequence[str]], channel: str) -> None:
        """Note again what was told although it was withdrawn while it was under way: it is not told a second time.

        Args:
            said: the subjects of messages that were handed over, by message.
        """
        if not said:
            return
        known = {row.subject for row in await self._run(select(_e.subject).where(_e.message_id.in_(said)))}
        blank = {"channel": channel, "position": 0, "body": b""}
        rows = [
            {"subject": subject, "message_id": message_id, **blank}
            for message_id, subjects in said.items()
            for subject in subjects
            if subject not in known
        ]
        if rows:
            await self._run(insert(_entries).on_conflict_do_nothing(index_elements=["subject", "channel"]), rows)

    async def fall_back(self, waiting: Sequence[tuple[Claimed, datetime]], now: datetime) -> None:
        """Write the next channel's messages, with what their predecessors still had to say, for the given instants.

        What is already written for another time goes at once when its predecessor is out of the way.
        """
        if not waiting:
            return
        followers = {message.id: (_follower(message.draft), at) for message, at in waiting}
        ids = {old: secrets.token_hex(16) for old in followers}
        rows = [message_values(draft, ids[old], at, now) for old, (draft, at) in followers.items()]
        statement = insert(_messages).on_conflict_do_nothing(index_elements=["dedupe_key"])
        written = {row.id for row in await self._run(statement.returning(_m.id), rows)}
        fresh = [old for old, new in ids.items() if new in written]
        if silent := written - await self._copy_entries(fresh, written):
            await self._run(delete(_messages).where(_m.id.in_(silent)))
        late = followers.keys() - fresh
        hurried = [draft.dedupe_key for old, (draft, at) in followers.items() if old in late and at <= now]
        if hurried:
            idle = (_m.dedupe_key.in_(hurried), _m.state == MessageState.PENDING, _m.attempts == 0)
            await self._run(update(_messages).where(*idle, _m.not_before > now).values(not_before=now))

    async def _copy_entries(self, old: Collection[str], new: Collection[str]) -> set[str]:
        """Give new messages what the old ones of their digests had to say there; gives those that got something."""
        heirs = _messages.alias()
        copied = (
            select(_e.subject, heirs.c.channel, heirs.c.id, _e.position, _e.body, _e.muted)
            .join_from(_entries, _messages, _e.message_id == _m.id)
            .join(heirs, heirs.c.digest_id == _m.digest_id)
            .where(_m.id.in_(old), heirs.c.id.in_(new), ~listed(heirs.c.channel, _e.muted), _e.body != b"")
        )
        columns = ["subject", "channel", "message_id", "position", "body", "muted"]
        statement = insert(_entries).from_select(columns, copied)
        statement = statement.on_conflict_do_nothing(index_elements=["subject", "channel"])
        return {row.message_id for row in await self._run(statement.returning(_e.message_id))}

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


def _due(channel: str, now: datetime, *, urgent_only: bool) -> list[_Conditions]:
    """What may be taken of a channel: what a worker left behind, then what is urgent, then the rest.

    Each compares with one value of every column of an index but the last, so that it is walked from its start.
    """
    due = (_m.channel == channel, _m.not_before <= now)
    left_behind = (*due, _m.state == MessageState.CLAIMED)
    urgent = (*due, _m.state == MessageState.PENDING, _m.urgent.is_(True))
    if urgent_only:
        return [(*left_behind, _m.urgent.is_(True)), urgent]
    return [left_behind, urgent, (*due, _m.state == MessageState.PENDING, _m.urgent.is_(False))]


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


def _closed(row: Any, message: Claimed, outcome: Outcome, now: datetime) -> dict[str, object]:
    return {
        "id": row.id,
        "state": outcome.state,
        "claim": None,
        "reason": outcome.reason,
        "provider": row.provider if outcome.provider_stays else outcome.provider,
        "provider_ref": outcome.provider_ref,
        "attempts": message.attempts if outcome.attempts is None else outcome.attempts,
        "not_before": outcome.not_before or now,
        "closed_at": None if outcome.state is MessageState.PENDING else now,
        "delivered_at": now if outcome.state is MessageState.DELIVERED else None,
    }
