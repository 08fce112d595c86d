"""Checks on line: a whole request of one process, beside a bare FastAPI route that inserts one row.

Both are called as ASGI applications, eight requests at a time: no client and no socket is measured. Timed by the wall
clock.
"""

import asyncio
import hashlib
import json
import logging as levels
import secrets
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import aiosqlite
import asyncpg
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI
from pydantic import BaseModel

from credentials.keys.formats.jwk import PublicJwk
from credentials.registry import IntakeSource
from presentation.shows import DeviceKey, Profile, encode_proof, qr_text
from presentation.verifiers import Registration
from tests.bench.registered import bench
from tests.bench.server import own_database
from tests.bench.suite import Prepare
from tests.credentials.rows import driving_row, lines, resident_id
from tests.verifier_sdk.issuer import sign_es256
from wallet_api import logging
from wallet_api.app import create_app
from wallet_api.clock import SystemClock
from wallet_api.oauth import VERIFIER_SCOPE
from wallet_api.oauth.repository import insert_token
from wallet_api.settings import Settings
from wallet_api.wiring import Platform

PUBLIC_URL = "https://wallet.bench.example"
AT_ONCE = 8  # fewer than connections in the pool
HOLDERS = 24  # so that few wait for one chain
APART = 7  # numbers that follow one another are a pattern, and stopped
BATCH = 100

Send = Callable[[bytes], Awaitable[int]]


@bench("bare_route_postgresql", unit="request", batch=BATCH, timer=perf_counter)
def bare_route_postgresql(stack: ExitStack) -> Prepare:
    """One asyncpg insert in a FastAPI route: what a check must not be far from."""
    runner = stack.enter_context(asyncio.Runner())
    url = own_database(stack, runner)
    pool = runner.run(_pool(url))
    stack.callback(lambda: runner.run(pool.close()))

    async def insert(code: str) -> None:
        async with pool.acquire() as connection:
            await connection.execute("INSERT INTO bare (code) VALUES ($1)", code)

    return _requests(runner, _sender(_bare_app(insert), "/checks", {}), lambda: "x" * 900)


@bench("bare_route_sqlite", unit="request", batch=BATCH, timer=perf_counter)
def bare_route_sqlite(stack: ExitStack) -> Prepare:
    """The same with one committed insert into SQLite, as durable as ours."""
    runner = stack.enter_context(asyncio.Runner())
    folder = Path(stack.enter_context(TemporaryDirectory()))
    connection = runner.run(_sqlite(folder / "bare.db"))
    stack.callback(lambda: runner.run(connection.close()))

    async def insert(code: str) -> None:
        await connection.execute("INSERT INTO bare (code) VALUES (?)", (code,))

    return _requests(runner, _sender(_bare_app(insert), "/checks", {}), lambda: "x" * 900)


@bench("check_postgresql", unit="check", raw={"bare_route_postgresql": 1}, batch=BATCH, timer=perf_counter)
def check_postgresql(stack: ExitStack) -> Prepare:
    runner = stack.enter_context(asyncio.Runner())
    return _checks(stack, runner, own_database(stack, runner))


@bench("check_sqlite", unit="check", raw={"bare_route_sqlite": 1}, batch=BATCH, timer=perf_counter)
def check_sqlite(stack: ExitStack) -> Prepare:
    runner = stack.enter_context(asyncio.Runner())
    folder = Path(stack.enter_context(TemporaryDirectory()))
    return _checks(stack, runner, f"sqlite:///{folder / 'bench.db'}")


@bench("passes_postgresql", unit="pass", raw={"es256_sign": 1}, timer=perf_counter)
def passes_postgresql(stack: ExitStack) -> Prepare:
    """Passes for a week in one request: recorded, with a status index each, signed."""
    runner = stack.enter_context(asyncio.Runner())
    platform = runner.run(_platform(stack, runner, own_database(stack, runner)))
    ((key, licence_id, holder_id),) = runner.run(_devices(platform, 1))
    device_key = DeviceKey.from_key(key.public_key())

    async def issue(count: int) -> None:
        made = 0
        while made < count:
            async with platform.database.transaction() as session:
                made += len(
                    await platform.shows.issue_passes(session, licence_id, holder_id, device_key, Profile.FACE, 7)
                )

    return lambda count: lambda: runner.run(issue(count))


def _checks(stack: ExitStack, runner: asyncio.Runner, url: str) -> Prepare:
    platform = runner.run(_platform(stack, runner, url))
    app = create_app(platform.settings, platform=platform)
    devices = runner.run(_passes(platform))
    token = runner.run(_token(platform))
    send = _sender(app, "/api/v1/checks", {"authorization": f"Bearer {token}"})
    clock, at = SystemClock(), iter(range(10**9))

    def code() -> str:
        key, token = devices[next(at) % HOLDERS]
        now_s = int(clock.now().timestamp())
        proof = encode_proof(token, now_s, secrets.token_bytes(16), lambda message: sign_es256(key, message))
        return qr_text(PUBLIC_URL, proof)

    latencies: list[float] = []
    stack.callback(lambda: _tell(url.partition(":")[0], latencies))

    async def timed(body: bytes) -> int:
        started = perf_counter()
        status = await send(body)
        latencies.append(perf_counter() - started)
        return status

    return _requests(runner, timed, code)


def _tell(what: str, latencies: list[float]) -> None:
    """How long a check took from the first byte to the last, warm-up left out."""
    settled = sorted(latencies[BATCH:])
    if len(settled) >= BATCH:
        middle, high = settled[len(settled) // 2] * 1000, settled[len(settled) * 99 // 100] * 1000
        print(f"checks on {what}: {len(settled)}, {AT_ONCE} at a time, p50 {middle:.1f} ms, p99 {high:.1f} ms")


def _requests(runner: asyncio.Runner, send: Send, code: Callable[[], str]) -> Prepare:
    def prepare(count: int) -> Callable[[], object]:
        bodies = [
            json.dumps({"code": code(), "scene": "traffic-police-check", "reason": "例行检查"}).encode()
            for _ in range(count)
        ]
        return lambda: runner.run(_all(send, bodies))

    return prepare


async def _all(send: Send, bodies: list[bytes]) -> None:
    waiting = iter(bodies)

    async def one_after_another() -> None:
        for body in waiting:
            assert await send(body) == 200

    await asyncio.gather(*(one_after_another() for _ in range(AT_ONCE)))


def _sender(app: FastAPI, path: str, headers: dict[str, str]) -> Send:
    fields = {"content-type": "application/json", "host": "bench", **headers}
    raw = [(name.encode(), value.encode()) for name, value in fields.items()]

    async def send(body: bytes) -> int:
        status = 0
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [*raw, (b"content-length", str(len(body)).encode())],
            "client": ("127.0.0.1", 1),
            "server": ("bench", 80),
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def answer(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]

        await app(scope, receive, answer)
        return status

    return send


class _Body(BaseModel):
    code: str
    scene: str
    reason: str


def _bare_app(insert: Callable[[str], Awaitable[None]]) -> FastAPI:
    app = FastAPI()

    @app.post("/checks")
    async def check(body: _Body) -> dict[str, str]:
        await insert(body.code)
        return {"result": "ok"}

    return app


async def _pool(url: str) -> Any:
    pool = await asyncpg.create_pool(url, min_size=AT_ONCE, max_size=AT_ONCE)
    async with pool.acquire() as connection:
        await connection.execute("CREATE TABLE bare (id bigserial PRIMARY KEY, code text NOT NULL)")
    return pool


async def _sqlite(path: Path) -> aiosqlite.Connection:
    connection = await aiosqlite.connect(path, isolation_level=None)
    await connection.execute("PRAGMA journal_mode=WAL")
    await connection.execute("PRAGMA synchronous=FULL")
    await connection.execute("CREATE TABLE bare (id integer PRIMARY KEY, code text NOT NULL)")
    return connection


async def _platform(stack: ExitStack, runner: asyncio.Runner, url: str) -> Platform:
    folder = Path(stack.enter_context(TemporaryDirectory()))
    logging.configure(level=levels.WARNING)  # no line a request: the bare route writes none either
    settings = Settings(
        _env_file=None,
        rate_limit_client="",
        data_dir=folder,
        database_url=url,
        public_url=PUBLIC_URL,
        embedded_worker=False,
    )
    platform = Platform.of(settings)
    stack.callback(lambda: runner.run(platform.database.close()))
    await platform.database.create_all()
    await platform.start()
    return platform


async def _devices(platform: Platform, count: int) -> list[tuple[ec.EllipticCurvePrivateKey, str, str]]:
    """Holders with a licence and a device key that a credential was recorded for."""
    numbers = [APART * at for at in range(1, count + 1)]
    rows = lines(*(driving_row(number) for number in numbers))
    report = await platform.intake.take_all(platform.database, IntakeSource("bench", None), rows)
    assert report.accepted == count
    devices = []
    for number in numbers:
        key = ec.generate_private_key(ec.SECP256R1())
        thumbprint = PublicJwk.from_key(key.public_key()).thumbprint()
        async with platform.database.transaction() as session:
            licence = (await platform.registry.by_number(session, "driving-licence", resident_id(number)))[-1]
            end = platform.clock.now().replace(year=platform.clock.now().year + 1)
            await platform.issuance.record(
                session, licence.id, licence.holder_ids[0], "dc+sd-jwt", [thumbprint], bytes(8), [end]
            )
        devices.append((key, licence.id, licence.holder_ids[0]))
    return devices


async def _passes(platform: Platform) -> list[tuple[ec.EllipticCurvePrivateKey, bytes]]:
    passes = []
    for key, licence_id, holder_id in await _devices(platform, HOLDERS):
        async with platform.database.transaction() as session:
            device_key = DeviceKey.from_key(key.public_key())
            (one, *_) = await platform.shows.issue_passes(session, licence_id, holder_id, device_key, Profile.FACE, 1)
        passes.append((key, one.token))
    return passes


async def _token(platform: Platform) -> str:
    """A verifier's access token, as the token endpoint would give it out."""
    key = PublicJwk.from_key(ec.generate_private_key(ec.SECP256R1()).public_key())
    registration = Registration("bench", "某市公安局", "路面查验终端", ("traffic-police-check",), 100_000, 100_000)
    async with platform.database.transaction() as session:
        await platform.oauth.register_client(session, "bench", "Bench", (), key, scope=VERIFIER_SCOPE)
        await platform.verifiers.register(session, registration)
        token = secrets.token_urlsafe(32)
        await insert_token(
            session,
            {
                "token_hash": hashlib.sha256(token.encode()).digest(),
                "client_id": "bench",
                "scope": VERIFIER_SCOPE,
                "jkt": None,
                "expires_at": platform.clock.now() + timedelta(hours=1),
            },
        )
    return token
