"""The tables of status lists."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, LargeBinary
from sqlmodel import Field, SQLModel


class StatusListRow(SQLModel, table=True):
    """A list. What of it is not given out yet is in `status_range`."""

    __tablename__ = "status_list"

    list_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    uri: str = Field(unique=True)  # kept: the token's `sub` must stay what credentials already say
    bits: int
    size: int
    sealed_permutation_key: bytes = Field(sa_type=LargeBinary)
    version: int = Field(sa_type=BigInteger)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    retired_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class StatusRangeRow(SQLModel, table=True):
    """Counter values of a list that nobody has yet: `first_free` up to, not including, `range_end`.

    A list has many, so that many transactions take from it at once: each holds one row until it commits. One of them
    is for decoys and belongs to no credential ever.
    """

    __tablename__ = "status_range"
    __table_args__ = (CheckConstraint("first_free >= 0 AND first_free <= range_end", name="ck_status_range"),)

    list_id: int = Field(primary_key=True, foreign_key="status_list.list_id")
    range_end: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    first_free: int
    decoys: bool = False


class StatusEntryRow(SQLModel, table=True):
    """An entry that is not VALID. The others have no row."""

    __tablename__ = "status_entry"

    list_id: int = Field(primary_key=True, foreign_key="status_list.list_id")
    idx: int = Field(primary_key=True)
    value: int


class StatusTokenRow(SQLModel, table=True):
    """The present token of a list in one format."""

    __tablename__ = "status_token"

    list_id: int = Field(primary_key=True, foreign_key="status_list.list_id")
    format: str = Field(primary_key=True)
    token: bytes = Field(sa_type=LargeBinary)
    version: int = Field(sa_type=BigInteger)  # the list's version that it shows
    iat: int = Field(sa_type=BigInteger)
    exp: int = Field(sa_type=BigInteger)
