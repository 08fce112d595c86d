"""The timers end with the process: nothing of theirs is at work once the platform is closed."""

import asyncio

import pytest

from tests.wallet_api.running import Running
from wallet_api import workers
from wallet_api.wiring import Platform
from wallet_api.workers import ticking


async def test_a_run_under_way_is_broken_off_and_waited_for(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, given_back = asyncio.Event(), asyncio.Event()

    async def publish() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)  # as a connection is given back
            given_back.set()

    monkeypatch.setattr(workers, "STATUS_EVERY_S", 0.01)
    monkeypatch.setattr(Platform, "publish_status", lambda _: publish())
    async with ticking(running.platform):
        await begun.wait()
    assert given_back.is_set()
    assert not [task for task in asyncio.all_tasks() if "run_coroutine_job" in repr(task)]


async def test_a_run_that_fails_is_counted_and_the_next_one_follows(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, again = 0, asyncio.Event()

    async def publish() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise OSError("the store is away")
        again.set()

    monkeypatch.setattr(workers, "STATUS_EVERY_S", 0.01)
    monkeypatch.setattr(Platform, "publish_status", lambda _: publish())
    async with ticking(running.platform):
        async with asyncio.timeout(20):
            await again.wait()
    told = running.platform.metrics.text().decode()
    assert 'liangzheng_ticks_total{outcome="failed",tick="publish_status"} 1.0' in told
