"""What registers report: a JSON array, or lines, of objects in the names of GB/T 36903, to checked `HolderEnd`s.

| member | value |
|---|---|
| `certificate_holder_type`, `certificate_holder_code` | who has ended, as intake rows name a holder |
| `ended_on` | the day, `YYYY-MM-DD` or `YYYYMMDD`; null takes back what the register said before |
| `source_version` | the version of the register's record (≥ 1) |
"""

import codecs
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from credentials.registry.errors import RowError
from credentials.registry.formats import members
from credentials.registry.formats.gbt36903 import MAX_ROW_BYTES, RESIDENT_ID, holder_code
from credentials.registry.models import HolderEnd

MAX_ROWS = 1000  # one transaction, which holds its holders and their licences while it lasts

_TYPE, _CODE = "certificate_holder_type", "certificate_holder_code"
_MEMBERS = frozenset({_TYPE, _CODE, "ended_on", "source_version"})


def ends_from_body(body: bytes) -> Sequence[HolderEnd | RowError]:
    """Parse an array of 1 to `MAX_ROWS` rows; in the place of a row that is refused stands why.

    Raises:
        RowError: the body as a whole: `rows_invalid`, or `row_not_json` and `member_repeated` as of
            `members.json_value`.
    """
    rows = members.json_value(body)
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_ROWS:
        raise RowError("rows_invalid", "", f"a JSON array of 1 to {MAX_ROWS} rows")
    return [_parsed(row) for row in rows]


def end_from_line(line: bytes) -> HolderEnd | RowError:
    """Parse one line of NDJSON, or say why it is refused."""
    if len(line) > MAX_ROW_BYTES:
        return RowError("row_too_large", "", f"a row has at most {MAX_ROW_BYTES} bytes")
    try:
        return _parsed(members.json_value(line.removeprefix(codecs.BOM_UTF8)))
    except RowError as error:
        return error


def _parsed(value: object) -> HolderEnd | RowError:
    try:
        return end_from_object(value)
    except RowError as error:
        return error


def end_from_object(value: object) -> HolderEnd:
    """Check a row's form. Whether its day has come, and who it speaks of, is for `HolderEnds` to know.

    Raises:
        RowError: with the member at fault and one of `row_not_object`, `member_missing`, `member_unknown`,
            `member_invalid`, `date_invalid`, `holder_code_invalid`; the number itself is in none.
    """
    if not isinstance(value, dict):
        raise RowError("row_not_object", "", "a row is a JSON object")
    row: Mapping[str, Any] = value
    members.refuse_unknown(row, _MEMBERS)
    code_type = members.text(row, _TYPE, 3)
    code = holder_code(code_type, members.text(row, _CODE, 64), _CODE)
    if "ended_on" not in row:  # a forgotten member must not bring anybody back
        raise RowError("member_missing", "ended_on", "a day, or null to take a report back")
    ended_on = None if row["ended_on"] is None else members.day(row, "ended_on")
    if ended_on is not None and code_type == RESIDENT_ID and ended_on < _born_on(code):
        raise RowError("date_invalid", "ended_on", "nobody ends before they are born")
    return HolderEnd(code_type, code, ended_on, members.source_version(row))


def _born_on(resident_id: str) -> date:
    return date(int(resident_id[6:10]), int(resident_id[10:12]), int(resident_id[12:14]))
