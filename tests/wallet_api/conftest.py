"""A running application on each backend."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.fakes import FakeClock
from tests.wallet_api.running import Running
from wallet_api import logging
from wallet_api.database import Database


@pytest.fixture
def running(runner: asyncio.Runner, tmp_path: Path, clock: FakeClock, database: Database) -> Iterator[Running]:
    """The platform at `https://wallet.example/city`, empty."""
    logging.configure()
    running = runner.run(Running.start(tmp_path, clock, database))
    yield running
    runner.run(running.http.aclose())
    structlog.reset_defaults()
