"""What a process measures of itself, for Prometheus. Labels are few and never name anybody."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from sqlalchemy.pool import QueuePool

from wallet_api.database import Database

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BUCKETS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)  # look-ups to batches


class Metrics:
    """The counters of one process; a scrape of each process adds up in Prometheus."""

    def __init__(self, database: Database) -> None:
        self._registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self._requests = Counter(
            "liangzheng_requests", "Requests answered", ["method", "route", "status"], registry=registry
        )
        self._duration = Histogram(
            "liangzheng_request_seconds", "Time to the end of an answer", ["route"], buckets=BUCKETS_S,
            registry=registry,
        )  # fmt: skip
        self._limited = Counter("liangzheng_rate_limited", "Requests refused with 429", ["policy"], registry=registry)
        self._replayed = Counter("liangzheng_replayed", "Answers given again to an Idempotency-Key", registry=registry)
        self._patterns = Counter(
            "liangzheng_check_patterns_stopped", "Checks refused as a verifier's pattern", ["kind"], registry=registry
        )
        self._sms_reports = Counter(
            "liangzheng_sms_reports", "Delivery reports of SMS that providers posted", ["provider", "outcome"],
            registry=registry,
        )  # fmt: skip
        self._ticks = Counter("liangzheng_ticks", "Runs of the timers", ["tick", "outcome"], registry=registry)
        self._messages = Gauge(
            "liangzheng_outbox_messages", "Messages open or failed", ["channel", "state"], registry=registry
        )
        self._oldest = Gauge(
            "liangzheng_outbox_oldest_seconds", "Age of the oldest of them", ["channel", "state"], registry=registry
        )
        in_use = Gauge("liangzheng_database_connections", "Connections of the pool in use", registry=registry)
        pool = database.engine.pool
        in_use.set_function(lambda: pool.checkedout() if isinstance(pool, QueuePool) else 0)

    def request(self, method: str, route: str, status: int, took_s: float) -> None:
        """One request was answered; `route` is the template, never the path."""
        known = method if method in METHODS else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._duration.labels(route).observe(took_s)

    def limited(self, policy: str) -> None:
        """One request was one too many."""
        self._limited.labels(policy).inc()

    def replayed(self) -> None:
        """A stored answer was given again."""
        self._replayed.inc()

    def pattern_stopped(self, kind: str) -> None:
        """One check was refused for what the verifier's last checks look like: `refusals`, `holders`, `sequence`."""
        self._patterns.labels(kind).inc()

    def sms_reports(self, provider: str, outcome: str, count: int) -> None:
        """So many reports came: `arrived`, `failed`, `others` (of other systems' messages), `unreadable`."""
        self._sms_reports.labels(provider, outcome).inc(count)

    def tick(self, name: str, outcome: str) -> None:
        """A timer ran: `ok` or `failed`."""
        self._ticks.labels(name, outcome).inc()

    def outbox(self, channel: str, state: str, count: int, oldest_s: float) -> None:
        """So many messages of a channel are in a state, the oldest for so long."""
        self._messages.labels(channel, state).set(count)
        self._oldest.labels(channel, state).set(oldest_s)

    def no_outbox(self) -> None:
        """Begin anew: a series whose last message is gone does not stay at its last value."""
        self._messages.clear()
        self._oldest.clear()

    def text(self) -> bytes:
        """All of it in the text format 0.0.4."""
        return generate_latest(self._registry)
