"""The data items (信息项) of a type pack."""

import re
import warnings
from dataclasses import replace

from credentials.catalogue.errors import ItemError
from credentials.catalogue.formats.yaml_fields import Field
from credentials.catalogue.models import (
    COMMON_CLAIMS,
    ITEM_NAME,
    MAX_IMAGE_CHARS,
    MAX_SAFE_INTEGER,
    DataItem,
    EnumValue,
    ItemType,
    LocalisedText,
    MaskRule,
)

MAX_ITEMS = 64  # a credential has at most 256 disclosures; our largest type has 23 items
MAX_TEXT = 4000  # a company's scope of business can fill a page
MAX_ELEMENTS = 64
MAX_PATTERN = 120  # our longest has 61 characters; re's parser recurses with nesting
MAX_FACE_KEY = 255  # two bytes of CBOR
MAX_FACE_KEYS = 12  # the QR budget of a face pass is measured with 12 items
MAX_FACE_KEY_TEXT = 128  # longer text would not leave a QR code that a phone can read
# Names that the credential's own claims have (RFC 7519, RFC 9901, SD-JWT VC).
_RESERVED = frozenset(
    ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf", "vct", "status", "aka_vcts", "_sd", "_sd_alg"]
)
_TYPE_KEYS = {
    ItemType.STRING: ({"max_length"}, {"pattern"}),
    ItemType.STRING_ARRAY: ({"max_length", "max_items"}, {"pattern", "values", "disclose_elements"}),
    ItemType.ENUM: ({"values"}, set[str]()),
    ItemType.INTEGER: (set[str](), {"minimum", "maximum"}),
    ItemType.BOOLEAN: (set[str](), set[str]()),
    ItemType.DATE: (set[str](), set[str]()),
    ItemType.IMAGE: (set[str](), set[str]()),
}
_REQUIRED = {"name", "label", "type"}
_OPTIONAL = {"required", "face", "face_key", "disclosable", "mask", "example"}


def read_items(field: Field) -> tuple[DataItem, ...]:
    """The items of a pack, in its order.

    Raises:
        PackError: naming file, line and field.
    """
    elements = field.elements(1, MAX_ITEMS)
    items = [_item(element) for element in elements]
    keyed = [item for item in items if item.face_key is not None]
    if len(keyed) > MAX_FACE_KEYS:
        raise field.refused("pack_field_not_allowed", f"a pass has room for {MAX_FACE_KEYS} items with a face_key")
    field.distinct(items, lambda item: item.name, "this item's name")
    return field.distinct(items, lambda item: item.name if item.face_key is None else item.face_key, "this face_key")


def _item(field: Field) -> DataItem:
    every_key = {key for required, optional in _TYPE_KEYS.values() for key in required | optional}
    kind = field.members(_REQUIRED, _OPTIONAL | every_key)["type"].choice(ItemType)
    required, optional = _TYPE_KEYS[kind]
    members = field.members(_REQUIRED | required, _OPTIONAL | optional)

    def flag(name: str) -> bool:
        return members[name].boolean() if name in members else True

    if kind is ItemType.IMAGE and flag("face"):
        raise field.refused("pack_field_not_allowed", "the face draws no pictures: write face: false", name="face")
    minimum = _integer(members.get("minimum"), -MAX_SAFE_INTEGER, -MAX_SAFE_INTEGER)
    item = DataItem(
        name=_name(members["name"]),
        label=_label(members["label"]),
        type=kind,
        required=flag("required"),
        pattern=_pattern(members.get("pattern")),
        max_length=_integer(members.get("max_length"), 0, 1, MAX_TEXT),
        max_items=_integer(members.get("max_items"), 0, 1, MAX_ELEMENTS),
        minimum=minimum,
        maximum=_integer(members.get("maximum"), MAX_SAFE_INTEGER, minimum),
        values=_values(members.get("values")),
        on_face=flag("face"),
        face_key=_face_key(members, on_face=flag("face")),
        selectively_disclosable=flag("disclosable"),
        elements_disclosable=_elements_disclosable(members, whole=flag("disclosable")),
        mask=members["mask"].choice(MaskRule) if "mask" in members else None,
        example=None,
    )
    return replace(item, example=_example(members["example"], item)) if "example" in members else item


def _example(field: Field, item: DataItem) -> object:
    """A value of the item's own type that the item itself accepts."""
    value: object
    match item.type:
        case ItemType.INTEGER:
            value = field.integer(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
        case ItemType.BOOLEAN:
            value = field.boolean()
        case ItemType.STRING_ARRAY:
            value = [element.text(max_length=MAX_TEXT) for element in field.elements(1, MAX_ELEMENTS)]
        case ItemType.STRING | ItemType.ENUM | ItemType.DATE:
            value = field.text(max_length=MAX_TEXT)
        case ItemType.IMAGE:
            value = field.text(max_length=MAX_IMAGE_CHARS)
    try:
        checked = item.check(value)
        return tuple(checked) if isinstance(checked, list) else checked
    except ItemError as error:
        raise field.refused("pack_field_not_allowed", f"the item itself refuses it: {error.detail}") from error


def _name(field: Field) -> str:
    name = field.text(pattern=ITEM_NAME.pattern)
    if name in _RESERVED or any(name == claim.name for claim in COMMON_CLAIMS):
        raise field.refused("pack_field_not_allowed", "is the name of a claim that every credential has")
    return name


def _label(field: Field) -> LocalisedText:
    members = field.members(["zh", "en"])
    return LocalisedText(members["zh"].text(max_length=100), members["en"].text(max_length=100))


def _integer(field: Field | None, default: int, low: int, high: int = MAX_SAFE_INTEGER) -> int:
    return default if field is None else field.integer(low, high)


def _pattern(field: Field | None) -> str | None:
    if field is None:
        return None
    pattern = field.text(max_length=MAX_PATTERN)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what Python warns of, another engine reads differently
            re.compile(pattern, re.ASCII)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise field.refused("pack_field_not_allowed", "is not a regular expression") from error
    return pattern


def _values(field: Field | None) -> tuple[EnumValue, ...]:
    if field is None:
        return ()
    values: list[EnumValue] = []
    for element in field.elements(1, 200):
        members = element.members(["value", "label"])
        values.append(EnumValue(members["value"].text(max_length=100), _label(members["label"])))
    return field.distinct(values, lambda value: value.value, "this value")


def _elements_disclosable(members: dict[str, Field], *, whole: bool) -> bool:
    field = members.get("disclose_elements")
    if field is None or not field.boolean():
        return False
    if not whole:
        raise field.refused("pack_field_not_allowed", "elements of an array that everybody sees cannot be concealed")
    return True


def _face_key(members: dict[str, Field], *, on_face: bool) -> int | None:
    if "face_key" not in members:
        return None
    field = members["face_key"]
    key = field.integer(2, MAX_FACE_KEY)
    if not on_face:
        raise field.refused("pack_field_not_allowed", "a pass carries items of the face only")
    length = members["max_length"].integer(1, MAX_TEXT) if "max_length" in members else 0
    if length > MAX_FACE_KEY_TEXT:
        raise field.refused("pack_field_not_allowed", f"a pass has no room for over {MAX_FACE_KEY_TEXT} characters")
    return key
