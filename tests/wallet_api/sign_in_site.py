"""A platform served to a real browser, with people in it, and a browser to open it with."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from tests.fakes import FakeClock
from tests.quiet_server import quiet
from tests.wallet_api.running import Json, Running
from wallet_api.database import Database

CSRF = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


@asynccontextmanager
async def served(data_dir: Path, clock: FakeClock, database: Database, **more: Any) -> AsyncIterator[Running]:
    """A running platform that listens where its PUBLIC_URL says, without a network but this machine."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    running = await Running.start(data_dir, clock, database, url, **more)
    server = uvicorn.Server(quiet(running.app, lifespan="off"))
    task = asyncio.create_task(server._serve([listener]))  # without its signal handlers: Ctrl-C stays the test run's
    try:
        yield running
    finally:
        server.should_exit = True
        await task
        await running.http.aclose()
        listener.close()


@dataclass
class PlainBrowser:
    """A browser without a script: follows nothing by itself, keeps its cookies."""

    http: httpx.AsyncClient

    @classmethod
    def of(cls, running: Running) -> "PlainBrowser":
        transport = httpx.ASGITransport(running.app, raise_app_exceptions=False)
        return cls(httpx.AsyncClient(transport=transport, base_url=running.platform.settings.url_origin))

    async def open(self, url: str, **more: Any) -> httpx.Response:
        return await self.http.get(url, **more)

    async def follow(self, answer: httpx.Response) -> httpx.Response:
        """Open where an answer leads."""
        assert answer.status_code == 303, answer.text
        return await self.http.get(answer.headers["location"])

    async def send(self, page: httpx.Response, **fields: str) -> httpx.Response:
        """Send the form on a page back to where the page came from, or another address."""
        found = CSRF.search(page.text)
        form: Json = {"csrf": found[1] if found else "", **fields}
        return await self.http.post(str(page.url), data=form)
