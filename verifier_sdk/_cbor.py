"""The live code's CBOR profile (RFC 8949): definite lengths, shortest heads, no tag but 18.

A decoder of its own, because a general one accepts what the profile refuses (longer heads, indefinite lengths,
floats, tags with side effects) and returns values that compare equal although their bytes differ (`1`, `true`
and `1.0` as map keys).
"""

from dataclasses import dataclass

from ._fault import Fault

MAX_DEPTH = 8  # the profile's bound; a valid pass nests 4 levels
TAG_SIGN1 = 18
_LEAST = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}  # smallest value that needs a head of this form
_SIMPLE: dict[int, bool | None] = {0xF4: False, 0xF5: True, 0xF6: None}


@dataclass(frozen=True, slots=True)
class Tagged:
    """A value under tag 18 (COSE_Sign1)."""

    value: object


def loads(data: bytes) -> object:
    """One CBOR value: int, bytes, str, list, dict, bool, None or `Tagged`.

    Raises:
        Fault: Not CBOR, not within the profile, or bytes after the value.
    """
    try:
        value, end = _item(data, 0, MAX_DEPTH)
    except (IndexError, UnicodeDecodeError) as error:
        raise Fault("not CBOR") from error
    if end != len(data):
        raise Fault("bytes after the CBOR value")
    return value


def _item(data: bytes, at: int, depth: int) -> tuple[object, int]:
    """A value and where it ends; lying counts and lengths end with the data. The commonest kinds stand first."""
    initial = data[at]
    at += 1
    if initial < 0x18:
        return initial, at
    major, argument = initial >> 5, initial & 0x1F
    if major == 7:
        if initial not in _SIMPLE:
            raise Fault("a CBOR value outside the profile")
        return _SIMPLE[initial], at
    if argument > 23:
        argument, at = _long_argument(data, at, argument)
    if major == 3 or major == 2:
        end = at + argument
        if end > len(data):
            raise Fault("the CBOR ends early")
        return (data[at:end] if major == 2 else str(data[at:end], "utf-8")), end
    if major == 0:
        return argument, at
    if major == 1:
        return -1 - argument, at
    if depth == 0:
        raise Fault("CBOR nested too deeply")
    if major == 5:
        return _map(data, at, argument, depth - 1)
    if major == 4:
        values = []
        for _ in range(argument):
            value, at = _item(data, at, depth - 1)
            values.append(value)
        return values, at
    if argument != TAG_SIGN1:
        raise Fault("a CBOR tag outside the profile")
    value, at = _item(data, at, depth - 1)
    return Tagged(value), at


def _long_argument(data: bytes, at: int, form: int) -> tuple[int, int]:
    if form == 24:
        argument = data[at]
        if argument < 24:
            raise Fault("a CBOR head that is not the shortest")
        return argument, at + 1
    if form > 27:
        raise Fault("an indefinite or reserved CBOR length")
    end = at + (1 << (form - 24))
    argument = int.from_bytes(data[at:end], "big")
    if end > len(data) or argument < _LEAST[form]:
        raise Fault("a CBOR head that is not the shortest")
    return argument, end


def _map(data: bytes, at: int, count: int, depth: int) -> tuple[dict[int | str, object], int]:
    members: dict[int | str, object] = {}
    for _ in range(count):
        key: object = data[at]
        at += 1
        if data[at - 1] > 0x17:  # not a small number, which is what most keys are
            key, at = _item(data, at - 1, depth)
        if type(key) is not int and type(key) is not str:
            raise Fault("a CBOR map key that is neither integer nor text")
        if key in members:
            raise Fault("a duplicate CBOR map key")
        members[key], at = _item(data, at, depth)
    return members, at
