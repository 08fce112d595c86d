"""Every route of the OpenAPI document under random input: whatever comes, no answer is a 5xx of ours."""

import asyncio
import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.credentials.issuance.test_parsers import ANY_JSON
from tests.credentials.rows import driving_row
from tests.wallet_api.running import Running, Wallet
from tests.wallet_api.showing import operator

METHODS = ["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"]
HEADERS = [
    "Authorization", "DPoP", "Accept", "Accept-Encoding", "Content-Encoding", "If-None-Match", "Host", "Range",
    "X-Forwarded-Host", "X-Request-Id", "Cookie", "Expect", "Origin",
]  # fmt: skip
HEADER_VALUES = st.one_of(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=40),
    st.sampled_from(["*/*", "gzip;q=0.5, *;q=0", 'W/"x", *', "DPoP x.y.z", "Bearer x"]),
)
CONTENT_TYPES = ["application/json", "application/x-www-form-urlencoded", "application/jwt", "text/plain", ""]
PIECES = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(["1", "-1", "driving-licence", "\x00"])
MEMBERS = [
    "grant_type", "pre-authorized_code", "tx_code", "client_assertion", "client_assertion_type", "scope",
    "credential_configuration_id", "proofs", "jwk", "profile", "days", "certificate_identifier", *driving_row(),
]  # fmt: skip
OBJECTS = st.dictionaries(st.sampled_from(MEMBERS), ANY_JSON, max_size=4)
BODIES = st.one_of(
    st.binary(max_size=200),
    ANY_JSON.map(lambda value: json.dumps(value).encode()),
    OBJECTS.map(lambda members: json.dumps(members).encode()),
    OBJECTS.map(lambda changes: json.dumps(driving_row() | changes).encode()),
    st.dictionaries(st.sampled_from(MEMBERS), PIECES, max_size=4).map(lambda form: urlencode(form).encode()),
)


def _routes(running: Running) -> list[str]:
    return sorted(running.app.openapi()["paths"])


@pytest.mark.parametrize("signed_in_as", ["nobody", "department", "wallet", "operator"])
def test_no_input_is_answered_with_a_server_error(running: Running, runner: asyncio.Runner, signed_in_as: str) -> None:
    paths = _routes(running)
    assert len(paths) >= 15
    runner.run(running.take(driving_row()))
    authorization = runner.run(_authorization(running, signed_in_as))

    @seed(20261123)
    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(
        path=st.sampled_from(paths),
        method=st.sampled_from(METHODS[:2] * 3 + METHODS),
        pieces=st.lists(PIECES, min_size=3, max_size=3),
        query=st.dictionaries(st.sampled_from(["q", "time", "access_token", "x"]), PIECES, max_size=2),
        headers=st.dictionaries(st.sampled_from(HEADERS), HEADER_VALUES, max_size=3),
        content_type=st.sampled_from(CONTENT_TYPES),
        body=BODIES,
    )
    def fuzz(path: str, pieces: list[str], headers: dict[str, str], content_type: str, **request: Any) -> None:
        for name in [part for part in path.split("/") if part.startswith("{")]:
            path = path.replace(name, quote(pieces.pop(), safe="") or "x", 1)
        sent = {**headers, "Content-Type": content_type, **authorization}
        answer = runner.run(_ask(running, path, sent, **request))
        assert answer < 500 or (answer == 501 and "time" in request["query"]), (path, answer)

    fuzz()


async def _ask(running: Running, path: str, headers: dict[str, str], *, method: str, query: Any, body: bytes) -> int:
    sent = [(name, value.encode("latin-1")) for name, value in headers.items()]
    return (await running.http.request(method, path, params=query, headers=sent, content=body)).status_code


async def _authorization(running: Running, signed_in_as: str) -> dict[str, str]:
    if signed_in_as == "department":
        return {"Authorization": f"Bearer {await (await running.department()).token()}"}
    if signed_in_as == "operator":
        return {"Authorization": f"Bearer {await (await operator(running)).token()}"}
    if signed_in_as == "wallet":
        wallet: Wallet = await running.wallet(dpop=False)
        return {"Authorization": f"Bearer {wallet.token}"}
    return {}
