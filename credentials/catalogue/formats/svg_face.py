"""Fill a licence's face: the SVG rendering of draft-ietf-oauth-sd-jwt-vc-19, with line breaks.

Any wallet may fill the same template by plain replacement. This one also keeps long values inside their boxes
(`data-columns`, `data-lines`, PACKS.md): first by breaking lines, then by smaller type, at last by an ellipsis.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from html import escape

from credentials.catalogue.formats.face_template import PLACEHOLDER
from credentials.catalogue.models import ItemType, LicenceType, TextBox

LONG_TERM = "长期"
MAX_VALUE = 5000  # characters laid out; the longest item has 4,000
UNBOXED_COLUMNS = 60.0  # a value without a box gets one line; an identifier with 100 characters fits
_SCALES = (1.0, 0.85, 0.7, 0.55)  # below half size nobody reads it on a telephone
_WORDS = re.compile(r"[!-~]+|.", re.DOTALL)  # Latin words and numbers stay whole, Chinese breaks anywhere


def render_face(licence_type: LicenceType, values: Mapping[str, str]) -> str:
    """The face with its values, a standalone SVG.

    Args:
        licence_type: gives the template.
        values: text by svg_id (`face_values` makes it); what is missing stays blank, what is unknown is ignored.

    Values are text and stay text, whatever they hold: escaped, without control or formatting characters, never
    searched for placeholders again.
    """
    slots = iter(licence_type.face.slots)

    def fill(placeholder: re.Match[str]) -> str:
        box, text = next(slots), _plain(values.get(placeholder[1], ""))
        return _escaped(_cut(text, UNBOXED_COLUMNS)) if box is None else _boxed(text, box)

    return PLACEHOLDER.sub(fill, licence_type.face.svg.decode("utf-8"))


def face_values(licence_type: LicenceType, claims: Mapping[str, object]) -> dict[str, str]:
    """The claims of a licence as its face prints them, by svg_id.

    Args:
        claims: common claims and data items by name; what the face does not show is left out.

    Days stay `YYYY-MM-DD`, `valid_until` null is 长期, arrays are joined with 、.
    """
    labels = {
        item.name: {value.value: value.label.zh for value in item.values}
        for item in licence_type.items
        if item.type in (ItemType.ENUM, ItemType.STRING_ARRAY)
    }
    shown = set(PLACEHOLDER.findall(licence_type.face.svg.decode("utf-8")))
    return {
        name: LONG_TERM if name == "valid_until" and claim is None else _printed(claim, labels.get(name, {}))
        for name, claim in claims.items()
        if name in shown
    }


def _printed(claim: object, labels: Mapping[str, str]) -> str:
    match claim:
        case bool():
            return "是" if claim else "否"
        case str():
            return labels.get(claim, claim)
        case int():
            return str(claim)
        case list() | tuple():
            return "、".join(_printed(element, labels) for element in claim)
        case _:
            return ""


def _plain(text: str) -> str:
    """One line of visible characters.

    Control and format characters (Cc, Cf: also those that turn the writing direction), surrogates and noncharacters
    go; private-use and unassigned ones stay, since rare names are written with them.
    """
    return "".join(" " if c.isspace() else c for c in text[:MAX_VALUE] if c.isspace() or not _hidden(c))


def _hidden(character: str) -> bool:
    code = ord(character)
    noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    return noncharacter or unicodedata.category(character) in ("Cc", "Cf", "Cs")


def _escaped(text: str) -> str:
    return escape(text, quote=False).replace('"', "&quot;").replace("'", "&apos;")


def _boxed(text: str, box: TextBox) -> str:
    scale, lines = next(_layouts(text, box))
    size = "" if scale == 1 else f' font-size="{box.font_size * scale:g}"'
    step = f"{box.line_height * scale:g}"
    return "".join(
        f'<tspan x="{box.x:g}" dy="{step if index else 0}"{size}>{_escaped(line)}</tspan>'
        for index, line in enumerate(lines)
    )


def _layouts(text: str, box: TextBox) -> Iterator[tuple[float, list[str]]]:
    """Layouts that fit, largest type first; the last always fits because it is cut."""
    for scale in _SCALES:
        lines, room = _lines(text, box.columns / scale), int(box.lines / scale)
        if len(lines) <= room:
            yield scale, lines
    yield scale, [*lines[: room - 1], _cut("".join(lines[room - 1 :]), box.columns / scale)]


def _lines(text: str, columns: float) -> list[str]:
    """Break at `columns` full-width characters; a Latin word longer than a line is broken too."""
    lines, line, used = [], "", 0.0
    for word in _WORDS.findall(text):
        for piece in [word] if _width(word) <= columns else word:
            if line and used + _width(piece) > columns:
                lines.append(line)
                line, used = "", 0.0
            line += piece
            used += _width(piece)
    return [*lines, line] if line else lines


def _cut(text: str, columns: float) -> str:
    used = 0.0
    for index, character in enumerate(text):
        used += _width(character)
        if used > columns:
            return text[: max(index - 1, 0)] + "…"
    return text


def _width(text: str) -> float:
    return sum(1.0 if unicodedata.east_asian_width(character) in "WFA" else 0.55 for character in text)
