"""The operator's commands on an embedded deployment of their own."""

import json
import secrets
import sys
from base64 import b64encode
from pathlib import Path

import pytest
from typer.testing import CliRunner

from credentials.registry.formats.gbt36904 import Identifier
from tests.credentials.rows import DRIVING, TRAFFIC_POLICE, driving_row, lines, step_row
from tests.wallet_api.running import new_key
from wallet_api.cli import app, main
from wallet_api.settings import Settings


@pytest.mark.parametrize(
    ("command", "exit_code"),
    [
        (["licences", "--after", "99999999999"], 2),
        (["licences", "--ending-within", "9" * 30], 2),
        (["lineage", "\udcff"], 2),
        (["sample", "--rows", "1", "--out", "."], 1),
        (["import", "rows.ndjson", "--report", "."], 2),
    ],
)
def test_nonsense_on_the_command_line_ends_in_a_line(
    command: list[str],
    exit_code: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.ndjson").write_bytes(b"{}")
    monkeypatch.setattr(sys, "argv", ["liangzheng", *command])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == exit_code
    assert ".env" not in capsys.readouterr().err, "says what is wrong, not something else"


def test_a_department_registers_by_its_own_public_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    key = new_key()
    files = {
        "public.json": key.export_public(),
        "private.json": key.export_private(),
        "rsa.json": '{"kty": "RSA", "n": "AQAB", "e": "AQAB"}',
        "text.json": "{",
    }
    registered = {}
    for name, content in files.items():
        Path(name).write_text(content)
        command = ["department", "register", "police", "--authority", TRAFFIC_POLICE, "--jwk", name]
        registered[name] = CliRunner().invoke(app, command).exit_code
    assert registered == {"public.json": 0, "private.json": 1, "rsa.json": 1, "text.json": 1}
    assert not (tmp_path / "data" / "clients").exists(), "the private key stays with the department"


def test_a_life_is_told_and_keys_are_rotated_by_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def liangzheng(*arguments: str, ends_with: int = 0) -> str:
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == ends_with, done.output
        return done.output

    first, second = (str(Identifier.issue(DRIVING, TRAFFIC_POLICE, "2024000001", version)) for version in (1, 2))
    renewal = {"operate_type": "02", "source_version": 2, "certificate_identifier": second}
    rows = [driving_row(1, certificate_identifier=first), driving_row(1, **renewal), step_row(1, 3, "03")]
    (tmp_path / "rows.ndjson").write_bytes(b"\n".join(lines(*rows)))
    liangzheng("import", "rows.ndjson")
    life = liangzheng("lineage", first)
    assert life == liangzheng("lineage", second)
    assert life.count(" → ") == 4, "issued, renewed from, renewed to, suspended"
    assert life.index(first) < life.index("02 renew → 05 lapsed") < life.index(second) < life.index("03 suspend → 02")

    file = tmp_path / "data" / "secrets.json"
    kept = json.loads(file.read_text())
    new = f"2026-11:{b64encode(secrets.token_bytes(32)).decode()}"
    file.write_text(json.dumps(kept | {"encryption_keys": f"{new},{kept['encryption_keys']}"}))
    assert "not under the active key" in liangzheng("reseal", "--check", ends_with=1)
    assert "can be dropped" in liangzheng("reseal")
    file.write_text(json.dumps(kept | {"encryption_keys": new}))
    assert "all values are under the active key" in liangzheng("reseal", "--check")
    assert liangzheng("lineage", first) == life
    assert "this deployment can run" in liangzheng("check-config")
