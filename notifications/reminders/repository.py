"""All SQL of the reminders.

Locks: a change locks reminders and then outbox rows, and waits for them; queueing never waits for a reminder (SKIP
LOCKED), so that the two cannot wait for each other. A row of `reminder_planned` is written and deleted by who has
locked its reminder.
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import bindparam, delete, exists, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.reminders.models import Plan, Reminder, ReminderState
from notifications.reminders.tables import (
    FollowedLicenceRow,
    PlannedReminderRow,
    ReminderDigestRow,
    ReminderRow,
    ReminderRulesRow,
    ReminderSwitchRow,
)

_reminders = ReminderRow.metadata.tables["reminder"]
_planned = PlannedReminderRow.metadata.tables["reminder_planned"]
_followed = FollowedLicenceRow.metadata.tables["reminder_followed_licence"]
_rules = ReminderRulesRow.metadata.tables["reminder_rules"]
_digests = ReminderDigestRow.metadata.tables["reminder_digest"]
_r, _p, _d = _reminders.c, _planned.c, _digests.c
_off = ReminderSwitchRow.metadata.tables["reminder_switched_off"].c

_KEY = ("licence_id", "licence_version", "valid_until", "stage", "holder_id")
_IS_ON = _p.type_code.not_in(select(_off.type_code))  # hashed once a statement: an operator's few types
_PLAN = (_r.licence_id, _r.licence_version, _r.type_code, _r.valid_until, _r.stage, _r.due_on, _r.holder_id)


class ReminderRepository:
    """Statements in the caller's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def _run(self, statement: Any, values: Sequence[Mapping[str, object]] | None = None) -> Sequence[Any]:
        result = await (await self._session.connection()).execute(statement, values)
        return result.all() if result.returns_rows else ()

    async def _reminders(self, statement: Any) -> list[Reminder]:
        rows = await self._run(statement)
        return [Reminder(row[0], Plan(*row[2:]), ReminderState(row[1])) for row in rows]

    async def advance(self, versions: Mapping[str, int]) -> frozenset[str]:
        """Note versions of licences and lock them; gives those of which no newer one was seen."""
        if not versions:
            return frozenset()
        values = [{"licence_id": key, "licence_version": version} for key, version in sorted(versions.items())]
        statement = insert(_followed)
        statement = statement.on_conflict_do_update(
            index_elements=["licence_id"],
            set_={"licence_version": statement.excluded.licence_version},
            where=_followed.c.licence_version <= statement.excluded.licence_version,
        )
        return frozenset(row.licence_id for row in await self._run(statement.returning(_followed.c.licence_id), values))

    async def pass_on(self, successions: Sequence[tuple[str, str]]) -> None:
        """Give the reminders of licences to those that took their place, but for what these have of their own.

        Args:
            successions: (old, new), done one after the other.
        """
        if not successions:
            return
        own = _reminders.alias()
        has = exists().where(own.c.licence_id == bindparam("new"), *(own.c[name] == _r[name] for name in _KEY[1:]))
        theirs = update(_reminders).where(_r.licence_id == bindparam("old"), ~has)
        statement = theirs.values(licence_id=bindparam("to_new"))
        await self._run(statement, [{"old": old, "new": new, "to_new": new} for old, new in successions])

    async def of_licences(self, licence_ids: Collection[str]) -> list[Reminder]:
        """The licences' reminders, locked."""
        statement = select(_r.id, _r.state, *_PLAN).where(_r.licence_id.in_(licence_ids))
        return await self._reminders(statement.order_by(_r.id).with_for_update())

    async def add(self, plans: Sequence[Plan], now: datetime) -> int:
        """Write reminders that are not there yet; gives their number."""
        if not plans:
            return 0
        times = {"planned_at": now, "changed_at": now}
        new = [{**vars(plan), "id": secrets.token_hex(16), "state": ReminderState.PLANNED, **times} for plan in plans]
        statement = insert(_reminders).on_conflict_do_nothing(index_elements=_KEY)
        planned = (_r.due_on, _r.holder_id, _r.id.label("reminder_id"), _r.type_code)
        added = [dict(row._mapping) for row in await self._run(statement.returning(*planned), new)]
        if added:
            await self._run(insert(_planned), added)
        return len(added)

    async def plan_again(self, plans: Mapping[str, Plan], now: datetime) -> int:
        """Plan reminders that this transaction has locked and that are not planned; gives their number.

        Args:
            plans: by the reminder's id; what another plan of the same occasion can say differently is the day.
        """
        if plans:
            again = {"state": ReminderState.PLANNED, "due_on": bindparam("on"), "changed_at": now}
            statement = update(_reminders).where(_r.id == bindparam("of")).values(again)
            await self._run(statement, [{"of": key, "on": plan.due_on} for key, plan in plans.items()])
            listed = [
                {"due_on": plan.due_on, "holder_id": plan.holder_id, "reminder_id": key, "type_code": plan.type_code}
                for key, plan in plans.items()
            ]
            await self._run(insert(_planned), listed)
        return len(plans)

    async def move(self, reminders: Collection[Reminder], state: ReminderState, now: datetime) -> None:
        """Give reminders that this transaction has locked a state in which they are not planned."""
        if not reminders:
            return
        ids = [one.id for one in reminders]
        await self._run(update(_reminders).where(_r.id.in_(ids)).values(state=state, changed_at=now))
        planned = [
            {"on": one.plan.due_on, "of": one.plan.holder_id, "id": one.id}
            for one in reminders
            if one.state is ReminderState.PLANNED
        ]
        if planned:
            this = (_p.due_on == bindparam("on"), _p.holder_id == bindparam("of"), _p.reminder_id == bindparam("id"))
            await self._run(delete(_planned).where(*this), planned)

    async def outdated_type(self, rules: Mapping[str, str]) -> tuple[str, str | None] | None:
        """A type that is planned by other rules than these, or not yet to the end, and the place to go on from.

        A type whose rules were never noted is gone through once from the start; one without rules is left alone. The
        row is locked; who finds it locked looks at the next type.
        """
        first = [{"type_code": code, "fingerprint": print_, "planned_to": ""} for code, print_ in sorted(rules.items())]
        if first:
            await self._run(insert(_rules).values(first).on_conflict_do_nothing(index_elements=["type_code"]))
        for row in await self._run(select(_rules).where(_rules.c.type_code.in_(rules))):
            by = rules[row.type_code]
            if row.fingerprint != by or row.planned_to is not None:
                statement = select(_rules).where(_rules.c.type_code == row.type_code)
                locked = await self._run(statement.with_for_update(skip_locked=True))
                if locked and (locked[0].fingerprint, locked[0].planned_to) == (row.fingerprint, row.planned_to):
                    return row.type_code, row.planned_to if row.fingerprint == by else None
        return None

    async def keep_place(self, type_code: str, fingerprint: str, planned_to: str | None) -> None:
        """Note by which rules a type was planned, and how far."""
        changed = {"fingerprint": fingerprint, "planned_to": planned_to}
        await self._run(update(_rules).where(_rules.c.type_code == type_code).values(changed))

    async def claim_digests(self, day: date, limit: int) -> list[str]:
        """Take the day's digest of holders with something due, in one statement; gives the holders.

        Reads the `limit` reminders that have been due the longest, and passes over those that another worker is
        reading: each has its own part of a long morning. A holder of both is waited for; all insert in the order of
        the holders, so that nobody waits in a circle.
        """
        had_one = exists().where(_d.holder_id == _p.holder_id, _d.day == day)
        first = (
            select(_p.holder_id)
            .where(_p.due_on <= day, ~had_one, _IS_ON)
            .order_by(_p.due_on, _p.holder_id)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .subquery()
        )
        holders = select(first.c.holder_id, literal(day, _d.day.type)).distinct().order_by(first.c.holder_id)
        statement = insert(_digests).from_select(["holder_id", "day"], holders).on_conflict_do_nothing()
        return [row.holder_id for row in await self._run(statement.returning(_d.holder_id))]

    async def release_digest(self, holder_id: str, day: date) -> None:
        """Give back a digest that had nothing to say."""
        await self._run(delete(_digests).where(_d.holder_id == holder_id, _d.day == day))

    async def due(self, holder_ids: Collection[str], day: date) -> list[Reminder]:
        """What is planned for holders up to a day, but of types that are switched off, locked.

        Holders of whom a licence is being changed at this instant are left out altogether, for a moment later.
        """
        is_planned = (_p.due_on == _r.due_on) & (_p.holder_id == _r.holder_id) & (_p.reminder_id == _r.id)
        statement = (
            select(_r.id, _r.state, *_PLAN)
            .join(_planned, is_planned)
            .where(_r.holder_id.in_(holder_ids), _r.due_on <= day, _IS_ON)
        )
        locked = await self._reminders(statement.order_by(_r.valid_until, _r.id).with_for_update(skip_locked=True))
        taken = {reminder.id for reminder in locked}
        busy = {r.plan.holder_id for r in await self._reminders(statement) if r.id not in taken}
        return [reminder for reminder in locked if reminder.plan.holder_id not in busy]

    async def queued(self, holder_ids: Collection[str], licence_ids: Collection[str]) -> list[Reminder]:
        """What holders were already told about licences."""
        statement = select(_r.id, _r.state, *_PLAN).where(
            _r.holder_id.in_(holder_ids), _r.licence_id.in_(licence_ids), _r.state == ReminderState.QUEUED
        )
        return await self._reminders(statement)
