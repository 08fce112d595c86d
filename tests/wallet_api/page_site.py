"""A site for the tests of pages: an embedded platform with a sample, a real server before it, and a browser's visit."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import uvicorn
from playwright.async_api import Browser, CDPSession, Page

from credentials.registry import SHANGHAI, IntakeSource
from tests.quiet_server import quiet
from wallet_api.app import create_app
from wallet_api.cli.console import opened
from wallet_api.cli.operate import prepare_embedded
from wallet_api.sample import City
from wallet_api.settings import Settings
from wallet_api.tour import DEMO_CLIENT
from wallet_api.wiring import Platform

SAMPLE_ROWS = 120


@dataclass(frozen=True)
class Site:
    """An embedded platform with a small sample, and the free port on which it may be served."""

    platform: Platform
    listener: socket.socket

    @property
    def settings(self) -> Settings:
        return self.platform.settings

    def client(self, platform: Platform | None = None) -> httpx.AsyncClient:
        app = create_app(self.settings, platform=platform or self.platform)
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=self.settings.public_url)


@contextmanager
def sample_site(runner: asyncio.Runner, data_dir: Path, *, path: str = "", **more: Any) -> Iterator[Site]:
    """An embedded platform with a small sample in it; the free port is its PUBLIC_URL's, and so is `path`."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    settings = Settings(
        _env_file=None,
        deployment="embedded",
        data_dir=data_dir,
        database_url=f"sqlite:///{data_dir / 'pages.db'}",
        listen_port=port,
        public_url=f"http://127.0.0.1:{port}{path}",
        embedded_worker=False,
        **more,
    )
    platform = Platform.of(settings)
    runner.run(_fill(settings))
    runner.run(platform.start())
    yield Site(platform, listener)
    runner.run(platform.database.close())
    listener.close()


async def _fill(settings: Settings) -> None:
    async with opened(settings) as platform:
        await prepare_embedded(platform)
        city = City(platform.catalogue, seed=1, today=platform.clock.now().astimezone(SHANGHAI).date())
        lines = [json.dumps(row).encode() for row in city.rows(SAMPLE_ROWS)]
        await platform.intake.take_all(platform.database, IntakeSource(DEMO_CLIENT, None), lines)


class PageServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # Ctrl-C stays the test run's

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.up.set()


@contextmanager
def serving(runner: asyncio.Runner, site: Site) -> Iterator[Site]:
    """The site behind a real server, as a process of its own would serve it."""
    server = PageServer(quiet(create_app(site.settings)))

    async def start() -> asyncio.Task[None]:
        task = asyncio.create_task(server.serve(sockets=[site.listener]))
        await server.up.wait()
        return task

    async def stop(task: asyncio.Task[None]) -> None:
        server.should_exit = True
        await task

    task = runner.run(start())
    yield site
    runner.run(stop(task))


@dataclass(frozen=True)
class Visit:
    page: Page
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    async def reload(self, path: str) -> None:
        """Open `path` as a new document; a change of nothing but the fragment would keep the old one."""
        await self.page.goto("about:blank")
        await self.page.goto(path)


@asynccontextmanager
async def visit(
    browser: Browser, site: Site, path: str = "/", *, script: str = "", refusals: bool = False, **context: Any
) -> AsyncIterator[Visit]:
    """Open a page in a fresh profile; nothing may leave this machine, and nothing may be complained of.

    Args:
        script: run in every document before its own.
        refusals: requests are refused in this visit. Chromium writes each to its console, until the page is closed.
    """
    session = await browser.new_context(base_url=site.settings.public_url, **{"locale": "en-GB"} | context)
    if script:
        await session.add_init_script(script)
    seen = Visit(await session.new_page())
    session.on("request", lambda request: seen.asked.append(request.url))
    session.on("console", lambda message: seen.complaints.append(message.text))
    session.on("weberror", lambda error: seen.complaints.append(str(error.error)))
    try:
        await seen.page.goto(path)
        yield seen
    finally:  # what a page left open would keep the server from ending
        await session.close()
    assert {urlsplit(url).hostname for url in seen.asked if url != "about:blank"} == {"127.0.0.1"}
    forgiven = "Failed to load resource" if refusals else ()
    assert [line for line in seen.complaints if not line.startswith(forgiven)] == []


async def shown_by_worker(page: Page, tools: CDPSession, *pushes: dict[str, str]) -> list[list[str]]:
    """Hand pushes to the page's service worker; gives [title, body, tag, icon] of the notifications that stand.

    Chromium takes a notification off its list when it is asked for the list before the desktop has got it. So it is
    given time, and what is missing is pushed again: a notification of the same tag takes the place of the first.
    """
    listed = """async () => (await (await navigator.serviceWorker.ready).getNotifications())
        .map((one) => [one.title, one.body, one.tag, one.icon]).sort()"""
    standing: list[list[str]] = []
    for _ in range(5):
        for push in pushes:
            await tools.send("ServiceWorker.deliverPushMessage", push)
        await asyncio.sleep(0.5)
        standing = await page.evaluate(listed)
        if len(standing) >= len(pushes):
            break
    return standing
