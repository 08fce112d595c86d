"""A register says that a holder has ended: who hears nothing any more, who still does, and how it is taken back."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from credentials.catalogue import Catalogue
from credentials.keys.formats.jwk import PublicJwk
from credentials.registry import SHANGHAI, IntakeSource
from credentials.registry import repository as store
from credentials.registry.feeds import CURSOR
from notifications.reminders.tables import ReminderRow
from tests.credentials.registry.test_holder_ends import end_row
from tests.credentials.rows import business_row, driving_row, lines, organisation_code, resident_id, step_row
from tests.fakes import FakeClock
from tests.wallet_api.running import Department, Running
from tests.wallet_api.showing import inspector, operator, refusal
from wallet_api.cli import app
from wallet_api.cli.console import console as printer
from wallet_api.cli.intake import ROWS_REFUSED, WRONG_FILE
from wallet_api.database import Database
from wallet_api.reminding import HolderContacts, StoredChanges
from wallet_api.sample import City
from wallet_api.settings import Settings
from wallet_api.upkeep.sealed_columns import table_of
from wallet_api.wiring import Platform

ENDS, LICENCES = "/api/v1/holder-ends", "/api/v1/licences"
HOUSE = "real-estate-certificate"
TYPES = Catalogue(map(Catalogue.default().get, ("driving-licence", "business-licence", HOUSE)))
REMINDER = table_of(ReminderRow)


@pytest.fixture
def city(runner: asyncio.Runner, tmp_path: Path, clock: FakeClock, database: Database) -> Iterator[Running]:
    """A platform with types for organisations and for joint holders too."""
    running = runner.run(Running.start(tmp_path, clock, database, catalogue=TYPES))
    yield running
    runner.run(running.http.aclose())


async def register(running: Running, client_id: str = "population-register") -> Department:
    """A register's system."""
    system = Department(running, client_id)
    key = PublicJwk.from_object(system.key.export_public(as_dict=True))
    async with running.platform.database.transaction() as session:
        await running.platform.operators.admit_register(session, client_id, "Test", key)
    return system


async def report(running: Running, *rows: object) -> dict[str, Any]:
    answer = await (await register(running)).post(ENDS, list(rows))
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    assert sum(told[one] for one in ("accepted", "unchanged", "unknown_holder", "rejected")) == len(rows)
    return told


def days(running: Running, count: int) -> str:
    return (running.clock.now().astimezone(SHANGHAI).date() + timedelta(days=count)).isoformat()


async def work(running: Running) -> None:
    """Run until reminders have followed everything: on PostgreSQL others' transactions hold the feeds back."""
    for _ in range(600):
        await running.platform.remind()
        if await _followed(running, store.EVENT, "reminders") and await _followed(
            running, store.HOLDER_END, "reminders.ends"
        ):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the feeds never came to their end")


async def _followed(running: Running, feed: Any, consumer: str) -> bool:
    last = select(feed.c.position).order_by(feed.c.written_in.desc(), feed.c.position.desc()).limit(1)
    async with running.platform.database.snapshot() as session:
        newest = (await session.execute(last)).scalar()
        read = (await session.execute(select(CURSOR.c.position).where(CURSOR.c.consumer == consumer))).scalar()
    return newest is None or newest == read


async def holder_id(running: Running, code_type: str, code: str) -> str:
    async with running.platform.database.snapshot() as session:
        return (await running.platform.registry.holder_by_code(session, code_type, code)).id


async def reminders(running: Running, holder: str) -> Counter[str]:
    """State → how many reminders of a holder are in it."""
    async with running.platform.database.snapshot() as session:
        return Counter(await session.scalars(select(REMINDER.c.state).where(REMINDER.c.holder_id == holder)))


async def inbox(running: Running, holder: str) -> list[str]:
    async with running.platform.database.snapshot() as session:
        page = await running.platform.inbox.list(session, holder, limit=100)
    return [message.kind for message in page.messages]


async def test_reminders_are_withdrawn_at_the_end_and_go_out_once_after_its_correction(running: Running) -> None:
    department = await running.department()
    await running.take(driving_row(1, certificate_validate_end=days(running, 120)))
    person = await holder_id(running, "111", resident_id(1))
    await work(running)
    assert await reminders(running, person) == {"planned": 4}

    assert (await report(running, end_row(1)))["accepted"] == 1
    await work(running)
    assert await reminders(running, person) == {"withdrawn": 4}
    running.clock.forward(days=31)
    await work(running)
    assert await inbox(running, person) == [], "the stage of 90 days passes in silence"

    await report(running, end_row(1, None, 2))
    for _ in range(3):
        await work(running)
        running.clock.forward(days=1)
    assert await reminders(running, person) == {"queued": 1, "planned": 3}
    assert await inbox(running, person) == ["licence_expiry"]
    told = (await department.get("/api/v1/reminder-coverage", first=days(running, -90), last=days(running, 200))).json()
    counted = Counter[str]()
    for stage in told["stages"]:
        counted.update(stage["reminders"])
    assert counted == await reminders(running, person)


async def test_what_waits_when_its_holder_ends_is_closed_on_every_channel_and_goes_out_after_a_correction(
    running: Running,
) -> None:
    platform = running.platform
    await running.take(driving_row(1, certificate_validate_end=days(running, 20)))
    person = await holder_id(running, "111", resident_id(1))
    licence_id = await running.licence_id(1)
    while not await reminders(running, person):
        async with platform.database.transaction() as session:
            await platform.reminders.follow(session)
    async with platform.database.transaction() as session:
        await platform.reminders.queue_due(session)
        offer = await platform.issuance.offer_licence(session, licence_id)
        await platform.notices.send_code(session, person, offer)
    await report(running, end_row(1))
    await platform.outbox.deliver(platform.database)
    async with platform.database.snapshot() as session:
        counts = await platform.outbox.counts(session)
    assert counts == {("inbox", "cancelled"): 1, ("push", "cancelled"): 1, ("sms", "cancelled"): 1}
    assert not (platform.settings.data_dir / "sink.ndjson").exists()
    assert await inbox(running, person) == []

    await report(running, end_row(1, None, 2))
    await work(running)
    running.clock.forward(days=1)
    for _ in range(2):
        await work(running)
    assert await inbox(running, person) == ["licence_expiry"]


async def test_a_representative_who_ended_hears_nothing_and_the_company_still_does(city: Running) -> None:
    await city.take(business_row(1, certificate_validate_end=days(city, 200)))
    person = await holder_id(city, "111", resident_id(1))
    company = await holder_id(city, "001", organisation_code(1))
    await work(city)
    assert await reminders(city, person) == await reminders(city, company) == {"planned": 3}
    await report(city, end_row(1))
    await work(city)
    assert (await reminders(city, person), await reminders(city, company)) == ({"withdrawn": 3}, {"planned": 3})
    await report(city, end_row(1, None, 2))
    await work(city)
    assert await reminders(city, person) == {"planned": 3}
    dissolved = end_row() | {"certificate_holder_type": "001", "certificate_holder_code": organisation_code(1)}
    await report(city, dissolved)
    await work(city)
    assert await reminders(city, person) == await reminders(city, company) == {"withdrawn": 3}, "nobody to act for"
    await report(city, dissolved | {"ended_on": None, "source_version": 2})
    await work(city)
    assert await reminders(city, person) == await reminders(city, company) == {"planned": 3}


async def test_of_joint_holders_the_others_still_hear(city: Running) -> None:
    platform = city.platform
    row = City(platform.catalogue, seed=3, today=date(2026, 11, 1)).row(platform.catalogue.get(HOUSE), 1)
    owners = [driving_row(number)["certificate_holders"][0] for number in (1, 2)]
    await city.take(row | {"certificate_holders": owners})
    first, second = [await holder_id(city, "111", resident_id(number)) for number in (1, 2)]
    await report(city, end_row(1))
    step = {"operate_type": "05", "cert_state": "04", "source_version": row["source_version"] + 1, "reason": "依法处理"}
    await city.take({"source_record_id": row["source_record_id"]} | step)
    async with platform.database.snapshot() as session:
        (change,) = await StoredChanges(platform.registry).of_type(session, "test", HOUSE, None, 10)
    assert change.holder_ids == (second,)
    for _ in range(600):
        await platform.remind()
        if await inbox(city, second):
            break
        await asyncio.sleep(0.05)
    assert (await inbox(city, first), await inbox(city, second)) == ([], ["licence_news"])
    assert await city.count("outbox_message", holder_id=first) == 0, "nothing was even written"
    async with platform.database.snapshot() as session:
        contacts = await HolderContacts(platform.registry, platform.devices, platform.preferences).find(
            session, [first, second]
        )
    assert contacts.keys() == {second}


async def test_who_loses_a_licence_by_a_change_hears_of_it_too(city: Running) -> None:
    row = City(city.platform.catalogue, seed=3, today=date(2026, 11, 1)).row(city.platform.catalogue.get(HOUSE), 1)
    owners = [driving_row(number)["certificate_holders"][0] for number in (1, 2, 3)]
    await city.take(row | {"certificate_holders": owners[:2]})
    changed = {"certificate_holders": owners[1:], "operate_type": "09", "source_version": row["source_version"] + 1}
    await city.take(row | changed)
    for _ in range(2):
        await city.remind()
    assert ["不再是" in text for text in await news_of(city, 1)] == [True]
    for number in (2, 3):
        assert ["内容已变更" in text for text in await news_of(city, number)] == [True]


async def news_of(city: Running, number: int) -> list[str]:
    async with city.platform.database.snapshot() as session:
        page = await city.platform.inbox.list(session, await holder_id(city, "111", resident_id(number)))
    return [message.text for message in page.messages if message.kind == "licence_news"]


async def test_no_code_is_sent_to_an_ended_holder_and_no_offer_announced(running: Running) -> None:
    department = await running.department()
    await running.take(driving_row(1))
    async with running.platform.database.snapshot() as session:
        licence = await running.platform.registry.licence(session, await running.licence_id(1))
    asked = {"certificate_identifier": licence.identifier, "tx_code_delivery": "sms"}
    await report(running, end_row(1))
    answer = await department.post("/api/v1/credential-offers", asked)
    assert refusal(answer)[:2] == (409, "holder_ended")
    pushed = {"certificate_identifier": licence.identifier, "sign_in": True, "push": True}
    assert (await department.post("/api/v1/credential-offers", pushed)).status_code == 201
    assert await running.count("outbox_message") == 0
    await report(running, end_row(1, None, 2))
    assert (await department.post("/api/v1/credential-offers", asked)).status_code == 201


async def test_a_department_lists_what_is_alive_of_the_ended_and_ends_it_itself(running: Running) -> None:
    department = await running.department()
    for number in range(4):
        await running.take(driving_row(number))
        running.clock.forward(seconds=1)

    async def listed(**query: Any) -> list[str]:
        page = (await department.get(LICENCES, holder_ended="true", **query)).json()
        return [one["source_record_id"] for one in page["licences"]]

    assert await listed() == []
    await report(running, end_row(1), end_row(3))
    assert await listed() == ["GA-000001", "GA-000003"]
    assert await listed(state="02") == []
    first = (await department.get(LICENCES, holder_ended="true", limit="1")).json()
    assert await listed(cursor=first["next_cursor"]) == ["GA-000003"]
    foreign = await department.get(LICENCES, cursor=first["next_cursor"])
    assert refusal(foreign)[:2] == (422, "cursor_invalid")
    assert len((await department.get(LICENCES)).json()["licences"]) == 4, "states are as they were"
    await running.take(step_row(1, 2, "05", cert_state="04"))
    assert await listed() == ["GA-000003"]
    assert refusal(await department.get(LICENCES, holder_ended="perhaps"))[:2] == (422, "request_invalid")


async def test_each_row_is_answered_and_what_changed_something_is_noted_in_numbers(running: Running) -> None:
    await running.take(driving_row(1))
    told = await report(running, end_row(1), end_row(2), end_row(1, "2027-01-01", 2), end_row(1), [])
    assert [one["outcome"] for one in told["rows"]] == [
        "accepted", "unknown_holder", "rejected", "unchanged", "rejected",
    ]  # fmt: skip
    assert told["rows"][2] | {"detail": ""} == {
        "row": 3, "outcome": "rejected", "code": "date_in_future", "field": "ended_on", "detail": "",
    }  # fmt: skip
    assert "310101" not in json.dumps(told)
    await report(running, end_row(1), end_row(2))
    async with running.platform.database.snapshot() as session:
        actions = await running.platform.operators.actions(session, None, 10)
    reported = [one for one in actions if one.action == "holder_ends_reported"]
    assert [(one.operator, one.subject, one.reason) for one in reported] == [
        ("population-register", "population-register", "accepted 1, unchanged 1, unknown_holder 1, rejected 2")
    ]
    assert actions[-1].action == "register_admitted"


NONSENSE: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 422, "row_not_json"),
    "no JSON": (b"\x00\xff", 422, "row_not_json"),
    "an object": (b"{}", 422, "rows_invalid"),
    "no row": (b"[]", 422, "rows_invalid"),
    "too many rows": (b"[" + b"0," * 1000 + b"0]", 422, "rows_invalid"),
    "too deep": (b"[" * 1010 + b"]" * 1010, 422, "row_not_json"),
    "a member twice": (
        json.dumps([end_row()]).replace("}", ', "ended_on": null}').encode(), 422, "member_repeated",
    ),
    "a large body": (b" " * 300_000, 413, "body_too_large"),
}  # fmt: skip


@pytest.mark.parametrize("name", NONSENSE)
async def test_nonsense_is_refused_as_a_whole_without_a_number(running: Running, name: str) -> None:
    body, status, code = NONSENSE[name]
    answer = await (await register(running)).post(ENDS, body)
    assert refusal(answer)[:2] == (status, code)
    assert "310101" not in answer.text
    assert await running.count("holder_end") == 0


async def test_another_media_type_is_refused(running: Running) -> None:
    system = await register(running)
    headers = {"Authorization": f"Bearer {await system.token()}", "Content-Type": "application/x-ndjson"}
    answer = await running.post(ENDS, content=json.dumps([end_row()]).encode(), headers=headers)
    assert refusal(answer)[:2] == (415, "media_type_unsupported")


async def test_only_a_register_reports_and_a_register_does_nothing_else(running: Running) -> None:
    system = await register(running)
    others = [await running.department(), await operator(running), await inspector(running)]
    for other in others:
        answer: httpx.Response = await other.post(ENDS, [end_row()])
        assert refusal(answer)[:2] == (403, "insufficient_scope")
    assert refusal(await running.post(ENDS, json=[end_row()]))[:2] == (401, "token_missing")
    for path in (LICENCES, "/api/v1/operators/actions", "/api/v1/reminder-coverage?first=2026-01-01"):
        assert refusal(await system.get(path))[:2] == (403, "insufficient_scope"), path
    async with running.platform.database.transaction() as session:
        assert await running.platform.operators.set_register_active(session, system.client_id, active=False)
        assert not await running.platform.operators.set_register_active(session, "city-desk", active=False)
    assert (await system.ask_token()).json()["error"] == "invalid_client"


def holders(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["holders", *arguments])


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with two drivers, and the folder for files."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(printer, "_width", 200)
    assert CliRunner().invoke(app, ["migrate"]).exit_code == 0
    asyncio.run(_fill())
    return tmp_path


async def _fill() -> None:
    platform = Platform.of(Settings())
    rows = lines(driving_row(1), driving_row(2))
    await platform.intake.take_all(platform.database, IntakeSource("test", None), rows)
    await platform.close()


def test_a_file_is_reported_at_the_console_with_counts_and_an_exit_code(console: Path) -> None:
    file = console / "ends.ndjson"
    good = [end_row(1), end_row(2), end_row(3)]
    file.write_bytes(b"\n\n".join(lines(*good)))
    first = holders("report", str(file), "--source", "population-register")
    assert first.exit_code == 0, first.output
    assert "accepted 2, unchanged 0, unknown holder 1, rejected 0" in first.output
    file.write_bytes(b"\n".join([*lines(*good), b"{}", *lines(end_row(1, None, 2), end_row(2, "2026-11-01"))]))
    second = holders("report", str(file), "--source", "population-register")
    assert second.exit_code == ROWS_REFUSED
    assert "accepted 1, unchanged 2, unknown holder 1, rejected 2" in second.output
    refused = [line.split("│")[1:3] for line in second.output.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in refused] == [
        ["4", "member_missing"], ["6", "source_version_conflict"],
    ]  # fmt: skip
    assert "310101" not in first.output + second.output
    file.write_bytes(b"\n")
    assert holders("report", str(file), "--source", "x").exit_code == WRONG_FILE
    assert holders("report", str(file), "--source", "x" * 65).exit_code == WRONG_FILE
    assert holders("report", str(file)).exit_code != 0, "a source is asked for"
    noted = CliRunner().invoke(app, ["operators", "actions"]).output
    assert noted.count("holder_ends_reported") == 2


def test_a_register_is_admitted_suspended_and_listed_by_command(console: Path) -> None:
    assert "no register" in holders("list").output
    assert holders("register", "population-register", "--name", "人口登记").exit_code == 0
    assert (console / "data" / "clients" / "population-register.pem").exists()
    jwk = console / "key.json"
    jwk.write_text(json.dumps(Department(None, "").key.export_public(as_dict=True)))  # type: ignore[arg-type]
    assert holders("register", "market-register", "--jwk", str(jwk)).exit_code == 0
    assert not (console / "data" / "clients" / "market-register.pem").exists()
    assert holders("register", "Ä").exit_code == 1
    assert holders("suspend", "population-register").exit_code == 0
    listed = holders("list").output
    assert "suspended" in listed
    assert "人口登记" in listed
    assert holders("resume", "population-register").exit_code == 0
    assert "suspended" not in holders("list").output
    assert holders("suspend", "nobody").exit_code == 1
    noted = CliRunner().invoke(app, ["operators", "actions"]).output
    for action in ("register_admitted", "register_suspended", "register_resumed"):
        assert action in noted


def test_rows_beyond_one_transaction_are_all_taken(console: Path) -> None:
    file = console / "many.ndjson"
    file.write_bytes(b"\n".join(lines(*[end_row(3)] * 1500, end_row(1), *[{}] * 30)))
    told = holders("report", str(file), "--source", "population-register")
    assert told.exit_code == ROWS_REFUSED
    assert "accepted 1, unchanged 0, unknown holder 1500, rejected 30" in told.output
    assert "… and 10 more" in told.output
