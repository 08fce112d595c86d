"""How delivery is paced: waiting, giving up, and the hours in which nothing rings. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime, time
from typing import Self
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True)
class QuietHours:
    """A part of every Shanghai day, from `begin` until before `end`, which may lie on the next day."""

    begin: time
    end: time

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """`21:00-08:00`; None for an empty text or a span without length.

        Raises:
            ValueError: another form.
        """
        if not text:
            return None
        found = _HOURS.fullmatch(text)
        if found is None:
            raise ValueError("quiet hours are written 21:00-08:00, or left empty")
        from_hour, from_minute, to_hour, to_minute = map(int, found.groups())
        begin, end = time(from_hour, from_minute), time(to_hour, to_minute)
        return cls(begin, end) if begin != end else None

    def include(self, now: datetime) -> bool:
        """Whether an instant lies within."""
        at = now.astimezone(SHANGHAI).time()
        if self.begin < self.end:
            return self.begin <= at < self.end
        return at >= self.begin or at < self.end


@dataclass(frozen=True)
class DeliveryPolicy:
    """The pace of delivery; times in seconds.

    Args:
        sms_after_s: how long a push may go without a receipt before the next channel is used.
        send_timeout_s: an attempt that takes longer counts as unavailable.
        lease_s: after it another worker takes the message over; far above `send_timeout_s`, so that a living worker
            keeps what it holds.
        max_attempts: 8 with these delays spread over about two hours; then the failure is final.
        quiet: when push and SMS wait, unless they are urgent.
    """

    sms_after_s: float = 600
    send_timeout_s: float = 30
    lease_s: float = 180
    max_attempts: int = 8
    backoff_s: float = 30
    backoff_max_s: float = 3600
    retry_after_max_s: float = 86_400  # a provider's absurd Retry-After must not park a message for good
    quiet: QuietHours | None = None

    def delay_s(self, attempts: int, spread: float, retry_after_s: float | None = None) -> float:
        """Seconds to wait after attempt number `attempts` (from 1).

        Exponential and capped, of which `spread` (0 to 1, random) takes away up to half so that messages that
        failed together do not come back together. Never before the provider's Retry-After.
        """
        # Past 2**20 the cap holds anyway; the bound keeps the power small.
        full = min(self.backoff_s * 2.0 ** min(attempts - 1, 20), self.backoff_max_s)
        return max(full * (1 - spread / 2), min(retry_after_s or 0, self.retry_after_max_s))
