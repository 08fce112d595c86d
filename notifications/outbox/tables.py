"""Messages to hand over, what each one is about, and receipts that wait for their message."""

from datetime import date, datetime

from sqlalchemy import DateTime, Index, TextClause, text
from sqlmodel import Field, SQLModel

_PENDING = text("state = 'pending'")
_CLAIMED = text("state = 'claimed'")
_FAILED = text("state = 'failed'")
_SENT = text("state = 'sent'")
HAS_TEXT = text("length(body) > 0")  # a query in these very words finds the index
_BRIEF = text("useful_until IS NOT NULL AND length(body) > 0")


def _where(name: str, *columns: str, where: TextClause) -> Index:
    return Index(name, *columns, postgresql_where=where, sqlite_where=where)


class OutboxMessageRow(SQLModel, table=True):
    """One digest on one channel. `body` is sealed for its digest, so that the next channel can share it."""

    __tablename__ = "outbox_message"
    __table_args__ = (
        # Claiming walks these from a channel's start and stops when it has enough, however much waits behind.
        _where("ix_outbox_message_pending", "channel", "urgent", "not_before", where=_PENDING),
        _where("ix_outbox_message_claimed", "channel", "not_before", where=_CLAIMED),
        _where("ix_outbox_message_failed", "closed_at", where=_FAILED),
        _where("ix_outbox_message_sent", "provider", "provider_ref", where=_SENT),
        # Erasing walks what has a text, however much was erased before.
        _where("ix_outbox_message_closed", "closed_at", where=HAS_TEXT),
        _where("ix_outbox_message_brief", "useful_until", where=_BRIEF),
    )

    id: str = Field(primary_key=True)
    dedupe_key: str = Field(unique=True)  # the occasion (kind, holder and day; or kind and subject), channel
    digest_id: str = Field(index=True)
    holder_id: str = Field(index=True)
    channel: str
    day: date
    kind: str
    body: bytes
    fallbacks: str = Field(default="", sa_column_kwargs={"server_default": ""})  # channels, with commas between
    urgent: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    useful_until: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    state: str
    attempts: int = 0
    # Nobody takes the row before this instant: the time of the next attempt, or the end of a claimed row's lease.
    not_before: datetime = Field(sa_type=DateTime(timezone=True))
    claim: str | None = None  # the token of the attempt under way
    reason: str | None = None
    provider: str | None = None
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
    muted: str = Field(default="", sa_column_kwargs={"server_default": ""})  # channels, with commas between


class OutboxReceiptRow(SQLModel, table=True):
    """What a provider said later of a message; gone once the message has it."""

    __tablename__ = "outbox_receipt"

    provider: str = Field(primary_key=True)
    provider_ref: str = Field(primary_key=True)
    delivered: bool
    reason: str | None = None
    received_at: datetime = Field(sa_type=DateTime(timezone=True))
