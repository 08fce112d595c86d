"""Status lists as values."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class StatusValue(IntEnum):
    """What a status list says of a credential (draft-ietf-oauth-status-list §7.1)."""

    VALID = 0
    INVALID = 1  # final
    SUSPENDED = 2


class StatusListFormat(StrEnum):
    """The two serialisations of a status list token."""

    JWT = "jwt"
    CWT = "cwt"

    @property
    def media_type(self) -> str:
        """What the token is served as, to the letter."""
        return f"application/statuslist+{self.value}"


@dataclass(frozen=True)
class StatusReference:
    """Where the status of one credential stands: the `status_list` claim.

    Attributes:
        uri: of the list; equal to its token's `sub`, byte for byte.
        idx: the entry, from 0.
    """

    uri: str
    idx: int


@dataclass(frozen=True)
class PublishedStatusToken:
    """A status list token as it is served.

    Attributes:
        body: a compact JWS, or a tagged COSE_Sign1.
        etag: a strong entity tag, quotes included.
        max_age_s: how long a cache may keep it, in seconds; never past `ttl` or `exp`.
    """

    body: bytes
    media_type: str
    etag: str
    max_age_s: int


@dataclass(frozen=True)
class StatusList:
    """A list as the database knows it.

    Attributes:
        size: how many entries it has, used or not.
        version: goes up with every change of an entry.
    """

    list_id: int
    uri: str
    bits: int
    size: int
    version: int


@dataclass(frozen=True)
class Allocation:
    """Counter values that are taken for good: `first` up to, not including, `end`."""

    status_list: StatusList
    sealed_permutation_key: bytes
    first: int
    end: int


@dataclass(frozen=True)
class DueList:
    """A list whose token is missing, outdated or near its end.

    Attributes:
        seen_version: the version the present token shows; None without a token.
        seen_iat: the present token's `iat`; None without a token.
    """

    status_list: StatusList
    seen_version: int | None
    seen_iat: int | None
