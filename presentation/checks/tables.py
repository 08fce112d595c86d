"""Rows of checks: what patterns are seen by, what was reported, and which journal entries came in."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Index, Integer, LargeBinary, UniqueConstraint, text
from sqlmodel import Field, SQLModel

_REFUSED = text("refusal IS NOT NULL")  # among the releases of a busy gate, few refusals would be looked for long


class CheckTraceRow(SQLModel, table=True):
    """A check in the last hours: released (with its holder and a blind mark of its number) or refused (with a code)."""

    __tablename__ = "check_trace"
    __table_args__ = (
        Index("ix_check_trace_recent", "client_id", "at"),
        Index("ix_check_trace_mark", "client_id", "number_mark"),
        Index("ix_check_trace_refusal", "client_id", "at", postgresql_where=_REFUSED, sqlite_where=_REFUSED),
    )

    position: int | None = Field(default=None, primary_key=True, sa_type=BigInteger().with_variant(Integer, "sqlite"))
    client_id: str = Field(max_length=64)
    at: datetime = Field(sa_type=DateTime(timezone=True), index=True)
    refusal: str | None = Field(default=None, max_length=64)
    holder_id: str | None = Field(default=None, max_length=32)
    number_mark: bytes | None = Field(default=None, sa_type=LargeBinary)
    number_run: int = 0


class PatternReportRow(SQLModel, table=True):
    """A pattern that was stopped: one row a verifier, kind and quarter of an hour, however often it was stopped."""

    __tablename__ = "pattern_report"
    __table_args__ = (UniqueConstraint("client_id", "kind", "window_start"),)

    position: int | None = Field(default=None, primary_key=True, sa_type=BigInteger().with_variant(Integer, "sqlite"))
    client_id: str = Field(max_length=64)
    kind: str = Field(max_length=32)
    window_start: datetime = Field(sa_type=DateTime(timezone=True))
    last_at: datetime = Field(sa_type=DateTime(timezone=True))
    stopped: int


class CheckJournalEntryRow(SQLModel, table=True):
    """An entry of a verifier's offline journal that was accepted: it counts once."""

    __tablename__ = "check_journal_entry"

    client_id: str = Field(primary_key=True, max_length=64)
    entry_id: str = Field(primary_key=True, max_length=32)
    device: str = Field(max_length=64)
    checked_at: datetime = Field(sa_type=DateTime(timezone=True))
    content_digest: bytes = Field(sa_type=LargeBinary)
    received_at: datetime = Field(sa_type=DateTime(timezone=True))
