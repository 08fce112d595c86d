"""Rows of showing."""

from datetime import datetime

from sqlalchemy import DateTime, LargeBinary
from sqlmodel import Field, SQLModel


class HeldShowKeyRow(SQLModel, table=True):
    """A key that the server holds for a session without a device key, sealed together with the pass it was given."""

    __tablename__ = "held_show_key"

    session_id: str = Field(primary_key=True, max_length=64)
    licence_id: str = Field(primary_key=True, max_length=32)
    profile: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    key_and_pass_sealed: bytes = Field(sa_type=LargeBinary)
    expires_at: datetime = Field(sa_type=DateTime(timezone=True), index=True)
