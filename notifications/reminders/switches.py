"""Licence types whose reminders an operator has switched off for the time being.

    switches = ReminderSwitches(clock)
    await switches.switch_off(session, "food-business-licence", "the deadline was extended, 市监发〔2027〕3号")

The switch is a row, so that it holds for every process from its next run on. Planning goes on as ever; what is due
waits, and nothing about it is handed over. When the type is switched on again, what is still of use goes out: of
several stages of a licence the latest, of a licence that expired more than `CATCH_UP_DAYS` ago none (it lapses then).
Messages that already wait in the outbox are left alone and go out.

Reminders are owed to holders by law or by a department. Hence a reason is asked for, and whoever looks at coverage sees
what is held back as `switched_off`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.errors import NotificationsError
from notifications.ports import Clock
from notifications.reminders.tables import ReminderSwitchRow

MAX_REASON = 200

_switches = ReminderSwitchRow.metadata.tables["reminder_switched_off"]


@dataclass(frozen=True)
class SwitchedOff:
    """Since when, and why."""

    since: datetime
    reason: str


def read_reason(reason: str) -> str:
    """A reason as it is kept, without blanks around it.

    Raises:
        NotificationsError: `switch_reason_invalid` when it is empty, longer than `MAX_REASON` or not printable: it must
            not steer what shows it. The space of Chinese text is printable as well.
    """
    reason = reason.strip()
    if not 0 < len(reason) <= MAX_REASON or not reason.replace("\u3000", " ").isprintable():
        raise NotificationsError("switch_reason_invalid", f"say why, in at most {MAX_REASON} printable characters")
    return reason


class ReminderSwitches:
    """Works in the caller's transaction."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def switch_off(self, session: AsyncSession, type_code: str, reason: str) -> None:
        """Hold back the reminders of a type. One that is off already gets the new reason and keeps its day.

        Raises:
            NotificationsError: see `read_reason`.
        """
        reason = read_reason(reason)
        statement = insert(_switches).values(type_code=type_code, since=self._clock.now(), reason=reason)
        statement = statement.on_conflict_do_update(index_elements=["type_code"], set_={"reason": reason})
        await (await session.connection()).execute(statement)

    async def switch_on(self, session: AsyncSession, type_code: str) -> bool:
        """Let the reminders of a type go out again; gives whether they were off."""
        statement = delete(_switches).where(_switches.c.type_code == type_code).returning(_switches.c.type_code)
        return bool((await (await session.connection()).execute(statement)).all())

    async def switched_off(self, session: AsyncSession) -> Mapping[str, SwitchedOff]:
        """The types that are off, by code."""
        rows = await (await session.connection()).execute(select(_switches).order_by(_switches.c.type_code))
        return {row.type_code: SwitchedOff(row.since, row.reason) for row in rows}
