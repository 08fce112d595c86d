"""The tables of keys and trust lists."""

from datetime import datetime

from sqlalchemy import JSON, DateTime, Index, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

PLATFORM = ""  # authority_code of the platform's own keys: NULLs would not collide in a unique index
_CURRENT = text("state IN ('active', 'next')")


class SigningKeyRow(SQLModel, table=True):
    """A key pair; the private part is elsewhere, at `key_reference`."""

    __tablename__ = "signing_key"
    __table_args__ = (
        Index(
            "uq_signing_key_current",
            "purpose",
            "authority_code",
            "state",
            unique=True,
            postgresql_where=_CURRENT,
            sqlite_where=_CURRENT,
        ),
    )

    kid: bytes = Field(sa_type=LargeBinary, primary_key=True)
    purpose: str
    authority_code: str
    authority_name: str
    licence_types: list[str] = Field(sa_type=JSON)
    chain_pem: str = Field(sa_type=Text)
    key_reference: str
    state: str
    not_before: datetime = Field(sa_type=DateTime(timezone=True))
    not_after: datetime = Field(sa_type=DateTime(timezone=True))
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    anchor_sha256: str = Field(default="", sa_column_kwargs={"server_default": ""})  # empty: the platform's root


class CertificateRequestRow(SQLModel, table=True):
    """A key that waits for its certificate from an outside authority."""

    __tablename__ = "certificate_request"

    key_reference: str = Field(primary_key=True)
    purpose: str
    authority_code: str
    authority_name: str
    licence_types: list[str] = Field(sa_type=JSON)
    public_key_sha256: str = Field(unique=True)  # over the SubjectPublicKeyInfo, as hex
    created_at: datetime = Field(sa_type=DateTime(timezone=True))


class TrustAnchorRow(SQLModel, table=True):
    """The root of an outside authority that certified a key of ours; readers pin it beside the platform's."""

    __tablename__ = "trust_anchor"

    sha256: str = Field(primary_key=True)  # over the DER, as hex
    pem: str = Field(sa_type=Text)
    added_at: datetime = Field(sa_type=DateTime(timezone=True))


class TrustListRow(SQLModel, table=True):
    """A published trust list; the one with the highest sequence is served."""

    __tablename__ = "trust_list"

    sequence: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    token: str = Field(sa_type=Text)
    content_digest: bytes = Field(sa_type=LargeBinary)
    expires_at: datetime = Field(sa_type=DateTime(timezone=True))
