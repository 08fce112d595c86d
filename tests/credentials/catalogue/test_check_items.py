"""A licence's data items against its type."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.catalogue import Catalogue, ItemError
from credentials.catalogue.models import ItemType, MaskRule
from tests.credentials.catalogue.packs import dog_licence

DOG = dog_licence()
GOOD: dict[str, object] = {
    "size": "大",
    "dog_name": "旺财",
    "born_on": "2024-02-29",
    "chip": "156000000000001",
    "weight": 12,
    "neutered": False,
    "colours": ["黄", "白"],
}


def test_items_that_fit_come_back_in_the_order_of_the_type() -> None:
    checked = DOG.check_items(GOOD)
    assert checked == GOOD
    assert list(checked) == [item.name for item in DOG.items]


def test_items_that_are_not_required_may_be_left_out() -> None:
    small = {name: GOOD[name] for name in ("dog_name", "born_on", "size", "chip")}
    assert DOG.check_items(small) == small


def test_the_array_that_comes_back_is_a_new_one() -> None:
    assert DOG.check_items(GOOD)["colours"] is not GOOD["colours"]


REFUSED: dict[str, tuple[str, object, str]] = {
    "an unknown item": ("owner", "张三丰", "item_unknown"),
    "a number for a string": ("dog_name", 7, "item_wrong_type"),
    "null for a string": ("dog_name", None, "item_wrong_type"),
    "an empty string": ("dog_name", "", "item_not_allowed"),
    "blanks only": ("dog_name", " \u3000", "item_not_allowed"),
    "a string that is too long": ("dog_name", "汪" * 21, "item_too_long"),
    "a string against the pattern": ("dog_name", "R2D2", "item_not_allowed"),
    "a pattern followed by a line break": ("dog_name", "旺财\n", "item_not_allowed"),
    "a control character": ("chip", "15\x006", "item_not_allowed"),
    "half a surrogate pair": ("chip", "15\ud8006", "item_not_allowed"),
    "true for an integer": ("weight", True, "item_wrong_type"),
    "a float for an integer": ("weight", 12.0, "item_wrong_type"),
    "a string for an integer": ("weight", "12", "item_wrong_type"),
    "an integer below its minimum": ("weight", 0, "item_not_allowed"),
    "an integer above its maximum": ("weight", 10**30, "item_not_allowed"),
    "1 for true": ("neutered", 1, "item_wrong_type"),
    "a string for false": ("neutered", "false", "item_wrong_type"),
    "a date object": ("born_on", date(2024, 2, 29), "item_wrong_type"),
    "a day that is not in the calendar": ("born_on", "2023-02-29", "item_not_allowed"),
    "a day without hyphens": ("born_on", "20240229", "item_not_allowed"),
    "a day by week": ("born_on", "2024-W09-4", "item_not_allowed"),
    "a day with a time": ("born_on", "2024-02-29T00:00:00", "item_not_allowed"),
    "a day in full-width digits": ("born_on", "２０２４-02-29", "item_not_allowed"),
    "the year zero": ("born_on", "0000-01-01", "item_not_allowed"),
    "a value that is not listed": ("size", "中", "item_not_allowed"),
    "a label for a value": ("size", "大型", "item_not_allowed"),
    "a list for a value": ("size", ["大"], "item_wrong_type"),
    "a string for an array": ("colours", "黄", "item_wrong_type"),
    "an empty array": ("colours", [], "item_not_allowed"),
    "an array that is too long": ("colours", ["黄", "白", "黑", "花"], "item_too_long"),
    "a number in an array": ("colours", ["黄", 1], "item_wrong_type"),
    "an array in an array": ("colours", [["黄"]], "item_wrong_type"),
    "a long string in an array": ("colours", ["黄" * 6], "item_too_long"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_item_that_does_not_fit_is_refused(name: str) -> None:
    field, value, code = REFUSED[name]
    with pytest.raises(ItemError) as refused:
        DOG.check_items({**GOOD, field: value})
    assert (refused.value.field, refused.value.code) == (field, code)


def test_a_missing_item_is_refused() -> None:
    with pytest.raises(ItemError) as refused:
        DOG.check_items({name: value for name, value in GOOD.items() if name != "chip"})
    assert (refused.value.field, refused.value.code) == ("chip", "item_missing")


@pytest.mark.parametrize("name", ["310104199003072319", "x" * 65, "张三丰", "", 7, None, ("a",)])
def test_a_name_that_no_item_could_have_is_not_repeated(name: Any) -> None:
    with pytest.raises(ItemError) as refused:
        DOG.check_items({**GOOD, name: 1})
    assert (refused.value.field, refused.value.code) == ("", "item_unknown")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KINDS = st.sampled_from([DOG, *Catalogue.default().types()])


@settings(max_examples=200)
@given(st.data(), KINDS)
def test_any_json_is_checked_items_or_an_item_error(data: st.DataObject, kind: Any) -> None:
    names = st.sampled_from([item.name for item in kind.items])
    items = data.draw(st.dictionaries(names | st.text(max_size=5), JSON, max_size=len(kind.items)))
    try:
        checked = kind.check_items(items)
    except ItemError as error:
        refused = error
    else:
        assert checked == items
        return
    assert refused.code in {"item_missing", "item_unknown", "item_wrong_type", "item_not_allowed", "item_too_long"}


@settings(max_examples=100)
@given(st.text(alphabet="壹贰叁肆0123456789", min_size=8, max_size=40))
def test_the_error_never_holds_the_value(secret: str) -> None:
    for item in DOG.items:
        wrong: object = secret if item.type is not ItemType.STRING else [secret]
        with pytest.raises(ItemError) as refused:
            DOG.check_items({**GOOD, item.name: wrong})
        assert secret not in f"{refused.value} {refused.value.detail} {refused.value.field} {refused.value.args}"


@pytest.mark.parametrize(
    ("rule", "text", "masked"),
    [
        (MaskRule.NAME, "张三丰", "张**"),
        (MaskRule.NAME, "张", "张"),
        (MaskRule.NAME, "", ""),
        (MaskRule.NUMBER, "310104199003072319", "31**************19"),
        (MaskRule.NUMBER, "12345678", "******78"),
        (MaskRule.NUMBER, "7", "7"),
        (MaskRule.ADDRESS, "上海市徐汇区漕溪北路1号", "上海市徐汇区******"),
        (MaskRule.ADDRESS, "上海市", "上**"),
        (MaskRule.ALL, "女", "*"),
    ],
)
def test_a_personal_item_is_masked_by_its_rule(rule: MaskRule, text: str, masked: str) -> None:
    assert rule.apply(text) == masked


@given(st.sampled_from(MaskRule), st.text())
def test_a_masked_text_is_as_long_as_the_text(rule: MaskRule, text: str) -> None:
    assert len(rule.apply(text)) == len(text)
