"""Aliyun's delivery reports over HTTP: what they do to messages, and what nobody else can do."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifications import Bilingual, Delivery, Notice, Outbox, Receipt, Selection, StoredMessage
from notifications.channels.providers import FailOver, Gate, Gated, GatePolicy
from notifications.channels.sms_aliyun import SmsAliyun
from notifications.ports import Channel, SendOutcome
from tests.credentials.issuance.test_parsers import ANY_JSON
from tests.fakes import FakeClock
from tests.notifications.aliyun import FakeAliyun
from tests.notifications.fakes import FakeContacts
from tests.notifications.far_end import serving
from tests.wallet_api.running import Running
from wallet_api import logging
from wallet_api.database import Database
from wallet_api.protection import DataProtector
from wallet_api.settings import Settings

TOKEN = "hC3-kd9Qm2_xW7bR5tY1nL8vZ4pJ6sFg"
AT = f"/api/v1/sms-reports/aliyun/{TOKEN}"
TEXT = Bilingual("标题", "Title"), Bilingual("正文", "Text")


@dataclass
class Town:
    """The platform, and an outbox that sends by Aliyun."""

    running: Running
    aliyun: FakeAliyun
    sms: SmsAliyun
    outbox: Outbox
    protector: DataProtector

    def send_by(self, provider: Channel) -> None:
        database, clock = self.running.platform.database, self.running.clock
        channel = FailOver("sms", [Gated(provider, Gate(database, clock), GatePolicy())])
        self.outbox = Outbox(clock, self.protector, FakeContacts(), [channel])

    async def write(self, *subjects: str) -> None:
        notices = [Notice(one, "test", one, *TEXT, channels=("sms",), urgent=True) for one in subjects]
        async with self.running.platform.database.transaction() as session:
            await self.outbox.notify(session, notices)

    async def deliver(self) -> None:
        await self.outbox.deliver(self.running.platform.database)

    async def send(self, *subjects: str) -> list[str]:
        """Write messages and have them accepted; gives their `OutId`s in the order of the subjects."""
        await self.write(*subjects)
        await self.deliver()
        return [str(message.provider_ref) for message in await self.messages()]

    async def messages(self) -> list[StoredMessage]:
        async with self.running.platform.database.snapshot() as session:
            return sorted(await self.outbox.list(session, Selection()), key=lambda message: message.holder_id)

    async def states(self) -> list[tuple[str, str | None]]:
        """After the next run: state and reason of each message."""
        await self.deliver()
        return [(str(message.state), message.reason) for message in await self.messages()]

    async def report(self, *reports: object, at: str = AT) -> httpx.Response:
        return await self.running.post(at, json=list(reports))


def report(out_id: str, *, success: bool = True, err_code: str = "DELIVERED", **more: Any) -> dict[str, Any]:
    return {
        "phone_number": "13800138000",
        "send_time": "2026-11-23 09:00:00",
        "report_time": "2026-11-23 09:00:05",
        "success": success,
        "err_code": err_code,
        "err_msg": "说明",
        "sms_size": "1",
        "biz_id": "932702304080415357^0",
        "out_id": out_id,
        **more,
    }


@pytest.fixture
def town(
    runner: asyncio.Runner, tmp_path: Path, clock: FakeClock, database: Database, protector: DataProtector
) -> Iterator[Town]:
    logging.configure()
    running = runner.run(Running.start(tmp_path, clock, database, aliyun_report_token=TOKEN))
    with serving(FakeAliyun()) as aliyun:
        sms = SmsAliyun(aliyun.account({"*": "SMS_1"}), clock)
        town = Town(running, aliyun, sms, running.platform.outbox, protector)
        town.send_by(sms)
        yield town
    runner.run(running.http.aclose())
    structlog.reset_defaults()


async def test_what_arrived_is_delivered_and_what_did_not_has_failed_with_the_carriers_word(town: Town) -> None:
    first, second, _ = await town.send("a", "b", "c")
    assert await town.states() == [("sent", None)] * 3
    answer = await town.report(report(first), report(second, success=False, err_code="MOBILE_NOT_ON_SERVICE"))
    assert (answer.status_code, answer.json()) == (200, {"code": 0, "msg": "接收成功"})
    assert await town.states() == [
        ("delivered", None),
        ("failed", "undelivered: MOBILE_NOT_ON_SERVICE"),
        ("sent", None),
    ]
    assert await town.running.count("outbox_receipt") == 0


async def test_a_report_that_comes_again_changes_nothing(town: Town) -> None:
    first, second = await town.send("a", "b")
    both = report(first), report(second, success=False, err_code="X")
    expected = [("delivered", None), ("failed", "undelivered: X")]
    assert (await town.report(*both, *both)).status_code == 200
    assert (await town.report(*both)).status_code == 200
    assert await town.states() == expected
    assert (await town.report(*both)).status_code == 200
    assert await town.states() == expected


async def test_of_two_reports_about_a_message_the_last_counts(town: Town) -> None:
    first, second = await town.send("a", "b")
    await town.report(report(first, success=False), report(first), report(second))
    await town.report(report(second, success=False, err_code="X"))
    assert await town.states() == [("delivered", None), ("failed", "undelivered: X")]


async def test_reports_of_other_systems_and_of_unknown_messages_do_no_harm(town: Town) -> None:
    await town.send("a")
    answer = await town.report(report("another"), {"success": True}, report(f"liangzheng-{'0' * 32}-00000000"))
    assert answer.status_code == 200
    assert await town.states() == [("sent", None)]
    assert await town.running.count("outbox_receipt") == 1, "another system's is not even kept"
    town.running.clock.forward(days=4)
    async with town.running.platform.database.transaction() as session:
        await town.outbox.prune(session, timedelta(days=90))
    assert await town.running.count("outbox_receipt") == 0


async def test_a_report_that_overtakes_the_worker_is_found_when_the_message_is_sent(town: Town) -> None:
    class Hasty:
        """Aliyun reports before its answer is written down."""

        name, batch = "aliyun", 20
        reaches = town.sms.reaches

        async def send(self, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
            outcomes = await town.sms.send(deliveries)
            told = [report(str(one.provider_ref)) for one in outcomes if isinstance(one, Receipt)]
            assert (await town.report(*told)).status_code == 200
            await town.deliver()  # another worker's run finds no such message yet
            return outcomes

    town.send_by(Hasty())
    await town.write("a")
    await town.deliver()
    assert await town.states() == [("delivered", None)]


async def test_what_is_said_of_an_earlier_attempt_is_not_taken_for_the_one_that_counts(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notifications.channels.sms_aliyun.ANSWER_S", 0.1)
    town.aliyun.silent = True
    await town.write("a")
    await town.deliver()
    monkeypatch.undo()
    town.aliyun.silent, town.aliyun.send_status = False, 2
    town.running.clock.forward(hours=1)
    await town.deliver()
    first, second = [str(taken["OutId"]) for taken in town.aliyun.taken]
    await town.report(report(first, success=False, err_code="X"))
    assert await town.states() == [("sent", None)]
    await town.report(report(second))
    assert await town.states() == [("delivered", None)]


async def test_who_does_not_know_the_token_finds_nothing_there(town: Town) -> None:
    (out_id,) = await town.send("a")
    stranger = await town.report(report(out_id), at="/api/v1/sms-reports/nobody/here")
    for token in ("x" * len(TOKEN), TOKEN[:-1], TOKEN + "x", "é", "%00", TOKEN.lower()):
        answer = await town.report(report(out_id), at=f"/api/v1/sms-reports/aliyun/{token}")
        assert answer.status_code == 404
        assert answer.json() == stranger.json()
        assert "ratelimit" in answer.headers, "guessing is counted"
    assert "ratelimit" not in (await town.report()).headers
    assert await town.states() == [("sent", None)]
    assert await town.running.count("outbox_receipt") == 0


async def test_without_the_setting_nobody_can_report(running: Running) -> None:
    for token in (TOKEN, "None", "", "x"):
        answer = await running.post(f"/api/v1/sms-reports/aliyun/{token}", json=[report("x")])
        assert answer.status_code == 404


async def test_a_post_that_is_no_list_is_refused_and_one_that_is_too_large_is_not_read(town: Town) -> None:
    for body in (b"", b"{}", b"[", b"\xff", b"[" * 100_000, b"null", json.dumps(report("x")).encode()):
        answer = await town.running.post(AT, content=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "reports_malformed")

    async def undeclared() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b" " * 10_000

    for large in (b" " * 300_000, undeclared()):
        answer = await town.running.post(AT, content=large)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_as_many_reports_as_a_post_can_hold_are_taken(town: Town) -> None:
    (out_id,) = await town.send("a")
    shortest = [{"success": True, "out_id": f"liangzheng-{n:x}-00000000"} for n in range(4000)]
    body = json.dumps([*shortest, {"success": True, "out_id": out_id}], separators=(",", ":")).encode()
    assert 200_000 < len(body) < 262_144
    assert (await town.running.post(AT, content=body)).status_code == 200
    assert await town.running.count("outbox_receipt") == 4001
    assert await town.states() == [("delivered", None)]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_whatever_is_posted_no_answer_is_a_server_error(town: Town, runner: asyncio.Runner) -> None:
    (out_id,) = runner.run(town.send("a"))
    members = st.dictionaries(st.sampled_from(sorted(report("x"))), ANY_JSON, max_size=4)
    reports = st.lists(members.map(lambda more: report("liangzheng-x-00000000") | more) | ANY_JSON, max_size=4)

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.binary(max_size=100) | reports.map(lambda found: json.dumps(found).encode()))
    def post(body: bytes) -> None:
        assert runner.run(town.running.post(AT, content=body)).status_code in (200, 422)

    post()
    assert runner.run(town.states()) == [("sent", None)], out_id


async def test_neither_the_token_nor_whom_it_is_about_is_logged_or_measured(
    town: Town, capfd: pytest.CaptureFixture[str]
) -> None:
    logging.configure()
    platform = town.running.platform
    (out_id,) = await town.send("a")
    await town.report(report(out_id), report("x"), None, report(out_id, success=7))
    await town.report("no report", at=AT + "x")
    await town.running.post(AT, content=b"{")
    await town.running.get(AT)
    broken = replace(platform, aliyun_receipts=Broken())  # type: ignore[arg-type]
    town.running.app.state.platform = broken
    assert (await town.report(report(out_id))).status_code == 500
    logged = "".join(capfd.readouterr())
    measured = platform.metrics.text().decode()
    for what in (logged, measured):
        assert "/api/v1/sms-reports/aliyun/{token}" in what
        assert not [secret for secret in (TOKEN, "13800138000", out_id, "932702304080415357") if secret in what]
    assert '"count": 2' in logged
    counted = dict(line.rsplit(" ", 1) for line in measured.splitlines() if "sms_reports_total{" in line)
    assert {name.split('outcome="')[1].split('"')[0]: float(count) for name, count in counted.items()} == {
        "arrived": 1, "failed": 0, "others": 1, "unreadable": 2,
    }  # fmt: skip


class Broken:
    async def take(self, body: bytes) -> None:
        raise RuntimeError("a defect of ours")


async def test_a_token_that_could_be_guessed_is_refused_and_not_repeated(tmp_path: Path) -> None:
    for token in ("", "short", "x" * 31, "x" * 129, "x" * 40 + "/", "é" * 40):
        with pytest.raises(ValueError, match="ALIYUN_REPORT_TOKEN is 32 to 128") as refused:
            Settings(_env_file=None, data_dir=tmp_path, aliyun_report_token=token)
        assert "input_value" not in str(refused.value)
