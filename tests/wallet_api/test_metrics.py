"""Metrics: for the operator only, with few labels that name nobody."""

from dataclasses import replace
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from tests.credentials.rows import driving_row
from tests.wallet_api.running import Running
from wallet_api.app import create_app

LOCAL, OTHER = ("127.0.0.1", 4711), ("192.0.2.7", 4711)


async def read(running: Running, client: tuple[str, int] = LOCAL, token: str | None = None, **headers: Any) -> Any:
    settings = running.platform.settings.model_copy(update={"metrics_token": token and SecretStr(token)})
    app = create_app(settings, platform=replace(running.platform, settings=settings))
    transport = httpx.ASGITransport(app, client=client)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        return await http.get("/city/metrics", headers=headers)


async def test_metrics_are_read_on_this_machine_or_with_the_token(running: Running) -> None:
    assert (await read(running)).status_code == 200
    assert (await read(running, ("::1", 1))).status_code == 200
    refused = [
        await read(running, OTHER),
        await read(running, LOCAL, **{"X-Forwarded-For": "192.0.2.7"}),
        await read(running, LOCAL, **{"Forwarded": "for=192.0.2.7"}),
        await read(running, LOCAL, "secret"),
        await read(running, LOCAL, "secret", Authorization="Bearer other"),
        await read(running, LOCAL, "secret", Authorization="Bearer é".encode("latin-1")),
        await read(running, LOCAL, "secret", Authorization="Basic secret"),
    ]
    for answer in refused:
        assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert b"liangzheng" not in answer.content
    assert (await read(running, OTHER, "secret", Authorization="Bearer secret")).status_code == 200


async def test_labels_are_templates_and_codes_and_never_what_was_sent(running: Running) -> None:
    department = await running.department()
    await department.post("/api/v1/licences", driving_row())
    for path in ("/s/1", "/s/99", "/nowhere/310101199001010016", "/types/310101199001010016/1"):
        await running.get(path)
    await running.http.request("BREW", "/city/s/1")
    answer = await read(running)
    assert "310101" not in answer.text
    samples = {
        (sample.labels.get("method"), sample.labels.get("route"), sample.labels.get("status")): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name == "liangzheng_requests_total"
    }
    expected = {
        ("POST", "/api/v1/licences", "201"): 1,
        ("GET", "/s/{list_id}", "200"): 1,
        ("GET", "/s/{list_id}", "404"): 1,
        ("GET", "unmatched", "404"): 1,
        ("GET", "/types/{code}/{version}", "404"): 1,
        ("other", "/s/{list_id}", "405"): 1,
    }
    assert {key: samples.get(key) for key in expected} == expected
    assert "liangzheng_request_seconds_bucket" in answer.text
    assert "liangzheng_database_connections" in answer.text
