"""The credential endpoint end to end on PostgreSQL, beside the bare route of `checks`: one process, eight at a time.

What the wallet computes is made beforehand. Timed by the wall clock: it waits for the database.
"""

import asyncio
import json
import logging as levels
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from tests.bench.registered import bench
from tests.bench.server import own_database
from tests.bench.suite import Prepare
from tests.fakes import FakeClock
from tests.wallet_api.running import Running, Wallet, new_key
from wallet_api import logging
from wallet_api.database import Database

AT_ONCE = 8
KEYS = 32
CREDENTIAL = "/openid4vci/credential"
OFF = {"rate_limit_client": "", "rate_limit_wallet": "", "rate_limit_address": ""}


@dataclass(frozen=True)
class Call:
    """A request, as the server hands it to an application."""

    path: str
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes

    async def of(self, app: Any) -> None:
        """Make the request; it must be answered 200."""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "https",
            "path": self.path,
            "raw_path": self.path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": list(self.headers),
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8000),
        }
        statuses: list[int] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": self.body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await app(scope, receive, send)
        assert statuses == [200]


def _at_once(runner: asyncio.Runner, app: Any, calls: list[Call]) -> None:
    async def work() -> None:
        while calls:
            await calls.pop().of(app)

    async def all_of_them() -> None:
        await asyncio.gather(*(work() for _ in range(AT_ONCE)))

    runner.run(all_of_them())


@bench("credential_endpoint", unit="request", batch=64, timer=perf_counter, raw={"bare_route_postgresql": 1})
def credential_endpoint(stack: ExitStack) -> Prepare:
    """DPoP, key proof, nonce, licence, status index, record, sign, self-check: one credential a request."""
    return _requests(stack, keys=1)


@bench(
    "credential_endpoint_batch", unit="credential", batch=2 * KEYS, timer=perf_counter, raw={"credential_endpoint": 1}
)
def credential_endpoint_batch(stack: ExitStack) -> Prepare:
    """The same with 32 keys a request; the ratio is how much of a request each credential still costs."""
    return _requests(stack, keys=KEYS)


def _requests(stack: ExitStack, *, keys: int) -> Prepare:
    runner = stack.enter_context(asyncio.Runner())
    database = Database(own_database(stack, runner), pool_size=AT_ONCE)
    folder = Path(stack.enter_context(TemporaryDirectory()))
    running = runner.run(_started(folder, database))
    stack.callback(lambda: runner.run(database.close()))
    wallets = runner.run(_wallets(running))

    def prepare(count: int) -> Callable[[], object]:
        calls = runner.run(_calls(running, wallets, count // keys, keys))
        return lambda: _at_once(runner, running.app, calls)

    return prepare


async def _started(folder: Path, database: Database) -> Running:
    logging.configure(level=levels.WARNING)  # no line a request: the bare route writes none either
    await database.create_all()
    return await Running.start(folder, FakeClock(), database, **OFF)


async def _wallets(running: Running) -> list[Wallet]:
    """Of as many holders, so that requests do not wait for one licence's row."""
    return [await running.wallet(number) for number in range(1, AT_ONCE + 1)]


async def _calls(running: Running, wallets: Sequence[Wallet], count: int, keys: int) -> list[Call]:
    device_keys = [new_key() for _ in range(keys)]
    calls = []
    for number in range(count):
        wallet, nonce = wallets[number % len(wallets)], running.platform.credential_issuer.nonce()
        proofs = [await wallet.proof(key=key, nonce=nonce) for key in device_keys]
        headers = {"Content-Type": "application/json", **wallet.authorization(CREDENTIAL)}
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        body = json.dumps(await wallet.request(proofs={"jwt": proofs})).encode()
        calls.append(Call(running.platform.settings.url_path + CREDENTIAL, raw, body))
    return calls
