"""The messages a holder reads in the wallet."""

from datetime import datetime

from sqlalchemy import DateTime, Index
from sqlmodel import Field, SQLModel


class InboxMessageRow(SQLModel, table=True):
    """One message in a holder's inbox. Title and text are sealed together."""

    __tablename__ = "inbox_message"
    __table_args__ = (Index("ix_inbox_message_holder", "holder_id", "received_at", "id"),)

    id: str = Field(primary_key=True)  # the idempotency key: a repeated sending writes nothing
    holder_id: str
    kind: str
    body: bytes
    received_at: datetime = Field(sa_type=DateTime(timezone=True))
    read_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
