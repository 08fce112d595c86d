"""What `liangzheng check-config` says of a deployment: each finding with what is wrong and how to mend it.

Nothing is changed, and no finding carries a value of a secret. The store is looked at by `configuration_store.py`.
"""

import base64
import difflib
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import ValidationError
from sqlalchemy.engine import make_url

from credentials.catalogue import Catalogue
from credentials.catalogue.errors import PackError
from wallet_api.deployment_secrets import SecretsInvalid, read_secrets
from wallet_api.settings import SECRET_SETTINGS, Settings

ENV_FILE = Path(".env")
LEAST_DISTINCT = 12  # bytes of a key: 32 random ones have 30 different values, fewer than 12 once in 10^20 keys
LEAST_PASSPHRASE = 16  # bytes, as the key files ask for


class Severity(StrEnum):
    """How bad it is: an error stops the platform or endangers it, a warning will, a note is to be known."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        subject: the setting, file or part that it is about.
        mend: what to do about it.
    """

    severity: Severity
    subject: str
    problem: str
    mend: str


def read_settings() -> tuple[Settings | None, Sequence[Finding]]:
    """The settings of the environment and `.env`, or what is wrong with them."""
    try:
        return Settings(), ()
    except ValidationError as error:
        return None, [_wrong_setting(".".join(map(str, one["loc"])), one["msg"]) for one in error.errors()]
    except (OSError, UnicodeDecodeError):
        problem = "cannot be read as text in UTF-8"
        return None, [Finding(Severity.ERROR, str(ENV_FILE), problem, "make it a readable text file, or remove it")]


def check_settings(settings: Settings) -> Iterator[Finding]:
    """What can be said without opening anything but files."""
    yield from _check_mode(settings)
    yield from _check_env_file(settings)
    yield from _check_public_url(settings)
    yield from _check_secrets(settings)
    yield from _check_data_dir(settings)
    yield from check_packs()


def will_make_secrets(settings: Settings) -> bool:
    """Whether the next start makes secrets of its own."""
    complete = all(getattr(settings, name) is not None for name in SECRET_SETTINGS)
    made = (settings.data_dir / "secrets.json").exists()
    return settings.deployment == "embedded" and not complete and not made


def is_new(settings: Settings) -> bool:
    """Whether this deployment was never started: looking at its store would begin to make it."""
    url = make_url(settings.database)
    no_file = url.get_backend_name() == "sqlite" and not Path(url.database or "").exists()
    return no_file or will_make_secrets(settings)


def check_packs() -> Iterator[Finding]:
    """Whether the type packs load."""
    try:
        Catalogue.default()
    except PackError as error:
        yield Finding(Severity.ERROR, "type packs", str(error), "correct the pack at this place (PACKS.md)")


def _wrong_setting(setting: str, message: str) -> Finding:
    subject = setting.upper() or "settings"
    problem = message.removeprefix("Value error, ")
    return Finding(Severity.ERROR, subject, problem, "correct it in the environment or in .env")


def _check_mode(settings: Settings) -> Iterator[Finding]:
    if settings.deployment == "production":
        return
    yield Finding(
        Severity.NOTE,
        "DEPLOYMENT",
        "this is the embedded mode, for trying things out: its secrets are made by itself and lie beside the data",
        "for people's licences set DEPLOYMENT=production, which wants every secret to be given",
    )
    if urlsplit(settings.public_url).scheme == "https":
        yield Finding(
            Severity.WARNING,
            "DEPLOYMENT",
            "the embedded mode has a public address, and its demo sign-in lets anybody be anybody",
            "set DEPLOYMENT=production before real licences come in",
        )


def _check_env_file(settings: Settings) -> Iterator[Finding]:
    if not ENV_FILE.is_file():
        return
    given = [name for name in dotenv_values(ENV_FILE) if name]
    known = [name.upper() for name in Settings.model_fields]
    for name in given:
        if name.upper() not in known:
            near = difflib.get_close_matches(name.upper(), known, 1)
            mend = f"is {near[0]} meant?" if near else "remove it, or see the README for the settings there are"
            yield Finding(Severity.WARNING, name[:64], "in .env, but no setting has this name", mend)
    secret = {setting.upper() for setting in SECRET_SETTINGS} & {name.upper() for name in given}
    if secret:
        yield from _check_private(ENV_FILE, settings)


def _check_public_url(settings: Settings) -> Iterator[Finding]:
    host = urlsplit(settings.public_url).hostname or ""
    mend = "give the name that phones and inspectors reach the platform by, as https://wallet.example.gov.cn"
    try:
        address = ip_address(host)
    except ValueError:
        if settings.deployment == "production" and (host == "localhost" or "." not in host):
            yield Finding(Severity.ERROR, "PUBLIC_URL", "nobody outside this machine knows this host", mend)
        return
    if settings.deployment == "production":
        severity = Severity.ERROR if address.is_loopback else Severity.WARNING
        yield Finding(severity, "PUBLIC_URL", "is an address, not a name; every credential will carry it", mend)


def _check_secrets(settings: Settings) -> Iterator[Finding]:
    if will_make_secrets(settings):
        yield Finding(Severity.NOTE, "secrets", "not made yet", "the first start makes them")
        return
    try:
        texts = read_secrets(settings)
    except SecretsInvalid as error:
        yield Finding(Severity.ERROR, error.setting, str(error), "make a key with: openssl rand -base64 32")
        return
    yield from _check_strength(texts)


def _check_strength(texts: Mapping[str, str]) -> Iterator[Finding]:
    keys = [("BLIND_INDEX_KEY", texts["blind_index_key"]), ("NONCE_KEY", texts["nonce_key"])]
    for pair in texts["encryption_keys"].split(","):
        if pair.strip():
            key_id, _, text = pair.strip().partition(":")
            keys.append((f"ENCRYPTION_KEYS ({key_id})", text))
    seen: dict[bytes, str] = {}
    for subject, key in [(subject, base64.b64decode(text)) for subject, text in keys]:
        if len(set(key)) < LEAST_DISTINCT or key.isascii():
            yield Finding(Severity.ERROR, subject, "was not made at random", "make one with: openssl rand -base64 32")
        if key in seen:
            yield Finding(Severity.ERROR, subject, f"is the same key as {seen[key]}", "give each its own key")
        seen.setdefault(key, subject)
    passphrase = texts["key_passphrase"].encode()
    if len(passphrase) < LEAST_PASSPHRASE or len(set(passphrase)) < LEAST_PASSPHRASE // 2:
        problem = f"is too weak: at least {LEAST_PASSPHRASE} bytes, at random"
        yield Finding(Severity.ERROR, "KEY_PASSPHRASE", problem, "make one with: openssl rand -base64 32")


def _check_data_dir(settings: Settings) -> Iterator[Finding]:
    directory = settings.data_dir
    if not directory.exists():
        yield Finding(Severity.NOTE, "DATA_DIR", f"{directory} is not there yet", "the first start makes it")
        return
    if not directory.is_dir():
        yield Finding(Severity.ERROR, "DATA_DIR", f"{directory} is not a directory", "name a directory")
        return
    for path in (directory, directory / "keys", directory / "secrets.json"):
        if path.exists():
            yield from _check_private(path, settings)


def _check_private(path: Path, settings: Settings) -> Iterator[Finding]:
    mode = path.stat().st_mode
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        severity = Severity.ERROR if settings.deployment == "production" else Severity.WARNING
        right = "700" if path.is_dir() else "600"
        yield Finding(severity, str(path), "others on this machine may enter or read it", f"chmod {right} {path}")
