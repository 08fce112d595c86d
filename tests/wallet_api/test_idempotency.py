"""A creating request that is sent twice is done once, whichever process it reaches, on both databases."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from tests.credentials.rows import driving_row, resident_id
from tests.fakes import FakeClock
from tests.wallet_api.running import Department, Running
from wallet_api.database import Database
from wallet_api.edge.repository import REQUEST
from wallet_api.workers import prune

AT_ONCE = 50
OFFERS, LICENCES = "/api/v1/credential-offers", "/api/v1/licences"
KEY = "7d0ce4a2-8d2b-4d0c-9f3d-2f3a1b6a0c55"


async def send(
    department: Department, path: str, body: Any, key: str | bytes | None = KEY, *more: tuple[str, bytes]
) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = [("Authorization", f"Bearer {await department.token()}".encode()), ("Content-Type", b"application/json")]
    if key is not None:
        headers.append(("Idempotency-Key", key.encode() if isinstance(key, str) else key))
    return await department.running.post(path, content=content, headers=[*headers, *more])


async def wanted(running: Running) -> dict[str, str]:
    """What asks for an offer of the first licence, which is taken in."""
    await running.take(driving_row())
    async with running.platform.database.snapshot() as session:
        licence = await running.platform.registry.licence(session, await running.licence_id())
    return {"certificate_identifier": licence.identifier}


async def test_the_same_request_again_is_given_the_stored_answer(running: Running) -> None:
    department = await running.department()
    body = await wanted(running)
    first, again = [await send(department, OFFERS, body) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.json()["tx_code"]
    assert "idempotent-replayed" not in first.headers
    assert (again.headers["idempotent-replayed"], again.headers["cache-control"]) == ("true", "no-store")
    assert await running.count("credential_offer") == 1
    quoted = await send(department, OFFERS, body, f'"{KEY}"')  # the draft's own spelling names the same key
    assert quoted.json() == first.json()
    assert (await send(department, OFFERS, body, "another")).json() != first.json()
    assert (await send(department, OFFERS, body, None)).json() != first.json()
    assert await running.count("credential_offer") == 3


async def test_a_row_that_is_repeated_is_answered_as_accepted_again(running: Running) -> None:
    department = await running.department()
    first, again = [await send(department, LICENCES, driving_row()) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    unchanged = await send(department, LICENCES, driving_row(), None)
    assert (unchanged.status_code, unchanged.json()["outcome"]) == (200, "unchanged")


async def test_a_key_is_refused_for_another_body_or_path(running: Running) -> None:
    department = await running.department()
    body = await wanted(running)
    assert (await send(department, OFFERS, body)).status_code == 201
    for path, other in ((OFFERS, body | {"tx_code": False}), (LICENCES, body), (OFFERS, json.dumps(body) + " ")):
        answer = await send(department, path, other.encode() if isinstance(other, str) else other)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert await running.count("credential_offer") == 1


async def test_a_key_belongs_to_the_client_that_sent_it(running: Running) -> None:
    body = await wanted(running)
    mine, theirs = await running.department(), await running.department("other-police")
    answers = [await send(department, OFFERS, body) for department in (mine, theirs)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() != answers[1].json()


async def test_a_refused_request_leaves_its_key_free(running: Running) -> None:
    department = await running.department()
    refused = await send(department, LICENCES, {**driving_row(), "certificate_number": ""})
    assert refused.status_code == 422
    assert await running.count("idempotent_request") == 0
    assert (await send(department, LICENCES, driving_row())).status_code == 201
    missing = await send(department, OFFERS, {"certificate_identifier": "1.2.156.3005.2.X"}, "other")
    assert missing.status_code == 404
    assert await running.count("idempotent_request") == 1


async def test_a_malformed_key_is_refused(running: Running) -> None:
    department = await running.department()
    for key in ("", " ", "a b", "x" * 256, '"', '""', 'a"b', "a\\b", b"\xe9", '"unclosed'):
        answer = await send(department, LICENCES, driving_row(), key)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_malformed"), key
    answer = await send(department, LICENCES, driving_row(), KEY, ("Idempotency-Key", b"other"))
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_malformed")
    assert await running.count("licence") == 0


async def test_a_key_is_kept_for_a_day_and_then_forgotten(running: Running, clock: FakeClock) -> None:
    department = await running.department()
    body = await wanted(running)
    first = await send(department, OFFERS, body)
    clock.forward(hours=23, minutes=59)
    await prune(running.platform)
    assert (await send(department, OFFERS, body)).json() == first.json()
    clock.forward(minutes=1)
    assert (await send(department, OFFERS, body | {"tx_code": False})).status_code == 201  # over, pruned or not
    clock.forward(hours=24)
    await prune(running.platform)
    assert await running.count("idempotent_request") == await running.count("rate_window") == 0


async def test_what_is_kept_names_nobody(running: Running) -> None:
    department = await running.department()
    row = driving_row()
    await send(department, LICENCES, row, resident_id(1))
    answer = await send(department, OFFERS, await wanted_of(running), "offer")
    async with running.platform.database.snapshot() as session:
        kept = b"".join(
            bytes(value) for stored in await session.execute(select(REQUEST)) for value in stored if
            isinstance(value, bytes | memoryview)
        )  # fmt: skip
    for needle in (resident_id(1), "张三丰", answer.json()["tx_code"], "accepted", "credential_offer"):
        assert needle.encode() not in kept


async def wanted_of(running: Running) -> dict[str, str]:
    async with running.platform.database.snapshot() as session:
        licence = await running.platform.registry.licence(session, await running.licence_id())
    return {"certificate_identifier": licence.identifier}


async def test_fifty_at_once_over_two_processes_make_one_offer(
    running: Running, database: Database, tmp_path: Path, clock: FakeClock
) -> None:
    body = await wanted(running)
    other = await Running.start(tmp_path, clock, database)
    department = await running.department()
    twin = replace(department, running=other)
    answers = await asyncio.gather(*(send((department, twin)[n % 2], OFFERS, body) for n in range(AT_ONCE)))
    told = Counter(answer.status_code for answer in answers)
    assert told.keys() <= {201, 409}
    assert told[201] >= 1
    made = {answer.text for answer in answers if answer.status_code == 201}
    assert len(made) == 1
    for busy in (answer for answer in answers if answer.status_code == 409):
        assert (busy.json()["code"], busy.headers["retry-after"]) == ("idempotency_key_in_use", "1")
    assert await running.count("credential_offer") == 1
    assert (await send(twin, OFFERS, body)).text in made
    await other.http.aclose()


async def test_a_request_at_work_is_409_and_one_that_was_given_up_can_be_repeated(
    running: Running, clock: FakeClock
) -> None:
    """A process that dies holds its key for the length of the lease; the attempt that comes after is the only one."""
    department = await running.department()
    body = json.dumps(await wanted(running)).encode()
    request = f"POST /city{OFFERS}\n".encode() + body
    dead = await running.platform.idempotency.claim(department.client_id, KEY, request)
    busy = await send(department, OFFERS, body)
    assert (busy.status_code, busy.json()["code"]) == (409, "idempotency_key_in_use")
    other = await send(department, OFFERS, body + b" ")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    clock.forward(seconds=60)
    other = await send(department, OFFERS, body + b" ")
    assert other.json()["code"] == "idempotency_key_reused"
    answers = await asyncio.gather(*(send(department, OFFERS, body) for _ in range(10)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert await running.count("credential_offer") == 1
    await running.platform.idempotency.release(dead)  # type: ignore[arg-type]  (it is a claim; the dead wakes up)
    assert (await send(department, OFFERS, body)).headers["idempotent-replayed"] == "true"
