"""Rows of the edge. Who and what was asked is kept as hashes only, answers are sealed."""

from datetime import datetime

from sqlalchemy import DateTime, LargeBinary
from sqlmodel import Field, SQLModel


class IdempotentRequestRow(SQLModel, table=True):
    """A creating request under an `Idempotency-Key`, and its answer once there is one."""

    __tablename__ = "idempotent_request"

    key_hash: bytes = Field(primary_key=True, sa_type=LargeBinary)
    request_hash: bytes = Field(sa_type=LargeBinary)
    attempt: str = Field(max_length=32)
    answer_sealed: bytes | None = Field(default=None, sa_type=LargeBinary)
    leased_until: datetime = Field(sa_type=DateTime(timezone=True))
    expires_at: datetime = Field(sa_type=DateTime(timezone=True), index=True)


class RateWindowRow(SQLModel, table=True):
    """How often one caller has called in the window that runs."""

    __tablename__ = "rate_window"

    caller_hash: bytes = Field(primary_key=True, sa_type=LargeBinary)
    calls: int
    ends_at: datetime = Field(sa_type=DateTime(timezone=True))
