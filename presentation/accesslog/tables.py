"""Rows of the access log. A reason is free text and sealed; everything else says nothing that the holder's own list of
licences does not."""

from datetime import datetime

from sqlalchemy import JSON, DateTime, LargeBinary
from sqlmodel import Field, SQLModel


class AccessLogRow(SQLModel, table=True):
    """One release. `note_sealed` holds reason and operator as JSON."""

    __tablename__ = "access_log"

    holder_id: str = Field(primary_key=True, max_length=32)
    sequence: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: datetime = Field(sa_type=DateTime(timezone=True))
    recorded_at: datetime = Field(sa_type=DateTime(timezone=True), index=True)
    check_id: str = Field(max_length=32)
    client_id: str = Field(max_length=64)
    organisation: str = Field(max_length=200)
    system_name: str = Field(max_length=200)
    licence_id: str = Field(max_length=32)
    type_code: str = Field(max_length=64)
    type_version: int
    number_masked: str
    items: list[str] = Field(sa_type=JSON)
    scene_id: str | None = Field(default=None, max_length=64)
    scene_version: int | None = None
    offline: bool
    note_sealed: bytes | None = Field(default=None, sa_type=LargeBinary)
    entry_hash: bytes = Field(sa_type=LargeBinary)


class AccessLogHeadRow(SQLModel, table=True):
    """The end of a holder's chain. Its row lock is what puts concurrent releases in order."""

    __tablename__ = "access_log_head"

    holder_id: str = Field(primary_key=True, max_length=32)
    sequence: int
    entry_hash: bytes = Field(sa_type=LargeBinary)
