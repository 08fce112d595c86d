"""`liangzheng holder show`: live codes from files, without any network."""

import base64
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner, Result

from presentation.shows import DeviceKey, Profile, StatusPlace
from presentation.shows.formats.live_code import PassClaims, encode_pass
from tests.verifier_sdk.issuer import Issuer, sign_es256
from verifier_sdk import _live_code
from wallet_api.cli import app
from wallet_api.reference.holder import HeldCredential, HeldPass

Show = Callable[..., Result]
HOUR_S = 3600


@pytest.fixture
def show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Show:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))

    def show(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["holder", "show", *arguments], env={"COLUMNS": "200"})

    return show


def put(tmp_path: Path, *windows: tuple[str, int, int]) -> Issuer:
    """A licence in the wallet, with passes of these profiles between these seconds from now."""
    issuer, now_s = Issuer(), int(time.time())
    point = issuer.holder.public_key().public_numbers()
    key = DeviceKey(point.x.to_bytes(32, "big"), bool(point.y & 1), "t")

    def made(profile: str, start_s: int, end_s: int) -> HeldPass:
        claims = PassClaims(
            not_before_s=now_s + start_s,
            expires_at_s=now_s + end_s,
            key=key,
            type_code="driving-licence",
            type_version=1,
            profile=Profile[profile.upper()],
            valid_until=None,
            items={0: "张三丰", 1: "310"},
            status=StatusPlace("https://wallet.example/s/1", 7),
        )
        token = encode_pass(claims, issuer.pass_key.kid, lambda message: sign_es256(issuer.pass_key.key, message))
        text = base64.urlsafe_b64encode(token).rstrip(b"=").decode()
        return HeldPass(profile, text, now_s + start_s, now_s + end_s)

    held = HeldCredential(
        id=f"driving-licence-{secrets.token_hex(4)}",
        issuer="https://wallet.example",
        configuration_id="driving-licence",
        fetched_at_s=now_s,
        credential="e30~",
        key_pem=issuer.holder.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        passes=tuple(made(*window) for window in windows),
    )
    home = tmp_path / "holder"
    home.mkdir()
    (home / f"{held.id}.json").write_text(json.dumps(asdict(held)))
    return issuer


def test_a_code_answers_the_challenge(show: Show, tmp_path: Path) -> None:
    issuer = put(tmp_path, ("minimal", -HOUR_S, HOUR_S), ("face", -HOUR_S, HOUR_S))
    said = show("--once", "--text", "--challenge", "00112233445566778899")
    assert said.exit_code == 0, said.output
    proof = _live_code.read(said.output.strip())
    assert proof.cnonce == bytes.fromhex("00112233445566778899")
    proof.signed.verify(issuer.holder.public_key(), _live_code.PROOF_CONTEXT)
    face = _live_code.read(show("--once", "--text", "--profile", "face").output.strip())
    assert (face.show_pass.profile, face.cnonce) == (2, None)
    assert face.cti != proof.cti


def test_a_code_is_drawn_and_written(show: Show, tmp_path: Path) -> None:
    put(tmp_path, ("minimal", -HOUR_S, HOUR_S))
    said = show("--once", "--png", str(tmp_path / "code.png"))
    assert "QR version" in said.output
    assert (tmp_path / "code.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("windows", "arguments", "message"),
    [
        ([], [], "no minimal passes"),
        ([("minimal", -HOUR_S, HOUR_S)], ["--profile", "face"], "no face passes"),
        ([("minimal", -3 * HOUR_S, -HOUR_S), ("minimal", -2 * HOUR_S, -1)], [], "the last pass ended at"),
        ([("minimal", HOUR_S, 2 * HOUR_S)], [], "is this device's clock right?"),
        ([("minimal", -HOUR_S, HOUR_S)], ["no-such-licence"], "no licence no-such-licence"),
        ([("minimal", -HOUR_S, HOUR_S)], ["--challenge", "xyz"], "hexadecimal"),
        ([("minimal", -HOUR_S, HOUR_S)], ["--challenge", "00"], "8 to 64 bytes"),
        ([("minimal", -HOUR_S, HOUR_S)], ["--challenge", ""], "8 to 64 bytes"),
        ([("minimal", -HOUR_S, HOUR_S)], ["--profile", "all"], "--profile is minimal or face"),
    ],
)
def test_what_cannot_be_shown_is_said_with_what_to_do(
    windows: list[tuple[str, int, int]], arguments: list[str], message: str, show: Show, tmp_path: Path
) -> None:
    put(tmp_path, *windows)
    said = show("--once", *arguments)
    assert said.exit_code == 1
    assert message in said.output


def test_an_empty_wallet_says_how_to_fill_it(show: Show) -> None:
    said = show("--once")
    assert (said.exit_code, "liangzheng holder get" in said.output) == (1, True)
