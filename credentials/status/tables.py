"""The tables of status lists."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, LargeBinary
from sqlmodel import Field, SQLModel


class StatusListRow(SQLModel, table=True):
    """A list and the counter of its allocated entries."""

    __tablename__ = "status_list"
    __table_args__ = (CheckConstraint("allocated >= 0 AND allocated <= size", name="ck_status_list_allocated"),)

    list_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    uri: str = Field(unique=True)  # kept: the token's `sub` must stay what credentials already say
    bits: int
    size: int
    allocated: int
    sealed_permutation_key: bytes = Field(sa_type=LargeBinary)
    version: int = Field(sa_type=BigInteger)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))


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
