"""Members of rows: a JSON value out of bytes, and the forms that rows of every kind share. Pure."""

import json
import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Any

import orjson

from credentials.registry.errors import RowError

MAX_VERSION = 2**53 - 1  # integers that survive every JSON reader

_MEMBER = re.compile(rb'"[ \t\r\n]*:')
_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})|(\d{4})(\d{2})(\d{2})", re.ASCII)
#: What cannot be seen, or turns the order of what can (a name must read as it is written). Joiners, variation selectors
#: and Mongolian separators stay: names are written with them.
CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\uffff"
    "\U000e0000-\U000e007f]"
)
_EARLIEST, _LATEST = date(1850, 1, 1), date(9999, 12, 30)  # what lies beyond is a defect of the source


def json_value(data: bytes) -> object:
    """The one JSON value that bytes are.

    Raises:
        RowError: `row_not_json`; `member_repeated` where an object in it has a member twice.
    """
    try:
        value: object = orjson.loads(data)
        # Three looks, each dearer: a colon too many is in a text, after a quote in a text, or a member hides another.
        members = _count_members(value)
        if data.count(b":") != members and len(_MEMBER.findall(data)) != members:
            json.loads(data, object_pairs_hook=_refuse_repeated)
    except orjson.JSONDecodeError as error:
        raise RowError("row_not_json", "", "not one JSON value in UTF-8") from error
    except RecursionError as error:  # orjson goes a little deeper than Python does
        raise RowError("row_not_json", "", "nested far too deep") from error
    return value


def _count_members(value: object) -> int:
    """How many members the objects of a JSON value have."""
    if isinstance(value, dict):
        return len(value) + sum(_count_members(member) for member in value.values() if isinstance(member, dict | list))
    return sum(map(_count_members, value)) if isinstance(value, list) else 0


def _refuse_repeated(members: list[tuple[str, object]]) -> None:
    if len({name for name, _ in members}) != len(members):
        raise RowError("member_repeated", "", "an object has a member twice; which one is meant is not known")


def text(row: Mapping[str, Any], member: str, longest: int, at: str = "") -> str:
    """A required text without spaces around it: `member_missing` or `member_invalid` when there is none."""
    field = f"{at}.{member}" if at else member
    value = row.get(member)
    if value is None:
        raise RowError("member_missing", field, "this member is required here")
    if not isinstance(value, str) or not value.strip() or len(value) > longest or CONTROL.search(value):
        raise RowError(
            "member_invalid", field, f"text of 1 to {longest} characters, none of control and none invisible"
        )
    return value.strip()


def day(row: Mapping[str, Any], member: str) -> date:
    """A required day, `YYYY-MM-DD` or `YYYYMMDD`: as `text`, or `date_invalid`."""
    found = _calendar_day(text(row, member, 10))
    if found is None or not _EARLIEST <= found <= _LATEST:  # others have no day after, or none before
        raise RowError("date_invalid", member, "a day as YYYY-MM-DD or YYYYMMDD, from 1850 on")
    return found


@lru_cache(maxsize=65_536)  # a century has 36,525 days
def _calendar_day(written: str) -> date | None:
    match = _DAY.fullmatch(written)
    try:
        return date(*(int(part) for part in match.groups() if part)) if match else None
    except ValueError:
        return None


def source_version(row: Mapping[str, Any]) -> int:
    """The version of the source's record: `member_invalid` when it is no integer from 1 to `MAX_VERSION`."""
    version = row.get("source_version")
    if type(version) is not int or not 1 <= version <= MAX_VERSION:  # a bool is an int to Python
        raise RowError("member_invalid", "source_version", "an integer from 1 up")
    return version


def refuse_unknown(row: Mapping[str, Any], known: frozenset[str] | set[str], prefix: str = "") -> None:
    """`member_unknown` for the first member that has no meaning; its name is told only where it is a plain word."""
    unknown = sorted(set(row) - known)
    if unknown:
        name = unknown[0] if unknown[0].isidentifier() and len(unknown[0]) <= 64 else "?"
        raise RowError(
            "member_unknown", f"{prefix}{name}", "this member has no meaning here; nothing is dropped silently"
        )
