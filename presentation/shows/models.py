"""What showing speaks of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import IntEnum


class Profile(IntEnum):
    """How much a pass discloses (`FORMAT.md` §3.1)."""

    MINIMAL = 1
    FACE = 2


@dataclass(frozen=True)
class ShowableLicence:
    """A licence in force, as far as a pass can speak of it.

    Attributes:
        held_by_persons: natural persons hold it, so that `minimal` masks name and number.
        valid_until: the last valid Shanghai day, or None for a long-term licence.
        face_items: the type's `face_key` → value.
    """

    id: str
    holder_id: str
    type_code: str
    type_version: int
    holder_name: str
    number: str
    held_by_persons: bool
    valid_until: date | None
    face_items: Mapping[int, object]


@dataclass(frozen=True)
class DeviceKey:
    """The public key of the device that will show: a P-256 point.

    Attributes:
        x: 32 bytes, big endian.
        y_is_odd: the sign of y in a compressed point.
        thumbprint: RFC 7638, base64url.
    """

    x: bytes
    y_is_odd: bool
    thumbprint: str


@dataclass(frozen=True)
class StatusPlace:
    """Where a pass's status stands."""

    uri: str
    index: int


@dataclass(frozen=True)
class ShowPass:
    """An issued pass and when it is good for; times in seconds since 1970."""

    token: bytes
    profile: Profile
    not_before_s: int
    expires_at_s: int
