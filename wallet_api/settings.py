"""The one place that reads the environment (and `.env`)."""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from cryptography import x509
from limits import RateLimitItem, parse
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from credentials.keys import KeyPurpose
from notifications import QuietHours

SECRET_SETTINGS = ("encryption_keys", "blind_index_key", "nonce_key", "key_passphrase")


_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{1,63}")  # RFC 3986 §3.1
_REPORT_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,128}")  # it stands in a URL as it is, and is all that a forger lacks
_BROWSERS_OWN = frozenset({"about", "blob", "data", "file", "ftp", "http", "https", "javascript", "vbscript"})


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
        key_attestation_anchors: a PEM file of whom to trust to attest wallets' keys; without it nobody is.
        key_attestation_required: refuse keys without such an attestation, whatever their licence type says.
        pkcs11_module, pkcs11_token, pkcs11_pin: the vendor's library, the token's label and its user PIN, all or none;
            then new keys of the purposes `pkcs11_purposes` (`credential,status`; by default all) are made in there.
        embedded_worker: whether the serving process runs the timers as well; else run `liangzheng worker`.
        oidc_issuer: the city's OpenID Connect provider; left out, the embedded mode signs in with its own demo
            provider, and a production deployment gives credentials by pre-authorized code only.
        oidc_client_secret, oidc_client_key: one of them: a secret, or the PEM file of a P-256 key (`private_key_jwt`).
        oidc_id_number_claim, oidc_id_number_type: the claim with the person's identity number, and what number it is
            (GB/T 36903 appendix A).
        wallet_attester_anchors, wallet_attester_keys: PEM file of certificates, JWK Set file: wallet providers that are
            trusted. With neither, no client attestation is.
        wallet_attestation_required: whether wallets must authenticate with a client attestation.
        wallet_challenge_required, dpop_nonce_required: whether proofs must carry a challenge or nonce of ours.
        wallet_redirect_schemes: comma-separated schemes of wallets' redirect URIs that are taken although they are no
            reversed domain name; by default that of the EU reference wallet.
        remind_every_s: 0 leaves reminding to `liangzheng remind`.
        fcm_service_account: the key file of a Google service account that may send by Firebase Cloud Messaging.
        vapid_key: PEM file of the P-256 key by which push services know us; the embedded mode makes one itself.
        vapid_subject: where push services reach the operator, `mailto:` or `https:`; by default the public URL.
        web_push_services: comma-separated hosts of push services that may be called, with a dot in front everything
            below; by default those of the browsers' makers.
        sms_providers: `aliyun`, `smpp` or both, in the order in which they are asked.
        smpp_url: `smpp://system_id:password@host:2775`, `smpps://` for TLS.
        smpp_source: what the holder sees as the sender.
        aliyun_templates: JSON, kind of message → code of the approved template, `*` for all others.
        aliyun_report_token: the secret last part of the URL to which Aliyun posts delivery reports, 32 to 128 of
            `A-Z a-z 0-9 _ -`; without it none are taken.
        push_per_second, sms_per_second: what each provider is given at most, by all workers together.
        push_wait_s: how long a push may stay without a receipt before an SMS goes out.
        quiet_hours: the Shanghai hours in which push and SMS wait unless they are urgent; empty: none.
        message_texts_kept_days: after so long the texts of closed messages are erased from the outbox.
        rate_limit_client: calls of one registered machine, `6000/minute` in the grammar of `limits`; empty: no limit.
        rate_limit_wallet: calls under one wallet's grant.
        rate_limit_address: calls from one address at the endpoints that a stranger may use.
        metrics_token: bearer token of whoever reads `/metrics`; without it only this machine itself may.
    """

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True)

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
    key_attestation_anchors: Path | None = None
    key_attestation_required: bool = False
    pkcs11_module: Path | None = None
    pkcs11_token: str = ""
    pkcs11_pin: SecretStr | None = None
    pkcs11_purposes: Annotated[tuple[KeyPurpose, ...], NoDecode] = tuple(KeyPurpose)
    embedded_worker: bool = True
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: SecretStr | None = None
    oidc_client_key: Path | None = None
    oidc_scope: str = "openid"
    oidc_id_number_claim: str = "id_number"
    oidc_id_number_type: str = "111"
    wallet_attester_anchors: Path | None = None
    wallet_attester_keys: Path | None = None
    wallet_attestation_required: bool = False
    wallet_challenge_required: bool = False
    dpop_nonce_required: bool = False
    wallet_redirect_schemes: str = "eudi-openid4ci"
    fcm_service_account: Path | None = None
    vapid_key: Path | None = None
    vapid_subject: str = ""
    web_push_services: str = ""
    sms_providers: str = ""
    smpp_url: SecretStr | None = None
    smpp_source: str = Field(default="", max_length=20, pattern=r"^[0-9]*$|^[A-Za-z0-9]{1,11}$")
    smpp_system_type: str = Field(default="", max_length=12)
    aliyun_access_key_id: str = ""
    aliyun_access_key_secret: SecretStr | None = None
    aliyun_sign_name: str = ""
    aliyun_templates: dict[str, str] = Field(default_factory=dict)
    aliyun_report_token: SecretStr | None = None
    push_per_second: int | None = Field(default=None, ge=1)
    sms_per_second: int | None = Field(default=None, ge=1)
    push_wait_s: int = Field(default=600, ge=0)
    remind_every_s: int = Field(default=60, ge=0)
    quiet_hours: str = "21:00-08:00"
    message_texts_kept_days: int = Field(default=90, ge=1)
    rate_limit_client: str = "60000/minute"  # a whole city's history row by row; batches count as one
    rate_limit_wallet: str = "600/minute"  # a week of passes and a credential of each kind is some thirty calls
    rate_limit_address: str = "6000/minute"  # many households share one address of a mobile carrier
    metrics_token: SecretStr | None = None

    @field_validator("pkcs11_purposes", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("public_url")
    @classmethod
    def _normal_url(cls, value: str) -> str:
        url = urlsplit(value.strip().rstrip("/"))
        _ = url.port  # ValueError: not a port
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment or url.username:
            raise ValueError("PUBLIC_URL is https://host[:port][/path], without query, fragment or user")
        if not value.isascii():  # it stands in certificates, headers and QR codes
            raise ValueError("PUBLIC_URL is ASCII: write an international host name in its xn-- form")
        if url.scheme == "http" and not _is_loopback(url.hostname):
            raise ValueError("PUBLIC_URL must be https:// except on this machine itself")
        return url.geturl()

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        try:
            backend = make_url(value).get_backend_name() if value else "sqlite"
        except (ArgumentError, ValueError):
            backend = ""
        if backend not in ("sqlite", "postgresql"):  # the value is not repeated: it may hold a password
            raise ValueError("DATABASE_URL is sqlite:///file or postgresql://user:password@host:port/database")
        return value

    @field_validator("rate_limit_client", "rate_limit_wallet", "rate_limit_address")
    @classmethod
    def _known_limit(cls, value: str) -> str:
        if value.strip():
            parse(value)  # ValueError: not in the grammar
        return value.strip()

    @field_validator("quiet_hours")
    @classmethod
    def _known_hours(cls, value: str) -> str:
        QuietHours.parse(value.strip())  # ValueError: not of the form
        return value.strip()

    @field_validator("key_attestation_anchors")
    @classmethod
    def _readable_anchors(cls, value: Path | None) -> Path | None:
        _certificates(value)
        return value

    @property
    def key_attesters(self) -> tuple[x509.Certificate, ...]:
        """Whom to trust to attest wallets' keys."""
        return _certificates(self.key_attestation_anchors)

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

    @model_validator(mode="after")
    def _whole_token(self) -> Self:
        given = [self.pkcs11_module is not None, bool(self.pkcs11_token), self.pkcs11_pin is not None]
        if any(given) and not all(given):
            raise ValueError("a token needs all of PKCS11_MODULE, PKCS11_TOKEN and PKCS11_PIN")
        return self

    @field_validator("aliyun_report_token")
    @classmethod
    def _hard_to_guess(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _REPORT_TOKEN.fullmatch(value.get_secret_value()):
            raise ValueError("ALIYUN_REPORT_TOKEN is 32 to 128 of A-Z a-z 0-9 _ -: openssl rand -hex 32")
        return value

    @field_validator("vapid_subject")
    @classmethod
    def _reachable(cls, value: str) -> str:
        if value and not value.startswith(("mailto:", "https://")):
            raise ValueError("VAPID_SUBJECT is mailto:… or https://…")
        return value

    @model_validator(mode="after")
    def _can_send_sms(self) -> Self:
        unknown = set(self.sms_order) - {"aliyun", "smpp"}
        if unknown or len(set(self.sms_order)) < len(self.sms_order):
            raise ValueError("SMS_PROVIDERS lists aliyun and smpp, each once")
        if "smpp" in self.sms_order:
            url = urlsplit(self.smpp_url.get_secret_value() if self.smpp_url else "")
            if url.scheme not in ("smpp", "smpps") or not url.hostname or not url.username or url.path.strip("/"):
                raise ValueError("SMPP_URL is smpp://system_id:password@host:2775")
            _ = url.port  # ValueError: not a port
        if "aliyun" in self.sms_order and not (
            self.aliyun_access_key_id
            and self.aliyun_access_key_secret
            and self.aliyun_sign_name
            and self.aliyun_templates
        ):
            raise ValueError(
                "SMS by aliyun wants ALIYUN_ACCESS_KEY_ID, ALIYUN_ACCESS_KEY_SECRET, ALIYUN_SIGN_NAME, ALIYUN_TEMPLATES"
            )
        return self

    @model_validator(mode="after")
    def _can_sign_in(self) -> Self:
        if self.oidc_issuer:
            issuer = urlsplit(self.oidc_issuer)
            if issuer.scheme != "https" and not (issuer.scheme == "http" and _is_loopback(issuer.hostname or "")):
                raise ValueError("OIDC_ISSUER must be https:// except on this machine itself")
            if not self.oidc_client_id or (self.oidc_client_secret is None) == (self.oidc_client_key is None):
                raise ValueError("OIDC_ISSUER wants OIDC_CLIENT_ID, and one of OIDC_CLIENT_SECRET and OIDC_CLIENT_KEY")
        if self.wallet_attestation_required and not (self.wallet_attester_anchors or self.wallet_attester_keys):
            raise ValueError("WALLET_ATTESTATION_REQUIRED wants WALLET_ATTESTER_ANCHORS or WALLET_ATTESTER_KEYS")
        return self

    @property
    def sms_order(self) -> tuple[str, ...]:
        """`sms_providers`, read."""
        return tuple(name.strip() for name in self.sms_providers.split(",") if name.strip())

    @property
    def push_services(self) -> tuple[str, ...]:
        """`web_push_services`, read."""
        return tuple(host.strip().lower() for host in self.web_push_services.split(",") if host.strip())

    @property
    def quiet(self) -> QuietHours | None:
        """`quiet_hours`, read."""
        return QuietHours.parse(self.quiet_hours)

    @property
    def signs_in(self) -> bool:
        """Whether holders can sign in: at the city's provider, or at the demo provider of the embedded mode."""
        return bool(self.oidc_issuer) or self.deployment == "embedded"

    @property
    def database(self) -> str:
        """The database's URL, by default a SQLite file in the data directory."""
        return self.database_url or f"sqlite:///{self.data_dir / 'liangzheng.db'}"

    @property
    def rate_policies(self) -> Mapping[str, RateLimitItem]:
        """The limits that hold, by the name that `RateLimit-Policy` says."""
        texts = {"client": self.rate_limit_client, "wallet": self.rate_limit_wallet, "address": self.rate_limit_address}
        return {name: parse(text) for name, text in texts.items() if text}

    @field_validator("wallet_redirect_schemes")
    @classmethod
    def _schemes(cls, value: str) -> str:
        for scheme in filter(None, value.split(",")):
            if not _SCHEME.fullmatch(scheme) or scheme in _BROWSERS_OWN:
                raise ValueError("WALLET_REDIRECT_SCHEMES lists schemes of apps, as eudi-openid4ci")
        return value

    @property
    def app_schemes(self) -> frozenset[str]:
        """The schemes of `wallet_redirect_schemes`."""
        return frozenset(filter(None, self.wallet_redirect_schemes.split(",")))

    @property
    def url_path(self) -> str:
        """The path part of the public URL, under which everything is served: `""` or `/path`."""
        return urlsplit(self.public_url).path

    @property
    def url_origin(self) -> str:
        """Scheme, host and port of the public URL."""
        url = urlsplit(self.public_url)
        return f"{url.scheme}://{url.netloc}"


def _certificates(file: Path | None) -> tuple[x509.Certificate, ...]:
    if file is None:
        return ()
    try:
        return tuple(x509.load_pem_x509_certificates(file.read_bytes()))
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} holds no certificates in PEM") from error


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
