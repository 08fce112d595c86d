"""Reminders as the platform has them: switches, coverage, whoever acts for a company, and rehearsals."""

import asyncio
import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from credentials.catalogue import Catalogue
from credentials.registry import SHANGHAI, IntakeSource
from notifications import LicenceChange
from tests.credentials.rows import business_row, driving_row
from tests.wallet_api.running import Running
from tests.wallet_api.showing import refusal
from tests.wallet_api.test_configuration import GOOD
from tests.wallet_api.test_inbox import signed_in
from tests.wallet_api.test_noticing import inbox
from wallet_api.cli import app
from wallet_api.migrations import upgrade
from wallet_api.reminding import PackRules, StoredChanges
from wallet_api.sample import City
from wallet_api.settings import Settings
from wallet_api.wiring import Platform

AT = "/api/v1/me/notification-settings"


async def test_a_holder_reads_and_changes_what_rings(running: Running) -> None:
    wallet = await signed_in(running)
    first = (await wallet.call("GET", AT)).json()
    assert first["kinds"]["licence_expiry"] == {"inbox": True, "push": True, "sms": True}
    assert first["kinds"]["licence_shown"] == {"inbox": True, "push": False, "sms": False}
    wanted = {"kinds": {"licence_shown": {"push": True}}, "silent_types": ["driving-licence"]}
    changed = await wallet.call("PUT", AT, json=wanted)
    assert changed.status_code == 200, changed.text
    assert changed.json()["kinds"]["licence_shown"] == {"inbox": True, "push": True, "sms": True}
    assert (await wallet.call("GET", AT)).json() == changed.json()
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"kinds": {"licence_expiry": {"inbox": False}}}, "statutory_notice_needs_a_channel"),
        ({"kinds": {"gossip": {}}}, "preference_unknown"),
        ({"silent_types": ["no-such-type"]}, "type_unknown"),
        ({"kinds": {"licence_shown": {"push": "no"}}}, "request_invalid"),
        ({"more": 1}, "request_invalid"),
    ]
    for body, code in wrong:
        answer = await wallet.call("PUT", AT, json=body)
        assert refusal(answer)[1] == code, (body, answer.text)
    assert (await wallet.call("GET", AT)).json() == changed.json()


async def test_a_department_sees_how_far_reminders_of_its_types_reached(running: Running) -> None:
    department = await running.department()
    soon = (running.clock.now().astimezone(SHANGHAI).date() + timedelta(days=20)).isoformat()
    await running.take(driving_row(1, certificate_validate_end=soon))
    await running.remind()
    told = (await department.get("/api/v1/reminder-coverage", first="2026-01-01", last="2026-12-31")).json()
    stages = {one["stage"]: one for one in told["stages"] if one["type_code"] == "driving-licence"}
    assert sum(one["reminders"].get("queued", 0) for one in stages.values()) == 1
    (queued,) = [one for one in stages.values() if "queued" in one["reminders"]]
    assert queued["channels"]["inbox"] == {"delivered": 1}
    assert (await department.get("/api/v1/reminder-coverage", first="2020-01-01")).status_code == 422
    assert (await department.get("/api/v1/reminder-coverage", first="yesterday")).status_code == 422


@pytest.mark.parametrize("operate_type", ["02", "09"])
async def test_a_new_version_with_the_same_end_is_not_announced_again(running: Running, operate_type: str) -> None:
    today = running.clock.now().astimezone(SHANGHAI).date()
    ends = (today + timedelta(days=60)).isoformat()
    row = driving_row(1, certificate_validate_end=ends)
    await running.take(row)
    await running.remind()
    moved = row["business_information"] | {"address": "上海市静安区南京西路1号"}
    for version in (2, 3):
        await running.take(
            row | {"source_version": version, "operate_type": operate_type, "business_information": moved}
        )
        await running.remind()
        running.clock.forward(days=1)
        await running.remind()
    assert [kind for kind, _ in await inbox(running) if kind == "licence_expiry"] == ["licence_expiry"]


@pytest.mark.parametrize("begins_in", [-1, 30])
async def test_who_acts_for_a_company_hears_of_its_licences_from_then_on(running: Running, begins_in: int) -> None:
    """Also who acts for it from a later day on: no change comes on that day that could be followed."""
    database = running.platform.database
    platform = Platform.of(running.platform.settings, clock=running.clock, database=database)
    kind = platform.catalogue.get("food-business-licence")
    company = business_row(1)["certificate_holders"]
    row = City(platform.catalogue, seed=3, today=date(2026, 11, 1)).row(kind, 1) | {"certificate_holders": company}

    async def changes_after(taken: dict[str, Any]) -> dict[str, LicenceChange]:
        report = await platform.intake.take_all(database, IntakeSource("test", None), [_line(taken)])
        assert report.accepted == 1
        for _ in range(600):  # PostgreSQL's horizon waits for every transaction of the server, other tests' too
            async with database.transaction() as session:
                if feed := await StoredChanges(platform.registry).pull(session, "test", 10):
                    return {one.type_code: one for one in feed}
            await asyncio.sleep(0.05)
        raise AssertionError("the change never came")

    alone = (await changes_after(row))[kind.code]
    assert len(alone.holder_ids) == 1
    begins = running.clock.now().astimezone(SHANGHAI).date() + timedelta(days=begins_in)
    named = await changes_after(business_row(1, certificate_validate_start=begins.isoformat()))  # names a person
    async with database.snapshot() as session:
        acting = await platform.registry.representatives(session, alone.holder_ids)
        again = await StoredChanges(platform.registry).of_type(session, "test", kind.code, None, 10)
    assert named[kind.code].holder_ids == (*alone.holder_ids, *acting[alone.holder_ids[0]])
    assert len(named[kind.code].holder_ids) == 2
    assert again == [named[kind.code]]


async def test_nobody_follows_changes_while_a_type_is_gone_through_as_it_stands(running: Running) -> None:
    """Or a suspension could be followed between the reading of a licence and the planning by what was read."""
    await running.take(driving_row(1))
    database, changes = running.platform.database, StoredChanges(running.platform.registry)

    async def follow() -> None:
        async with database.transaction() as session:
            await changes.pull(session, "test", 10)

    async with database.transaction() as session:
        assert len(await changes.of_type(session, "test", "driving-licence", None, 10)) == 1
        following = asyncio.create_task(follow())
        await asyncio.wait([following], timeout=0.5)
        assert not following.done()
    await following


def _line(row: dict[str, Any]) -> bytes:
    return json.dumps(row).encode()


def test_every_shipped_stage_is_counted_from_something_that_is_there() -> None:
    rules = PackRules(Catalogue.default())
    stages = {code: list(rules.stages(code)) for code in rules.type_codes()}
    assert sum(map(len, stages.values())) > 40
    food = {stage.name: stage.leads for stage in stages["food-business-licence"]}
    assert [(lead.amount, lead.unit.value) for lead in food["renewal-opens"]] == [(90, "working-days")]
    assert [lead.amount for lead in food["renewal-closes-soon"]] == [15, 10]


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def store(empty: None) -> None:
    """A store with some licences that come to their end."""
    asyncio.run(_fill())


async def _fill() -> None:
    platform = Platform.of(Settings())
    await upgrade(platform.database)
    today = platform.clock.now().astimezone(SHANGHAI).date()
    city = City(platform.catalogue, seed=1, today=today)
    await platform.intake.take_all(platform.database, IntakeSource("test", None), [_line(row) for row in city.rows(60)])
    await platform.close()


def reminders(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["reminders", *arguments])


@pytest.mark.usefixtures("store")
def test_a_type_is_switched_off_and_on_by_command_and_each_step_is_noted() -> None:
    def told(*arguments: str) -> list[str]:
        return [line.split("  ")[0] for line in reminders(*arguments).output.splitlines() if "  " in line]

    late = (datetime.now(SHANGHAI).date() + timedelta(days=95)).isoformat()
    before = told("run", "--dry-run", "--at", late)
    muted = before[0]
    assert reminders("mute", muted).exit_code == 2, "a reason is asked for"
    assert "switch_reason_invalid" in reminders("mute", muted, "--reason", " ").output
    assert "type_unknown" in reminders("mute", "no-such-type", "--reason", "x").output
    assert "not switched off" in reminders("unmute", muted).output
    assert reminders("mute", muted, "--reason", "期限延长 [公告3号]").exit_code == 0
    assert told("run", "--dry-run", "--at", late) == [code for code in before if code != muted]
    for shown in (reminders("types").output, reminders("coverage", "--days", "1").output):
        assert "switched off" in shown
        assert f"{muted}  期限延长 [公告3号]" in shown
    for reason in ("a\u202eb", "x" * 201):
        assert "switch_reason_invalid" in reminders("unmute", muted, "--reason", reason).output
    assert reminders("unmute", muted, "--reason", "公告　期满").exit_code == 0
    assert told("run", "--dry-run", "--at", late) == before
    assert "switched off" not in reminders("types").output
    noted = CliRunner().invoke(app, ["operators", "actions"]).output.split()
    steps = ["reminders_switched_on", muted, "公告", "期满", "reminders_switched_off", muted, "期限延长", "[公告3号]"]
    assert [word for word in noted if word in steps] == steps


def count_of(shown: Result) -> int:
    assert shown.exit_code == 0, shown.output
    assert "nothing was written or sent" in shown.output
    return int(shown.output.split("in all ")[1].split()[0])


@pytest.mark.usefixtures("store")
def test_a_rehearsal_shows_a_day_and_keeps_nothing() -> None:
    late = (datetime.now(SHANGHAI).date() + timedelta(days=95)).isoformat()
    first = reminders("plan", "--at", late)
    assert first.output == reminders("plan", "--at", late).output
    whole = reminders("run", "--at", late, "--dry-run")
    assert 0 <= count_of(first) < count_of(whole)
    done = reminders("run", "--at", late)
    assert f"queued {count_of(whole)}," in done.output, done.output
    assert "queued 0," in reminders("run", "--at", late).output
    assert reminders("plan", "--at", "soon").exit_code == 2


@pytest.mark.usefixtures("empty")
def test_an_empty_store_has_nothing_to_tell_and_says_so() -> None:
    assert count_of(reminders("plan")) == 0
    assert "no reminder was due" in reminders("coverage").output


@pytest.mark.usefixtures("store")
def test_a_day_is_shown_without_what_the_days_before_it_bring() -> None:
    """The days of a month together bring what one late run would, but for stages that a later one overtakes."""
    begin = datetime.now(SHANGHAI).date()
    days = [begin + timedelta(days=n) for n in range(8)]
    each = [count_of(reminders("plan", "--at", day.isoformat())) for day in days]
    whole = count_of(reminders("run", "--at", days[-1].isoformat(), "--dry-run"))
    assert each[0] == count_of(reminders("run", "--at", begin.isoformat(), "--dry-run"))
    assert whole <= sum(each) < whole * 2


@pytest.mark.usefixtures("store")
@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize("day", ["0001-01-01", "2000-01-01", "2999-12-31", "9999-12-31"])
def test_a_day_far_away_is_rehearsed_or_refused(day: str) -> None:
    for command in (["plan"], ["run", "--dry-run"], ["run"]):
        shown = reminders(*command, "--at", day)
        assert shown.exit_code == (0 if day.startswith("2") else 2), (shown.output, shown.exception)


def test_in_production_a_run_as_of_a_day_is_a_rehearsal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    for day in ("2020-01-01", "2099-01-01", datetime.now(SHANGHAI).date().isoformat()):
        refused = reminders("run", "--at", day)
        assert (refused.exit_code, "add --dry-run" in refused.output) == (1, True), refused.output
