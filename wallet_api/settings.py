"""The one place that reads the environment (and `.env`)."""

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from limits import RateLimitItem, parse
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

SECRET_SETTINGS = ("encryption_keys", "blind_index_key", "nonce_key", "key_passphrase")


class Settings(BaseSettings):
    """A deployment.

    With nothing set this is the *embedded* mode for trying things out: SQLite and self-made secrets in `DATA_DIR`,
    plain HTTP on this machine. `DEPLOYMENT=production` has no such defaults: every secret must be given.

    Attributes:
        public_url: decides every URL and identifier that is emitted, whatever is listened on. No trailing slash.
        database_url: `sqlite:///…` or `postgresql://…`.
        encryption_keys: `id:base64,id:base64`: 32 bytes each; the first seals, all of them open.
        blind_index_key, nonce_key: base64, 32 bytes each.
        key_passphrase: encrypts the signing keys' files.
        embedded_worker: whether the serving process runs the timers as well; else run `liangzheng worker`.
        remind_every_s: 0 leaves reminding to `liangzheng remind`.
        push_wait_s: how long a push may stay without a receipt before an SMS goes out.
        rate_limit_client: calls of one registered machine, `6000/minute` in the grammar of `limits`; empty: no limit.
        rate_limit_wallet: calls under one wallet's grant.
        rate_limit_address: calls from one address at the endpoints that a stranger may use.
        metrics_token: bearer token of whoever reads `/metrics`; without it only this machine itself may.
    """

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    deployment: Literal["embedded", "production"] = "embedded"
    public_url: str = "http://127.0.0.1:8000"
    listen_host: str = "127.0.0.1"
    listen_port: int = Field(default=8000, ge=0, le=65535)
    data_dir: Path = Path("data")
    database_url: str = ""
    encryption_keys: SecretStr | None = None
    blind_index_key: SecretStr | None = None
    nonce_key: SecretStr | None = None
    key_passphrase: SecretStr | None = None
    embedded_worker: bool = True
    push_wait_s: int = Field(default=600, ge=0)
    remind_every_s: int = Field(default=60, ge=0)
    rate_limit_client: str = "60000/minute"  # a whole city's history row by row; batches count as one
    rate_limit_wallet: str = "600/minute"  # a week of passes and a credential of each kind is some thirty calls
    rate_limit_address: str = "6000/minute"  # many households share one address of a mobile carrier
    metrics_token: SecretStr | None = None

    @field_validator("public_url")
    @classmethod
    def _normal_url(cls, value: str) -> str:
        url = urlsplit(value.strip().rstrip("/"))
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment or url.username:
            raise ValueError("PUBLIC_URL is https://host[:port][/path], without query, fragment or user")
        if url.scheme == "http" and not _is_loopback(url.hostname):
            raise ValueError("PUBLIC_URL must be https:// except on this machine itself")
        return url.geturl()

    @field_validator("rate_limit_client", "rate_limit_wallet", "rate_limit_address")
    @classmethod
    def _known_limit(cls, value: str) -> str:
        if value.strip():
            parse(value)  # ValueError: not in the grammar
        return value.strip()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.deployment == "production":
            missing = [name.upper() for name in SECRET_SETTINGS if getattr(self, name) is None]
            if not self.database_url:
                missing.append("DATABASE_URL")
            if missing:
                raise ValueError(f"a production deployment must set {', '.join(missing)}")
            if urlsplit(self.public_url).scheme != "https":
                raise ValueError("a production deployment has an https:// PUBLIC_URL")
        return self

    @property
    def database(self) -> str:
        """The database's URL, by default a SQLite file in the data directory."""
        return self.database_url or f"sqlite:///{self.data_dir / 'liangzheng.db'}"

    @property
    def rate_policies(self) -> Mapping[str, RateLimitItem]:
        """The limits that hold, by the name that `RateLimit-Policy` says."""
        texts = {"client": self.rate_limit_client, "wallet": self.rate_limit_wallet, "address": self.rate_limit_address}
        return {name: parse(text) for name, text in texts.items() if text}

    @property
    def url_path(self) -> str:
        """The path part of the public URL, under which everything is served: `""` or `/path`."""
        return urlsplit(self.public_url).path

    @property
    def url_origin(self) -> str:
        """Scheme, host and port of the public URL."""
        url = urlsplit(self.public_url)
        return f"{url.scheme}://{url.netloc}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
