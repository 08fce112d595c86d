"""What operators did."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Integer
from sqlmodel import Field, SQLModel


class OperatorActionRow(SQLModel, table=True):
    """One step of one operator. Rows are only added."""

    __tablename__ = "operator_action"

    # SQLite counts up in INTEGER keys only.
    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger().with_variant(Integer, "sqlite"))
    at: datetime = Field(sa_type=DateTime(timezone=True))
    operator: str = Field(max_length=64)
    action: str = Field(max_length=32)
    subject: str = Field(max_length=64)  # the client id of a verifier or register, a scene's id with version, a type
    reason: str | None = Field(default=None, max_length=200)
