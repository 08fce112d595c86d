"""`liangzheng keys`: what operators do by hand reaches running processes and readers."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from typer.testing import CliRunner

from credentials.keys import KeyPurpose
from tests.verifier_sdk.issuer import certify
from verifier_sdk.trust import TrustInHand
from wallet_api import migrations
from wallet_api.cli import app
from wallet_api.cli.console import console, errors
from wallet_api.settings import Settings
from wallet_api.wiring import Platform
from wallet_api.workers import ticking


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    for printer in (console, errors):
        monkeypatch.setattr(printer, "_width", 300)
    monkeypatch.chdir(tmp_path)  # no .env of whoever runs the tests
    return tmp_path / "data"


def keys(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(app, ["keys", *arguments], input=answer)


def done(*arguments: str) -> str:
    result = keys(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def listed(*options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done("list", "--json", *options))
    return found


def states(purpose: str) -> dict[str, str]:
    return {key["kid"]: key["state"] for key in listed("--all")["keys"] if key["purpose"] == purpose}


@pytest.fixture
def serving(data_dir: Path) -> Iterator[Platform]:
    """A process that was started before anybody touched the keys."""
    platform = Platform.of(Settings(_env_file=None, data_dir=data_dir))
    with asyncio.Runner() as runner:
        runner.run(migrations.upgrade(platform.database))
        runner.run(platform.start())
        yield platform
        runner.run(platform.database.close())


def trusted_kids(platform: Platform) -> set[str]:
    async def token() -> str:
        async with platform.database.snapshot() as session:
            return (await platform.trust_list.current(session)).token

    reader = TrustInHand(asyncio.run(token()), [pem.encode() for pem in platform.key_ring.ring.anchors_pem])
    trust_list = reader.trust_list()
    assert trust_list is not None
    return {key.kid.hex() for key in trust_list.keys}


def test_without_keys_the_list_says_how_to_make_them(data_dir: Path) -> None:
    result = keys("list")
    assert result.exit_code == 1
    assert "liangzheng keys init" in result.output


def test_a_rotation_reaches_running_processes_and_the_trust_list(serving: Platform) -> None:
    (old,) = states("pass")
    assert old in done("list")
    assert "signs from now on" in done("rotate", "pass", "--yes")
    (new,) = [kid for kid, state in states("pass").items() if state == "active"]
    assert states("pass") == {old: "previous", new: "active"}
    assert serving.key_ring.signer(KeyPurpose.PASS).kid.hex() == old
    asyncio.run(serving.take_over_keys())
    assert serving.key_ring.signer(KeyPurpose.PASS).kid.hex() == new
    assert {old, new} <= trusted_kids(serving)
    done("retire", old, "--yes")
    assert old not in trusted_kids(serving)
    assert states("pass") == {old: "retired", new: "active"}


def test_a_key_that_was_lost_is_replaced_by_a_rotation(serving: Platform, data_dir: Path) -> None:
    (file,) = (data_dir / "keys").glob("status-*")
    file.unlink()
    assert "restore the file from its backup" in keys("init").output
    done("rotate", "status", "--yes")
    assert "proven by a test signature" in done("init")


def test_a_key_is_certified_by_an_outside_authority(serving: Platform, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    root = certify("City Root", ca=True, not_before=now - timedelta(days=1), not_after=now + timedelta(days=900))
    authority = next(key["authority"]["code"] for key in listed()["keys"] if key["purpose"] == "credential")
    done("request", "credential", "--authority", authority, "--out", str(tmp_path / "key.csr"))
    assert [waiting["authority"]["code"] for waiting in listed()["waiting"]] == [authority]
    csr = x509.load_pem_x509_csr((tmp_path / "key.csr").read_bytes())
    builder = x509.CertificateBuilder(
        root.certificate.subject,
        csr.subject,
        csr.public_key(),
        x509.random_serial_number(),
        now,
        now + timedelta(days=400),
    )
    for extension in csr.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    leaf = builder.sign(root.key, hashes.SHA256()).public_bytes(Encoding.PEM)
    (tmp_path / "chain.pem").write_bytes(leaf + root.pem)
    assert "is announced" in done("import", str(tmp_path / "chain.pem"), "--yes")
    (kid,) = [key["kid"] for key in listed()["keys"] if key["state"] == "next"]
    done("rotate", "credential", "--authority", authority, "--yes")
    asyncio.run(serving.take_over_keys())
    assert serving.key_ring.signer(KeyPurpose.CREDENTIAL, authority).kid.hex() == kid
    assert serving.key_ring.ring.outside_anchors_pem == (root.pem.decode(),)
    assert kid in trusted_kids(serving)
    assert "outside" in done("list")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rotate", "unknown", "--yes"], "is no purpose of a key"),
        (["rotate", "root", "--yes"], "is no purpose of a key"),
        (["rotate", "credential", "--yes"], "give --authority"),
        (["rotate", "pass", "--authority", "11310000MB2F30042K", "--yes"], "give --authority"),
        (["rotate", "pass"], "nothing was changed"),
        (["retire", "not hex", "--yes"], "16 hex digits"),
        (["request", "credential", "--authority", "unknown", "--out", "new.csr"], "no type pack names"),
        (["request", "trust-list", "--out", "new.csr"], "key_request_invalid"),
    ],
)
def test_what_cannot_be_done_says_so_and_changes_nothing(data_dir: Path, arguments: list[str], says: str) -> None:
    result = keys(*arguments, answer="n\n")
    assert result.exit_code == 1
    assert says in result.output
    assert "Traceback" not in result.output


async def test_a_process_that_only_serves_takes_over_keys_and_does_nothing_else(data_dir: Path) -> None:
    platform = Platform.of(Settings(_env_file=None, data_dir=data_dir))
    async with ticking(platform, works=False) as timers:
        assert [job.id for job in timers.get_jobs()] == ["take_over_keys"]
    async with ticking(platform) as timers:
        jobs = {job.id for job in timers.get_jobs()}
    assert {"publish_trust", "publish_status", "retire_status", "renew_keys"} <= jobs
