"""Messages to hand over, and what each one is about."""

from datetime import date, datetime

from sqlalchemy import DateTime, Index, text
from sqlmodel import Field, SQLModel


class OutboxMessageRow(SQLModel, table=True):
    """One digest on one channel. `body` is sealed for its digest, so that the next channel can share it."""

    __tablename__ = "outbox_message"
    __table_args__ = (
        # Claiming walks this index from its start and stops at the first row that is free.
        Index(
            "ix_outbox_message_open",
            "not_before",
            postgresql_where=text("state IN ('pending', 'claimed')"),
            sqlite_where=text("state IN ('pending', 'claimed')"),
        ),
    )

    id: str = Field(primary_key=True)
    dedupe_key: str = Field(unique=True)  # kind, holder, day, channel
    digest_id: str = Field(index=True)
    holder_id: str = Field(index=True)
    channel: str
    day: date
    kind: str
    body: bytes
    state: str
    attempts: int = 0
    # Nobody takes the row before this instant: the time of the next attempt, or the end of a claimed row's lease.
    not_before: datetime = Field(sa_type=DateTime(timezone=True))
    claim: str | None = None  # the token of the attempt under way
    reason: str | None = None
    provider_ref: str | None = None
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    closed_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    delivered_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class OutboxEntryRow(SQLModel, table=True):
    """One paragraph of a message. Its key is the promise: a subject is told once on each channel."""

    __tablename__ = "outbox_entry"

    subject: str = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    message_id: str = Field(foreign_key="outbox_message.id", index=True)
    position: int
    body: bytes
