"""Whole processes: killed half-way they lose nothing and double nothing; two of them start and serve at once."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import pytest
from alembic import command
from sqlalchemy import func, select, text

from credentials.catalogue import Catalogue
from credentials.registry import IntakeSource
from credentials.registry import repository as store
from credentials.registry.intake import CHUNK_ROWS
from notifications.reminders.models import ReminderState
from notifications.reminders.repository import ReminderRepository
from notifications.reminders.tables import ReminderRow
from wallet_api import migrations
from wallet_api.app import create_app
from wallet_api.clock import SystemClock
from wallet_api.database import Database
from wallet_api.reference.department import DepartmentClient
from wallet_api.sample import City
from wallet_api.settings import Settings
from wallet_api.tour import DEMO_CLIENT
from wallet_api.wiring import Platform

ROWS = CHUNK_ROWS + 500
COUNTS = re.compile(r"accepted (\d+), unchanged (\d+), rejected (\d+)")


def _liangzheng(env: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "wallet_api.cli", *arguments]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture
def env(database_url: str, tmp_path: Path) -> dict[str, str]:
    return os.environ | {"DATA_DIR": str(tmp_path / "data"), "DATABASE_URL": database_url, "COLUMNS": "160"}


async def _count(database: Database) -> tuple[int, int]:
    async with database.snapshot() as session:
        licences = (await session.execute(select(func.count()).select_from(store.LICENCE))).scalar_one()
        events = (await session.execute(select(func.count()).select_from(store.EVENT))).scalar_one()
    return licences, events


async def test_an_import_killed_in_the_middle_and_sent_again_loses_and_doubles_nothing(
    env: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    city = City(Catalogue.default(), seed=7, today=date(2026, 11, 23))
    rows = [json.dumps(row, ensure_ascii=False) + "\n" for row in city.rows(ROWS, wrong=20)]
    file, pipe = tmp_path / "rows.ndjson", tmp_path / "pipe"
    file.write_text("".join(rows))
    os.mkfifo(pipe)
    database = Database(database_url)
    await migrations.upgrade(database)

    first = _liangzheng(env, "import", str(pipe))
    sending = await asyncio.to_thread(pipe.open, "w")
    await asyncio.to_thread(sending.writelines, rows[: CHUNK_ROWS + 300])  # and the rest is kept back
    await _until(lambda: _is_filled(database), first)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    with suppress(BrokenPipeError):
        sending.close()
    kept, _ = await _count(database)
    assert 0 < kept < ROWS, "it was killed in the middle"

    second = _liangzheng(env, "import", str(file))
    said, _ = await asyncio.to_thread(second.communicate)
    found = COUNTS.search(said)
    assert found is not None, said
    accepted, unchanged, rejected = map(int, found.groups())
    assert (accepted + unchanged, rejected) == (ROWS, 20)
    assert unchanged == kept, "what was committed before the kill is known"
    assert await _count(database) == (ROWS, ROWS), "one licence and one event a row"
    await database.close()


async def test_a_server_killed_in_the_middle_of_a_batch_and_sent_it_again_loses_and_doubles_nothing(
    env: dict[str, str], database_url: str
) -> None:
    city = City(Catalogue.default(), seed=8, today=date(2026, 11, 23))
    rows = [json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in city.rows(ROWS, wrong=3)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    env |= {"PUBLIC_URL": url, "LISTEN_PORT": url.rpartition(":")[2], "EMBEDDED_WORKER": "false"}
    server, killed = _liangzheng(env, "serve"), threading.Event()
    database = Database(database_url)

    def deliver() -> None:
        key_file = Path(env["DATA_DIR"]) / "clients" / f"{DEMO_CLIENT}.pem"
        with httpx.Client(timeout=60) as http:
            headers = {
                "Authorization": f"Bearer {DepartmentClient(http, url, DEMO_CLIENT, key_file, SystemClock())._token()}",
                "Content-Type": "application/x-ndjson",
            }
            http.post(f"{url}/api/v1/licence-batches", content=half(), headers=headers)

    def half() -> Iterator[bytes]:
        yield from rows[: CHUNK_ROWS + 300]
        killed.wait(60)  # the rest is kept back

    await _until(lambda: _answers(url), server)
    delivering = asyncio.create_task(asyncio.to_thread(deliver))
    await _until(lambda: _is_filled(database), server)
    server.send_signal(signal.SIGKILL)
    server.communicate()
    killed.set()
    with pytest.raises(httpx.TransportError):
        await delivering
    kept, _ = await _count(database)
    assert 0 < kept < ROWS, "it was killed in the middle"

    settings = Settings(_env_file=None, data_dir=Path(env["DATA_DIR"]), database_url=database_url)
    platform = Platform.of(settings, database=database)
    report = await platform.intake.take_all(database, IntakeSource(DEMO_CLIENT, None), rows)
    assert (report.accepted, report.unchanged, report.rejected) == (ROWS - kept, kept, 3)
    assert await _count(database) == (ROWS, ROWS), "one licence and one event a row"
    await database.close()


async def _answers(url: str) -> bool:
    async with httpx.AsyncClient() as http:
        with suppress(httpx.TransportError):
            return (await http.get(f"{url}/health/ready")).status_code == 200
    return False


async def _is_filled(database: Database) -> bool:
    return (await _count(database))[0] > 0


async def _until(happens: Callable[[], Awaitable[bool]], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not await happens():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_two_processes_start_at_once_on_an_empty_database_and_agree(env: dict[str, str]) -> None:
    both = [_liangzheng(env, "licences") for _ in range(2)]
    for process in both:
        said, _ = await asyncio.to_thread(process.communicate)
        assert process.returncode == 0, said
    settings = Settings(_env_file=None, data_dir=Path(env["DATA_DIR"]), database_url=env["DATABASE_URL"])
    platforms = [Platform.of(settings) for _ in range(2)]
    for platform in platforms:
        await platform.start()
    anchors = {platform.key_ring.ring.anchor_pem for platform in platforms}
    assert len(anchors) == 1
    for platform in platforms:
        await platform.database.close()


async def test_the_migrations_make_what_the_models_say(database_url: str) -> None:
    database = Database(database_url)
    await migrations.upgrade(database)
    assert await migrations.is_current(database)
    async with database.engine.begin() as connection:
        await connection.run_sync(lambda sync: command.check(migrations.config(sync)))
    await database.close()


async def test_reminders_that_were_planned_before_an_upgrade_are_planned_after_it(database_url: str) -> None:
    database = Database(database_url)
    await migrations.upgrade(database)

    async def to(revision: str) -> None:
        async with database.engine.begin() as connection:
            move = command.downgrade if revision == "0015" else command.upgrade
            await connection.run_sync(lambda sync: move(migrations.config(sync), revision))

    await to("0015")
    async with database.transaction() as session:
        now = datetime(2026, 11, 1, tzinfo=UTC)
        for state in ReminderState:
            row = ReminderRow(
                id=state, licence_id="licence", licence_version=1, type_code="food", valid_until=date(2027, 1, 1),
                stage=state, due_on=date(2026, 12, 1), holder_id="holder", state=state, planned_at=now, changed_at=now,
            )  # fmt: skip
            session.add(row)
    await to("head")
    async with database.snapshot() as session:
        planned = await session.execute(text("SELECT reminder_id, holder_id, type_code FROM reminder_planned"))
        assert planned.all() == [("planned", "holder", "food")]
        assert await ReminderRepository(session).due(["holder"], date(2026, 12, 1))
    await to("0015")
    await to("head")
    await database.close()


async def test_a_database_of_a_newer_version_is_left_alone(database_url: str) -> None:
    database = Database(database_url)
    await migrations.upgrade(database)
    async with database.transaction() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(migrations.SchemaUnknown):
        await migrations.upgrade(database)
    assert not await migrations.is_current(database)
    await database.close()


async def test_a_database_that_was_never_migrated_is_not_current(database_url: str) -> None:
    database = Database(database_url)
    assert not await migrations.is_current(database)
    await database.close()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"DEPLOYMENT": "production"}, "must set ENCRYPTION_KEYS"),
        ({"PUBLIC_URL": "http://wallet.example"}, "must be https"),
        ({"PUBLIC_URL": "https://wallet.example/?a=1"}, "without query"),
        ({"LISTEN_PORT": "70000"}, "LISTEN_PORT"),
        ({"ENCRYPTION_KEYS": "k1:short"}, "ENCRYPTION_KEYS"),
    ],
)
def test_a_wrong_setting_ends_with_one_line_that_names_it(settings: dict[str, str], says: str, tmp_path: Path) -> None:
    process = _liangzheng(os.environ | {"DATA_DIR": str(tmp_path), "COLUMNS": "160"} | settings, "licences")
    said, _ = process.communicate()
    assert process.returncode != 0
    assert says in said
    assert "Traceback" not in said


def test_damaged_secrets_are_named_and_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{")
    process = _liangzheng(os.environ | {"DATA_DIR": str(tmp_path), "COLUMNS": "160"}, "licences")
    said, _ = process.communicate()
    assert "secrets.json is damaged" in said
    assert (tmp_path / "secrets.json").read_text() == "{"


async def test_a_database_that_does_not_answer_is_said_so_and_nothing_is_hidden(tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None, data_dir=tmp_path, database_url="postgresql://nobody@127.0.0.1:9/none", embedded_worker=False
    )
    platform = Platform.of(settings)
    app = create_app(settings, platform=platform)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        ready = await client.get("/health/ready")
        assert (ready.status_code, ready.json()["database"]) == (503, "unavailable")
        assert (await client.get("/health/live")).status_code == 200
        for answer in (
            await client.get("/s/1"),
            await client.post("/openid4vci/credential", headers={"Authorization": "Bearer x"}, json={}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
            assert answer.headers["retry-after"] == "5"
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:pre-authorized_code", "pre-authorized_code": "x"}
        assert (await client.post("/oauth/token", data=form)).status_code == 503
    await platform.database.close()
