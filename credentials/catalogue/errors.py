"""What the catalogue refuses."""

from typing import Literal

from credentials.errors import CredentialsError

PackCode = Literal[
    "pack_unreadable",  # not UTF-8, not YAML, too large, a wrong file name, a file missing
    "pack_field_missing",
    "pack_field_unknown",
    "pack_field_wrong_type",
    "pack_field_not_allowed",  # the right type, a value outside its rule
    "pack_duplicate",  # the same key, code or name twice
    "face_unreadable",  # not XML, not SVG, too large
    "face_unsafe",  # something that could act, load or hide: scripts, references, styles, …
    "face_placeholder_wrong",  # outside text, unknown, or one the face needs is missing
]
ItemCode = Literal["item_missing", "item_unknown", "item_wrong_type", "item_not_allowed", "item_too_long"]


class CatalogueError(CredentialsError):
    """Base of this folder's errors."""

    code = "catalogue_error"


class UnknownType(CatalogueError):
    """No licence type, or no such version of it, is in the catalogue."""

    code = "type_unknown"


class PackError(CatalogueError):
    """A type pack or its face is broken; the place is named so that it can be mended.

    Attributes:
        file: the file's name, without its folder.
        line: counted from 1.
        field: path in the pack (`items[2].face_key`), or empty.
    """

    def __init__(self, code: PackCode, *, file: str, line: int, field: str, detail: str) -> None:
        super().__init__(detail)
        self.code: str = code
        self.file = file
        self.line = line
        self.field = field

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}"
        return f"{place}: {self.field}: {self.detail} ({self.code})" if self.field else f"{place}: {self.detail}"


class ItemError(CatalogueError):
    """A licence's data items do not fit its type. The detail never holds the value.

    Attributes:
        field: the item's name; empty when the name itself is not one that a type could have.
    """

    def __init__(self, field: str, code: ItemCode, detail: str) -> None:
        super().__init__(detail)
        self.code: str = code
        self.field = field
