"""`liangzheng outbox`, and what `/metrics` says of it."""

import asyncio
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from notifications import Bilingual, ChannelUnavailable, DeliveryPolicy, Notice, Outbox
from notifications.outbox.models import EVERY_CHANNEL
from tests.notifications.fakes import FakeChannel, FakeContacts
from tests.wallet_api.running import Running
from wallet_api.cli import app
from wallet_api.database import Database
from wallet_api.migrations import upgrade
from wallet_api.settings import Settings
from wallet_api.wiring import Platform


@pytest.fixture
def failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store with one message that failed for good; gives its id."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    return asyncio.run(_store_with_a_failure())


async def _store_with_a_failure() -> str:
    platform = Platform.of(Settings())
    await upgrade(platform.database)
    message_id = await _fail(platform, platform.database)
    await platform.close()
    return message_id


async def _fail(platform: Platform, database: Database) -> str:
    sms = FakeChannel("sms")
    sms.always = ChannelUnavailable("smsc_away", "no answer")
    cipher = platform.outbox._cipher
    outbox = Outbox(platform.clock, cipher, FakeContacts(), [sms], DeliveryPolicy(max_attempts=1))
    notice = Notice("holder-1", "test", "a", Bilingual("标题", "Title"), Bilingual("正文", "Text"))
    async with database.transaction() as session:
        await outbox.notify(session, [notice])
    assert (await outbox.deliver(database)).failed == 1
    return sms.attempts[0].idempotency_key


def outbox(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["outbox", *arguments])


def test_what_failed_is_listed_shown_and_put_back(failed: str) -> None:
    listed = outbox("list").output
    assert "sms failed: 1" in listed
    assert failed in listed
    assert "smsc_away" in listed
    shown = outbox("show", failed).output
    assert re.search(r"state\s+failed", shown)
    assert "正文" not in listed + shown
    for narrowed in (["--channel", "push"], ["--since", "2999-12-31"]):
        none = outbox("redrive", "--all", *narrowed)
        assert (none.exit_code, none.output) == (0, "nothing to put back\n")
    assert "1 put back" in outbox("redrive", failed).output
    again = outbox("redrive", failed)
    assert (again.exit_code, "none of these failed for good" in again.output) == (1, True)
    assert "no message is failed" in outbox("list").output
    assert failed in outbox("list", "--state", "pending", "--since", "2026-01-01").output


def test_what_cannot_be_meant_is_said(failed: str) -> None:
    assert "message_not_found" in outbox("show", "nobody").output
    assert "name messages, or say --all" in outbox("redrive").output
    assert outbox("redrive", failed, "--all").exit_code == 1
    for options in (["--since", "yesterday"], ["--since", "0001-01-01"], ["--channel", "fax"], ["--channel", ""]):
        for command in (["list"], ["redrive", "--all"]):
            assert outbox(*command, *options).exit_code == 2, options


def test_every_channel_is_offered_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert f"<{'|'.join(EVERY_CHANNEL)}>" in outbox("list", "--help").output


async def test_metrics_tell_what_is_open_or_failed(running: Running) -> None:
    await _fail(running.platform, running.platform.database)
    told = (await running.get("/metrics")).text
    assert 'liangzheng_outbox_messages{channel="sms",state="failed"} 1.0' in told
    assert 'liangzheng_outbox_oldest_seconds{channel="sms",state="failed"}' in told
