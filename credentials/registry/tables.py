"""Rows of the registry. `…_sealed` columns are encrypted; `…_index` columns are keyed blind indexes."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Index, Integer, LargeBinary, UniqueConstraint, false, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import Field, SQLModel

from credentials.registry.lifecycle import ALIVE

#: A licence still alive although a holder of it has ended. Literals, so that both databases see which index fits.
OF_ENDED_HOLDER = text(
    "holder_ended = true AND state IN ({})".format(", ".join(f"'{state}'" for state in sorted(ALIVE)))
)


class WritingTransaction(FunctionElement[int]):
    """The number of the writing transaction: what a follower needs to never step over an event not yet committed."""

    type = BigInteger()
    inherit_cache = True


@compiles(WritingTransaction)
def _one_writer(element: Any, compiler: Any, **kw: Any) -> str:
    return "0"  # SQLite has one writer at a time: positions become visible in order


@compiles(WritingTransaction, "postgresql")
def _postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    return "CAST(CAST(pg_current_xact_id() AS text) AS bigint)"


class HolderRow(SQLModel, table=True):
    """A natural person or an organisation (持证主体)."""

    __tablename__ = "holder"

    id: str = Field(primary_key=True, max_length=32)
    code_type: str = Field(max_length=3)
    code_index: bytes = Field(sa_type=LargeBinary, unique=True)
    code_sealed: bytes = Field(sa_type=LargeBinary)
    name_sealed: bytes = Field(sa_type=LargeBinary)
    mobile_sealed: bytes | None = Field(default=None, sa_type=LargeBinary)
    ended: bool = Field(default=False, sa_column_kwargs={"server_default": false()})  # some register says so
    created_at: datetime = Field(sa_type=DateTime(timezone=True))


class LicenceRow(SQLModel, table=True):
    """One version of a licence (电子证照). The number, holders and data items are sealed together."""

    __tablename__ = "licence"
    __table_args__ = (
        UniqueConstraint("source_system", "source_record_id", "version", name="uq_licence_source"),
        Index("ix_licence_authority", "authority_code", "updated_at", "id"),
        Index(
            "ix_licence_ended_holder",
            "authority_code",
            "holder_ended",  # always true in it: SQLite prefers an index by how many columns are given
            "updated_at",
            "id",
            postgresql_where=OF_ENDED_HOLDER,
            sqlite_where=OF_ENDED_HOLDER,
        ),
    )

    id: str = Field(primary_key=True, max_length=32)
    identifier: str = Field(max_length=128, unique=True)
    identifier_check_failed: bool
    type_code: str = Field(max_length=64)
    type_version: int
    version: int
    authority_code: str = Field(max_length=18)
    authority_name: str
    area_code: str | None = Field(default=None, max_length=6)
    issued_on: date
    valid_from: date
    valid_until: date | None
    state: str = Field(max_length=2)
    holder_ended: bool = Field(default=False, sa_column_kwargs={"server_default": false()})  # a holder of it
    predecessor_id: str | None = Field(default=None, max_length=32, unique=True)
    predecessor_identifier: str | None = Field(default=None, max_length=128)
    number_index: bytes = Field(sa_type=LargeBinary, index=True)
    content_sealed: bytes = Field(sa_type=LargeBinary)
    source_system: str = Field(max_length=64)
    source_record_id: str = Field(max_length=64)
    source_version: int = Field(sa_type=BigInteger)
    event_count: int
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(sa_type=DateTime(timezone=True))


class LicenceHolderRow(SQLModel, table=True):
    """Who holds a licence, in the order that it names them."""

    __tablename__ = "licence_holder"

    licence_id: str = Field(primary_key=True, foreign_key="licence.id", max_length=32)
    holder_id: str = Field(primary_key=True, foreign_key="holder.id", max_length=32, index=True)
    position: int


class LicenceRepresentativeRow(SQLModel, table=True):
    """Whom a licence names to act for its holder, in the order that it names them. Counts while it is in force."""

    __tablename__ = "licence_representative"

    licence_id: str = Field(primary_key=True, foreign_key="licence.id", max_length=32)
    holder_id: str = Field(primary_key=True, foreign_key="holder.id", max_length=32, index=True)
    position: int


class LicenceEventRow(SQLModel, table=True):
    """A line of history. `sequence` is gap-free per licence; (`written_in`, `position`) orders the feed."""

    __tablename__ = "licence_event"
    __table_args__ = (
        UniqueConstraint("licence_id", "sequence"),
        Index("ix_licence_event_source", "source_system", "source_record_id"),
        Index("ix_licence_event_feed", "written_in", "position"),
    )

    position: int | None = Field(default=None, primary_key=True, sa_type=BigInteger().with_variant(Integer, "sqlite"))
    written_in: int = Field(sa_type=BigInteger)
    licence_id: str = Field(foreign_key="licence.id", max_length=32)
    sequence: int
    operate_type: str = Field(max_length=2)
    state: str = Field(max_length=2)
    reason_sealed: bytes | None = Field(default=None, sa_type=LargeBinary)
    source_system: str = Field(max_length=64)
    source_record_id: str = Field(max_length=64)
    source_version: int = Field(sa_type=BigInteger)
    row_digest: bytes = Field(sa_type=LargeBinary)
    batch_id: str = Field(max_length=32)
    occurred_at: datetime = Field(sa_type=DateTime(timezone=True))


class HolderEndRow(SQLModel, table=True):
    """What a register said of a holder's end; without a day it takes back what it said before. A feed."""

    __tablename__ = "holder_end"
    __table_args__ = (
        UniqueConstraint("holder_id", "source_system", "source_version"),
        Index("ix_holder_end_feed", "written_in", "position"),
    )

    position: int | None = Field(default=None, primary_key=True, sa_type=BigInteger().with_variant(Integer, "sqlite"))
    written_in: int = Field(sa_type=BigInteger)
    holder_id: str = Field(foreign_key="holder.id", max_length=32)
    source_system: str = Field(max_length=64)
    source_version: int = Field(sa_type=BigInteger)
    ended_on_sealed: bytes | None = Field(default=None, sa_type=LargeBinary)
    row_digest: bytes = Field(sa_type=LargeBinary)
    occurred_at: datetime = Field(sa_type=DateTime(timezone=True))


class EventCursorRow(SQLModel, table=True):
    """How far a follower has read a feed."""

    __tablename__ = "event_cursor"

    consumer: str = Field(primary_key=True, max_length=64)
    written_in: int = Field(sa_type=BigInteger)
    position: int = Field(sa_type=BigInteger)


class IntakeBatchRow(SQLModel, table=True):
    """A department's delivery and its counts, kept in step with the rows they count."""

    __tablename__ = "intake_batch"
    __table_args__ = (Index("ix_intake_batch_source", "source_system", "id"),)

    id: str = Field(primary_key=True, max_length=32)
    source_system: str = Field(max_length=64)
    started_at: datetime = Field(sa_type=DateTime(timezone=True))
    finished_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    accepted: int
    unchanged: int
    rejected: int
    flagged: int
    duplicates: int = Field(sa_column_kwargs={"server_default": "0"})


class IntakeRejectionRow(SQLModel, table=True):
    """Why one line of a batch was refused."""

    __tablename__ = "intake_rejection"

    batch_id: str = Field(primary_key=True, foreign_key="intake_batch.id", max_length=32)
    line: int = Field(primary_key=True)
    code: str = Field(max_length=64)
    field: str = Field(max_length=128)
    detail: str


class IntakeFlagRow(SQLModel, table=True):
    """What is wrong with one accepted line of a batch."""

    __tablename__ = "intake_flag"

    batch_id: str = Field(primary_key=True, foreign_key="intake_batch.id", max_length=32)
    line: int = Field(primary_key=True)
    code: str = Field(max_length=64)
    field: str = Field(max_length=128)
    detail: str
