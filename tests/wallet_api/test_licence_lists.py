"""A department's own: licences and batches page by page, the refused rows of a batch, histories, faces."""

import asyncio
import base64
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credentials.registry.intake import MAX_REJECTIONS
from tests.credentials.rows import TRAFFIC_POLICE, driving_row, step_row
from tests.fakes import FakeClock
from tests.wallet_api.running import Department, Running
from wallet_api.edge import CursorInvalid, Cursors
from wallet_api.protection import DataProtector

LICENCES, BATCHES, HISTORY = "/api/v1/licences", "/api/v1/licence-batches", "/api/v1/licences/history"
OTHER_AUTHORITY = "11310000000000001A"


async def ask(department: Department, path: str, **query: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {await department.token()}"}
    return await department.running.get(path, params=query, headers=headers)


async def walk(department: Department, path: str, member: str, **query: Any) -> list[Any]:
    """All pages of a list."""
    found: list[Any] = []
    cursor: Mapping[str, Any] = {}
    while True:
        answer = await ask(department, path, **query, **cursor)
        assert answer.status_code == 200, answer.text
        found += answer.json()[member]
        if not answer.json()["next_cursor"]:
            return found
        assert len(answer.json()[member]) == query["limit"]
        cursor = {"cursor": answer.json()["next_cursor"]}


async def test_all_licences_of_a_department_come_once_in_the_order_of_their_changes(
    running: Running, clock: FakeClock
) -> None:
    for number in range(7):
        await running.take(driving_row(number))
        clock.forward(seconds=number % 2)  # some change in the same instant
    clock.forward(seconds=1)
    await running.take(step_row(2, 2, "03"))
    department = await running.department()
    for limit in (1, 3, 7, 8):
        found = await walk(department, LICENCES, "licences", limit=limit)
        assert {one["source_record_id"] for one in found} == {f"GA-{number:06}" for number in range(7)}
        assert [one["updated_at"] for one in found] == sorted(one["updated_at"] for one in found)
        assert len(found) == 7
    assert found[-1]["cert_state"] == "02"
    assert "310101" not in str(found)
    assert "张三丰" not in str(found)


async def test_a_list_has_the_licences_that_were_asked_for(running: Running, clock: FakeClock) -> None:
    await running.take(driving_row(1), driving_row(2))
    clock.forward(hours=1)
    since = clock.now().isoformat()
    await running.take(driving_row(3), step_row(1, 2, "05", cert_state="07"))
    department = await running.department()

    async def records(**query: Any) -> list[str]:
        found = await walk(department, LICENCES, "licences", limit=2, **query)
        return sorted(one["source_record_id"][-1] for one in found)

    assert await records() == ["1", "2", "3"]
    assert await records(state="07") == ["1"]
    assert await records(state="01", changed_since=since) == ["3"]
    assert await records(changed_since=since) == ["1", "3"]
    assert await records(type="driving-licence") == ["1", "2", "3"]
    assert await records(type="business-licence") == []


async def test_a_department_sees_its_own_authorities_only(running: Running) -> None:
    await running.take(driving_row())
    stranger = await running.department("stranger", OTHER_AUTHORITY)
    assert (await ask(stranger, LICENCES)).json() == {"licences": [], "next_cursor": None}
    both = await running.department("both", OTHER_AUTHORITY, TRAFFIC_POLICE)
    assert len((await ask(both, LICENCES)).json()["licences"]) == 1
    nobody = await running.get(LICENCES)
    assert (nobody.status_code, nobody.json()["code"]) == (401, "token_missing")


async def test_a_query_out_of_form_is_refused(running: Running) -> None:
    department = await running.department()
    queries: list[dict[str, Any]] = [
        {"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"state": "08"}, {"state": "\x00"}, {"type": "\x00"},
        {"type": "x" * 65}, {"type": "Ä"}, {"changed_since": "yesterday"}, {"changed_since": "2026-01-01T00:00:00"},
        {"changed_since": "0001-01-01T00:00:00+14:00"}, {"changed_since": "9999-12-31T23:59:59-14:00"},
        {"certificate_number": "310101199001010016"}, {"cursor": "x" * 2000}, {"limit": "9" * 5000},
    ]  # fmt: skip
    for query in queries:
        answer = await ask(department, LICENCES, **query)
        assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid"), query
        assert "310101" not in answer.text


async def test_a_forged_or_foreign_cursor_is_refused(running: Running) -> None:
    await running.take(*map(driving_row, range(3)))
    department, other = await running.department(), await running.department("other-police")
    cursor = (await ask(department, LICENCES, limit=1)).json()["next_cursor"]
    assert (await ask(department, LICENCES, limit=2, cursor=cursor)).status_code == 200
    raw = bytearray(base64.urlsafe_b64decode(cursor))
    raw[-1] ^= 1
    forged = base64.urlsafe_b64encode(raw).decode()
    attempts = [
        (other, LICENCES, {"cursor": cursor}),
        (department, LICENCES, {"cursor": cursor, "state": "01"}),
        (department, BATCHES, {"cursor": cursor}),
        *((department, LICENCES, {"cursor": text}) for text in (forged, cursor[:-4], "x", "é", "\x00", "AAAA", "=")),
    ]
    for client, path, query in attempts:
        answer = await ask(client, path, **query)
        assert (answer.status_code, answer.json()["code"]) == (422, "cursor_invalid"), query
    assert "GA-" not in base64.urlsafe_b64decode(cursor).decode("latin-1")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=600) | st.binary(max_size=200).map(lambda data: base64.urlsafe_b64encode(data).decode()))
def test_any_text_as_a_cursor_is_opened_or_refused(protector: DataProtector, text: str) -> None:
    with pytest.raises(CursorInvalid):
        Cursors(protector).open("list", text)


async def test_the_refused_rows_of_a_batch_can_all_be_read(running: Running) -> None:
    department = await running.department()
    wrong = MAX_REJECTIONS + 30
    headers = {"Authorization": f"Bearer {await department.token()}", "Content-Type": "application/x-ndjson"}
    report = (await running.post(BATCHES, content=b"{}\n" * wrong, headers=headers)).json()
    assert (report["rejected"], len(report["rejections"])) == (wrong, MAX_REJECTIONS)
    path = f"{BATCHES}/{report['batch_id']}/rejections"
    rest = (await ask(department, path, cursor=report["next_cursor"])).json()
    assert [row["line"] for row in rest["rejections"]] == list(range(MAX_REJECTIONS + 1, wrong + 1))
    assert rest["next_cursor"] is None
    everything = await walk(department, path, "rejections", limit=400)
    assert everything == report["rejections"] + rest["rejections"]
    stranger = await running.department("other-police")
    assert (await ask(stranger, path)).status_code == 404
    assert (await ask(department, f"{BATCHES}/%00/rejections")).status_code == 404


async def test_a_department_s_own_batches_are_listed_newest_first(running: Running, clock: FakeClock) -> None:
    department, other = await running.department(), await running.department("other-police")
    sent = []
    for number in range(5):
        clock.forward(seconds=1)
        answer = await department.post(LICENCES, driving_row(number))
        sent.append(answer.json()["batch_id"])
    await other.post(LICENCES, driving_row(9))
    found = await walk(department, BATCHES, "batches", limit=2)
    assert [batch["batch_id"] for batch in found] == sent[::-1]
    assert {batch["accepted"] for batch in found} == {1}


async def test_the_history_of_a_licence_is_read_by_its_department(running: Running, clock: FakeClock) -> None:
    steps = [driving_row(), step_row(1, 2, "03"), step_row(1, 3, "06"), step_row(1, 4, "05", cert_state="07")]
    department = await running.department()
    for step in steps:
        clock.forward(minutes=1)
        assert (await department.post(LICENCES, step)).status_code == 201
    wanted = await wanted_licence(running)
    events: list[Any] = []
    cursor: dict[str, str] = {}
    while cursor is not None:
        page = (await department.post(HISTORY, wanted | {"limit": 2} | cursor)).json()
        events += page["events"]
        cursor = page["next_cursor"] and {"cursor": page["next_cursor"]}
    assert [(event["sequence"], event["operate_type"], event["cert_state"]) for event in events] == [
        (1, "01", "01"), (2, "03", "02"), (3, "06", "01"), (4, "05", "07"),
    ]  # fmt: skip
    assert [event["reason"] for event in events] == [None, *["依法处理"] * 3]
    stranger = await running.department("stranger", OTHER_AUTHORITY)
    assert (await stranger.post(HISTORY, wanted)).status_code == 404
    for body in (wanted | {"limit": 0}, wanted | {"x": 1}, wanted | {"cursor": 1}, {}):
        assert (await department.post(HISTORY, body)).status_code == 422
    forged = await department.post(HISTORY, wanted | {"cursor": "AAAA"})
    assert forged.json()["code"] == "cursor_invalid"


async def wanted_licence(running: Running, number: int = 1) -> dict[str, str]:
    async with running.platform.database.snapshot() as session:
        licence = await running.platform.registry.licence(session, await running.licence_id(number))
    return {"certificate_identifier": licence.identifier}


async def test_the_face_of_a_licence_is_drawn_for_its_department_and_hostile_text_stays_text(running: Running) -> None:
    hostile = """</text><script>alert(1)</script>'" onload="x" {{holder_name}} &amp;"""
    row = driving_row()
    row["certificate_holders"][0]["certificate_holder_name"] = "<b>张三丰</b>&"
    row["business_information"]["address"] = hostile
    department = await running.department()
    assert (await department.post(LICENCES, row)).status_code == 201
    wanted = await wanted_licence(running)
    answer = await department.post("/api/v1/licences/face", wanted)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    drawn = ElementTree.fromstring(answer.content)
    assert [one.tag for one in drawn.iter() if one.tag.endswith(("script", "b"))] == []
    text = "".join("".join(drawn.itertext()).split())
    assert "<b>张三丰</b>&" in text
    assert "".join(hostile.split()) in text
    stranger = await running.department("stranger", OTHER_AUTHORITY)
    foreign = await stranger.post("/api/v1/licences/face", wanted)
    assert (foreign.status_code, foreign.json()["code"]) == (404, "licence_not_found")


async def test_pages_stay_whole_while_others_write(running: Running, clock: FakeClock) -> None:
    """A licence that moves while its list is read comes again at the end; none is missed."""
    await running.take(*map(driving_row, range(8)))
    department = await running.department()
    first = (await ask(department, LICENCES, limit=4)).json()
    clock.forward(seconds=1)
    await asyncio.gather(*(running.take(step_row(number, 2, "03")) for number in range(8)))
    rest = (await ask(department, LICENCES, limit=1000, cursor=first["next_cursor"])).json()["licences"]
    assert {one["source_record_id"] for one in rest} == {f"GA-{number:06}" for number in range(8)}
