"""Reminders, their states, and what a run did."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum


class ReminderState(StrEnum):
    """planned → queued; the other three are ways not to be sent."""

    PLANNED = "planned"
    QUEUED = "queued"  # handed to the outbox
    OVERTAKEN = "overtaken"  # a later stage of the same licence was due as well
    WITHDRAWN = "withdrawn"  # the licence changed; planned again if it changes back
    LAPSED = "lapsed"  # the licence expired too long ago


@dataclass(frozen=True)
class Plan:
    """One holder is to be told at one stage of one version of a licence; `due_on` is a Shanghai day."""

    licence_id: str
    licence_version: int
    type_code: str
    valid_until: date
    stage: str
    due_on: date
    holder_id: str

    @property
    def occasion(self) -> tuple[str, date, str, str]:
        """What makes two plans the same reminder, whatever the licence's version."""
        return self.licence_id, self.valid_until, self.stage, self.holder_id


@dataclass(frozen=True)
class Reminder:
    """A plan that was written down."""

    id: str
    plan: Plan
    state: ReminderState


@dataclass(frozen=True)
class FollowReport:
    """Changes read, reminders planned and withdrawn."""

    changes: int = 0
    planned: int = 0
    withdrawn: int = 0


@dataclass(frozen=True)
class QueueReport:
    """Reminders handed to the outbox, overtaken by a later stage, and lapsed."""

    queued: int = 0
    overtaken: int = 0
    lapsed: int = 0
    stages: Mapping[tuple[str, str], int] = field(default_factory=dict)  # of the queued, by type and stage

    @property
    def closed(self) -> int:
        """Reminders that are no longer planned."""
        return self.queued + self.overtaken + self.lapsed
