"""Every encrypted column of every domain, and what its values are bound to: what `liangzheng reseal` goes through.

A new sealed column is added here; `tests/wallet_api/test_resealing.py` finds the one that was forgotten.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Row, Select, Table, select
from sqlmodel import SQLModel

from credentials.issuance.tables import CredentialOfferRow, RequestEncryptionKeyRow
from credentials.registry.tables import HolderEndRow, HolderRow, LicenceEventRow, LicenceRow
from credentials.status.tables import StatusListRow
from notifications.channels.tables import InboxMessageRow, PushDeviceRow
from notifications.outbox.tables import OutboxEntryRow, OutboxMessageRow
from presentation.accesslog.tables import AccessLogRow
from presentation.shows.tables import HeldShowKeyRow
from wallet_api.edge.tables import IdempotentRequestRow


def table_of(row: type[SQLModel]) -> Table:
    """The table of a row class."""
    table: Table = row.__table__  # type: ignore[attr-defined]
    return table


@dataclass(frozen=True)
class SealedColumn:
    """One encrypted column.

    Attributes:
        context: what its values are sealed for, with the row's own columns in braces (bytes in hex).
        beside: a table whose columns `context` needs as well, and the column that names its row.
    """

    table: Table
    name: str
    context: str
    beside: tuple[Table, str] | None = None

    def __str__(self) -> str:
        return f"{self.table.name}.{self.name}"

    @property
    def column(self) -> Column[bytes]:
        """The column itself."""
        return self.table.c[self.name]

    @property
    def key(self) -> tuple[Column[Any], ...]:
        """The table's primary key."""
        return tuple(self.table.primary_key.columns)

    def select(self) -> Select[Any]:
        """Its rows, with everything that `context_of` needs."""
        if self.beside is None:
            return select(self.table)
        other, reference = self.beside
        (other_key,) = other.primary_key.columns
        own = {column.name for column in self.table.columns}
        more = [column for column in other.columns if column.name not in own]
        return select(self.table, *more).join(other, other_key == self.table.c[reference])

    def context_of(self, row: Row[Any]) -> str:
        """What the value of this row is bound to."""
        members = {name: value.hex() if isinstance(value, bytes) else value for name, value in row._mapping.items()}
        return self.context.format_map(members)


def _sealed(row: type[SQLModel], contexts: Mapping[str, str]) -> list[SealedColumn]:
    return [SealedColumn(table_of(row), name, context) for name, context in contexts.items()]


SEALED_COLUMNS: tuple[SealedColumn, ...] = (
    *_sealed(
        HolderRow,
        {
            "code_sealed": "holder.code:{code_index}",
            "name_sealed": "holder.name:{code_index}",
            "mobile_sealed": "holder.mobile:{code_index}",
        },
    ),
    *_sealed(LicenceRow, {"content_sealed": "licence.content:{id}"}),
    *_sealed(LicenceEventRow, {"reason_sealed": "licence_event.reason:{licence_id}:{sequence}"}),
    *_sealed(HolderEndRow, {"ended_on_sealed": "holder_end.ended_on:{holder_id}:{source_system}:{source_version}"}),
    *_sealed(
        CredentialOfferRow,
        {
            "code_sealed": "credential_offer:{id}",
            "issuer_state_sealed": "credential_offer.issuer_state:{id}",
        },
    ),
    *_sealed(RequestEncryptionKeyRow, {"private_sealed": "request_encryption_key.private_sealed:{period}"}),
    *_sealed(StatusListRow, {"sealed_permutation_key": "status_list.sealed_permutation_key:{list_id}"}),
    *_sealed(HeldShowKeyRow, {"key_and_pass_sealed": "held_show_key:{session_id}:{licence_id}:{profile}"}),
    *_sealed(AccessLogRow, {"note_sealed": "access_log.note:{holder_id}:{check_id}"}),
    *_sealed(OutboxMessageRow, {"body": "outbox_message.body:{digest_id}"}),
    SealedColumn(
        table_of(OutboxEntryRow),
        "body",
        "outbox_entry.body:{digest_id}:{subject}",
        beside=(table_of(OutboxMessageRow), "message_id"),
    ),
    *_sealed(InboxMessageRow, {"body": "inbox_message.body:{id}"}),
    *_sealed(PushDeviceRow, {"address_sealed": "push_device.address:{address_index}"}),
    *_sealed(IdempotentRequestRow, {"answer_sealed": "idempotent_request.answer:{key_hash}"}),
)
