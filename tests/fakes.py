"""Fakes that stand in for the world: time stands still until a test moves it."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    """A clock that a test sets."""

    def __init__(self, start: datetime = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def forward(self, **units: float) -> None:
        """Move on by `timedelta(**units)`."""
        self._now += timedelta(**units)
