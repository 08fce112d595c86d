"""Digests and notices, message states, and what is written down about an attempt."""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from notifications.models import Bilingual

ROUTES = (("inbox",), ("push", "sms"))  # each starts at its first channel that may carry it, and falls back to the next
EVERY_CHANNEL = ("inbox", "push", "sms")
RINGING = frozenset({"push", "sms"})  # the channels that wait for the end of the quiet hours
HOLDER_GONE = "holder_gone"  # the reason of a message that was cancelled because `Contacts` left its holder out


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
        muted: the channels on which the holder does not want to hear of it.
    """

    subject: str
    text: Bilingual
    muted: frozenset[str] = frozenset()


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
class Notice:
    """One thing that a holder is told at once and on its own.

    Args:
        subject: what it is about (`offer:…`); of one kind it is told at most once on each channel.
        channels: those that may carry it; a code for one transaction goes by SMS alone.
        muted: the channels on which the holder does not want to hear of it.
        urgent: does not wait for the end of the quiet hours.
        useful_until: past it the notice is not sent any more.
    """

    holder_id: str
    kind: str
    subject: str
    title: Bilingual
    text: Bilingual = field(repr=False)
    channels: tuple[str, ...] = EVERY_CHANNEL
    muted: frozenset[str] = frozenset()
    urgent: bool = False
    useful_until: datetime | None = None


@dataclass(frozen=True)
class Draft:
    """What is fixed about a message: one digest, sealed, on one channel.

    Args:
        occasion: what makes two messages of a channel the same one.
        fallbacks: the channels that take over, in order.
    """

    digest_id: str
    holder_id: str
    channel: str
    day: date
    kind: str
    body: bytes
    occasion: str
    fallbacks: tuple[str, ...] = ()
    urgent: bool = False
    useful_until: datetime | None = None

    @property
    def dedupe_key(self) -> str:
        """Equal for messages of which only one may be written."""
        return f"{self.occasion}:{self.channel}"


@dataclass(frozen=True)
class Claimed:
    """A message that one worker holds until its lease ends.

    Args:
        attempts: how often it was claimed, this time included.
        claim: the token of this attempt.
        provider: who may have accepted it in an attempt that ended without an answer, or whose worker died.
    """

    id: str
    draft: Draft
    attempts: int
    claim: str
    provider: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended, and what is to be written down.

    Args:
        provider_stays: whether the row keeps the provider that was last noted in it, because nobody knows better.
        attempts: what the count of attempts becomes; None leaves it.
        reason: an error's code, or why the message was cancelled.
        not_before: for a retry, when; None otherwise.
        falls_back_at: when the next channel of the route takes over; None if it does not.
    """

    state: MessageState
    reason: str | None = None
    provider: str | None = None
    provider_ref: str | None = None
    provider_stays: bool = False
    attempts: int | None = None
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
class StoredMessage:
    """A message as operators see it: neither its text nor where it went.

    Args:
        not_before: of an open message, when somebody may take it next.
    """

    id: str
    holder_id: str
    channel: str
    kind: str
    state: MessageState
    attempts: int
    reason: str | None
    provider: str | None
    provider_ref: str | None
    not_before: datetime
    created_at: datetime
    closed_at: datetime | None
    delivered_at: datetime | None
