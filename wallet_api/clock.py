"""The only place that reads the wall clock."""

from datetime import UTC, datetime


class SystemClock:
    """The machine's clock, aware and in UTC."""

    def now(self) -> datetime:
        """The present instant."""
        return datetime.now(UTC)


class StandingClock:
    """A clock that stands at an instant: for rehearsals of another day."""

    def __init__(self, instant: datetime) -> None:
        self._instant = instant

    def move(self, instant: datetime) -> None:
        """Stand at another instant from now on."""
        self._instant = instant

    def now(self) -> datetime:
        """That instant."""
        return self._instant
