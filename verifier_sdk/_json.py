"""JSON from strangers (RFC 8259), read so that no two readers can disagree about it."""

import json
import math
from collections.abc import Iterable, Mapping
from hashlib import sha256

from ._fault import Fault

MAX_DEPTH = 32  # our deepest document nests 8 levels; deeper input only serves to exhaust the stack


def loads(data: bytes) -> object:
    """A JSON value out of UTF-8 bytes.

    Raises:
        Fault: Not UTF-8 or not JSON, a duplicate member, NaN or an infinity, a lone surrogate, nesting beyond
            `MAX_DEPTH`, an integer beyond Python's digit limit.
    """
    try:
        value: object = _DECODER.decode(data.decode("utf-8"))
        if b"\\u" in data:  # a lone surrogate has no UTF-8: it comes as an escape only
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise Fault("not JSON of the allowed form") from error
    # Nothing can be nested deeper than it has brackets; most documents have too few to need a look.
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise Fault("JSON nested too deeply")
    return value


def loads_object(data: bytes) -> dict[str, object]:
    """A JSON object. Raises `Fault` as `loads`, and for any other value."""
    value = loads(data)
    if not isinstance(value, dict):
        raise Fault("not a JSON object")
    return value


def as_object(value: object) -> Mapping[str, object]:
    """The value, if it is an object. Raises `Fault`; so do its three sisters."""
    if not isinstance(value, dict):
        raise Fault("an object is missing")
    return value


def as_array(value: object) -> list[object]:
    """The value, if it is an array."""
    if not isinstance(value, list):
        raise Fault("an array is missing")
    return value


def as_text(value: object) -> str:
    """The value, if it is a string."""
    if not isinstance(value, str):
        raise Fault("a text is missing")
    return value


def as_integer(value: object) -> int:
    """The value, if it is an integer from 0 to 2^40 (times stay harmless); `true` is none."""
    if type(value) is not int or not 0 <= value <= 1 << 40:
        raise Fault("a number is missing")
    return value


def content_sha256(value: object) -> str:
    """A digest that is the same for equal values, however they were written."""
    return sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _no_constant(_: str) -> object:
    raise ValueError("NaN and the infinities are not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number too large for a double")
    return number


# One for all: building a decoder takes longer than reading a disclosure.
_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level and depth <= MAX_DEPTH:
        depth += 1
        level = [child for parent in level for child in _children(parent)]
    return depth


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
