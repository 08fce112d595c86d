"""The deployment's secrets: from the settings, or, in the embedded mode, made once and kept in the data directory."""

import base64
import binascii
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from wallet_api.protection import KEY_BYTES, DataProtector
from wallet_api.settings import SECRET_SETTINGS, Settings


class SecretsInvalid(Exception):
    """A secret is missing or out of form; the message names the setting and never its value."""

    code = "secrets_invalid"


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
        texts = {name: value.get_secret_value() for name in SECRET_SETTINGS if (value := getattr(settings, name))}
        if settings.deployment == "embedded" and len(texts) < len(SECRET_SETTINGS):
            texts = _embedded(settings.data_dir / "secrets.json") | texts
        missing = [name.upper() for name in SECRET_SETTINGS if name not in texts]
        if missing:
            raise SecretsInvalid(f"set {', '.join(missing)}")
        keys = _keys_by_id(texts["encryption_keys"])
        return cls(
            protector=DataProtector(
                keys, active=next(iter(keys)), blind_index_key=_key(texts["blind_index_key"], "BLIND_INDEX_KEY")
            ),
            nonce_key=_key(texts["nonce_key"], "NONCE_KEY"),
            key_passphrase=texts["key_passphrase"].encode(),
        )


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
        stored: dict[str, str] = json.loads(path.read_text())
    except ValueError as error:
        raise SecretsInvalid(f"{path} is damaged; restore it, or nothing that it sealed can be read again") from error
    return stored


def _made_key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _keys_by_id(text: str) -> dict[str, bytes]:
    pairs = [part.strip().partition(":") for part in text.split(",") if part.strip()]
    if not pairs or not all(key_id and colon for key_id, colon, _ in pairs):
        raise SecretsInvalid("ENCRYPTION_KEYS is id:base64[,id:base64]")
    return {key_id: _key(value, "ENCRYPTION_KEYS") for key_id, _, value in pairs}


def _key(text: str, setting: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SecretsInvalid(f"{setting} is not base64") from error
    if len(key) != KEY_BYTES:
        raise SecretsInvalid(f"{setting} has {KEY_BYTES} bytes in base64; make one with: openssl rand -base64 32")
    return key
