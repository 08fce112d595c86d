"""The deployment's secrets: from the settings, or, in the embedded mode, made once and kept in the data directory."""

import base64
import binascii
import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from wallet_api.protection import KEY_BYTES, DataProtector
from wallet_api.settings import SECRET_SETTINGS, Settings

_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,32}")


class SecretsInvalid(Exception):
    """A secret is missing or out of form; the message names the setting and never its value.

    Attributes:
        setting: the setting or file at fault.
    """

    code = "secrets_invalid"

    def __init__(self, setting: str, problem: str) -> None:
        self.setting = setting
        super().__init__(f"{setting} {problem}")


@dataclass(frozen=True)
class Secrets:
    """Keys in raw bytes."""

    protector: DataProtector
    nonce_key: bytes
    key_passphrase: bytes

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Read the secrets; in the embedded mode those not set are made and kept in `DATA_DIR/secrets.json`.

        Raises:
            SecretsInvalid: one is missing or out of form.
        """
        texts = read_secrets(settings)
        keys = _keys_by_id(texts["encryption_keys"])
        return cls(
            protector=DataProtector(
                keys, active=next(iter(keys)), blind_index_key=_key(texts["blind_index_key"], "BLIND_INDEX_KEY")
            ),
            nonce_key=_key(texts["nonce_key"], "NONCE_KEY"),
            key_passphrase=texts["key_passphrase"].encode(),
        )


def read_secrets(settings: Settings) -> Mapping[str, str]:
    """The texts of `SECRET_SETTINGS`, each in form. In the embedded mode those not set are made, as `Secrets.of` says.

    Raises:
        SecretsInvalid: one is missing or out of form.
    """
    texts = {name: value.get_secret_value() for name in SECRET_SETTINGS if (value := getattr(settings, name))}
    if settings.deployment == "embedded" and len(texts) < len(SECRET_SETTINGS):
        texts = _embedded(settings.data_dir / "secrets.json") | texts
    missing = [name.upper() for name in SECRET_SETTINGS if not texts.get(name)]
    if missing:
        raise SecretsInvalid(", ".join(missing), "must be set")
    _keys_by_id(texts["encryption_keys"])
    for name in ("blind_index_key", "nonce_key"):
        _key(texts[name], name.upper())
    return texts


def _embedded(path: Path) -> dict[str, str]:
    """Read the file, or make it: linked into place whole, so that two starting processes agree on one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        made = {name: _made_key() for name in SECRET_SETTINGS}
        made["encryption_keys"] = f"embedded-1:{made['encryption_keys']}"
        draft = path.with_name(f".secrets.{secrets.token_hex(8)}")
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            json.dump(made, file, indent=2)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first; its secrets count
        finally:
            draft.unlink()
    try:
        stored: object = json.loads(path.read_text())
    except ValueError as error:
        raise _damaged(path) from error
    if not isinstance(stored, dict) or not all(isinstance(text, str) for text in stored.values()):
        raise _damaged(path)
    return stored


def _damaged(path: Path) -> SecretsInvalid:
    return SecretsInvalid(str(path), "is damaged; restore it, or nothing that it sealed can be read again")


def _made_key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _keys_by_id(text: str) -> dict[str, bytes]:
    pairs = [part.strip().partition(":") for part in text.split(",") if part.strip()]
    if not pairs or not all(colon and _KEY_ID.fullmatch(key_id) for key_id, colon, _ in pairs):
        raise SecretsInvalid("ENCRYPTION_KEYS", "is id:base64[,id:base64]; an id is 1 to 32 of A-Z a-z 0-9 . _ -")
    if len({key_id for key_id, _, _ in pairs}) != len(pairs):
        raise SecretsInvalid("ENCRYPTION_KEYS", "names one id twice; which key is meant cannot be known")
    return {key_id: _key(value, "ENCRYPTION_KEYS") for key_id, _, value in pairs}


def _key(text: str, setting: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SecretsInvalid(setting, "is not base64") from error
    if len(key) != KEY_BYTES:
        raise SecretsInvalid(setting, f"has {KEY_BYTES} bytes in base64; make one with: openssl rand -base64 32")
    return key
