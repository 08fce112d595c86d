"""Batches over HTTP: rows taken as they arrive, a report that can be read later, and a delivery that breaks off."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.requests import ClientDisconnect

from credentials.registry.intake import CHUNK_ROWS
from tests.credentials.rows import TRAFFIC_POLICE, driving_row, lines
from tests.wallet_api.running import Department, Running
from wallet_api.routes.batches import COUNTS

BATCHES = "/api/v1/licence-batches"
NDJSON = "application/x-ndjson"


async def _deliver(department: Department, content: bytes | AsyncIterator[bytes], kind: str = NDJSON) -> httpx.Response:
    headers = {"Authorization": f"Bearer {await department.token()}", "Content-Type": kind}
    return await department.running.post(BATCHES, content=content, headers=headers)


async def _report(department: Department, batch_id: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {await department.token()}"}
    return await department.running.get(f"{BATCHES}/{batch_id}", headers=headers)


async def test_a_batch_is_taken_row_by_row_and_its_report_can_be_read_later(running: Running) -> None:
    department = await running.department()
    rows = b"\n".join([*lines(driving_row(1)), b"{", b"", *lines(driving_row(2), driving_row(1))])
    answer = await _deliver(department, rows)
    assert answer.status_code == 201
    report = answer.json()
    assert (report["accepted"], report["unchanged"], report["rejected"]) == (2, 1, 1)
    assert [(no["line"], no["code"]) for no in report["rejections"]] == [(2, "row_not_json")]
    assert report["finished_at"]
    assert (await _report(department, report["batch_id"])).json() == report


async def test_a_report_tells_duplicates_refusals_by_code_and_flagged_rows(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    department = await running.department()
    wrong = f"1.2.156.3005.2.11100000000013127DX01.{TRAFFIC_POLICE}.20240000%02d.001.0"
    flagged = [driving_row(number, certificate_identifier=wrong % number) for number in (10, 11, 12)]
    delivery = b"\n".join(lines(driving_row(1), driving_row(1), {}, [], {}, *flagged))
    report = (await _deliver(department, delivery)).json()
    assert [report[name] for name in COUNTS] == [4, 1, 3, 1, 3]
    assert report["rejected_by_code"] == {"member_missing": 2, "row_not_object": 1}
    assert [(flag["line"], flag["code"]) for flag in report["flags"]] == [
        (line, "identifier_check_failed") for line in (6, 7, 8)
    ]
    assert report["next_flag_cursor"] is None
    path = f"{BATCHES}/{report['batch_id']}/flags"
    page = (await department.get(path, limit=2)).json()
    rest = (await department.get(path, cursor=page["next_cursor"])).json()
    assert (page["flags"] + rest["flags"], rest["next_cursor"]) == (report["flags"], None)
    elsewhere = await department.get(f"{BATCHES}/{report['batch_id']}/rejections", cursor=page["next_cursor"])
    assert elsewhere.json()["code"] == "cursor_invalid"
    assert (await (await running.department("other-police")).get(path)).status_code == 404


async def test_another_department_s_batch_is_not_found(running: Running) -> None:
    batch_id = (await _deliver(await running.department(), lines(driving_row())[0])).json()["batch_id"]
    other = await running.department("other-police")
    answer = await _report(other, batch_id)
    assert (answer.status_code, answer.json()["code"]) == (404, "batch_not_found")
    assert (await _report(other, "%00")).status_code == 404


async def test_a_batch_is_larger_than_any_other_body_may_be(running: Running) -> None:
    department = await running.department()
    wide = b" " * 60_000
    answer = await _deliver(department, b"\n".join(line + wide for line in lines(*map(driving_row, range(10)))))
    assert (answer.status_code, answer.json()["accepted"]) == (201, 10)


async def test_a_delivery_that_breaks_off_has_taken_whole_chunks_and_is_resumed_by_sending_again(
    running: Running,
) -> None:
    department = await running.department()
    rows = lines(*(driving_row(number) for number in range(CHUNK_ROWS + 40)))

    async def breaks_off() -> AsyncIterator[bytes]:
        for row in rows[: CHUNK_ROWS + 20]:
            yield row + b"\n"
        raise ClientDisconnect  # what the server raises when the sender is gone

    assert (await _deliver(department, breaks_off())).json()["code"] == "delivery_broken_off"
    assert await running.count("licence") == CHUNK_ROWS
    again = (await _deliver(department, b"\n".join(rows))).json()
    assert (again["accepted"], again["unchanged"], again["rejected"]) == (40, CHUNK_ROWS, 0)


@pytest.mark.parametrize("kind", ["application/json", "text/plain", ""])
async def test_anything_but_ndjson_is_refused(running: Running, kind: str) -> None:
    assert (await _deliver(await running.department(), b"{}", kind)).status_code == 415


async def test_a_batch_wants_a_department_s_token(running: Running) -> None:
    assert (await running.post(BATCHES, content=b"{}", headers={"Content-Type": NDJSON})).status_code == 401
    assert (await running.get(f"{BATCHES}/1")).status_code == 401
