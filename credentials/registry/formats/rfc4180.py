"""Intake rows as CSV (RFC 4180): a header of GB/T 36903 long names, then one row a line, as `gbt36903.py` takes them.

| column | is |
|---|---|
| `source_record_id`, `source_version`, `operate_type` | required in every header |
| `cert_state`, `reason`, `certificate_…` | the member of the same name |
| `certificate_holder_name`, `…_code`, `…_type`, `mobile` | the first holder; of the second `…_name_2` … |
| `certificate_representative_name`, `…_code`, `…_type` | the same way |
| any other name, or `business_information.` and the name | the data item of that name |

An empty cell is an absent member. An item that is an array has `;` between its elements; a boolean is `true` or
`false`. A quoted cell ends on its line, because no member may hold a line break: so one broken line spoils no other.
"""

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self

from credentials.catalogue.models import ITEM_NAME, ItemType
from credentials.registry.errors import FileError, RowError
from credentials.registry.formats.gbt36903 import CONTENT_MEMBERS, MAX_HOLDERS, MAX_ROW_BYTES

MAX_COLUMNS = 512  # 32 holders have 128, 32 representatives 96, our largest type 31 items
ENCODINGS = ("utf-8", "gb18030")
ITEM_PREFIX = "business_information."

_REQUIRED = ("source_record_id", "source_version", "operate_type")
_LISTS = {"certificate_holders", "certificate_representatives", "business_information"}
_PARTY = re.compile(r"(certificate_(holder|representative)_(?:name|code|type)|mobile)(?:_([1-9][0-9]?))?")
_INTEGER = re.compile(r"-?[0-9]{1,18}")

ItemTypes = Callable[[str], Mapping[str, ItemType]]
"""The items of a type by its certificate_type_code; of an unknown type none."""


class _Column(NamedTuple):
    """Where a cell belongs: a member of the row, of one of its parties (counted from 1), or an item."""

    place: str
    name: str
    at: int = 0


class CsvTable:
    """The columns of one file."""

    def __init__(self, columns: Sequence[_Column], encoding: str, item_types: ItemTypes) -> None:
        self._columns = columns
        self._encoding = encoding
        self._item_types = item_types

    @classmethod
    def from_header(cls, line: bytes, encoding: str, item_types: ItemTypes) -> Self:
        """Read the first line of a file.

        Args:
            encoding: one of `ENCODINGS`; a byte order mark is passed over.

        Raises:
            FileError: `header_invalid`: no line of the file could be understood.
        """
        try:
            names = [name.strip().removeprefix("\ufeff").strip() for name in _cells(line, encoding)]
        except RowError as error:
            raise FileError(f"the header cannot be read: {error.detail}") from error
        if len(names) > MAX_COLUMNS:
            raise FileError(f"the header has more than {MAX_COLUMNS} columns")
        columns = [_column(name, at) for at, name in enumerate(names, start=1)]
        for required in _REQUIRED:
            if required not in names:
                raise FileError(
                    f"the header lacks {required}; it names columns as GB/T 36903 does, with commas between"
                )
        for at, column in enumerate(columns, start=1):
            if column in columns[: at - 1]:
                raise FileError(f"column {at} of the header is there twice")
        return cls(columns, encoding, item_types)

    def object_from_line(self, line: bytes) -> dict[str, Any]:
        """One line as the JSON object that says the same; its form is not checked here.

        Raises:
            RowError: `row_too_large`, `row_not_text`, `row_not_csv` or `row_ragged`.
        """
        if len(line) > MAX_ROW_BYTES:
            raise RowError("row_too_large", "", f"a row has at most {MAX_ROW_BYTES} bytes")
        cells = _cells(line, self._encoding)
        if len(cells) != len(self._columns):
            raise RowError("row_ragged", "", f"{len(cells)} cells where the header has {len(self._columns)} columns")
        row: dict[str, Any] = {}
        parties: dict[str, dict[int, dict[str, str]]] = {}
        items: dict[str, str] = {}
        for (place, name, at), cell in zip(self._columns, cells, strict=True):
            if not cell.strip():
                continue
            if place == "row":
                row[name] = int(cell) if name == "source_version" and _INTEGER.fullmatch(cell) else cell
            elif place == "item":
                items[name] = cell
            else:
                parties.setdefault(place, {}).setdefault(at, {})[name] = cell
        for place, named in parties.items():
            row[place] = [named[at] for at in sorted(named)]
        if items:
            types = self._item_types(row.get("certificate_type_code", ""))
            row["business_information"] = {name: _value(types.get(name), cell) for name, cell in items.items()}
        return row


def _cells(line: bytes, encoding: str) -> list[str]:
    try:
        text = line.decode(encoding).rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise RowError("row_not_text", "", f"not {encoding.upper()}; is it in another encoding?") from error
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise RowError("row_not_csv", "", 'a quoted cell begins and ends with ", and inside it " is doubled') from error


def _column(name: str, at: int) -> _Column:
    if party := _PARTY.fullmatch(name):
        number = int(party[3] or 1)
        if number > MAX_HOLDERS:
            raise FileError(f"column {at} of the header counts beyond {MAX_HOLDERS}")
        return _Column(f"certificate_{party[2] or 'holder'}s", party[1], number)
    if name in CONTENT_MEMBERS - _LISTS:
        return _Column("row", name)
    item = name.removeprefix(ITEM_PREFIX)
    if not ITEM_NAME.fullmatch(item) or item.startswith("certificate_"):
        raise FileError(f"column {at} of the header is neither a member of GB/T 36903 nor the name of a data item")
    return _Column("item", item)


def _value(kind: ItemType | None, cell: str) -> object:
    """The cell as JSON of the item's type; what does not fit stays text, and the type then refuses it."""
    if kind is ItemType.INTEGER and _INTEGER.fullmatch(cell):
        return int(cell)
    if kind is ItemType.BOOLEAN and cell in ("true", "false"):
        return cell == "true"
    return [element.strip() for element in cell.split(";")] if kind is ItemType.STRING_ARRAY else cell
