"""Rows of issuance. What a credential disclosed is never kept."""

from datetime import datetime

from sqlalchemy import JSON, DateTime, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field, SQLModel


class CredentialOfferRow(SQLModel, table=True):
    """An offer. Code and `issuer_state` are found by hash, and sealed so that the offer can be fetched by reference.

    `pushed`: made to a holder who is not at the counter, so that the holder's wallet is told of it.
    """

    __tablename__ = "credential_offer"

    id: str = Field(primary_key=True, max_length=43)
    licence_id: str = Field(foreign_key="licence.id", max_length=32, index=True)
    holder_id: str = Field(foreign_key="holder.id", max_length=32, index=True)
    configuration_id: str = Field(max_length=64)
    code_hash: bytes | None = Field(default=None, sa_type=LargeBinary, unique=True)
    code_sealed: bytes | None = Field(default=None, sa_type=LargeBinary)
    issuer_state_hash: bytes | None = Field(default=None, sa_type=LargeBinary, unique=True)
    issuer_state_sealed: bytes | None = Field(default=None, sa_type=LargeBinary)
    tx_code_index: bytes | None = Field(default=None, sa_type=LargeBinary)
    attempts: int = 0
    pushed: bool = False
    expires_at: datetime = Field(sa_type=DateTime(timezone=True))
    opened_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    used_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    created_at: datetime = Field(sa_type=DateTime(timezone=True))


class IssuanceRow(SQLModel, table=True):
    """That something was issued for a licence: to which key, and where its status stands.

    `format` is `dc+sd-jwt`, or for a pass `lz-pass-min+cwt` or `lz-pass-face+cwt`, after its profile.
    """

    __tablename__ = "issuance"
    __table_args__ = (UniqueConstraint("status_uri", "status_index"),)

    id: str = Field(primary_key=True, max_length=32)
    licence_id: str = Field(foreign_key="licence.id", max_length=32, index=True)
    holder_id: str = Field(foreign_key="holder.id", max_length=32)
    format: str = Field(max_length=16)
    key_thumbprint: str = Field(max_length=43, index=True)
    signing_kid: str = Field(max_length=11)  # 8 bytes in base64url
    status_uri: str = Field(max_length=255)
    status_index: int
    expires_at: datetime = Field(sa_type=DateTime(timezone=True))
    issued_at: datetime = Field(sa_type=DateTime(timezone=True))


class DeferredIssuanceRow(SQLModel, table=True):
    """Keys that wait for a clerk's release. `state` moves waiting → released → delivered, or waiting → denied."""

    __tablename__ = "deferred_issuance"
    __table_args__ = (
        Index(
            "ix_deferred_issuance_waiting",
            "authority_code",
            "id",
            postgresql_where=text("state = 'waiting'"),
            sqlite_where=text("state = 'waiting'"),
        ),
    )

    id: str = Field(primary_key=True, max_length=32)
    transaction_hash: bytes = Field(sa_type=LargeBinary, unique=True)
    grant_id: str = Field(max_length=64)
    jkt: str | None = Field(default=None, max_length=43)
    licence_id: str = Field(foreign_key="licence.id", max_length=32)
    authority_code: str = Field(max_length=18)
    keys: list[dict[str, str]] = Field(sa_type=JSON)
    state: str = Field(max_length=9)
    decided_by: str | None = Field(default=None, max_length=64)
    decided_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    expires_at: datetime = Field(sa_type=DateTime(timezone=True), index=True)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))


class CredentialNotificationRow(SQLModel, table=True):
    """What a wallet said became of a response's credentials; an event once a response."""

    __tablename__ = "credential_notification"

    notification_hash: bytes = Field(primary_key=True, sa_type=LargeBinary)
    event: str = Field(primary_key=True, max_length=20)
    grant_id: str = Field(max_length=64)
    licence_id: str = Field(foreign_key="licence.id", max_length=32, index=True)
    description: str | None = Field(default=None, max_length=500)
    received_at: datetime = Field(sa_type=DateTime(timezone=True))


class RequestEncryptionKeyRow(SQLModel, table=True):
    """A key to encrypt requests to: one a period, made by whichever process needs it first."""

    __tablename__ = "request_encryption_key"

    period: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    kid: str = Field(max_length=43)
    private_sealed: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
