"""Work that no request waits for. Ticks are safe to run in several processes at once: claims are in the database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from wallet_api.edge import Metrics
from wallet_api.edge import repository as edge
from wallet_api.oauth import repository as oauth
from wallet_api.wiring import Platform

STATUS_EVERY_S = 2  # a revocation is visible within five seconds
HAND_OVER_EVERY_S = 2  # somebody may be waiting for a transaction code
TRUST_EVERY_S = 60
PRUNE_EVERY_S = 600
RENEW_KEYS_EVERY_S = 86_400
RETIRE_STATUS_EVERY_S = 86_400

_log = structlog.get_logger()


_Job = tuple[str, Callable[[], Awaitable[object]], int]


@asynccontextmanager
async def ticking(platform: Platform, *, works: bool = True) -> AsyncIterator[AsyncIOScheduler]:
    """The platform's timers, for as long as the block runs.

    A run that is under way at its end is broken off, and waited for: it may still be giving back its connection.

    Args:
        works: false for a process that only serves: it takes over rotated keys, and leaves all else to the workers.
    """
    timers = AsyncIOScheduler(timezone="UTC")
    under_way: set[asyncio.Task[object]] = set()
    jobs = _work(platform) if works else [("take_over_keys", platform.take_over_keys, TRUST_EVERY_S)]
    for name, tick, every_s in jobs:
        if not every_s:
            continue
        trigger = IntervalTrigger(seconds=every_s, timezone="UTC")
        watched = _watched(platform.metrics, name, tick, under_way)
        timers.add_job(watched, trigger, id=name, coalesce=True, max_instances=1)
    timers.start()
    try:
        yield timers
    finally:
        timers.shutdown(wait=False)
        await asyncio.gather(*under_way, return_exceptions=True)


def _work(platform: Platform) -> list[_Job]:
    remind_every_s = platform.settings.remind_every_s
    return [
        ("publish_status", platform.publish_status, STATUS_EVERY_S),
        ("publish_trust", platform.publish_trust, TRUST_EVERY_S),  # takes over rotated keys as well
        ("remind", platform.remind, remind_every_s),
        ("hand_over", platform.hand_over, HAND_OVER_EVERY_S if remind_every_s else 0),
        ("renew_keys", platform.renew_keys, RENEW_KEYS_EVERY_S),
        ("retire_status", platform.retire_status, RETIRE_STATUS_EVERY_S),
        ("prune", lambda: prune(platform), PRUNE_EVERY_S),
    ]


async def prune(platform: Platform) -> None:
    """Forget tokens, one-time values, idempotency keys and rate windows that are over, and erase old messages."""
    now = platform.clock.now()
    async with platform.database.transaction() as session:
        await platform.one_time.prune(session, now)
        await platform.credential_issuer.prune(session)
        await oauth.prune(session, now)
        await edge.prune(session, now)
        await platform.checks.prune(session)
        await platform.held_keys.prune(session)
    kept, more = timedelta(days=platform.settings.message_texts_kept_days), True
    while more:  # in parts, so that no other writer waits long
        async with platform.database.transaction() as session:
            more = await platform.outbox.prune(session, kept)


def _watched(
    metrics: Metrics, name: str, tick: Callable[[], Awaitable[object]], under_way: set[asyncio.Task[object]]
) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None, "the scheduler gives each run a task"
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        try:
            await tick()
            metrics.tick(name, "ok")
        except Exception as error:  # noqa: BLE001  (an entry point: the next tick tries again)
            metrics.tick(name, "failed")
            _log.error("tick_failed", tick=name, error=type(error).__name__, exc_info=error)

    return run
