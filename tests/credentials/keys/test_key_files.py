"""Key files: private, whole, and clear about what is wrong with them."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from credentials.keys.errors import KeyFileMissing, KeyFileUnreadable, PassphraseTooShort
from credentials.keys.key_files import KeyFiles
from tests.credentials.keys.requests import PASSPHRASE

NAME = "pass-0011223344556677"
KEY = ec.generate_private_key(ec.SECP256R1())


def test_a_key_comes_back(tmp_path: Path) -> None:
    files = KeyFiles(tmp_path / "keys", PASSPHRASE)
    assert files.read(files.write(NAME, KEY)).private_numbers() == KEY.private_numbers()


def test_key_files_are_encrypted_and_readable_by_their_owner_only(tmp_path: Path) -> None:
    directory = tmp_path / "keys"
    directory.mkdir(mode=0o755)
    KeyFiles(directory, PASSPHRASE).write(NAME, KEY)
    (file,) = directory.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert directory.stat().st_mode & 0o777 == 0o700
    assert file.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.pem").mkdir()
    with pytest.raises(OSError, match="directory"):
        KeyFiles(tmp_path, PASSPHRASE).write(NAME, KEY)
    assert [path.name for path in tmp_path.iterdir()] == [f"{NAME}.pem"]


def test_a_wrong_passphrase_says_what_to_do(tmp_path: Path) -> None:
    reference = KeyFiles(tmp_path, PASSPHRASE).write(NAME, KEY)
    with pytest.raises(KeyFileUnreadable, match="configure that one again"):
        KeyFiles(tmp_path, b"another long passphrase").read(reference)


def test_a_short_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PassphraseTooShort):
        KeyFiles(tmp_path, b"fifteen bytes..")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a key",
        KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        ed25519.Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSPHRASE)
        ),
        ec.generate_private_key(ec.SECP384R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSPHRASE)
        ),
    ],
    ids=["empty", "garbage", "not encrypted", "Ed25519", "another curve"],
)
def test_a_file_that_is_no_encrypted_p256_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / f"{NAME}.pem").write_bytes(content)
    with pytest.raises(KeyFileUnreadable):
        KeyFiles(tmp_path, PASSPHRASE).read(f"file:{NAME}.pem")


@pytest.mark.parametrize(
    "reference", [f"file:{NAME}.pem", "pkcs11:label=x", "file:../secret.pem", f"file:a/../{NAME}.pem", ""]
)
def test_a_file_that_is_not_there_is_missed(tmp_path: Path, reference: str) -> None:
    with pytest.raises(KeyFileMissing):
        KeyFiles(tmp_path, PASSPHRASE).read(reference)
