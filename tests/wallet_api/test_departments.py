"""The departments' interface: whose licences, which rows, which offers."""

import json
from collections.abc import Mapping
from typing import Any

from tests.credentials.rows import driving_row, lines, step_row
from tests.wallet_api.running import Running

OTHER_AUTHORITY = "11310000000000001A"


async def identifier(running: Running, number: int = 1) -> str:
    async with running.platform.database.snapshot() as session:
        return (await running.platform.registry.licence(session, await running.licence_id(number))).identifier


async def test_a_row_is_accepted_once_and_unchanged_ever_after(running: Running) -> None:
    department = await running.department()
    outcomes = []
    for row in (driving_row(), driving_row(), step_row(1, 2, "03"), step_row(1, 2, "03")):
        answer = await department.post("/api/v1/licences", row)
        assert answer.headers["cache-control"] == "no-store"
        outcomes.append((answer.status_code, answer.json()["outcome"]))
    assert outcomes == [(201, "accepted"), (200, "unchanged")] * 2
    assert await running.count("licence") == 1
    assert await running.count("licence_event") == 2


async def test_another_department_s_licence_is_not_found(running: Running) -> None:
    await running.take(driving_row())
    stranger = await running.department("stranger", OTHER_AUTHORITY)
    wanted = {"certificate_identifier": await identifier(running)}
    for path in ("/api/v1/licences/lookup", "/api/v1/credential-offers"):
        foreign = await stranger.post(path, wanted)
        unknown = await stranger.post(path, {"certificate_identifier": "1.2.156.3005.2.X"})
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.json() == unknown.json()
    assert await running.count("credential_offer") == 0
    refused = await stranger.post("/api/v1/licences", driving_row(2))
    assert (refused.status_code, refused.json()["code"]) == (422, "authority_not_yours")
    step = await stranger.post("/api/v1/licences", step_row(1, 2, "05", cert_state="07"))
    assert (step.status_code, step.json()["code"]) == (422, "licence_unknown")
    assert await running.count("licence_event") == 1


async def test_a_licence_that_is_not_in_force_is_not_offered(running: Running) -> None:
    department = await running.department()
    await running.take(driving_row(), step_row(1, 2, "03"))
    answer = await department.post("/api/v1/credential-offers", {"certificate_identifier": await identifier(running)})
    assert (answer.status_code, answer.json()["code"]) == (409, "licence_not_in_force")
    assert await running.count("credential_offer") == 0


async def test_a_row_comes_as_json_and_not_compressed(running: Running) -> None:
    department = await running.department()
    authorization = {"Authorization": f"Bearer {await department.token()}"}
    wrong = [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"},
    ]
    for path in ("/api/v1/licences", "/api/v1/licence-batches"):
        for headers in wrong:
            answer = await running.post(path, content=lines(driving_row())[0], headers=authorization | headers)
            assert (answer.status_code, answer.json()["code"]) == (415, "media_type_unsupported"), (path, headers)
    assert await running.count("intake_batch") == 0


async def test_a_malformed_row_is_refused_with_code_and_field_and_no_licence_is_written(running: Running) -> None:
    department = await running.department()
    good: dict[str, Any] = driving_row()
    holder = good["certificate_holders"][0]
    bodies: Mapping[str, bytes] = {
        "empty": b"",
        "white space": b" \n ",
        "null": b"null",
        "array": b"[]",
        "two rows": json.dumps(good).encode() + b"\n" + json.dumps(good).encode(),
        "not UTF-8": b'{"source_record_id": "\xff"}',
        "UTF-16": json.dumps(good).encode("utf-16"),
        "surrogate": b'{"source_record_id": "\\ud800"}',
        "deep": b'{"business_information": ' + b"[" * 30_000,
        "too large": json.dumps(good | {"reason": "x" * 70_000}).encode(),
        "unknown member": json.dumps(good | {"x": 1}).encode(),
        "unknown member of any length": json.dumps(good | {"x" * 9000: 1}).encode(),
        "unknown member NUL": json.dumps(good | {"\x00": 1}).encode(),
        "record id NUL": json.dumps(good | {"source_record_id": "a\x00"}).encode(),
        "record id long": json.dumps(good | {"source_record_id": "x" * 65}).encode(),
        "version huge": json.dumps(good | {"source_version": 2**53}).encode(),
        "version beyond": json.dumps(good | {"source_version": 10**30}).encode(),
        "version float": json.dumps(good | {"source_version": 1.0}).encode(),
        "version true": json.dumps(good | {"source_version": True}).encode(),
        "version infinite": json.dumps(good | {"source_version": 1}).replace(": 1,", ": 1e400,", 1).encode(),
        "number NUL": json.dumps(good | {"certificate_number": "a\x00b"}).encode(),
        "identifier odd": json.dumps(good | {"certificate_identifier": "\x00"}).encode(),
        "identifier long": json.dumps(good | {"certificate_identifier": "1" * 129}).encode(),
        "day of no calendar": json.dumps(good | {"certificate_issued_date": "2026-02-30"}).encode(),
        "day in other digits": json.dumps(good | {"certificate_issued_date": "２０２６-01-01"}).encode(),
        "no holders": json.dumps(good | {"certificate_holders": []}).encode(),
        "holder of other digits": json.dumps(
            good | {"certificate_holders": [holder | {"certificate_holder_code": "３10101199001010016"}]}
        ).encode(),
        "holder twice": json.dumps(good | {"certificate_holders": [holder, holder]}).encode(),
        "items an array": json.dumps(good | {"business_information": []}).encode(),
        "item unknown": json.dumps(
            good | {"business_information": good["business_information"] | {"x" * 200: 1}}
        ).encode(),
        "item of another type": json.dumps(
            good | {"business_information": good["business_information"] | {"sex": {"a": 1}}}
        ).encode(),
        "item infinite": json.dumps(good).replace('"\\u7537"', "1e400").encode(),
        "step on nothing": json.dumps(step_row(1, 1, "03")).encode(),
    }
    told = {}
    for name, body in bodies.items():
        answer = await department.post("/api/v1/licences", body)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json().keys() == {"type", "status", "code", "detail", "field"}
        assert "310101199001010016" not in answer.text
        told[name] = answer.status_code
    assert told == dict.fromkeys(bodies, 422)
    assert await running.count("licence") == await running.count("licence_event") == await running.count("holder") == 0


async def test_a_malformed_lookup_or_offer_request_is_refused(running: Running) -> None:
    department = await running.department()
    bodies: Mapping[str, bytes] = {
        "empty": b"",
        "no JSON": b"{",
        "array": b"[]",
        "null": b"null",
        "deep": b"[" * 100_000,
        "not UTF-8": b"\xff",
        "no identifier": b"{}",
        "identifier a number": b'{"certificate_identifier": 1}',
        "identifier empty": b'{"certificate_identifier": ""}',
        "identifier NUL": b'{"certificate_identifier": "\\u0000"}',
        "identifier surrogate": b'{"certificate_identifier": "\\ud800"}',
        "identifier with a line's end": b'{"certificate_identifier": "1.2.156.3005.2.X\\n"}',
        "identifier long": json.dumps({"certificate_identifier": "1" * 129}).encode(),
        "unknown member": b'{"certificate_identifier": "1", "x": 1}',
        "unknown member surrogate": b'{"certificate_identifier": "1", "\\ud800": 1}',
        "unknown member NUL": b'{"certificate_identifier": "1", "\\u0000": 1}',
        "huge number": b'{"certificate_identifier": ' + b"9" * 9000 + b"}",
    }
    for path in ("/api/v1/licences/lookup", "/api/v1/credential-offers"):
        told = {name: (await department.post(path, body)).status_code for name, body in bodies.items()}
        assert set(told.values()) <= {400, 422}, told
    offer = b'{"certificate_identifier": "1", "tx_code": "yes"}'
    assert (await department.post("/api/v1/credential-offers", offer)).status_code == 422
    assert await running.count("credential_offer") == 0
