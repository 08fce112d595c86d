"""Plan reminders as licences change; hand over what is due."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date

from sqlalchemy.ext.asyncio import AsyncSession

from notifications.models import Bilingual, LeadUnit, LicenceChange, Stage
from notifications.outbox.models import Digest
from notifications.outbox.service import Outbox
from notifications.ports import Clock, LicenceChanges, ReminderRules
from notifications.preferences import EXPIRY, Choices, Preferences
from notifications.reminders import planning, wording
from notifications.reminders.calendar import HOLIDAYS_OF
from notifications.reminders.models import FollowReport, QueueReport, Reminder, ReminderState
from notifications.reminders.repository import ReminderRepository

CONSUMER = "reminders"


class ReminderService:
    """Reminders of licences that come to their end.

    Args:
        clock: gives aware instants.
        changes: the licence store's changes.
        rules: stages and wording of the licence types.
        outbox: delivers.
        renew_at: where a holder renews, as the messages say it.
    """

    def __init__(
        self, clock: Clock, changes: LicenceChanges, rules: ReminderRules, outbox: Outbox, renew_at: Bilingual
    ) -> None:
        self._clock = clock
        self._changes = changes
        self._rules = rules
        self._outbox = outbox
        self._renew_at = renew_at
        self._preferences = Preferences(clock)

    async def follow(self, session: AsyncSession, limit: int = 100) -> FollowReport:
        """Plan and withdraw according to the next `limit` licence changes.

        After a change a licence has the reminders its present state asks for: those that still apply stay (sent
        ones are not repeated when only the version grew), the others are withdrawn, together with their messages
        that are not yet sent. A licence that takes another's place takes its reminders over first, so that they stay or
        are withdrawn as its own.
        """
        changes = await self._changes.pull(session, CONSUMER, limit)
        planned, withdrawn = await self._replan(session, changes)
        return FollowReport(len(changes), planned, withdrawn)

    async def follow_rules(self, session: AsyncSession, limit: int = 100) -> FollowReport:
        """Plan anew what is not yet sent of a type whose rules are no longer those it was planned by.

        One part of one type a call; the place reached is kept with the new rules, so that a run that is broken off goes
        on, and of several workers one goes on at a time.
        """
        repository = ReminderRepository(session)
        rules = {code: fingerprint(self._rules.stages(code)) for code in self._rules.type_codes()}
        place = await repository.outdated_type(rules)
        if place is None:
            return FollowReport()
        type_code, after = place
        changes = await self._changes.of_type(session, CONSUMER, type_code, after, limit)
        planned, withdrawn = await self._replan(session, changes)
        last = changes[-1].licence_id if len(changes) == limit else None
        await repository.keep_place(type_code, rules[type_code], last)
        return FollowReport(max(len(changes), 1), planned, withdrawn)

    async def _replan(self, session: AsyncSession, changes: Sequence[LicenceChange]) -> tuple[int, int]:
        repository, now = ReminderRepository(session), self._clock.now()
        newest = Counter[str]()
        for change in changes:
            newest[change.licence_id] = max(newest[change.licence_id], change.licence_version)
        advanced = await repository.advance(newest)
        stages = {change.type_code: self._rules.stages(change.type_code) for change in changes}
        current = [change for change in changes if change.licence_id in advanced]
        wanted = planning.wanted(current, stages, planning.today(now))
        await repository.pass_on(planning.successions(current))
        standing = await repository.of_licences(wanted)
        plans = {plan.occasion: plan for each in wanted.values() for plan in each}
        queued = [one.id for one in standing if one.state is ReminderState.QUEUED and one.plan.occasion in plans]
        kept_back = await self._outbox.kept_back(session, queued)  # their holder was gone, and is back
        obsolete = [one for one in standing if one.id in kept_back or planning.is_obsolete(one, plans)]
        withdrawn = await self._withdraw(session, obsolete)
        unplanned = {one for one in standing if one.state is ReminderState.WITHDRAWN} | withdrawn
        known = {one.plan.occasion for one in standing if one not in unplanned}
        idle = {one.plan.occasion: one.id for one in standing if one.plan.occasion not in known}
        again = {idle[key]: plan for key, plan in plans.items() if key in idle}
        new = [plan for key, plan in plans.items() if key not in known and key not in idle]
        planned = await repository.plan_again(again, now) + await repository.add(new, now)
        return planned, len(withdrawn)

    async def _withdraw(self, session: AsyncSession, obsolete: Sequence[Reminder]) -> frozenset[Reminder]:
        queued = [reminder.id for reminder in obsolete if reminder.state is ReminderState.QUEUED]
        told = await self._outbox.withdraw(session, queued)
        # A reminder that reached the holder on one channel stays queued, so that it is never announced again.
        leaving = frozenset(one for one in obsolete if one.id not in told)
        await ReminderRepository(session).move(leaving, ReminderState.WITHDRAWN, self._clock.now())
        return leaving

    async def queue_due(self, session: AsyncSession, limit: int = 100) -> QueueReport:
        """Hand everything that is due at this moment to the outbox, for at most `limit` holders.

        Level-triggered: what missed runs left behind is still due. A reminder is due from 09:00 in Shanghai on its
        day, until its licence has been expired for `CATCH_UP_DAYS`. Of several stages of a licence only the latest
        goes out. A holder gets one digest a day; what becomes due after it waits for the next one. What is due of a
        type that is switched off waits (`switches.py`).
        """
        repository, now = ReminderRepository(session), self._clock.now()
        day = planning.digest_day(now)
        holder_ids = await repository.claim_digests(day, limit)
        if not holder_ids:
            return QueueReport()
        found = await repository.due(holder_ids, day)
        today = planning.today(now)
        lapsed = [one for one in found if planning.is_too_late(one.plan.valid_until, today)]
        due = [one for one in found if not planning.is_too_late(one.plan.valid_until, today)]
        queued = await repository.queued(holder_ids, {reminder.plan.licence_id for reminder in due})
        due_of, queued_of = _by_holder(due), _by_holder(queued)
        choices = await self._preferences.of(session, holder_ids)
        sent: list[Reminder] = []
        digests: list[Digest] = []
        for holder_id in holder_ids:
            newest = planning.newest_of_each_licence(due_of[holder_id], queued_of[holder_id])
            if newest:
                digests.append(self._digest(holder_id, day, newest, choices[holder_id]))
                sent += newest
            else:
                await repository.release_digest(holder_id, day)
        await self._outbox.post(session, digests)
        going = {one.id for one in sent}
        overtaken = [one for one in due if one.id not in going]
        for reminders, state in (
            (sent, ReminderState.QUEUED),
            (overtaken, ReminderState.OVERTAKEN),
            (lapsed, ReminderState.LAPSED),
        ):
            await repository.move(reminders, state, now)
        stages = Counter((r.plan.type_code, r.plan.stage) for r in sent)
        return QueueReport(len(sent), len(overtaken), len(lapsed), stages)

    def _digest(self, holder_id: str, day: date, reminders: list[Reminder], choices: Choices) -> Digest:
        today = planning.today(self._clock.now())
        entries = [
            wording.entry(
                one, self._rules.wording(one.plan.type_code), today, choices.muted_for(EXPIRY, one.plan.type_code)
            )
            for one in reminders
        ]
        return wording.digest(holder_id, day, entries, self._renew_at)


def _by_holder(reminders: list[Reminder]) -> defaultdict[str, list[Reminder]]:
    grouped: defaultdict[str, list[Reminder]] = defaultdict(list)
    for reminder in reminders:
        grouped[reminder.plan.holder_id].append(reminder)
    return grouped


def fingerprint(stages: Sequence[Stage]) -> str:
    """Equal for rules that plan alike: the stages, and the calendar by which working days are counted."""
    by_holidays = any(lead.unit is LeadUnit.WORKING_DAYS for stage in stages for lead in stage.leads)
    said = [[stage.name, [[lead.amount, lead.unit.value] for lead in stage.leads]] for stage in stages]
    text = json.dumps([said, HOLIDAYS_OF if by_holidays else ""])
    return hashlib.sha256(text.encode()).hexdigest()[:32]
