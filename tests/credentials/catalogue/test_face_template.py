"""Face templates: what a drawing may hold, and that nothing that could act or load gets through."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.catalogue.errors import PackError
from credentials.catalogue.formats.face_template import MAX_FACE_BYTES
from credentials.catalogue.models import TextBox
from tests.credentials.catalogue.packs import FACE, changed, dog_licence, line_of


def test_boxes_are_found_in_the_order_of_the_document() -> None:
    slots = dog_licence().face.slots
    assert slots[0] == TextBox(x=10, font_size=16, columns=10, lines=2, line_height=20)
    assert slots[1:] == (None,) * 9


UNSAFE = {
    "a script": "<script>alert(1)</script>",
    "a style sheet": "<style>@import 'http://evil'</style>",
    "foreign content": "<foreignObject/>",
    "a picture from elsewhere": '<image width="1"/>',
    "a link": '<a xmlns:x="http://www.w3.org/1999/xlink"><text>x</text></a>',
    "an animation": '<set attributeName="x" to="1"/>',
    "an element of another vocabulary": '<p xmlns="http://www.w3.org/1999/xhtml">x</p>',
    "a nested drawing": '<svg viewBox="0 0 10 10"/>',
    "an event handler": '<rect onclick="alert(1)"/>',
    "an event handler in capitals": '<rect ONLOAD="alert(1)"/>',
    "a reference by href": '<linearGradient href="#sky"/>',
    "a reference by xlink": '<linearGradient xmlns:x="http://www.w3.org/1999/xlink" x:href="http://evil"/>',
    "a style attribute": '<rect style="fill:red"/>',
    "a paint from elsewhere": '<rect fill="url(http://evil/#a)"/>',
    "a second paint from elsewhere": '<rect fill="url(#sky) url(//evil)"/>',
    "a paint in quotes": "<rect fill=\"url('http://evil')\"/>",
    "a picture by CSS function": "<rect mask=\"image-set('http://evil' 1x)\"/>",
    "a CSS escape": '<rect fill="u\\72l(http://evil)"/>',
    "a function in capitals": '<rect fill="URL(http://evil)"/>',
    "a processing instruction": '<?xml-stylesheet href="http://evil"?>',
    "a CDATA section": "<text><![CDATA[x]]></text>",
}


@pytest.mark.parametrize("name", UNSAFE)
def test_a_drawing_that_could_act_or_load_is_refused(name: str) -> None:
    with pytest.raises(PackError) as refused:
        dog_licence(face=changed(FACE, "<!-- who -->", UNSAFE[name]))
    assert refused.value.code == "face_unsafe"
    assert (refused.value.file, refused.value.line) == ("dog-licence.svg", line_of(FACE, "<!-- who -->"))


def test_a_document_type_is_refused() -> None:
    with pytest.raises(PackError) as refused:
        dog_licence(face='<!DOCTYPE svg [<!ENTITY a "aaaa">]>\n' + FACE)
    assert refused.value.code == "face_unsafe"


MISPLACED = {
    "an unknown placeholder": ("{{dog_name}}", "{{dog_name}} {{cat_name}}", "cat_name"),
    "an item that is not on the face": ("{{dog_name}}", "{{dog_name}} {{chip}}", "chip"),
    "a face without an item of the face": ("{{weight}}", "", "weight"),
    "a face without the holder": ("{{holder_name}}", "", "holder_name"),
    "a face without the end": ("{{valid_until}}", "", "valid_until"),
    "a placeholder in an attribute": ('height="300" fill', 'height="300" class-name="{{size}}" fill', ""),
    "a placeholder in a comment": ("who", "{{size}}", ""),
    "a placeholder in the title": ("<!-- who -->", "<title>{{size}}</title>", ""),
    "a placeholder between elements": ("<!-- who -->", "{{size}}", ""),
    "a placeholder with spaces": ("{{dog_name}}", "{{ dog_name }}", ""),
    "a placeholder left open": ("{{dog_name}}", "{{dog_name", ""),
    "a placeholder over two elements": ("{{dog_name}}", "{{<tspan>dog_name}}</tspan>", ""),
    "a placeholder in character references": ("{{dog_name}}", "&#123;&#123;dog_name}}", ""),
    "a box with other text": ("{{holder_name}}", "姓名 {{holder_name}}", ""),
    "a box without a place": ('x="10" y="20" font-size="16"', 'y="20" font-size="16"', ""),
    "a box with a unit": ('font-size="16"', 'font-size="16px"', ""),
    "a box of no lines": ('data-lines="2"', 'data-lines="0"', ""),
}


@pytest.mark.parametrize("name", MISPLACED)
def test_a_wrong_placeholder_is_refused(name: str) -> None:
    old, new, field = MISPLACED[name]
    with pytest.raises(PackError) as refused:
        dog_licence(face=changed(FACE, old, new))
    assert (refused.value.code, refused.value.field) == ("face_placeholder_wrong", field)


UNREADABLE = {
    "nothing": "",
    "no XML": "hello",
    "an open element": FACE.replace("</svg>", ""),
    "an undeclared entity": FACE.replace("<!-- who -->", "<text>&nbsp;</text>"),
    "no viewBox": FACE.replace('viewBox="0 0 400 300"', ""),
    "another encoding": '<?xml version="1.0" encoding="GB18030"?>' + FACE,
    "not UTF-8": FACE.encode() + b"<!-- \xff -->",
    "too large": FACE + " " * MAX_FACE_BYTES,
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_is_no_drawing_is_refused(name: str) -> None:
    with pytest.raises(PackError) as refused:
        dog_licence(face=UNREADABLE[name])
    assert refused.value.code == "face_unreadable"


def test_a_drawing_in_another_vocabulary_is_refused() -> None:
    with pytest.raises(PackError) as refused:
        dog_licence(face=changed(FACE, 'xmlns="http://www.w3.org/2000/svg" ', ""))
    assert refused.value.code == "face_unsafe"


@settings(max_examples=200)
@given(st.data())
def test_any_damage_to_a_face_is_a_type_or_a_pack_error(data: st.DataObject) -> None:
    face = FACE.encode()
    start = data.draw(st.integers(0, len(face)))
    end = data.draw(st.integers(start, min(len(face), start + 20)))
    pieces = st.sampled_from([b"<", b">", b"{{", b"}}", b"&#", b"\x00", b"\xff", b"]]>", b"<!--", b"\xef\xbb\xbf"])
    with suppress(PackError):
        dog_licence(face=face[:start] + data.draw(pieces | st.binary(max_size=4)) + face[end:])
