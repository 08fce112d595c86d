"""Digests, message states, and how delivery is paced."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from notifications.models import Bilingual


class MessageState(StrEnum):
    """pending → claimed → sent → delivered; back to pending on a retry; failed and cancelled are final."""

    PENDING = "pending"
    CLAIMED = "claimed"
    SENT = "sent"  # accepted by the provider, no receipt yet
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Entry:
    """One paragraph of a digest.

    Args:
        subject: what it is about (a reminder's id). Told at most once on each channel.
    """

    subject: str
    text: Bilingual


@dataclass(frozen=True)
class Digest:
    """What one holder is told on one day, on every channel.

    Args:
        lead: opens a digest of several; `{count}` stands for their number. A single entry goes without.
        closing: ends the message.
    """

    holder_id: str
    day: date
    kind: str
    title: Bilingual
    lead: Bilingual
    closing: Bilingual
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Draft:
    """What is fixed about a message: one digest, sealed, on one channel."""

    digest_id: str
    holder_id: str
    channel: str
    day: date
    kind: str
    body: bytes

    @property
    def dedupe_key(self) -> str:
        """Equal for messages of which only one may be written."""
        return f"{self.kind}:{self.holder_id}:{self.day}:{self.channel}"


@dataclass(frozen=True)
class Claimed:
    """A message that one worker holds until its lease ends.

    Args:
        attempts: how often it was claimed, this time included.
        claim: the token of this attempt.
    """

    id: str
    draft: Draft
    attempts: int
    claim: str


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended, and what is to be written down.

    Args:
        reason: an error's code, or why the message was cancelled.
        not_before: for a retry, when; None otherwise.
        falls_back_at: when the next channel of the route takes over; None if it does not.
    """

    state: MessageState
    reason: str | None = None
    provider_ref: str | None = None
    not_before: datetime | None = None
    falls_back_at: datetime | None = None


@dataclass(frozen=True)
class DeliveryReport:
    """Counts of messages: handed over, finally failed, put back, cancelled (withdrawn, no address, holder gone)."""

    sent: int = 0
    failed: int = 0
    retried: int = 0
    cancelled: int = 0


@dataclass(frozen=True)
class DeliveryPolicy:
    """The pace of delivery; times in seconds.

    Args:
        sms_after_s: how long a push may go without a receipt before the next channel is used.
        send_timeout_s: an attempt that takes longer counts as unavailable.
        lease_s: after it another worker takes the message over; far above `send_timeout_s`, so that a living worker
            keeps what it holds.
        max_attempts: 8 with these delays spread over about two hours; then the failure is final.
    """

    sms_after_s: float = 600
    send_timeout_s: float = 30
    lease_s: float = 180
    max_attempts: int = 8
    backoff_s: float = 30
    backoff_max_s: float = 3600
    retry_after_max_s: float = 86_400  # a provider's absurd Retry-After must not park a message for good

    def delay_s(self, attempts: int, spread: float, retry_after_s: float | None = None) -> float:
        """Seconds to wait after attempt number `attempts` (from 1).

        Exponential and capped, of which `spread` (0 to 1, random) takes away up to half so that messages that
        failed together do not come back together. Never before the provider's Retry-After.
        """
        # Past 2**20 the cap holds anyway; the bound keeps the power small.
        full = min(self.backoff_s * 2.0 ** min(attempts - 1, 20), self.backoff_max_s)
        return max(full * (1 - spread / 2), min(retry_after_s or 0, self.retry_after_max_s))
