"""The messages a holder reads in the wallet, and the devices that push reaches, and the gates of providers."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Index, LargeBinary
from sqlmodel import Field, SQLModel


class InboxMessageRow(SQLModel, table=True):
    """One message in a holder's inbox. Title and text are sealed together; a deleted message leaves an empty row."""

    __tablename__ = "inbox_message"
    __table_args__ = (Index("ix_inbox_message_holder", "holder_id", "received_at", "id"),)

    id: str = Field(primary_key=True)  # the idempotency key: a repeated sending writes nothing
    holder_id: str
    kind: str
    body: bytes
    received_at: datetime = Field(sa_type=DateTime(timezone=True))
    read_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    deleted_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class PushDeviceRow(SQLModel, table=True):
    """A device of a holder that takes push. The same address registered again is the same row."""

    __tablename__ = "push_device"

    id: str = Field(primary_key=True, max_length=32)
    holder_id: str = Field(index=True, max_length=32)
    kind: str = Field(max_length=16)
    language: str = Field(max_length=2)
    address_index: bytes = Field(sa_type=LargeBinary, unique=True)
    address_sealed: bytes = Field(sa_type=LargeBinary)
    seen_at: datetime = Field(sa_type=DateTime(timezone=True))


class ProviderGateRow(SQLModel, table=True):
    """What a provider may be given now. Instants are microseconds since 1970, tokens millionths of a message."""

    __tablename__ = "provider_gate"

    name: str = Field(primary_key=True, max_length=32)
    tokens: int = Field(sa_type=BigInteger)
    refilled_at: int = Field(sa_type=BigInteger)
    granted: int  # by the statement that last took some
    failures: int  # calls in a row
    rests_until: int = Field(sa_type=BigInteger)
