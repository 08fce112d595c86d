"""YAML that remembers where it was written: every value knows its file, line and path.

A strict part of YAML 1.1 as PyYAML reads it: one document, no aliases, no tags of one's own, and no guessing: a
number or a date where text is wanted is refused, not converted (`01` must be written `"01"`).
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import yaml

from credentials.catalogue.errors import PackCode, PackError

MAX_PACK_BYTES = 256 * 1024  # DoS bound; our largest pack has 14 KiB
MAX_DEPTH = 12  # PyYAML's composer recurses; a pack is 5 deep
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,15})")  # decimal only: YAML 1.1 reads 010 as 8 and 1:30 as 90

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where PyYAML was built with it: ten times as fast

Choice = TypeVar("Choice", bound=StrEnum)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Field:
    """One value of a document and its place."""

    file: str
    path: str
    node: yaml.Node

    def refused(self, code: PackCode, detail: str, *, name: str = "") -> PackError:
        """The error for this place, to be raised; `name` is a member of it."""
        field = f"{self.path}.{name}".strip(".") if name else self.path
        line = self.node.start_mark.line + 1
        return PackError(code, file=self.file, line=line, field=field, detail=detail)

    def members(self, required: Collection[str], optional: Collection[str] = ()) -> dict[str, "Field"]:
        """The members of a mapping. Missing, unknown and repeated keys are refused."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.refused("pack_field_wrong_type", "must be a mapping")
        members: dict[str, Field] = {}
        allowed = sorted({*required, *optional})
        for key, node in self.node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            place = Field(self.file, f"{self.path}.{name[:64]}".strip("."), key)
            if name in members:
                raise place.refused("pack_duplicate", "is written twice")
            if name not in allowed:
                raise place.refused("pack_field_unknown", f"there is no such key here: {', '.join(allowed)}")
            members[name] = Field(self.file, place.path, node)
        for name in required:
            if name not in members:
                raise self.refused("pack_field_missing", "is required", name=name)
        return members

    def elements(self, at_least: int, at_most: int) -> list["Field"]:
        """The elements of a sequence."""
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.refused("pack_field_wrong_type", "must be a sequence")
        nodes = self.node.value
        if not at_least <= len(nodes) <= at_most:
            raise self.refused("pack_field_not_allowed", f"must have {at_least} to {at_most} elements")
        return [Field(self.file, f"{self.path}[{index}]", node) for index, node in enumerate(nodes)]

    def distinct(self, values: list[Value], key: Callable[[Value], object], what: str) -> tuple[Value, ...]:
        """The values of this sequence, if no two share a key; `values` are its elements in order, read."""
        seen: set[object] = set()
        for index, value in enumerate(values):
            if key(value) in seen:
                element = self.node.value[index] if isinstance(self.node, yaml.SequenceNode) else self.node
                place = Field(self.file, f"{self.path}[{index}]", element)
                raise place.refused("pack_duplicate", f"{what} is already used")
            seen.add(key(value))
        return tuple(values)

    @property
    def is_null(self) -> bool:
        """Whether the value is null or left empty."""
        return self._is("null")

    def text(self, *, max_length: int = 200, pattern: str | None = None) -> str:
        """A string without control characters; with `pattern`, one that matches it as a whole."""
        if not self._is("str"):
            raise self.refused("pack_field_wrong_type", "must be text; put numbers, dates, yes and no in quotes")
        value = str(self.node.value)
        if not value.strip() or len(value) > max_length:
            raise self.refused("pack_field_not_allowed", f"must have 1 to {max_length} characters")
        if not value.isprintable():
            raise self.refused("pack_field_not_allowed", "must not hold control characters")
        if pattern is not None and not re.fullmatch(pattern, value, re.ASCII):
            raise self.refused("pack_field_not_allowed", f"must match {pattern}")
        return value

    def integer(self, low: int, high: int) -> int:
        """A whole number between `low` and `high`, both included."""
        if not self._is("int") or not _INTEGER.fullmatch(self.node.value):
            raise self.refused("pack_field_wrong_type", "must be a whole number in decimal")
        value = int(self.node.value)
        if not low <= value <= high:
            raise self.refused("pack_field_not_allowed", f"must be between {low} and {high}")
        return value

    def boolean(self) -> bool:
        """`true` or `false`; YAML 1.1's yes, no, on and off are refused."""
        if not self._is("bool") or self.node.value not in ("true", "false"):
            raise self.refused("pack_field_wrong_type", "must be true or false")
        return bool(self.node.value == "true")

    def choice(self, kind: type[Choice]) -> Choice:
        """One of an enumeration's values."""
        value = self.text()
        if value not in {member.value for member in kind}:
            raise self.refused("pack_field_not_allowed", f"must be one of {', '.join(kind)}")
        return kind(value)

    def _is(self, kind: str) -> bool:
        return isinstance(self.node, yaml.ScalarNode) and self.node.tag == f"tag:yaml.org,2002:{kind}"


def parse(document: bytes, file: str) -> Field:
    """The root of a YAML document.

    Raises:
        PackError: `pack_unreadable`: too large, not UTF-8, not YAML, empty, several documents, aliases, too deep.
    """
    if len(document) > MAX_PACK_BYTES:
        raise _unreadable(file, 1, f"more than {MAX_PACK_BYTES} bytes")
    try:
        text = document.decode("utf-8")
        _check_events(text, file)
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _unreadable(file, mark.line + 1 if mark else 1, error.problem or "not YAML") from error
    except UnicodeDecodeError as error:
        line = document.count(b"\n", 0, error.start) + 1
        raise _unreadable(file, line, "not UTF-8") from error
    # ValueError and OverflowError: PyYAML hands "\UFFFFFFFF" to chr().
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise _unreadable(file, 1, "not YAML") from error
    if node is None:
        raise _unreadable(file, 1, "an empty document")
    return Field(file, "", node)


def _check_events(text: str, file: str) -> None:
    """Refuse what the composer would follow blindly: aliases (cycles, bombs) and depth (recursion)."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            raise _unreadable(file, line, "aliases are not allowed")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _unreadable(file, line, f"nested more than {MAX_DEPTH} deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _unreadable(file: str, line: int, detail: str) -> PackError:
    return PackError("pack_unreadable", file=file, line=line, field="", detail=detail)
