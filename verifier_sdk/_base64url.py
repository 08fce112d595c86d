"""base64url without padding (RFC 7515 §2), strict: one text for one value."""

import base64
import binascii
import re

from ._fault import Fault

_ALPHABET = re.compile(r"[A-Za-z0-9_-]*")


def decode(text: str) -> bytes:
    """The bytes of a base64url text.

    Raises:
        Fault: Padding, white space, another alphabet, a length that cannot be, or trailing bits that are not zero.
    """
    if not _ALPHABET.fullmatch(text) or len(text) % 4 == 1:
        raise Fault("not base64url")
    decoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode(decoded) != text:
        raise Fault("base64url with stray trailing bits")
    return decoded


def encode(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode_standard(text: str) -> bytes:
    """The bytes of a standard, padded base64 text, as `x5c` has it (RFC 7515 §4.1.6).

    Raises:
        Fault: Anything but canonical base64.
    """
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Fault("not base64") from error
    if base64.b64encode(decoded).decode("ascii") != text:
        raise Fault("base64 with stray trailing bits")
    return decoded
