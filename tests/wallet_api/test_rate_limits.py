"""Each caller has a quota, and any number of processes count as one."""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from limits import parse
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.engine import make_url

from tests.credentials.rows import driving_row
from tests.fakes import FakeClock
from tests.wallet_api.running import Department, Running
from wallet_api.app import create_app
from wallet_api.database import Database
from wallet_api.edge import RateLimits, address_block
from wallet_api.protection import DataProtector
from wallet_api.settings import Settings
from wallet_api.wiring import Platform

LIST = "/api/v1/licences"


def limited(running: Running, protector: DataProtector, **policies: str) -> Running:
    """The same platform as another process with these limits serves it."""
    limits = RateLimits(
        running.platform.database,
        protector,
        running.clock,
        {name: parse(text) for name, text in policies.items()},
    )
    platform = replace(running.platform, limits=limits)
    app = create_app(platform.settings, platform=platform)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return replace(
        running, platform=platform, app=app, http=httpx.AsyncClient(transport=transport, base_url="http://x")
    )


async def ask(department: Department, token: str, through: Running) -> httpx.Response:
    return await through.get(LIST, headers={"Authorization": f"Bearer {token}"})


async def test_a_client_past_its_quota_is_told_when_to_come_back(
    running: Running, protector: DataProtector, clock: FakeClock
) -> None:
    served = limited(running, protector, client="3/minute")
    department = await running.department()
    token = await department.token()
    clock.forward(seconds=1.5)
    answers = [await ask(department, token, served) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["ratelimit"] for answer in answers] == [
        f'"client";r={left};t=60' for left in (2, 1, 0, 0)
    ]  # fmt: skip
    assert answers[0].headers["ratelimit-policy"] == '"client";q=3;w=60'
    refused = answers[3]
    assert (refused.json()["code"], refused.headers["content-type"]) == ("rate_limited", "application/problem+json")
    assert refused.headers["retry-after"] == "60"
    clock.forward(seconds=59.5)
    assert (await ask(department, token, served)).headers["retry-after"] == "1"
    clock.forward(seconds=0.5)
    assert (await ask(department, token, served)).headers["ratelimit"] == '"client";r=2;t=60'


async def test_fifty_calls_over_two_processes_are_counted_as_one(running: Running, protector: DataProtector) -> None:
    served = [limited(running, protector, client="20/minute") for _ in range(2)]
    department = await running.department()
    token = await department.token()
    answers = await asyncio.gather(*(ask(department, token, served[n % 2]) for n in range(50)))
    assert Counter(answer.status_code for answer in answers) == {200: 20, 429: 30}


async def test_blocks_of_calls_never_let_more_through_than_the_limit_says(
    database: Database, protector: DataProtector, clock: FakeClock
) -> None:
    processes = [RateLimits(database, protector, clock, {"client": parse("205/minute")}) for _ in range(2)]
    calls = [processes[n % 2].hit("client", "a") for n in range(300)]
    told = await asyncio.gather(*calls, return_exceptions=True)
    assert Counter(type(one).__name__ for one in told) == {"Usage": 205, "LimitExceeded": 95}


async def test_one_client_s_calls_do_not_count_for_another(running: Running, protector: DataProtector) -> None:
    served = limited(running, protector, client="1/minute", wallet="1/minute")
    departments = [await running.department(), await running.department("other-police")]
    tokens = [await department.token() for department in departments]
    for department, token in zip(departments, tokens, strict=True):
        told = [(await ask(department, token, served)).status_code for _ in range(2)]
        assert told == [200, 429]


async def test_strangers_are_counted_by_address_where_they_make_the_store_write(
    running: Running, protector: DataProtector
) -> None:
    served = limited(running, protector, address="2/minute")
    told = [(await served.post("/openid4vci/nonce")).status_code for _ in range(3)]
    assert told == [200, 200, 429]
    assert (await served.post("/oauth/token", data={})).json()["code"] == "rate_limited"
    guess = await served.get(LIST, headers={"Authorization": "Bearer guess"})
    assert (guess.status_code, guess.headers["retry-after"]) == (429, "60")
    for path in ("/health/live", "/api/v1/trust-list", "/api/v1/types"):
        answer = await served.get(path)
        assert answer.status_code == 200
        assert "ratelimit" not in answer.headers


async def test_without_a_limit_nothing_is_counted(running: Running, protector: DataProtector) -> None:
    served = limited(running, protector)
    department = await running.department()
    before = await running.count("rate_window")
    answer = await ask(department, await replace(department, running=served).token(), served)
    assert answer.status_code == 200
    assert "ratelimit" not in answer.headers
    assert await running.count("rate_window") == before


@pytest.mark.parametrize(
    ("host", "caller"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("/run/a.sock", "/run/a.sock"),
        ("", ""),
    ],
)
def test_an_address_stands_for_itself_or_its_site(host: str, caller: str) -> None:
    assert address_block(host) == caller


def test_a_limit_out_of_the_grammar_stops_the_start() -> None:
    for odd in ("many", "10", "0x/minute", "-1/minute"):
        with pytest.raises(ValidationError):
            Settings(_env_file=None, rate_limit_client=odd)
    assert Settings(_env_file=None, rate_limit_client=" ").rate_policies.keys() == {"wallet", "address"}


async def test_a_full_or_absent_database_is_503(
    postgresql_database: Database, postgresql_url: str, tmp_path: Path, clock: FakeClock
) -> None:
    """A role without a connection to spare is what a full server looks like (SQLSTATE 53300)."""
    url = make_url(postgresql_url)
    role = f"{url.database}_full"
    async with postgresql_database.engine.begin() as connection:
        await connection.execute(text(f'CREATE ROLE "{role}" LOGIN CONNECTION LIMIT 0'))
    try:
        for broken in (url.set(username=role), url.set(port=1)):
            database = Database(broken.render_as_string(hide_password=False))
            settings = Settings(_env_file=None, data_dir=tmp_path, public_url="https://w.example")
            app = create_app(settings, platform=Platform.of(settings, clock=clock, database=database))
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                answers = [
                    await client.get("/api/v1/trust-list"),
                    await client.post("/openid4vci/nonce"),
                    await client.post("/api/v1/licences", json=driving_row(), headers={"Authorization": "Bearer x"}),
                ]
                for answer in answers:
                    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
                    assert answer.headers["retry-after"] == "5"
                ready = await client.get("/health/ready")
                assert (ready.status_code, ready.json()["database"]) == (503, "unavailable")
            await database.close()
    finally:
        async with postgresql_database.engine.begin() as connection:
            await connection.execute(text(f'DROP ROLE "{role}"'))
