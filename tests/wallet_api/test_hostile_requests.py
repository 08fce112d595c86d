"""Bodies and paths that no honest client sends: always a 4xx of ours, on every operation that takes a body."""

from collections.abc import AsyncIterator

import pytest

from tests.wallet_api.running import Running

HOSTILE = {
    "nothing": b"",
    "NUL": b"\x00",
    "no UTF-8": b"\xff\xfe{}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a lone surrogate": b'{"certificate_identifier": "\\ud800", "code": "\\ud800", "decision": "\\udfff"}',
    "a lone surrogate as a name": b'{"\\ud800": 1}',
    "NUL in a text": b'{"certificate_identifier": "\\u0000"}',
    "100 kB of brackets": b"[" * 100_000,
    "100 kB of objects": b'{"a":' * 20_000,
    "a number without end": b"9" * 100_000,
    "infinity": b'{"limit": 1e999, "days": Infinity}',
    "a name twice": b'{"certificate_identifier": "1", "certificate_identifier": "2"}',
}


@pytest.mark.parametrize("database", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True)
async def test_every_operation_refuses_a_hostile_body(running: Running) -> None:
    wallet = await running.wallet(dpop=False)
    department = await running.department()
    tokens = {"holders": wallet.token, "wallets": wallet.token, "departments": await department.token()}
    refused = []
    for path, methods in running.app.openapi()["paths"].items():
        operation = methods.get("post", {})
        if not operation.get("requestBody", {}).get("required") or "x-ndjson" in str(operation["requestBody"]):
            continue
        headers = {"Authorization": f"Bearer {tokens.get(operation['tags'][0], '')}"}
        for media_type in ("application/json", "application/x-www-form-urlencoded", "application/jwt"):
            for name, body in HOSTILE.items():
                answer = await running.http.post(path, content=body, headers={**headers, "Content-Type": media_type})
                assert 400 <= answer.status_code < 500, (path, media_type, name, answer.text)
                assert "json" in answer.headers["content-type"]
                refused.append(path)
    assert len(set(refused)) >= 10


async def test_a_body_that_is_too_large_is_413_in_our_own_form(running: Running) -> None:
    department = await running.department()
    large = b'{"a": "' + b"x" * 300_000 + b'"}'
    headers = {"Authorization": f"Bearer {await department.token()}", "Content-Type": "application/json"}
    for path in ("/api/v1/licences", "/api/v1/licences/lookup", "/oauth/token"):
        answer = await running.post(path, content=large, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large"), path
        assert answer.headers["content-type"] == "application/problem+json"

    async def undeclared() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b" " * 10_000

    chunked = await running.post("/api/v1/licences/lookup", content=undeclared(), headers=headers)
    assert (chunked.status_code, chunked.json()["code"]) == (413, "body_too_large")
    assert len(chunked.headers["x-request-id"]) == 16
    keyed = await running.post("/api/v1/licences", content=large, headers={**headers, "Idempotency-Key": "k"})
    assert keyed.status_code == 413
    assert await running.count("idempotent_request") == 0
