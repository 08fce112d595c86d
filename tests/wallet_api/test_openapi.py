"""The OpenAPI document is complete, and every answer is one that it names."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from schemathesis import checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.credentials.rows import driving_row
from tests.wallet_api.running import Running
from tests.wallet_api.showing import inspector, operator
from tests.wallet_api.test_holder_ends import register

EXAMPLES = 3  # an operation, each sent thrice: the whole pass takes some seconds
STREAM = "text/event-stream"
CHECKS = [
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
]


ON_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # the document is the same on both


@schemathesis.serializer("application/x-ndjson", "application/jwt")
def as_text(_context: schemathesis.SerializationContext, value: object) -> bytes:
    """What is not JSON is sent as it is."""
    return str(value).encode(errors="replace")


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


@ON_SQLITE
async def test_every_operation_says_for_whom_it_is_what_it_takes_and_what_it_answers(running: Running) -> None:
    document = running.app.openapi()
    schemes = document["components"]["securitySchemes"]
    assert schemes["privateKeyJwt"]["flows"]["clientCredentials"]["tokenUrl"] == "/city/oauth/token"
    assert {"dpop", "bearer"} <= schemes.keys()
    audiences = {tag["name"] for tag in document["tags"]}
    lacking: list[str] = []
    for name, operation in operations(document):
        if not operation.get("tags") or not set(operation["tags"]) <= audiences:
            lacking.append(f"{name}: an audience")
        if not operation.get("description") or not operation.get("summary"):
            lacking.append(f"{name}: a description")
        successes = [answer for status, answer in operation["responses"].items() if status[0] == "2"]
        if not successes or any("content" not in answer for status, answer in operation["responses"].items()
                                if status not in ("204", "302", "303", "304")):  # fmt: skip
            lacking.append(f"{name}: what it answers")
        for answer in operation["responses"].values():
            for media_type, content in answer.get("content", {}).items():
                if not content.get("schema"):
                    lacking.append(f"{name}: the form of {media_type}")
        if any(not set(requirement) <= schemes.keys() for requirement in operation.get("security", ())):
            lacking.append(f"{name}: a security scheme that is there")
    assert lacking == []
    assert "HTTPValidationError" not in document["components"]["schemas"]


@ON_SQLITE
async def test_every_body_of_a_department_has_an_example(running: Running) -> None:
    document = running.app.openapi()
    for name, operation in operations(document):
        if "departments" in operation["tags"] and "requestBody" in operation:
            for content in operation["requestBody"]["content"].values():
                schema = content["schema"]
                referred = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], schema)
                assert {"example", "examples"} & (content.keys() | referred.keys()), name


@pytest.mark.parametrize("database", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True)
def test_no_answer_is_undocumented_and_none_is_a_server_error(running: Running, runner: asyncio.Runner) -> None:
    """Values in the document's forms, some of them such as are there, from nobody and from the right caller."""
    schema = schemathesis.openapi.from_dict(running.app.openapi())
    callers, known = runner.run(_prepared(running))
    seen: set[tuple[str, int]] = set()

    def _ask(case: schemathesis.Case, authorization: str) -> None:
        answer = runner.run(_send(running, case.as_transport_kwargs(base_url="http://10.1.2.3:8000"), authorization))
        seen.add((case.operation.label, answer.status_code))
        is_json = "json" in answer.headers.get("content-type", "")
        case.validate_response(answer, checks=[*CHECKS, *([response_schema_conformance] if is_json else [])])

    for result in schema.get_all_operations():
        operation = result.ok()
        if STREAM in operation.definition.raw["responses"].get("200", {}).get("content", {}):
            continue  # it has no end that a client could wait for

        @seed(20261125)
        @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def fuzz(case: schemathesis.Case) -> None:
            authorization = _authorization(case.operation.definition.raw, callers)
            _ask(case, "")
            _ask(case, authorization)
            _put(case, known)
            _ask(case, authorization)

        fuzz()
    succeeded = {label for label, status in seen if status < 300}
    assert len(succeeded) >= 25, sorted({label for label, _ in seen} - succeeded)


async def _prepared(running: Running) -> tuple[dict[str, str], dict[str, Any]]:
    """Who may call, by what the document asks for, and values that are there."""
    await running.take(driving_row())
    department = await running.department()
    wallet = await running.wallet(dpop=False)
    async with running.platform.database.snapshot() as session:
        licence = await running.platform.registry.licence(session, await running.licence_id())
    batch_id = (await department.post("/api/v1/licences", driving_row(2))).json()["batch_id"]
    desk = await operator(running)
    await inspector(running)
    callers = {
        "licences:write": await department.token(),
        "platform:operate": await desk.token(),
        "holders:write": await (await register(running)).token(),
        "bearer": wallet.token,
    }
    return callers, {
        "certificate_identifier": licence.identifier,
        "batch_id": batch_id,
        "code": "driving-licence",
        "version": 1,
        "list_id": 1,
        "client_id": "police-terminal",
        "scene_id": "traffic-police-check",
        "cursor": None,
    }


def _put(case: schemathesis.Case, known: dict[str, Any]) -> None:
    """Put known values in the place of made-up ones; None takes one out."""
    for values in (case.path_parameters, case.query, case.body):
        if isinstance(values, dict):
            for name in values.keys() & known.keys():
                values[name] = known[name]
                if known[name] is None:
                    del values[name]


def _authorization(operation: dict[str, Any], callers: dict[str, str]) -> str:
    for requirement in operation.get("security", ()):
        for scheme, scopes in requirement.items():
            if token := callers.get(next(iter(scopes), scheme)):
                return f"Bearer {token}"
    return ""


async def _send(running: Running, asked: dict[str, Any], authorization: str) -> httpx.Response:
    parts = ("method", "url", "headers", "params", "json", "data", "files")
    request = requests.Request(**{name: asked[name] for name in parts if asked.get(name) is not None}).prepare()
    headers = {**request.headers} | ({"Authorization": authorization} if authorization else {})
    body = request.body.encode() if isinstance(request.body, str) else request.body
    return await running.http.request(request.method or "", request.url or "", headers=headers, content=body)
