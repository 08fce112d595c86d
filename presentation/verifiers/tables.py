"""Rows of verifiers."""

from datetime import datetime

from sqlalchemy import JSON, DateTime
from sqlmodel import Field, SQLModel


class VerifierRow(SQLModel, table=True):
    """A registered verifier; its keys are those of the OAuth client of the same id."""

    __tablename__ = "verifier"

    client_id: str = Field(primary_key=True, max_length=64)
    organisation: str = Field(max_length=200)
    system_name: str = Field(max_length=200)
    scenes: list[str] = Field(sa_type=JSON)
    holders_per_minute: int
    refusals_per_10_minutes: int
    registered_at: datetime = Field(sa_type=DateTime(timezone=True))
    suspended_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
