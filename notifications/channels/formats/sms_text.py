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


def joined(title: str, text: str) -> str:
    """Title and text as one, in the default alphabet where both are."""
    if not title:
        return text
    return f"{title}: {text}" if _is_plain(title + text) else f"{title}：{text}"


def fits_sms(text: str) -> bool:
    """Whether `sms_parts` takes a text.

    Raises:
        ValueError: half a surrogate pair.
    """
    return len(_bodies(text)) <= MAX_PARTS


def sms_parts(text: str, reference: int) -> SmsParts:
    """Cut a text into what one short message holds each; no character is torn apart.

    Args:
        reference: 0 to 255, alike in the parts of one message and different in another one to the same phone.

    Raises:
        ValueError: more than `MAX_PARTS` parts, or half a surrogate pair.
    """
    coding = DEFAULT_ALPHABET if _is_plain(text) else UCS2
    bodies = _bodies(text)
    total = len(bodies)
    if total == 1:
        return SmsParts(coding, tuple(bodies), headed=False)
    if total > MAX_PARTS:
        raise ValueError(f"a text of more than {MAX_PARTS} short messages")
    headers = (bytes([5, 0, 3, reference, total, number]) for number in range(1, total + 1))
    return SmsParts(coding, tuple(header + body for header, body in zip(headers, bodies, strict=True)), headed=True)


def _is_plain(text: str) -> bool:
    return _COMMON.fullmatch(text) is not None


def _bodies(text: str) -> list[bytes]:
    plain = _is_plain(text)
    characters = [c.encode("ascii" if plain else "utf-16-be") for c in text]
    whole, part = (_WHOLE_SEPTETS, _PART_SEPTETS) if plain else (_WHOLE_OCTETS, _PART_OCTETS)
    if sum(map(len, characters)) <= whole:
        return [b"".join(characters)]
    bodies = [b""]
    for character in characters:
        if len(bodies[-1]) + len(character) > part:
            bodies.append(b"")
        bodies[-1] += character
    return bodies


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
