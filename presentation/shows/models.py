"""What showing speaks of."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey


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

    @classmethod
    def from_key(cls, key: EllipticCurvePublicKey) -> Self:
        """The value of a P-256 key."""
        point = key.public_numbers()
        x, y = point.x.to_bytes(32, "big"), point.y.to_bytes(32, "big")
        members = {"crv": "P-256", "kty": "EC", "x": _b64u(x), "y": _b64u(y)}  # RFC 7638 §3: in this order
        canonical = json.dumps(members, separators=(",", ":")).encode()
        return cls(x, bool(point.y & 1), _b64u(hashlib.sha256(canonical).digest()))


@dataclass(frozen=True)
class StatusPlace:
    """Where a pass's status stands."""

    uri: str
    index: int


@dataclass(frozen=True)
class LiveCode:
    """A live code that the server made; times in seconds since 1970."""

    text: str
    made_at_s: int
    expires_at_s: int


@dataclass(frozen=True)
class ShowPass:
    """An issued pass and when it is good for; times in seconds since 1970."""

    token: bytes
    profile: Profile
    not_before_s: int
    expires_at_s: int


def _b64u(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
