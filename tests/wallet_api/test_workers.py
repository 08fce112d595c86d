"""The timers: what they do when, and that nothing of theirs is at work once the platform is closed."""

import asyncio
from pathlib import Path

import pytest

from notifications import Bilingual, Notice
from notifications.outbox import service as outbox
from tests.fakes import FakeClock
from tests.wallet_api.running import Running
from wallet_api import workers
from wallet_api.database import Database
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


async def test_what_is_written_is_handed_over_at_once_whatever_the_pace_of_reminding(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "HAND_OVER_EVERY_S", 0.01)
    notice = Notice("h" * 32, "test", "s", Bilingual("标题", "Title"), Bilingual("正文", "Text"), channels=("push",))
    async with running.platform.database.transaction() as session:
        await running.platform.outbox.notify(session, [notice])
    async with ticking(running.platform), asyncio.timeout(20):
        while (await _states(running)) != {"cancelled"}:  # noqa: ASYNC110  (nobody has this id)
            await asyncio.sleep(0.01)


async def _states(running: Running) -> set[str]:
    async with running.platform.database.snapshot() as session:
        return {state for _, state in await running.platform.outbox.counts(session)}


@pytest.mark.parametrize(("every_s", "jobs"), [(0, set()), (60, {"remind", "hand_over"})])
async def test_reminding_can_be_left_to_the_command(
    tmp_path: Path, clock: FakeClock, database: Database, every_s: int, jobs: set[str]
) -> None:
    running = await Running.start(tmp_path, clock, database, remind_every_s=every_s)
    async with ticking(running.platform) as timers:
        assert {job.id for job in timers.get_jobs()} & {"remind", "hand_over"} == jobs
    await running.http.aclose()


async def test_old_texts_are_erased_to_the_last_in_one_run(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "_AT_ONCE", 3)
    text = Bilingual("文", "Text")
    async with running.platform.database.transaction() as session:
        await running.platform.outbox.notify(session, [Notice("h", "test", str(n), text, text) for n in range(7)])
    await running.platform.hand_over()
    running.clock.forward(days=400)
    await workers.prune(running.platform)
    async with running.platform.database.snapshot() as session:
        rows = await (await session.connection()).exec_driver_sql(
            "SELECT body FROM outbox_message WHERE state != 'pending'"
        )
        assert {bytes(body) for (body,) in rows} == {b""}
