"""Work that no request waits for. Ticks are safe to run in several processes at once: claims are in the database."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from wallet_api.edge import Metrics
from wallet_api.edge import repository as edge
from wallet_api.oauth import repository as oauth
from wallet_api.wiring import Platform

STATUS_EVERY_S = 2  # a revocation is visible within five seconds
TRUST_EVERY_S = 60
PRUNE_EVERY_S = 600
RENEW_KEYS_EVERY_S = 86_400
RETIRE_STATUS_EVERY_S = 86_400

_log = structlog.get_logger()


_Job = tuple[str, Callable[[], Awaitable[object]], int]


def scheduler(platform: Platform, *, works: bool = True) -> AsyncIOScheduler:
    """The platform's timers, not started yet.

    Args:
        works: false for a process that only serves: it takes over rotated keys, and leaves all else to the workers.
    """
    timers = AsyncIOScheduler(timezone="UTC")
    jobs: list[_Job] = [
        ("take_over_keys", platform.take_over_keys, 0 if works else TRUST_EVERY_S),  # publish_trust does it too
        *(_work(platform) if works else []),
    ]
    for name, tick, every_s in jobs:
        if not every_s:
            continue
        trigger = IntervalTrigger(seconds=every_s, timezone="UTC")
        timers.add_job(_watched(platform.metrics, name, tick), trigger, id=name, coalesce=True, max_instances=1)
    return timers


def _work(platform: Platform) -> list[_Job]:
    return [
        ("publish_status", platform.publish_status, STATUS_EVERY_S),
        ("publish_trust", platform.publish_trust, TRUST_EVERY_S),
        ("remind", platform.remind, platform.settings.remind_every_s),
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
        await platform.outbox.prune(session, timedelta(days=platform.settings.message_texts_kept_days))


def _watched(metrics: Metrics, name: str, tick: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        try:
            await tick()
            metrics.tick(name, "ok")
        except Exception as error:  # noqa: BLE001  (an entry point: the next tick tries again)
            metrics.tick(name, "failed")
            _log.error("tick_failed", tick=name, error=type(error).__name__, exc_info=error)

    return run
