"""How far reminders reached their holders, counted for those who issue the licences."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.outbox.models import MessageState
from notifications.outbox.tables import OutboxEntryRow, OutboxMessageRow
from notifications.reminders.models import ReminderState
from notifications.reminders.tables import ReminderRow, ReminderSwitchRow

_r = ReminderRow.metadata.tables["reminder"].c
_e = OutboxEntryRow.metadata.tables["outbox_entry"].c
_off = ReminderSwitchRow.metadata.tables["reminder_switched_off"].c
_m = OutboxMessageRow.metadata.tables["outbox_message"].c

SWITCHED_OFF = "switched_off"
NO_ADDRESS = ("no_push_token", "no_phone")


@dataclass
class StageCoverage:
    """The reminders of one stage of one type that were due in a time.

    Args:
        reminders: state → how many: `planned`, `switched_off` (planned, and held back with their type), `queued` (told
            or on the way), `overtaken`, `withdrawn`, `lapsed`.
        channels: channel → `sent`, `delivered`, `failed`, `no_address`, `cancelled`, `waiting` → how many of these.
    """

    type_code: str
    stage: str
    reminders: dict[str, int] = field(default_factory=dict)
    channels: dict[str, dict[str, int]] = field(default_factory=dict)


async def coverage(session: AsyncSession, type_codes: Collection[str], first: date, last: date) -> list[StageCoverage]:
    """By type and stage, what became of the reminders due from `first` to `last`."""
    due = (_r.type_code.in_(type_codes), _r.due_on.between(first, last))
    connection = await session.connection()
    found: dict[tuple[str, str], StageCoverage] = {}

    def stage(type_code: str, name: str) -> StageCoverage:
        return found.setdefault((type_code, name), StageCoverage(type_code, name))

    held = (_r.state == ReminderState.PLANNED) & _r.type_code.in_(select(_off.type_code))
    state_told = case((held, SWITCHED_OFF), else_=_r.state).label("state_told")
    states = select(_r.type_code, _r.stage, state_told, func.count()).where(*due)
    for type_code, name, state, count in await connection.execute(
        states.group_by(_r.type_code, _r.stage, "state_told")
    ):
        stage(type_code, name).reminders[state] = count
    became = case(
        (_m.reason.in_(NO_ADDRESS), "no_address"),
        (_m.state.in_((MessageState.PENDING, MessageState.CLAIMED)), "waiting"),
        else_=_m.state,
    )
    told = (
        select(_r.type_code, _r.stage, _e.channel, became.label("became"), func.count())
        .select_from(ReminderRow.metadata.tables["reminder"])
        .join(OutboxEntryRow.metadata.tables["outbox_entry"], _e.subject == _r.id)
        .join(OutboxMessageRow.metadata.tables["outbox_message"], _m.id == _e.message_id)
        .where(*due)
        .group_by(_r.type_code, _r.stage, _e.channel, "became")
    )
    for type_code, name, channel, outcome, count in await connection.execute(told):
        stage(type_code, name).channels.setdefault(channel, {})[outcome] = count
    return [found[key] for key in sorted(found)]
