"""What a verifier is content with."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Policy:
    """The verifier's limits. Every default is the format's, or says why it is what it is.

    Attributes:
        max_trust_age: How old the trust list may be, by its signed `iat`. A week lets an inspector work through
            holidays away from a network; a withdrawn key is known everywhere within it.
        max_status_age: How old a status list may be, by its signed `iat`; its own `exp` holds as well. A day,
            because a licence revoked in the morning must not be shown the next one. The token's `ttl` is no
            limit, only a hint when to fetch again.
        skew_s: By how many seconds two clocks may differ (live code format §5).
        code_lifetime_s: How many seconds a live code is accepted for; it is refreshed every 15 s (§5).
        kb_max_age_s: How old a key binding may be: a holder needs a few minutes to read and agree.
        kb_max_ahead_s: How far in the future a key binding may lie: a phone's clock may be off by a minute.
        require_status: Refuse a credential without a status reference. Every licence of the platform carries
            one, so one without could never be revoked.
    """

    max_trust_age: timedelta = timedelta(days=7)
    max_status_age: timedelta = timedelta(hours=24)
    skew_s: int = 30
    code_lifetime_s: int = 60
    kb_max_age_s: int = 300
    kb_max_ahead_s: int = 60
    require_status: bool = True

    @property
    def replay_window_s(self) -> int:
        """For how long a `cti` is remembered: as long as a code can pass, and a skew more (150 by default)."""
        return self.code_lifetime_s + 3 * self.skew_s


@dataclass(frozen=True, slots=True)
class Expected:
    """What the verifier asked for; a presentation must answer exactly this.

    Attributes:
        audience: The verifier's full client_id; the key binding's `aud` must be this string.
        nonce: The nonce of the request, used for this one request.
        vct: The credential type asked for; None accepts every type of the trust list.
    """

    audience: str
    nonce: str
    vct: str | None = None
