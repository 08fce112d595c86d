"""Rows of issuance. What a credential disclosed is never kept."""

from datetime import datetime

from sqlalchemy import DateTime, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel


class CredentialOfferRow(SQLModel, table=True):
    """An offer with its pre-authorized code: found by hash, sealed so that the offer can be fetched by reference."""

    __tablename__ = "credential_offer"

    id: str = Field(primary_key=True, max_length=43)
    licence_id: str = Field(foreign_key="licence.id", max_length=32, index=True)
    holder_id: str = Field(foreign_key="holder.id", max_length=32)
    configuration_id: str = Field(max_length=64)
    code_hash: bytes = Field(sa_type=LargeBinary, unique=True)
    code_sealed: bytes = Field(sa_type=LargeBinary)
    tx_code_index: bytes | None = Field(default=None, sa_type=LargeBinary)
    attempts: int = 0
    expires_at: datetime = Field(sa_type=DateTime(timezone=True))
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
