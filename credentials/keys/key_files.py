"""Private keys as encrypted PKCS#8 files (RFC 5958) in one directory, readable by their owner only.

The key derivation inside the files is light (PBKDF2, 2048 rounds): it does not make up for a weak passphrase, so
give a random one, `openssl rand -base64 32`.
"""

import os
import re
import secrets
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from credentials.keys.errors import KeyFileMissing, KeyFileUnreadable, PassphraseTooShort
from credentials.keys.models import KeyPurpose

MIN_PASSPHRASE_BYTES = 16  # 96 random bits as base64
_REFERENCE = re.compile(r"file:([a-z-]+-[0-9a-f]{16}\.pem)")


class KeyFiles:
    """The directory of key files. Every method does file I/O: call it from a thread.

    Args:
        directory: made if it does not exist; no other user can look into it afterwards.
        passphrase: encrypts every file; at least 16 bytes.

    Raises:
        PassphraseTooShort: the passphrase has fewer than 16 bytes.
    """

    def __init__(self, directory: Path, passphrase: bytes) -> None:
        if len(passphrase) < MIN_PASSPHRASE_BYTES:
            raise PassphraseTooShort("the passphrase of the key files needs 16 bytes or more, chosen at random")
        self._directory = directory
        self._passphrase = passphrase

    def generate(self, purpose: KeyPurpose) -> tuple[str, EllipticCurvePrivateKey]:
        """Make a key in a new file."""
        private_key = generate_private_key(SECP256R1())
        return self.write(f"{purpose.value}-{secrets.token_hex(8)}", private_key), private_key

    def write(self, name: str, key: EllipticCurvePrivateKey) -> str:
        """Store a key under a new name (`<purpose>-<16 hex digits>`) and give the reference to find it again.

        The file appears whole or not at all, and is on the disk when this returns.
        """
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(self._passphrase))
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory.chmod(0o700)
        temporary = self._directory / f".{name}.{secrets.token_hex(8)}"
        try:
            _write_durably(temporary, pem)
            temporary.rename(self._directory / f"{name}.pem")
        finally:
            temporary.unlink(missing_ok=True)
        _sync_directory(self._directory)
        return f"file:{name}.pem"

    def read(self, reference: str) -> EllipticCurvePrivateKey:
        """Open a key.

        Raises:
            KeyFileMissing: there is no such file, or the reference is not to a file.
            KeyFileUnreadable: the passphrase is another one, or the file is damaged or no P-256 key.
        """
        path = self._path(reference)
        try:
            pem = path.read_bytes()
        except OSError as error:
            raise KeyFileMissing(
                f"the key file {path.name} cannot be read from the key directory: mount the directory that was"
                " used when the key was made, or restore the file from its backup"
            ) from error
        try:
            key = load_pem_private_key(pem, self._passphrase)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeyFileUnreadable(
                f"the key file {path.name} does not open: either the passphrase is not the one it was written with"
                " (configure that one again) or the file is damaged (restore it from its backup)"
            ) from error
        if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
            raise KeyFileUnreadable(f"the key file {path.name} does not hold a P-256 key")
        return key

    def remove(self, reference: str) -> None:
        """Remove a key that nothing refers to; one that is not there is no error."""
        self._path(reference).unlink(missing_ok=True)

    def _path(self, reference: str) -> Path:
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            raise KeyFileMissing(
                "the key is not kept in a file but in a token: set PKCS11_MODULE, PKCS11_TOKEN and PKCS11_PIN"
            )
        return self._directory / match[1]


def _write_durably(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
