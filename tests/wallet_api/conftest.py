"""A running application on each backend, and a browser."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from playwright.async_api import Browser, async_playwright

from tests.fakes import FakeClock
from tests.wallet_api.running import Running
from wallet_api import logging
from wallet_api.database import Database

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))


@pytest.fixture
def running(runner: asyncio.Runner, tmp_path: Path, clock: FakeClock, database: Database) -> Iterator[Running]:
    """The platform at `https://wallet.example/city`, empty."""
    logging.configure()
    running = runner.run(Running.start(tmp_path, clock, database))
    yield running
    runner.run(running.http.aclose())
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def browser(runner: asyncio.Runner) -> Iterator[Browser]:
    """Chromium. Without it: skipped, but in CI failed."""
    if not CHROMIUM.exists():
        if os.environ.get("CI"):
            pytest.fail(f"CI needs Chromium at {CHROMIUM} (or CHROMIUM)")
        pytest.skip(f"no Chromium at {CHROMIUM} (or CHROMIUM)")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    playwright = runner.run(async_playwright().start())
    browser = runner.run(playwright.chromium.launch(executable_path=CHROMIUM, args=arguments, headless=True))
    yield browser
    runner.run(browser.close())
    runner.run(playwright.stop())
