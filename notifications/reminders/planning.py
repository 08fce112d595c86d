"""The calendar of reminders. Pure: a change, the stages and the day in, plans out.

Days are Shanghai days and the last valid day is inclusive; `calendar.py` counts back from it.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta

from notifications.models import LicenceChange, Stage
from notifications.outbox.policy import SHANGHAI
from notifications.reminders.calendar import day_before
from notifications.reminders.models import Plan, Reminder, ReminderState

DUE_HOUR = 9  # the first hour at which a message does not wake anybody
CATCH_UP_DAYS = 30  # nobody is reminded of a licence that expired longer ago: by then it is a new application


def today(now: datetime) -> date:
    """The Shanghai calendar day of an instant."""
    return now.astimezone(SHANGHAI).date()


def digest_day(now: datetime) -> date:
    """The day whose reminders may be sent at an instant: it begins at 09:00 in Shanghai."""
    return (now.astimezone(SHANGHAI) - timedelta(hours=DUE_HOUR)).date()


def is_too_late(valid_until: date, day: date) -> bool:
    """Whether a licence expired so long before `day` that nobody is reminded of it any more."""
    return (day - valid_until).days > CATCH_UP_DAYS


def plan(change: LicenceChange, stages: Iterable[Stage], day: date) -> tuple[Plan, ...]:
    """Every reminder that a licence should have after a change; none twice.

    Nothing for a licence that is not in force, is long-term (长期), or expired `CATCH_UP_DAYS` before `day`.
    Stages that are already past are planned as well: `newest_of_each_licence` picks the one to send.
    """
    if not change.in_force or change.valid_until is None or is_too_late(change.valid_until, day):
        return ()
    return tuple(
        Plan(
            licence_id=change.licence_id,
            licence_version=change.licence_version,
            type_code=change.type_code,
            valid_until=change.valid_until,
            stage=stage.name,
            due_on=day_before(change.valid_until, stage.leads),
            holder_id=holder_id,
        )
        for holder_id in dict.fromkeys(change.holder_ids)
        for stage in {stage.name: stage for stage in stages}.values()
    )


def wanted(
    changes: Iterable[LicenceChange], stages: Mapping[str, Iterable[Stage]], day: date
) -> dict[str, tuple[Plan, ...]]:
    """The reminders that licences should have after changes in their order: the last word counts.

    A renewal silences its predecessor. A change older than one that came before it says nothing.

    Args:
        stages: by type.
    """
    found: dict[str, tuple[Plan, ...]] = {}
    seen: dict[str, int] = {}
    for change in changes:
        if change.licence_version < seen.get(change.licence_id, change.licence_version):
            continue
        seen[change.licence_id] = change.licence_version
        if change.replaces_licence_id is not None:
            found[change.replaces_licence_id] = ()
        found[change.licence_id] = plan(change, stages[change.type_code], day)
    return found


def successions(changes: Iterable[LicenceChange]) -> list[tuple[str, str]]:
    """Licences and those that took their place, (old, new), each after the one by which the old had come."""
    before = {one.licence_id: one.replaces_licence_id for one in changes if one.replaces_licence_id is not None}

    def place(licence_id: str) -> int:
        line = [licence_id]
        while (old := before.get(line[-1])) is not None and old not in line:
            line.append(old)
        return len(line)

    return [(before[new], new) for new in sorted(before, key=place) if before[new] != new]


def is_obsolete(standing: Reminder, plans: Mapping[tuple[str, date, str, str], Plan]) -> bool:
    """Whether no plan asks any more for a reminder that would be told, or one that was not told got another day.

    Args:
        plans: by occasion.
    """
    plan = plans.get(standing.plan.occasion)
    if plan is None:
        return standing.state in (ReminderState.PLANNED, ReminderState.QUEUED)
    untold = standing.state in (ReminderState.PLANNED, ReminderState.OVERTAKEN)
    return untold and standing.plan.due_on != plan.due_on


def newest_of_each_licence(due: Iterable[Reminder], queued: Iterable[Reminder]) -> list[Reminder]:
    """Of one holder's reminders that are due, the latest stage of each licence; the others are overtaken.

    Args:
        queued: reminders the holder already got; an earlier or equal stage of theirs is overtaken too.
    """
    latest: dict[tuple[str, date], Reminder] = {}
    for reminder in (*due, *queued):
        key = (reminder.plan.licence_id, reminder.plan.valid_until)
        if key not in latest or _rank(reminder) > _rank(latest[key]):
            latest[key] = reminder
    return [reminder for reminder in latest.values() if reminder.state is ReminderState.PLANNED]


def _rank(reminder: Reminder) -> tuple[date, bool, int, str]:
    was_queued = reminder.state is not ReminderState.PLANNED
    return reminder.plan.due_on, was_queued, reminder.plan.licence_version, reminder.plan.stage
