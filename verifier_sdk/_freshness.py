"""Whether what this device knows is there, new enough, and what it says: shared by live codes and credentials."""

from datetime import datetime, timedelta

from ._trust_list import TrustList, instant
from .errors import CannotTell, NotValid, TrustError
from .policy import Policy
from .trust import Trust


def fresh_trust_list(trust: Trust, policy: Policy, now: datetime) -> TrustList:
    """The trust list, if it is held and not too old.

    Raises:
        CannotTell: `trust_missing`, `trust_stale`.
    """
    try:
        trust_list = trust.trust_list()
    except TrustError as error:
        raise CannotTell("trust_missing", error.detail) from error
    if trust_list is None:
        raise CannotTell("trust_missing", "no trust list is held, or it is not of the pinned anchors")
    age = now - instant(trust_list.iat)
    if age > policy.max_trust_age:
        raise CannotTell("trust_stale", f"issued {_seconds(age)} s ago")
    if now.timestamp() >= trust_list.exp:
        raise CannotTell("trust_stale", f"over since {_seconds(now - instant(trust_list.exp))} s")
    if age < -timedelta(seconds=policy.skew_s):
        raise CannotTell("trust_stale", f"this device's clock is {_seconds(-age)} s behind the trust list")
    return trust_list


def expect_valid_status(trust: Trust, policy: Policy, now: datetime, uri: str, idx: int, type_code: str) -> timedelta:
    """Look a licence up in its status list (live code format §5 step 11).

    Returns:
        The age of the status list that says the licence is valid.

    Raises:
        NotValid: `status_index_unknown`, `revoked`, `suspended`.
        CannotTell: `status_missing`, `status_stale`, `status_value_unknown`.
    """
    try:
        status_list = trust.status_list(uri)
    except TrustError as error:
        raise CannotTell("status_missing", error.detail) from error
    if status_list is None or not status_list.key.may_sign(type_code):
        raise CannotTell("status_missing", "no status list is held for this licence by a key of its type")
    age = now - instant(status_list.iat)
    if age > policy.max_status_age:
        raise CannotTell("status_stale", f"issued {_seconds(age)} s ago")
    if status_list.exp is not None and now.timestamp() >= status_list.exp:
        raise CannotTell("status_stale", f"over since {_seconds(now - instant(status_list.exp))} s")
    if not status_list.key.path.holds_at(now):
        raise CannotTell("status_stale", "the status key's certificate is outside its validity")
    if age < -timedelta(seconds=policy.skew_s):
        raise CannotTell("status_stale", f"this device's clock is {_seconds(-age)} s behind the status list")
    _expect_valid(status_list.statuses.status(idx))
    return age


def _expect_valid(status: int | None) -> None:
    match status:
        case 0x00:
            return
        case 0x01:
            raise NotValid("revoked", "status 0x01")
        case 0x02:
            raise NotValid("suspended", "status 0x02")
        case None:
            raise NotValid("status_index_unknown", "the index is outside the status list")
        case _:
            raise CannotTell("status_value_unknown", f"status {status:#04x}")


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())
