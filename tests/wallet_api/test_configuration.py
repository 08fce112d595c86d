"""`liangzheng check-config`: what is wrong, how to mend it, and never a secret."""

import base64
import secrets
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import update
from typer.testing import CliRunner

from notifications.outbox.tables import OutboxMessageRow
from tests.credentials.rows import driving_row
from tests.wallet_api.running import Running
from tests.wallet_api.test_resealing import fill
from wallet_api.cli import app
from wallet_api.deployment_secrets import Secrets, SecretsInvalid
from wallet_api.settings import Settings
from wallet_api.upkeep import Finding, Severity, check_settings, check_store, read_settings
from wallet_api.upkeep.sealed_columns import SEALED_COLUMNS, table_of
from wallet_api.wiring import Platform


def random_key() -> str:
    while (key := secrets.token_bytes(32)).isascii():
        pass
    return base64.b64encode(key).decode()


TYPED = base64.b64encode(b"correct horse battery staple 123").decode()
KEY = random_key()
GOOD = {
    "DEPLOYMENT": "production",
    "PUBLIC_URL": "https://wallet.example.gov.cn",
    "DATABASE_URL": "postgresql://city:very-secret-password@127.0.0.1:9/none",
    "ENCRYPTION_KEYS": f"2026-11:{random_key()}",
    "BLIND_INDEX_KEY": random_key(),
    "NONCE_KEY": random_key(),
    "KEY_PASSPHRASE": random_key(),
    "EMBEDDED_WORKER": "false",
}


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """A good production deployment but for its database, in an empty folder."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "data").mkdir(mode=0o700)
    return GOOD


def found() -> dict[str, Finding]:
    settings, findings = read_settings()
    findings = [*findings, *(check_settings(settings) if settings else ())]
    return {finding.subject: finding for finding in findings}


def test_a_good_deployment_has_nothing_to_mend(env: dict[str, str]) -> None:
    assert found() == {}


WRONG: dict[str, tuple[dict[str, str], str, Severity]] = {
    "no secrets": ({"NONCE_KEY": ""}, "NONCE_KEY", Severity.ERROR),
    "a key with too few bytes": ({"NONCE_KEY": "c2hvcnQ="}, "NONCE_KEY", Severity.ERROR),
    "a key that was typed": ({"NONCE_KEY": TYPED}, "NONCE_KEY", Severity.ERROR),
    "one key for two things": ({"NONCE_KEY": GOOD["BLIND_INDEX_KEY"]}, "NONCE_KEY", Severity.ERROR),
    "an id for two keys": (
        {"ENCRYPTION_KEYS": f"a:{random_key()},a:{random_key()}"},
        "ENCRYPTION_KEYS",
        Severity.ERROR,
    ),
    "a key id out of form": ({"ENCRYPTION_KEYS": f"密钥:{random_key()}"}, "ENCRYPTION_KEYS", Severity.ERROR),
    "a key without an id": ({"ENCRYPTION_KEYS": random_key()}, "ENCRYPTION_KEYS", Severity.ERROR),
    "a passphrase of one letter": ({"KEY_PASSPHRASE": "a" * 40}, "KEY_PASSPHRASE", Severity.ERROR),
    "a host that only this machine knows": ({"PUBLIC_URL": "https://localhost"}, "PUBLIC_URL", Severity.ERROR),
    "a host within the data centre": ({"PUBLIC_URL": "https://wallet"}, "PUBLIC_URL", Severity.ERROR),
    "an address in place of a name": ({"PUBLIC_URL": "https://192.0.2.1"}, "PUBLIC_URL", Severity.WARNING),
    "a port that is none": ({"PUBLIC_URL": "https://wallet.example.gov.cn:99999"}, "PUBLIC_URL", Severity.ERROR),
    "another kind of database": (
        {"DATABASE_URL": "mysql://very-secret-password@h/d"},
        "DATABASE_URL",
        Severity.ERROR,
    ),
    "no database URL at all": ({"DATABASE_URL": "very-secret-password"}, "DATABASE_URL", Severity.ERROR),
    "a browser's own scheme as an app's": (
        {"WALLET_REDIRECT_SCHEMES": "app,javascript"},
        "WALLET_REDIRECT_SCHEMES",
        Severity.ERROR,
    ),
    "data in a file": ({"DATA_DIR": "/dev/null"}, "DATA_DIR", Severity.ERROR),
    "a real address in the embedded mode": ({"DEPLOYMENT": "embedded"}, "DEPLOYMENT", Severity.WARNING),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_with_its_setting(
    name: str, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, subject, severity = WRONG[name]
    for setting, value in changes.items():
        monkeypatch.setenv(setting, value)
    finding = found()[subject]
    assert finding.severity is severity
    assert finding.mend
    printed = CliRunner().invoke(app, ["check-config"], env={"COLUMNS": "200"})
    assert subject in printed.output
    assert printed.exit_code == 1
    given = {**GOOD, **changes}
    for secret in ("ENCRYPTION_KEYS", "BLIND_INDEX_KEY", "NONCE_KEY", "KEY_PASSPHRASE"):
        for part in given[secret].split(":"):
            assert len(part) < 20 or part not in printed.output
    assert "very-secret-password" not in printed.output


def test_files_that_others_can_read_are_told(env: dict[str, str], tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"NONCE_KEY={random_key()}\nPUBLIC_ULR=https://x.example\n")
    dotenv.chmod(0o644)
    (tmp_path / "data").chmod(0o755)
    findings = found()
    assert findings[".env"].severity is findings["data"].severity is Severity.ERROR
    assert findings[".env"].mend == "chmod 600 .env"
    assert findings["PUBLIC_ULR"].mend == "is PUBLIC_URL meant?"


def test_an_env_file_that_is_no_text_is_told_and_no_traceback(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"NONCE_KEY=\xff\xfe\n")
    assert found()[".env"].severity is Severity.ERROR


def test_the_embedded_mode_says_that_it_is_one_and_nothing_is_made(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in GOOD:
        monkeypatch.delenv(name)
    (tmp_path / "data").rmdir()
    printed = CliRunner().invoke(app, ["check-config"], env={"COLUMNS": "200"})
    assert printed.exit_code == 0
    assert "embedded mode" in printed.output
    assert not list(tmp_path.iterdir())


PRODUCTION = Settings.model_construct(deployment="production", key_passphrase=SecretStr("x"))


@given(text=st.text(max_size=200))
def test_any_text_as_a_secret_gives_keys_or_our_error(text: str) -> None:
    given_secrets = {name: SecretStr(text) for name in ("encryption_keys", "blind_index_key", "nonce_key")}
    with pytest.raises(SecretsInvalid):
        Secrets.of(PRODUCTION.model_copy(update=given_secrets))


async def _store(running: Running, **changes: Any) -> dict[str, Finding]:
    settings = running.platform.settings.model_copy(update=changes)
    platform = Platform.of(settings, clock=running.clock, database=running.platform.database)
    return {finding.subject: finding for finding in await check_store(platform)}


@pytest.fixture
def migrated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' tables are made from the models, which is what the migrations make."""

    async def is_current(database: object) -> bool:
        return True

    monkeypatch.setattr("wallet_api.migrations.is_current", is_current)


async def test_a_schema_that_is_not_current_is_told(running: Running) -> None:
    assert (await _store(running))["database"].severity is Severity.NOTE
    secrets_given = {name.lower(): SecretStr(GOOD[name]) for name in GOOD if "KEY" in name}
    finding = (await _store(running, deployment="production", **secrets_given))["database"]
    assert (finding.severity, finding.mend) == (Severity.ERROR, "run: liangzheng migrate")


async def test_a_store_in_order_has_nothing_to_mend(running: Running, migrated: None) -> None:
    await fill(running)
    findings = await _store(running)
    assert findings.pop("worker").severity is Severity.NOTE
    other_clock = set() if running.platform.database.is_sqlite else {"clock"}  # ours is a fake
    assert findings.keys() == other_clock


async def test_keys_that_are_not_the_store_s_are_told(running: Running, migrated: None) -> None:
    await running.take(driving_row(1))
    other_keys = await _store(running, encryption_keys=SecretStr(f"new:{random_key()}"))
    assert other_keys["ENCRYPTION_KEYS"].severity is Severity.ERROR
    other_index = await _store(running, blind_index_key=SecretStr(random_key()))
    assert other_index["BLIND_INDEX_KEY"].severity is Severity.ERROR
    other_passphrase = await _store(running, key_passphrase=SecretStr(random_key()))
    assert "key_file_unreadable" in other_passphrase["signing keys"].problem


async def test_reminders_that_are_switched_off_are_told(running: Running, migrated: None) -> None:
    async with running.platform.database.transaction() as session:
        await running.platform.operators.switch_reminders_off(session, "driving-licence", "deadline extended")
    finding = (await _store(running))["reminders"]
    assert finding.severity is Severity.WARNING
    assert "driving-licence are switched off since 2026-11-23: deadline extended" in finding.problem
    assert finding.mend.endswith("liangzheng reminders unmute driving-licence")


async def test_a_licence_without_its_pack_and_a_moved_address_are_told(running: Running, migrated: None) -> None:
    await fill(running)
    licence = next(sealed.table for sealed in SEALED_COLUMNS if sealed.table.name == "licence")
    async with running.platform.database.transaction() as session:
        await session.execute(update(licence).values(type_version=7))
    findings = await _store(running, public_url="https://moved.example")
    assert "driving-licence.7.yaml" in findings["type packs"].mend
    assert findings["PUBLIC_URL"].severity is Severity.WARNING


async def test_a_worker_that_does_not_run_and_a_clock_that_went_back_are_told(running: Running, migrated: None) -> None:
    await fill(running)
    await running.platform.publish_status()
    async with running.platform.database.transaction() as session:
        await session.execute(update(table_of(OutboxMessageRow)).values(state="pending"))
    running.clock.forward(hours=1)
    assert "messages wait" in (await _store(running))["worker"].problem
    async with running.platform.database.transaction() as session:
        await session.execute(update(table_of(OutboxMessageRow)).values(state="sent"))
    running.clock.forward(days=30)
    assert "status list" in (await _store(running))["worker"].problem
    running.clock.forward(days=-60)
    assert "behind" in (await _store(running))["clock"].problem


async def test_a_database_that_is_not_there_is_told(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path, database_url=GOOD["DATABASE_URL"])
    platform = Platform.of(settings)
    (finding,) = await check_store(platform)
    assert (finding.severity, finding.subject) == (Severity.ERROR, "DATABASE_URL")
    assert "very-secret-password" not in finding.problem + finding.mend
    await platform.database.close()
