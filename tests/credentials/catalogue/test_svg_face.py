"""Filled faces: what is printed, and that no value becomes anything but text."""

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from credentials.catalogue import Catalogue, face_values, render_face
from credentials.catalogue.formats.face_template import PLACEHOLDER
from tests.credentials.catalogue.packs import FACE, dog_licence

DOG = dog_licence()
KINDS = [DOG, *Catalogue.default().types()]
SVG = "{http://www.w3.org/2000/svg}"


def structure(svg: str) -> list[tuple[str, tuple[str, ...]]]:
    """Elements and attribute names of a drawing, without the line breaks that a box adds."""
    return [
        (element.tag, tuple(sorted(element.attrib)))
        for element in ElementTree.fromstring(svg).iter()
        if not (element.tag == f"{SVG}tspan" and "dy" in element.attrib)
    ]


def lines(svg: str, place: int = 0) -> list[str]:
    """The lines of the boxed text number `place`."""
    boxed = [text for text in ElementTree.fromstring(svg).iter(f"{SVG}text") if "data-columns" in text.attrib]
    return [line.text or "" for line in boxed[place]]


def test_values_stand_where_their_svg_id_stands() -> None:
    svg = render_face(DOG, {"holder_name": "张三丰", "certificate_number": "D-1", "issuing_authority_name": "市公安局"})
    assert lines(svg) == ["张三丰"]
    assert "D-1 / 市公安局" in svg


def test_missing_values_stay_blank_and_unknown_ones_are_ignored() -> None:
    svg = render_face(DOG, {"chip": "15600000", "nonsense": "x"})
    assert not PLACEHOLDER.search(svg)
    assert "15600000" not in svg


def test_every_shipped_template_is_a_drawing_as_it_stands() -> None:
    for kind in KINDS:
        assert ElementTree.fromstring(kind.face.svg).tag == f"{SVG}svg"


def test_a_long_value_breaks_into_lines() -> None:
    assert lines(render_face(DOG, {"holder_name": "一二三四五六七八九十甲乙"})) == ["一二三四五六七八九十", "甲乙"]


def test_a_latin_word_is_not_broken_unless_it_must_be() -> None:
    assert lines(render_face(DOG, {"holder_name": "Shanghai Liangzheng Ltd"})) == ["Shanghai ", "Liangzheng Ltd"]
    assert len(lines(render_face(DOG, {"holder_name": "x" * 30}))) == 2


def test_a_longer_value_is_set_smaller() -> None:
    svg = render_face(DOG, {"holder_name": "字" * 22})
    assert 'font-size="13.6"' in svg
    assert "".join(lines(svg)) == "字" * 22


def test_a_value_that_fits_at_no_size_ends_with_an_ellipsis() -> None:
    rows = lines(render_face(DOG, {"holder_name": "字" * 10_000}))
    assert len(rows) == 3
    assert rows[-1].endswith("字…")
    assert "……" not in render_face(DOG, {"valid_until": "9" * 10_000})


def test_one_value_is_not_read_as_another_placeholder() -> None:
    svg = render_face(DOG, {"certificate_number": "{{valid_until}}", "valid_until": "2030-01-01"})
    assert svg.count("2030-01-01") == 1
    assert "{{valid_until}} / " in svg


HOSTILE = {
    "a script": "<script>alert(1)</script>",
    "the end of a CDATA section": "]]><script/>",
    "quotes": "\" onload='alert(1)' x=\"",
    "an entity": "&xxe; &#60;script&#62;",
    "the end of the text": "</text></svg><svg onload='x'>",
    "a comment": "<!-- ",
    "control characters": "".join(map(chr, range(32))) + "\x7f\x85\ufffe\uffff",
    "half a surrogate pair": "\ud800",
    "a turned writing direction": "\u202e30-10-0302\u2066",
    "ten thousand characters": "<" * 10_000,
    "backslashes and group references": "\\1 \\g<0> $1",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.code))
def test_a_hostile_value_stays_text(kind: Any, name: str) -> None:
    names = PLACEHOLDER.findall(kind.face.svg.decode())
    svg = render_face(kind, dict.fromkeys(names, HOSTILE[name]))
    assert structure(svg) == structure(render_face(kind, {}))


@settings(max_examples=150)
@given(st.sampled_from(KINDS), st.data())
def test_any_value_stays_text(kind: Any, data: st.DataObject) -> None:
    names = st.sampled_from(PLACEHOLDER.findall(kind.face.svg.decode()))
    pieces = st.text(max_size=20) | st.sampled_from(list(HOSTILE.values())[:6]) | st.text("{}<>&;'\"]/!-a", max_size=30)
    svg = render_face(kind, data.draw(st.dictionaries(names, pieces, max_size=6)))
    assert structure(svg) == structure(render_face(kind, {}))
    svg.encode("utf-8")


@settings(max_examples=150)
@given(st.text(alphabet="汉字abc 0-（）", max_size=120))
@example("a" * 19)
def test_no_line_is_wider_than_its_box_and_nothing_is_lost_but_the_cut(text: str) -> None:
    svg = render_face(DOG, {"holder_name": text})
    size = re.search(r'dy="0" font-size="([0-9.]+)"', svg)
    scale = float(size[1]) / 16 if size else 1.0
    rows = lines(svg)
    assert len(rows) <= 2 / scale
    for row in rows:
        assert sum(1 if ord(character) > 0x2000 else 0.55 for character in row) * scale <= 10.001
    joined = "".join(rows)
    assert joined == text or (joined.endswith("…") and text.startswith(joined[:-1]))


def test_claims_are_printed_as_on_the_licence() -> None:
    values = face_values(
        DOG,
        {
            "holder_name": "张三丰",
            "valid_until": None,
            "weight": 12,
            "neutered": True,
            "born_on": "2024-02-29",
            "size": "大",
            "colours": ["黄", "白"],
            "chip": "1",
            "issued_on": "2026-11-23",
        },
    )
    assert values == {
        "holder_name": "张三丰",
        "valid_until": "长期",
        "weight": "12",
        "neutered": "是",
        "born_on": "2024-02-29",
        "size": "大型",
        "colours": "黄、白",
    }


def test_a_claim_of_no_printable_kind_is_left_blank() -> None:
    assert face_values(DOG, {"neutered": False, "weight": None, "size": {"a": 1}}) == {
        "neutered": "否",
        "weight": "",
        "size": "",
    }


def test_the_face_of_a_template_with_an_xml_declaration_is_filled_too() -> None:
    declared = dog_licence(face='<?xml version="1.0" encoding="utf-8"?>\n' + FACE)
    assert "D-1" in render_face(declared, {"certificate_number": "D-1"})
