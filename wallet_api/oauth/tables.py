"""Rows of the authorization server. Tokens are kept as hashes only."""

from datetime import datetime

from sqlalchemy import JSON, DateTime, LargeBinary
from sqlmodel import Field, SQLModel


class OAuthClientRow(SQLModel, table=True):
    """A machine that may call: a department's system, later verifiers and kiosks."""

    __tablename__ = "oauth_client"

    client_id: str = Field(primary_key=True, max_length=64)
    name: str = Field(max_length=200)
    authority_codes: list[str] = Field(sa_type=JSON)
    scope: str = Field(max_length=200)
    jwks: list[dict[str, str]] = Field(sa_type=JSON)
    active: bool = True
    created_at: datetime = Field(sa_type=DateTime(timezone=True))


class AccessTokenRow(SQLModel, table=True):
    """What a token is good for. A wallet's names holder, licence and configuration, and what the wallet
    calls itself (not authenticated); a client's names the client."""

    __tablename__ = "access_token"

    token_hash: bytes = Field(primary_key=True, sa_type=LargeBinary)
    client_id: str | None = Field(default=None, foreign_key="oauth_client.client_id", max_length=64)
    wallet_client_id: str | None = Field(default=None, max_length=255)
    holder_id: str | None = Field(default=None, max_length=32)
    licence_id: str | None = Field(default=None, max_length=32)
    configuration_id: str | None = Field(default=None, max_length=64)
    scope: str = Field(max_length=200)
    jkt: str | None = Field(default=None, max_length=43)
    expires_at: datetime = Field(sa_type=DateTime(timezone=True), index=True)


class OneTimeValueRow(SQLModel, table=True):
    """A value that was used: nonces and token ids, until they would be refused for their age anyway."""

    __tablename__ = "one_time_value"

    value_hash: bytes = Field(primary_key=True, sa_type=LargeBinary)
    expires_at: datetime = Field(sa_type=DateTime(timezone=True), index=True)
