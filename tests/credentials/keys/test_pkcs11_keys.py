"""Keys in a token: made inside, never read out, and clear about what is wrong with it. SoftHSM is real."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pkcs11 import Attribute, KeyType, MechanismFlag

from credentials.keys import KeyFiles, KeyPurpose, KeyService, KeyStores
from credentials.keys.errors import (
    KeyFileMissing,
    KeyUnfit,
    TokenKeyMissing,
    TokenMisconfigured,
    TokenPinRefused,
    TokenUnavailable,
)
from credentials.keys.pkcs11_keys import Pkcs11Keys
from credentials.keys.signers import prove
from tests.credentials.keys.requests import PASSPHRASE, URL, WANTED
from tests.credentials.keys.softhsm import LABEL, PIN, token
from tests.fakes import FakeClock
from wallet_api.database import Database

__all__ = ["token"]

ES256 = ec.ECDSA(hashes.SHA256())
P256 = bytes.fromhex("06082a8648ce3d030107")
P384 = bytes.fromhex("06052b81040022")


@pytest.fixture
def keys(token: Path) -> Iterator[Pkcs11Keys]:
    keys = Pkcs11Keys(token, LABEL, PIN)
    yield keys
    keys.close()


def made_elsewhere(token: Path, name: str, curve: bytes = P256, **private: Any) -> str:
    """A key pair that another program made in the token, with attributes of its own choice."""
    with pkcs11.lib(str(token)).get_token(token_label=LABEL).open(rw=True, user_pin=PIN) as session:
        parameters = session.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: curve}, local=True)
        parameters.generate_keypair(
            store=True,
            label=name,
            id=sha256(name.encode()).digest(),
            capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
            private_template={Attribute[attribute.upper()]: value for attribute, value in private.items()},
        )
    return f"pkcs11:{name}"


def test_a_key_signs_and_is_found_again(keys: Pkcs11Keys, token: Path) -> None:
    reference, made = keys.generate(KeyPurpose.PASS)
    assert reference.startswith("pkcs11:pass-")
    found = keys.read(reference)
    for key in (made, found):
        made.public_key().verify(key.sign(b"message", ES256), b"message", ES256)
    assert found.public_key().public_numbers() == made.public_key().public_numbers()
    assert (found.curve.name, found.key_size) == ("secp256r1", 256)


def test_a_key_cannot_be_read_out(keys: Pkcs11Keys, token: Path) -> None:
    reference, key = keys.generate(KeyPurpose.PASS)
    with pytest.raises(NotImplementedError):
        key.private_numbers()
    with pytest.raises(NotImplementedError):
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    keys.close()
    with pkcs11.lib(str(token)).get_token(token_label=LABEL).open(user_pin=PIN) as session:
        (inside,) = session.get_objects(
            {Attribute.LABEL: reference.removeprefix("pkcs11:"), Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY}
        )
        with pytest.raises(pkcs11.AttributeSensitive):
            inside[Attribute.VALUE]


def test_only_es256_is_signed(keys: Pkcs11Keys) -> None:
    _, key = keys.generate(KeyPurpose.PASS)
    with pytest.raises(NotImplementedError):
        key.sign(b"message", ec.ECDSA(hashes.SHA384()))


@pytest.mark.parametrize(
    ("name", "attributes", "says"),
    [
        ("extractable", {"extractable": True}, "EXTRACTABLE"),
        ("not sensitive", {"sensitive": False}, "SENSITIVE"),
        ("also decrypts", {"decrypt": True}, "DECRYPT"),
        ("does not sign", {"sign": False}, "SIGN"),
    ],
)
def test_a_key_with_wrong_attributes_is_refused(
    token: Path, keys: Pkcs11Keys, name: str, attributes: dict[str, bool], says: str
) -> None:
    reference = made_elsewhere(token, f"unfit {name}", **attributes)
    with pytest.raises(KeyUnfit, match=says):
        keys.read(reference)
    keys.remove(reference)


def test_a_key_on_another_curve_is_refused(token: Path, keys: Pkcs11Keys) -> None:
    reference = made_elsewhere(token, "another curve", P384)
    with pytest.raises(KeyUnfit, match="P-256"):
        keys.read(reference)
    keys.remove(reference)


def test_a_key_that_is_not_there_or_there_twice_is_missed(token: Path, keys: Pkcs11Keys) -> None:
    with pytest.raises(TokenKeyMissing, match="0 keys"):
        keys.read("pkcs11:pass-0011223344556677")
    keys.close()
    made_elsewhere(token, "twins")
    reference = made_elsewhere(token, "twins")
    with pytest.raises(TokenKeyMissing, match="2 keys"):
        keys.read(reference)
    keys.remove(reference)
    keys.remove(reference)
    with pytest.raises(TokenKeyMissing, match="0 keys"):
        keys.read(reference)


def test_a_wrong_pin_is_said_plainly_and_tried_once(token: Path) -> None:
    mistaken = Pkcs11Keys(token, LABEL, "999999")
    with pytest.raises(TokenPinRefused, match="PKCS11_PIN"):
        mistaken.generate(KeyPurpose.PASS)
    # With the right PIN in its place it would open now; that it does not shows that nothing is tried any more.
    mistaken._pin = PIN
    for _ in range(3):
        with pytest.raises(TokenPinRefused, match="PKCS11_PIN"):
            mistaken.read("pkcs11:pass-0011223344556677")


@pytest.mark.parametrize(
    ("flag", "says"),
    [(pkcs11.TokenFlag.USER_PIN_FINAL_TRY, "would lock"), (pkcs11.TokenFlag.USER_PIN_LOCKED, "is locked")],
)
def test_no_pin_is_tried_on_a_token_that_would_lock(token: Path, flag: pkcs11.TokenFlag, says: str) -> None:
    class Endangered(Pkcs11Keys):
        def _token(self) -> Any:
            return type("Token", (), {"flags": flag})()  # without `open`: a try would be an AttributeError

    with pytest.raises(TokenPinRefused, match=says):
        Endangered(token, LABEL, PIN).generate(KeyPurpose.PASS)


@pytest.mark.parametrize("module", ["/nonexistent/module.so", __file__])
def test_a_module_that_cannot_be_loaded_is_named(module: str) -> None:
    with pytest.raises(TokenMisconfigured, match="PKCS11_MODULE"):
        Pkcs11Keys(Path(module), LABEL, PIN).generate(KeyPurpose.PASS)


def test_a_token_that_is_not_there_is_named(token: Path) -> None:
    with pytest.raises(TokenMisconfigured, match="PKCS11_TOKEN"):
        Pkcs11Keys(token, "nowhere", PIN).generate(KeyPurpose.PASS)


def test_a_lost_session_is_opened_again(keys: Pkcs11Keys) -> None:
    _, key = keys.generate(KeyPurpose.PASS)
    for _ in range(2):
        assert keys._session is not None
        keys._session.close()  # behind its back, as a restarted device does
        key.public_key().verify(key.sign(b"message", ES256), b"message", ES256)


def test_a_token_that_fails_twice_is_unavailable_until_it_answers(keys: Pkcs11Keys) -> None:
    reference, key = keys.generate(KeyPurpose.PASS)
    opened = keys._open

    def broken() -> pkcs11.Session:
        session = opened()
        keys._handle(session, reference.removeprefix("pkcs11:"))
        session.close()
        return session

    keys.close()
    keys._open = broken  # type: ignore[method-assign]
    with pytest.raises(TokenUnavailable, match="failed twice"):
        key.sign(b"message", ES256)
    keys._open = opened  # type: ignore[method-assign]
    key.public_key().verify(key.sign(b"message", ES256), b"message", ES256)


def test_a_wrong_signature_is_not_let_out(keys: Pkcs11Keys) -> None:
    _, key = keys.generate(KeyPurpose.PASS)
    signed = keys.sign
    keys.sign = lambda name, digest: signed(name, sha256(digest).digest())  # type: ignore[method-assign]
    with pytest.raises(KeyUnfit, match="wrong signature"):
        key.sign(b"message", ES256)


def test_threads_take_turns_at_one_session(keys: Pkcs11Keys) -> None:
    _, key = keys.generate(KeyPurpose.PASS)
    messages = [f"message {n}".encode() for n in range(40)]
    with ThreadPoolExecutor(8) as threads:
        signatures = list(threads.map(lambda message: key.sign(message, ES256), messages))
    for message, signature in zip(messages, signatures, strict=True):
        key.public_key().verify(signature, message, ES256)


ANOTHER_PROCESS = """
import sys
from pathlib import Path
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from credentials.keys.pkcs11_keys import Pkcs11Keys
module, label, pin, reference = sys.argv[1:]
key = Pkcs11Keys(Path(module), label, pin).read(reference)
for line in sys.stdin:
    print(key.sign(line.strip().encode(), ec.ECDSA(hashes.SHA256())).hex(), flush=True)
"""


def test_two_processes_sign_with_one_key(keys: Pkcs11Keys, token: Path) -> None:
    reference, key = keys.generate(KeyPurpose.PASS)
    command = [sys.executable, "-c", ANOTHER_PROCESS, str(token), LABEL, PIN, reference]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        for n in range(5):
            other.stdin.write(f"message {n}\n")
            other.stdin.flush()
            key.public_key().verify(key.sign(b"ours", ES256), b"ours", ES256)
            theirs = bytes.fromhex(other.stdout.readline())
            key.public_key().verify(theirs, f"message {n}".encode(), ES256)
        other.stdin.close()


async def test_a_platform_keeps_all_its_keys_in_the_token_the_root_included(
    database: Database, keys: Pkcs11Keys, clock: FakeClock, tmp_path: Path
) -> None:
    stores = KeyStores(KeyFiles(tmp_path / "keys", PASSPHRASE), keys, list(KeyPurpose))
    service = KeyService(stores, clock, URL)
    async with database.transaction() as session:
        await service.ensure(session, WANTED)
        before = await service.load(session)
        rotated = await service.rotate(session, KeyPurpose.STATUS)
        after = await service.load(session, before)
    assert after.signer(KeyPurpose.STATUS).kid == rotated
    for signer in after.signers.values():
        prove(signer)
    assert not (tmp_path / "keys").exists()


async def test_a_key_stays_where_it_was_made_until_it_is_rotated(
    database: Database, keys: Pkcs11Keys, clock: FakeClock, tmp_path: Path
) -> None:
    files = KeyFiles(tmp_path / "keys", PASSPHRASE)
    async with database.transaction() as session:
        await KeyService(files, clock, URL).ensure(session, WANTED)
        moving = KeyService(KeyStores(files, keys, [KeyPurpose.PASS]), clock, URL)
        await moving.ensure(session, WANTED)
        await moving.rotate(session, KeyPurpose.PASS)
        await moving.rotate(session, KeyPurpose.STATUS)
        kept = {key.purpose: key.key_reference for key in await moving.all(session) if key.state == "active"}
        assert kept[KeyPurpose.PASS].startswith("pkcs11:")
        assert kept[KeyPurpose.STATUS].startswith("file:")
        prove((await moving.load(session)).signer(KeyPurpose.PASS))
        with pytest.raises(KeyFileMissing, match="PKCS11_MODULE"):
            await KeyService(files, clock, URL).load(session)


def test_the_public_key_of_the_token_is_the_one_that_verifies(keys: Pkcs11Keys) -> None:
    one, other = (keys.generate(KeyPurpose.PASS)[1].public_key() for _ in range(2))
    encoded = [key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint) for key in (one, other)]
    assert encoded[0] != encoded[1]
