"""The face of a licence type: an SVG with placeholders (draft-ietf-oauth-sd-jwt-vc-19, SVG rendering).

Wallets show this drawing beside a citizen's data, so what may stand in it is listed, not what may not: shapes,
gradients and text; no scripts, styles, links, images, animations, foreign content or references outside the file.
"""

import re
from collections.abc import Collection
from typing import NoReturn
from xml.parsers import expat  # expat alone resolves nothing: no DTD is accepted, hence no entities

from credentials.catalogue.errors import PackCode, PackError
from credentials.catalogue.models import TextBox

MAX_FACE_BYTES = 64 * 1024  # wallets fetch it over mobile networks; our largest has 48 KiB
PLACEHOLDER = re.compile(r"\{\{([A-Za-z_][A-Za-z0-9_]*)\}\}")

_SVG = "http://www.w3.org/2000/svg"
_ELEMENTS = frozenset(
    [
        "svg",
        "g",
        "defs",
        "title",
        "desc",
        "path",
        "rect",
        "circle",
        "ellipse",
        "line",
        "polyline",
        "polygon",
        "text",
        "tspan",
        "linearGradient",
        "radialGradient",
        "stop",
        "pattern",
        "clipPath",
    ]
)
# Presentation attributes are parsed as CSS: only these functions, no escapes that could spell another one.
_FUNCTIONS = frozenset(["url", "translate", "scale", "rotate", "matrix", "skewX", "skewY", "rgb"])
_FUNCTION = re.compile(r"([^\s(,;]*)\(")
_LOCAL_URL = re.compile(r"url\(#[A-Za-z][A-Za-z0-9_-]*\)")
_NUMBER = re.compile(r"[0-9]{1,4}(\.[0-9]{1,3})?")


def read_face(svg: bytes, *, file: str, known: Collection[str], needed: Collection[str]) -> tuple[TextBox | None, ...]:
    """Check a face template and give the box of each placeholder, in the order of the document.

    Args:
        svg: the file's bytes.
        file: its name, for errors.
        known: the svg_ids that the type has.
        needed: those that the face must show.

    Raises:
        PackError: `face_unreadable`, `face_unsafe` or `face_placeholder_wrong`, with the line.

    Not checked: that the drawing is legible, and that values fit outside boxes.
    """
    return _FaceReader(svg, file, known).read(needed)


class _FaceReader:
    """One pass of expat over one template."""

    def __init__(self, svg: bytes, file: str, known: Collection[str]) -> None:
        self._svg, self._file, self._known = svg, file, known
        self._open: list[tuple[str, dict[str, str]]] = []
        self._found: list[str] = []
        self._slots: list[TextBox | None] = []
        self._parser = parser = expat.ParserCreate("UTF-8", namespace_separator=" ")
        parser.buffer_text = True  # otherwise a placeholder may arrive in two pieces
        parser.buffer_size = MAX_FACE_BYTES
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.CommentHandler = self._comment
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = lambda *_: self._refuse("face_unsafe", "a DOCTYPE is not allowed")
        parser.ProcessingInstructionHandler = lambda *_: self._refuse("face_unsafe", "processing instructions")
        # In CDATA the escapes of a value would be shown, not read.
        parser.StartCdataSectionHandler = lambda: self._refuse("face_unsafe", "CDATA is not allowed")

    def read(self, needed: Collection[str]) -> tuple[TextBox | None, ...]:
        if len(self._svg) > MAX_FACE_BYTES:
            self._refuse("face_unreadable", f"more than {MAX_FACE_BYTES} bytes")
        try:
            self._parser.Parse(self._svg, True)
        except expat.ExpatError as error:
            raise PackError(
                "face_unreadable", file=self._file, line=error.lineno, field="", detail="not well-formed XML"
            ) from error
        # Wallets replace in the text as it stands: a placeholder spelled with character references would be missed.
        if self._found != PLACEHOLDER.findall(self._svg.decode("utf-8")):
            self._refuse("face_placeholder_wrong", "placeholders must be written plainly")
        for svg_id in needed:
            if svg_id not in self._found:
                self._refuse("face_placeholder_wrong", "the face must show this", svg_id)
        return tuple(self._slots)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        namespace, _, name = tag.rpartition(" ")
        if namespace != _SVG or name not in _ELEMENTS or (name == "svg") != (not self._open):
            self._refuse("face_unsafe", f"<{name[:64]}> is not among the allowed SVG elements")
        if name == "svg" and not re.fullmatch(r"0 0 [0-9]{2,4} [0-9]{2,4}", attributes.get("viewBox", "")):
            self._refuse("face_unreadable", "the root needs viewBox='0 0 WIDTH HEIGHT'")
        for attribute, value in attributes.items():
            self._check_attribute(attribute, value)
        self._open.append((name, attributes))

    def _end(self, _tag: str) -> None:
        self._open.pop()

    def _check_attribute(self, name: str, value: str) -> None:
        if name.lower().startswith("on") or " " in name or name in ("href", "src", "style", "class"):
            self._refuse("face_unsafe", f"attribute {name[:64]} is not allowed")
        if "{{" in value:
            self._refuse("face_placeholder_wrong", "placeholders stand in text only")
        used = set(_FUNCTION.findall(value))
        if "\\" in value or not used <= _FUNCTIONS or value.count("url(") != len(_LOCAL_URL.findall(value)):
            self._refuse("face_unsafe", f"attribute {name[:64]} refers to something outside the drawing")

    def _text(self, text: str) -> None:
        found = PLACEHOLDER.findall(text)
        if PLACEHOLDER.sub("", text).find("{{") >= 0:
            self._refuse("face_placeholder_wrong", "write placeholders as {{svg_id}}")
        if not found:
            return
        name, attributes = self._open[-1]
        if name not in ("text", "tspan"):
            self._refuse("face_placeholder_wrong", "placeholders stand in <text> or <tspan>")
        box = self._box(attributes)
        if box and PLACEHOLDER.sub("", text).strip():
            self._refuse("face_placeholder_wrong", "a box holds one placeholder and nothing else")
        for svg_id in found:
            if svg_id not in self._known:
                self._refuse("face_placeholder_wrong", "the type has no such svg_id", svg_id)
            self._found.append(svg_id)
            self._slots.append(box)

    def _box(self, attributes: dict[str, str]) -> TextBox | None:
        if "data-columns" not in attributes:
            return None
        names = ("x", "font-size", "data-columns", "data-lines", "data-line-height")
        for name in names:
            if not _NUMBER.fullmatch(attributes.get(name, "")):
                self._refuse("face_placeholder_wrong", f"a box needs {name}, a plain number")
        x, font_size, columns, lines, line_height = (float(attributes[name]) for name in names)
        if not (1 <= columns <= 200 and 1 <= lines <= 40 and font_size > 0):
            self._refuse("face_placeholder_wrong", "a box has 1 to 200 columns and 1 to 40 lines")
        return TextBox(x, font_size, columns, int(lines), line_height)

    def _comment(self, text: str) -> None:
        if "{{" in text:
            self._refuse("face_placeholder_wrong", "placeholders stand in text only")

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if (encoding or "UTF-8").upper() != "UTF-8":
            self._refuse("face_unreadable", "the encoding is UTF-8")

    def _refuse(self, code: PackCode, detail: str, field: str = "") -> NoReturn:
        line = self._parser.CurrentLineNumber
        raise PackError(code, file=self._file, line=line, field=field[:64], detail=detail)
