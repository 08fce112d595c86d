"""Rows of the authorization server. Tokens are kept as hashes only."""

from datetime import datetime

from sqlalchemy import JSON, DateTime, LargeBinary, Text
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


class WalletGrantRow(SQLModel, table=True):
    """What a holder granted a wallet, by signing in or by a code that was offered to them.

    Every token that grew out of it names it and dies with it. `client_id` is what the wallet calls itself; it is
    authenticated where `instance_jkt`, the thumbprint of an attested wallet instance's key, is set. `jkt` is the DPoP
    key that its refresh tokens are bound to, and `refresh_generation` counts them.
    """

    __tablename__ = "wallet_grant"

    id: str = Field(primary_key=True, max_length=32)
    client_id: str | None = Field(default=None, max_length=255)
    instance_jkt: str | None = Field(default=None, max_length=43)
    holder_id: str = Field(foreign_key="holder.id", max_length=32, index=True)
    licence_id: str | None = Field(default=None, foreign_key="licence.id", max_length=32)
    configuration_ids: list[str] = Field(sa_type=JSON)
    credential_identifiers: dict[str, str] = Field(sa_type=JSON)
    jkt: str | None = Field(default=None, max_length=43)
    refresh_generation: int = 0
    refreshed_at: datetime = Field(sa_type=DateTime(timezone=True))
    expires_at: datetime = Field(sa_type=DateTime(timezone=True), index=True)
    revoked_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    created_at: datetime = Field(sa_type=DateTime(timezone=True))


class AccessTokenRow(SQLModel, table=True):
    """What a token is good for: a wallet's belongs to a grant, a machine's to its registration."""

    __tablename__ = "access_token"

    token_hash: bytes = Field(primary_key=True, sa_type=LargeBinary)
    client_id: str | None = Field(default=None, foreign_key="oauth_client.client_id", max_length=64)
    grant_id: str | None = Field(default=None, foreign_key="wallet_grant.id", max_length=32, index=True)
    scope: str = Field(sa_type=Text)
    jkt: str | None = Field(default=None, max_length=43)
    expires_at: datetime = Field(sa_type=DateTime(timezone=True), index=True)


class AuthorizationRequestRow(SQLModel, table=True):
    """An authorization request on its way from the wallet's push to the token.

    It moves `pushed` → `opened` (bound to one browser) → `signed_in` → `approved` (a code is out) → `redeemed`, or
    ends as `declined`; each step is a compare-and-set on `stage`. Once redeemed its id is that of the grant.
    """

    __tablename__ = "authorization_request"

    id: str = Field(primary_key=True, max_length=32)
    request_uri_hash: bytes = Field(sa_type=LargeBinary, unique=True)
    stage: str = Field(max_length=9)
    client_id: str = Field(max_length=255)
    instance_jkt: str | None = Field(default=None, max_length=43)
    redirect_uri: str = Field(sa_type=Text)
    state: str | None = Field(default=None, sa_type=Text)
    code_challenge: str = Field(max_length=43)
    dpop_jkt: str | None = Field(default=None, max_length=43)
    configuration_ids: list[str] = Field(sa_type=JSON)
    detailed_ids: list[str] = Field(sa_type=JSON)
    browser_hash: bytes | None = Field(default=None, sa_type=LargeBinary)
    sign_in_hash: bytes | None = Field(default=None, sa_type=LargeBinary, unique=True)
    person_id: str | None = Field(default=None, foreign_key="holder.id", max_length=32)
    holder_id: str | None = Field(default=None, foreign_key="holder.id", max_length=32)
    code_hash: bytes | None = Field(default=None, sa_type=LargeBinary, unique=True)
    expires_at: datetime = Field(sa_type=DateTime(timezone=True), index=True)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))


class OneTimeValueRow(SQLModel, table=True):
    """A value that was used: nonces and token ids, until they would be refused for their age anyway."""

    __tablename__ = "one_time_value"

    value_hash: bytes = Field(primary_key=True, sa_type=LargeBinary)
    expires_at: datetime = Field(sa_type=DateTime(timezone=True), index=True)
