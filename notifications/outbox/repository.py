"""SQL of what is written into the outbox, taken back, acknowledged, and put back by operators."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, delete, exists, func, literal, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.outbox.models import HOLDER_GONE, Draft, MessageState, StoredMessage
from notifications.outbox.sealing import SealedEntry
from notifications.outbox.tables import HAS_TEXT, OutboxEntryRow, OutboxMessageRow, OutboxReceiptRow

_messages = OutboxMessageRow.metadata.tables["outbox_message"]
_entries = OutboxEntryRow.metadata.tables["outbox_entry"]
_receipts = OutboxReceiptRow.metadata.tables["outbox_receipt"]
_m, _e, _r = _messages.c, _entries.c, _receipts.c

_OPEN = (MessageState.PENDING, MessageState.CLAIMED)
_HOLDER_GONE = and_(_m.state == MessageState.CANCELLED, _m.reason == HOLDER_GONE)


class OutboxRepository:
    """Statements in the caller's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def _run(self, statement: Any, rows: Sequence[Mapping[str, object]] | None = None) -> Sequence[Any]:
        """Rows to insert are given beside the statement: it is then compiled once, however many there are."""
        result = await (await self._session.connection()).execute(statement, rows)
        return result.all() if result.returns_rows else ()

    async def add(self, drafts: Sequence[tuple[Draft, Sequence[SealedEntry]]], now: datetime) -> int:
        """Write messages whose key is free, with those of their entries that were not yet told on their channel.

        Returns:
            The number of messages that have something to say.
        """
        if not drafts:
            return 0
        drafts = sorted(drafts, key=lambda pair: pair[0].dedupe_key)  # so that two writers do not wait in a circle
        ids = {draft.dedupe_key: secrets.token_hex(16) for draft, _ in drafts}
        rows = [message_values(draft, ids[draft.dedupe_key], now, now) for draft, _ in drafts]
        statement = insert(_messages).on_conflict_do_nothing(index_elements=["dedupe_key"])
        written = {row.id for row in await self._run(statement.returning(_m.id), rows)}
        if not written:
            return 0
        entries = [
            {
                "subject": entry.subject,
                "channel": draft.channel,
                "message_id": ids[draft.dedupe_key],
                "position": position,
                "body": entry.body,
                "muted": ",".join(sorted(entry.muted)),
            }
            for draft, told in drafts
            if ids[draft.dedupe_key] in written
            for position, entry in enumerate(told)
        ]
        statement = insert(_entries).on_conflict_do_nothing(index_elements=["subject", "channel"])
        speaking = {row.message_id for row in await self._run(statement.returning(_e.message_id), entries)}
        if written != speaking:
            await self._run(delete(_messages).where(_m.id.in_(written - speaking)))
        return len(speaking)

    async def withdraw(self, subjects: Sequence[str], now: datetime) -> frozenset[str]:
        """Remove the unsent entries of subjects and cancel messages left empty; what failed is not put back either.

        What was kept back because its holder was gone counts as unsent: it may be told when they are back.

        Returns:
            The subjects that were already told on some channel, or that failed for good there.
        """
        mentions = select(_e.message_id).where(_e.subject.in_(subjects))
        # Lock first: a worker that is closing a message may be copying its entries to the next channel. The
        # statements after this one see what it wrote.
        locked = select(_m.id).where(_m.id.in_(mentions), _m.state.in_(_OPEN)).order_by(_m.channel, _m.id)
        await self._run(locked.with_for_update())
        unsent = select(_m.id).where(or_(_m.state.in_(_OPEN), _HOLDER_GONE))
        removal = delete(_entries).where(_e.subject.in_(subjects), _e.message_id.in_(unsent))
        touched = {row.message_id for row in await self._run(removal.returning(_e.message_id))}
        failed = select(_m.id).where(_m.state == MessageState.FAILED)
        silenced = update(_entries).where(_e.subject.in_(subjects), _e.message_id.in_(failed))
        await self._run(silenced.values(body=b""))
        # A claimed message is left to its worker: it closes it as sent, or finds it empty and cancels it.
        empty = (_m.id.in_(touched), _m.state == MessageState.PENDING, ~exists().where(_e.message_id == _m.id))
        cancelled = {"state": MessageState.CANCELLED, "reason": "withdrawn", "closed_at": now}
        await self._run(update(_messages).where(*empty).values(cancelled))
        told = await self._run(select(_e.subject).where(_e.subject.in_(subjects)).distinct())
        return frozenset(row.subject for row in told)

    async def kept_back(self, subjects: Sequence[str]) -> frozenset[str]:
        """Those of the subjects that were told nowhere and wait nowhere, because their holder was gone."""
        statement = select(_e.subject).join(_messages, _m.id == _e.message_id).where(_e.subject.in_(subjects))
        told = await self._run(statement.group_by(_e.subject).having(func.min(case((_HOLDER_GONE, 1), else_=0)) == 1))
        return frozenset(row.subject for row in told)

    async def acknowledge(self, message_id: str, holder_id: str, now: datetime) -> str | None:
        """Note the receipt of a holder's message; gives its digest id, None if there is no such message.

        Any state but cancelled may move: a receipt can overtake the worker that is still writing "sent", and it
        tells the truth where an attempt seemed to fail.
        """
        return await self._arrived(_m.id == message_id, _m.holder_id == holder_id, now=now)

    async def awaits_push(self, message_id: str) -> bool:
        """Whether a push may still move by a receipt."""
        over = (MessageState.DELIVERED, MessageState.CANCELLED)
        own = select(_m.id).where(_m.id == message_id, _m.channel == "push", _m.state.not_in(over))
        return bool(await self._run(own))

    async def acknowledge_push(self, message_id: str, now: datetime) -> str | None:
        """The same of a push, by its id alone."""
        return await self._arrived(_m.id == message_id, _m.channel == "push", now=now)

    async def _arrived(self, *which: ColumnElement[bool], now: datetime) -> str | None:
        own = (*which, _m.state != MessageState.CANCELLED)
        at = {"delivered_at": func.coalesce(_m.delivered_at, now), "closed_at": func.coalesce(_m.closed_at, now)}
        values = {"state": MessageState.DELIVERED, "claim": None, **at}
        rows = await self._run(update(_messages).where(*own).values(values).returning(_m.digest_id))
        return str(rows[0].digest_id) if rows else None

    async def cancel_fallbacks(self, digest_ids: Collection[str], channels: Collection[str], now: datetime) -> None:
        """Cancel what is not yet under way of digests on some channels, because another one delivered it."""
        waiting = (_m.digest_id.in_(digest_ids), _m.channel.in_(channels), _m.state == MessageState.PENDING)
        cancelled = {"state": MessageState.CANCELLED, "reason": "delivered_otherwise", "closed_at": now}
        await self._run(update(_messages).where(*waiting).values(cancelled))

    async def add_receipts(self, values: Sequence[Mapping[str, object]]) -> None:
        """Keep what a provider said of messages, one row each; the last word counts."""
        statement = insert(_receipts)
        said = {name: statement.excluded[name] for name in ("delivered", "reason", "received_at")}
        statement = statement.on_conflict_do_update(index_elements=["provider", "provider_ref"], set_=said)
        await self._run(statement, values)

    async def settle(self, limit: int) -> int:
        """Write the receipts into the messages they belong to and forget them; gives their number.

        A receipt may come before its message is known to be sent: it is tried again until it finds it. Messages that
        another worker has in hand are left for later.
        """
        matching = (_r.provider == _m.provider, _r.provider_ref == _m.provider_ref)
        found = select(_m.id, _r.provider, _r.provider_ref, _r.delivered, _r.reason, _r.received_at).join_from(
            _receipts, _messages, (matching[0]) & (matching[1])
        )
        sent = found.where(_m.state == MessageState.SENT).limit(limit)
        rows = await self._run(sent.with_for_update(of=_messages, skip_locked=True))
        if rows:
            await self.set_each([_settled(row) for row in rows])
            done = [(row.provider, row.provider_ref) for row in rows]
            await self._run(delete(_receipts).where(tuple_(_r.provider, _r.provider_ref).in_(done)))
        return len(rows)

    async def set_each(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Set columns of messages that this transaction has locked.

        Args:
            rows: at least one, each the `id` and the columns to set, which are the same in all.
        """
        # A parameter may not have the name of a column that the statement sets.
        columns: dict[str, Any] = {name: bindparam(f"to_{name}") for name in rows[0] if name != "id"}
        statement = update(_messages).where(_m.id == bindparam("to_id")).values(columns)
        await self._run(statement, [{f"to_{name}": value for name, value in row.items()} for row in rows])

    async def counts(self) -> dict[tuple[str, str], int]:
        """Messages by (channel, state)."""
        statement = select(_m.channel, _m.state, func.count()).group_by(_m.channel, _m.state)
        return {(channel, state): number for channel, state, number in await self._run(statement)}

    async def backlog(self) -> dict[tuple[str, str], tuple[int, datetime]]:
        """Of what is open or failed, by (channel, state): how many, and since when the oldest one waits."""
        states = (*_OPEN, MessageState.FAILED)
        statement = select(_m.channel, _m.state, func.count(), func.min(_m.created_at))
        statement = statement.where(_m.state.in_(states)).group_by(_m.channel, _m.state)
        return {(row[0], row[1]): (row[2], row[3]) for row in await self._run(statement)}

    async def list(self, conditions: Sequence[ColumnElement[bool]], limit: int) -> Sequence[StoredMessage]:
        """Messages, the newest first, without their texts."""
        shown = [_m[name] for name in StoredMessage.__dataclass_fields__]
        statement = select(*shown).where(*conditions).order_by(_m.created_at.desc(), _m.id).limit(limit)
        return [
            StoredMessage(**{**dict(row._mapping), "state": MessageState(row.state)})
            for row in await self._run(statement)
        ]

    async def redrive(
        self, conditions: Sequence[ColumnElement[bool]], limit: int, now: datetime, patience: timedelta
    ) -> int:
        """Put failed messages back, but those whose digest another channel of the same route has carried.

        What is sent without a receipt has carried it for the channels before it, not for those after it. What is put
        back together goes out as it would have at first: the later channel waits for `patience`.
        """
        other = _messages.alias()
        carried = exists().where(
            other.c.digest_id == _m.digest_id,
            other.c.id != _m.id,
            (other.c.channel == "inbox") == (_m.channel == "inbox"),
            or_(
                other.c.state.in_((MessageState.DELIVERED, *_OPEN)),
                and_(other.c.state == MessageState.SENT, listed(other.c.channel, _m.fallbacks)),
            ),
        )
        speaks = exists().where(_e.message_id == _m.id, _e.body != b"")
        timely = or_(_m.useful_until.is_(None), _m.useful_until > now)
        erased = _m.body == b""
        dead = select(_m.id).where(_m.state == MessageState.FAILED, ~carried, speaks, timely, ~erased, *conditions)
        again = dead.order_by(_m.closed_at).limit(limit).with_for_update(skip_locked=True).cte("dead")
        before = exists().where(
            other.c.id.in_(select(again.c.id)),
            other.c.digest_id == _m.digest_id,
            listed(_m.channel, other.c.fallbacks),
        )
        values = {
            "state": MessageState.PENDING,
            "attempts": 0,
            "not_before": case((before, now + patience), else_=now),
            "reason": None,
            "closed_at": None,
            "provider": None,
            "provider_ref": None,
        }
        statement = update(_messages).where(_m.id.in_(select(again.c.id))).values(values)
        return len(await self._run(statement.returning(_m.id)))

    async def erase(self, closed_before: datetime, now: datetime, limit: int) -> int:
        """Take the texts out of messages closed long ago or of no more use, and give their number.

        The rows stay: their keys are the promise that nothing is told twice.
        """
        ids: list[str] = []
        for over in (_m.closed_at < closed_before, _m.closed_at.is_not(None) & (_m.useful_until < now)):
            old = select(_m.id).where(over, _m.state.not_in(_OPEN), HAS_TEXT).limit(limit - len(ids))
            statement = update(_messages).where(_m.id.in_(old)).values(body=b"")
            ids += [row.id for row in await self._run(statement.returning(_m.id))]
        if ids:
            await self._run(update(_entries).where(_e.message_id.in_(ids)).values(body=b""))
        return len(ids)

    async def forget_receipts(self, before: datetime) -> None:
        """Drop receipts that never found their message."""
        await self._run(delete(_receipts).where(_r.received_at < before))


def _settled(row: Any) -> dict[str, object]:
    if row.delivered:
        return {"id": row.id, "state": MessageState.DELIVERED, "reason": None, "delivered_at": row.received_at}
    reason = row.reason or "undelivered"
    return {"id": row.id, "state": MessageState.FAILED, "reason": reason, "delivered_at": None}


def listed(channel: ColumnElement[str], channels: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a channel is one of those in a column with commas between them."""
    return (literal(",") + channels + ",").contains(literal(",") + channel + ",")


def of_messages(ids: Collection[str]) -> ColumnElement[bool]:
    """The messages with these ids."""
    return _m.id.in_(ids)


def on_channel(channel: str) -> ColumnElement[bool]:
    """The messages of a channel."""
    return _m.channel == channel


def in_state(state: MessageState) -> ColumnElement[bool]:
    """The messages in a state."""
    return _m.state == state


def created_since(instant: datetime) -> ColumnElement[bool]:
    """The messages written since an instant."""
    return _m.created_at >= instant


def message_values(draft: Draft, message_id: str, not_before: datetime, now: datetime) -> dict[str, object]:
    """The columns of a new pending message."""
    return {
        "id": message_id,
        "dedupe_key": draft.dedupe_key,
        "digest_id": draft.digest_id,
        "holder_id": draft.holder_id,
        "channel": draft.channel,
        "day": draft.day,
        "kind": draft.kind,
        "body": draft.body,
        "fallbacks": ",".join(draft.fallbacks),
        "urgent": draft.urgent,
        "useful_until": draft.useful_until,
        "state": MessageState.PENDING,
        "attempts": 0,
        "not_before": not_before,
        "created_at": now,
    }
