"""Short messages as a centre takes them: coding, and parts with a header that joins them (3GPP TS 23.040 §9.2.3.24)."""

import re
from dataclasses import dataclass

UCS2 = 8
DEFAULT_ALPHABET = 0

MAX_PARTS = 10  # 670 Chinese characters: what is longer is no SMS
_WHOLE_OCTETS, _PART_OCTETS = 140, 134
_WHOLE_SEPTETS, _PART_SEPTETS = 160, 153
# What ASCII and the default alphabet (TS 23.038 §6.2.1) write alike; a centre packs these itself.
_COMMON = re.compile(r"""[A-Za-z0-9 \r\n!"#%&'()*+,\-./:;<=>?]*""")
_CHINESE_MOBILE = re.compile(r"(?:\+|00)?(?:86)?(1[3-9][0-9]{9})")
_INTERNATIONAL = re.compile(r"(?:\+|00)([1-9][0-9]{7,14})")


@dataclass(frozen=True)
class SmsParts:
    """A text cut into parts. `headed` says that each begins with a user data header."""

    data_coding: int
    parts: tuple[bytes, ...]
    headed: bool


def sms_parts(text: str, reference: int) -> SmsParts:
    """Cut a text into what one short message holds each; no character is torn apart.

    Args:
        reference: 0 to 255, alike in the parts of one message and different in another one to the same phone.

    Raises:
        ValueError: more than `MAX_PARTS` parts, or half a surrogate pair.
    """
    plain = _COMMON.fullmatch(text) is not None
    characters = [c.encode("ascii" if plain else "utf-16-be") for c in text]
    whole, part = (_WHOLE_SEPTETS, _PART_SEPTETS) if plain else (_WHOLE_OCTETS, _PART_OCTETS)
    coding = DEFAULT_ALPHABET if plain else UCS2
    if sum(map(len, characters)) <= whole:
        return SmsParts(coding, (b"".join(characters),), headed=False)
    bodies = [b""]
    for character in characters:
        if len(bodies[-1]) + len(character) > part:
            bodies.append(b"")
        bodies[-1] += character
    if len(bodies) > MAX_PARTS:
        raise ValueError(f"a text of more than {MAX_PARTS} short messages")
    total = len(bodies)
    headers = (bytes([5, 0, 3, reference, total, number]) for number in range(1, total + 1))
    return SmsParts(coding, tuple(header + body for header, body in zip(headers, bodies, strict=True)), headed=True)


def international_number(phone: str) -> str:
    """A phone number in digits with its country code, as E.164 without the plus: a Chinese mobile number, or one that
    is written with its country code.

    Raises:
        ValueError: neither.
    """
    digits = re.sub(r"[ \-]", "", phone)
    if found := _CHINESE_MOBILE.fullmatch(digits):
        return f"86{found[1]}"
    if found := _INTERNATIONAL.fullmatch(digits):
        return found[1]
    raise ValueError("neither a Chinese mobile number nor one with a country code")
