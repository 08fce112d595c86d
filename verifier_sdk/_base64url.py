"""base64url without padding (RFC 7515 §2), strict: one text for one value."""

import base64
import binascii

from ._fault import Fault

_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_TO_URL = bytes.maketrans(b"+/", b"-_")
_PADDING = (b"", b"", b"==", b"=")
# A text whose last letter stands for fewer than six bits must have zeros in the others.
_LAST_LETTERS = (_LETTERS, b"", _LETTERS[::16], _LETTERS[::4])


def decode(text: str) -> bytes:
    """The bytes of a base64url text.

    Raises:
        Fault: Padding, white space, another alphabet, a length that cannot be, or trailing bits that are not zero.
    """
    letters = text.encode("ascii", "replace")
    tail = len(letters) % 4
    if letters.translate(None, _LETTERS) or tail == 1:
        raise Fault("not base64url")
    if tail and letters[-1] not in _LAST_LETTERS[tail]:
        raise Fault("base64url with stray trailing bits")
    return binascii.a2b_base64(letters.translate(_TO_STANDARD) + _PADDING[tail])


def encode(data: bytes) -> str:
    """base64url without padding."""
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").translate(_TO_URL).decode("ascii")


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
