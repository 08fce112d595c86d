"""Reminders, which of them are planned, which licences were followed how far, and which holders had their digest."""

from datetime import date, datetime

from sqlalchemy import DateTime, Index, UniqueConstraint
from sqlmodel import Field, SQLModel


class ReminderRow(SQLModel, table=True):
    """One holder, one stage, one end of validity of one licence version: once.

    No index knows its state, and its pages have room to spare: among many millions PostgreSQL then writes a change of
    state beside the row (a heap-only tuple), and to no index.
    """

    __tablename__ = "reminder"
    __table_args__ = (
        UniqueConstraint("licence_id", "licence_version", "valid_until", "stage", "holder_id"),
        Index("ix_reminder_type_due", "type_code", "due_on"),
        {"postgresql_with": {"fillfactor": 90}},
    )

    id: str = Field(primary_key=True)
    licence_id: str
    licence_version: int
    type_code: str
    valid_until: date
    stage: str
    due_on: date
    holder_id: str = Field(index=True)
    state: str
    planned_at: datetime = Field(sa_type=DateTime(timezone=True))
    changed_at: datetime = Field(sa_type=DateTime(timezone=True))


class PlannedReminderRow(SQLModel, table=True):
    """A reminder in state `planned`, in the order in which they fall due."""

    __tablename__ = "reminder_planned"

    due_on: date = Field(primary_key=True)
    holder_id: str = Field(primary_key=True)
    reminder_id: str = Field(primary_key=True)
    type_code: str


class FollowedLicenceRow(SQLModel, table=True):
    """The newest version seen of a licence; an older change that comes late is passed over."""

    __tablename__ = "reminder_followed_licence"

    licence_id: str = Field(primary_key=True)
    licence_version: int


class ReminderRulesRow(SQLModel, table=True):
    """The rules by which a type's reminders are planned, and how far the planning by them has come."""

    __tablename__ = "reminder_rules"

    type_code: str = Field(primary_key=True, max_length=64)
    fingerprint: str = Field(max_length=32)
    planned_to: str | None = Field(default=None, max_length=32)  # a licence's id; None: to the end


class ReminderDigestRow(SQLModel, table=True):
    """A holder's digest of one day. Whoever writes the row composes the digest."""

    __tablename__ = "reminder_digest"

    holder_id: str = Field(primary_key=True)
    day: date = Field(primary_key=True)


class ReminderSwitchRow(SQLModel, table=True):
    """A type whose reminders an operator has switched off."""

    __tablename__ = "reminder_switched_off"

    type_code: str = Field(primary_key=True, max_length=64)
    since: datetime = Field(sa_type=DateTime(timezone=True))
    reason: str = Field(max_length=200)
