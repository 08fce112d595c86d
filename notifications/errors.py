"""What can go wrong when holders are told something."""

import math


class NotificationsError(Exception):
    """The base of this package's errors.

    Attributes:
        code: stable, for programs.
        detail: for people; never holds personal data.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


THROTTLED = "provider_throttled"


class ChannelUnavailable(NotificationsError):
    """The provider cannot take the message now; it may later.

    Attributes:
        retry_after_s: how long the provider asks to be left alone, in seconds; None if it did not say.
        uncertain: whether the provider may have taken the message all the same (no answer in time, a broken
            connection after the request had left). Such a message must not be given to another provider at once.
        held: whether it was never tried, because we ourselves hold back: it does not count as an attempt.
        provider: whose answer it is, where a channel has several.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        retry_after_s: float | None = None,
        uncertain: bool = False,
        held: bool = False,
    ) -> None:
        super().__init__(code, detail)
        self.uncertain = uncertain
        self.held = held
        self.provider: str | None = None
        usable = retry_after_s is not None and math.isfinite(retry_after_s) and retry_after_s > 0
        self.retry_after_s = retry_after_s if usable else None


class ChannelRefused(NotificationsError):
    """The provider will never take this message; the next channel of the route is tried."""


class NoAddress(ChannelRefused):
    """The holder has no address on this channel (no device, no phone number): nothing failed."""
