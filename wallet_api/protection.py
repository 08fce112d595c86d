"""Personal data at rest: AES-256-GCM under named keys, and keyed blind indexes to find it again.

    protector = DataProtector({"k1": key}, active="k1", blind_index_key=other_key)
    sealed = protector.seal(b"...", context="holder.code:01J...")
    protector.open(sealed, context="holder.code:01J...")

Wire form: 1 byte length of the key id, key id (ASCII), 12 bytes nonce, ciphertext and tag. The context is the
associated data: a value copied to another row or column does not open.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12
KEY_BYTES = 32


class ProtectionError(Exception):
    """A sealed value cannot be opened: unknown key, damage, or a foreign context."""

    code = "sealed_value_unreadable"


class DataProtector:
    """Seals, opens and indexes personal data.

    Args:
        keys: key id (1 to 32 ASCII characters) to 32 raw bytes; all of them open, only `active` seals.
        active: the id of the key that new values are sealed under.
        blind_index_key: 32 raw bytes. It cannot rotate: some of what it indexed is kept nowhere else (rows' digests),
            and sealed values are bound to indexes (holders).

    Attributes:
        active: the id of the key that seals.
        key_ids: the ids of all keys, the active one first.
    """

    def __init__(self, keys: Mapping[str, bytes], *, active: str, blind_index_key: bytes) -> None:
        if active not in keys:
            raise ValueError("the active key is not among the keys")
        if any(len(key) != KEY_BYTES for key in (*keys.values(), blind_index_key)):
            raise ValueError("keys are 32 bytes")
        if any(not (0 < len(key_id) <= 32 and key_id.isascii()) for key_id in keys):
            raise ValueError("key ids are 1 to 32 ASCII characters")
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.active = active
        self.key_ids = (active, *(key_id for key_id in keys if key_id != active))
        self._prefix = self.prefix(active)
        self._index = hmac.new(blind_index_key, digestmod=hashlib.sha256)

    def seal(self, plaintext: bytes, context: str) -> bytes:
        """Encrypt under the active key, bound to `context` (`table.column:row id`)."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return self._prefix + nonce + self._ciphers[self.active].encrypt(nonce, plaintext, context.encode())

    def prefix(self, key_id: str) -> bytes:
        """What every value that is sealed under this key begins with, and no value under another."""
        return bytes([len(key_id)]) + key_id.encode()

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypt what `seal` gave for the same context.

        Raises:
            ProtectionError: the key is unknown, the value is damaged or belongs elsewhere.
        """
        end = 1 + sealed[0] if sealed else 0
        cipher = self._ciphers.get(sealed[1:end].decode("ascii", "replace"))
        if cipher is None:
            raise ProtectionError("sealed under a key that is not configured")
        try:
            return cipher.decrypt(sealed[end : end + NONCE_BYTES], sealed[end + NONCE_BYTES :], context.encode())
        except (InvalidTag, ValueError) as error:
            raise ProtectionError("damaged, or sealed for another place") from error

    def blind_index(self, purpose: str, value: str) -> bytes:
        """32 bytes that are equal for equal (purpose, value) and say nothing without the key."""
        mac = self._index.copy()  # keyed once: preparing the key takes longer than hashing a short value
        mac.update(f"{purpose}\x00{value}".encode())
        return mac.digest()
