"""The only place that reads the wall clock."""

from datetime import UTC, datetime


class SystemClock:
    """The machine's clock, aware and in UTC."""

    def now(self) -> datetime:
        """The present instant."""
        return datetime.now(UTC)
