"""Type packs: what is read, and that everything broken is refused with its place."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.catalogue.errors import PackError
from credentials.catalogue.formats.pack import read_pack
from credentials.catalogue.formats.yaml_fields import MAX_PACK_BYTES
from credentials.catalogue.models import (
    COMMON_CLAIMS,
    CertState,
    HolderCategory,
    HolderCodeType,
    ItemType,
    KeyAttestationDemand,
    LeadTime,
    LeadUnit,
    MaskRule,
)
from tests.credentials.catalogue.packs import FACE, PACK, changed, dog_licence, line_of


def test_a_pack_says_everything_about_its_type() -> None:
    kind = dog_licence()
    assert (kind.code, kind.version, kind.name.zh, kind.name.en) == ("dog-licence", 2, "养犬登记证", "Dog licence")
    assert kind.certificate_type_code == "11100000000013127DX99"
    assert [authority.area_code for authority in kind.issuing_authorities] == ["310000"]
    assert (kind.holder_category, kind.holder_code_types) == (HolderCategory.PERSON, (HolderCodeType.RESIDENT_ID,))
    assert (kind.joint_holders, kind.photo) == (False, False)
    assert kind.validity.years == (1,)
    assert kind.states == (CertState.VALID, CertState.CANCELLED)
    assert kind.renewal is not None
    assert kind.renewal.opens == LeadTime(1, LeadUnit.MONTHS)
    assert kind.renewal.source.en == "Dog rules, art. 10"
    assert [(stage.stage, stage.before.amount) for stage in kind.reminders] == [("one-month", 30), ("last-day", 0)]
    assert [scene.items for scene in kind.scenes] == [("holder_name", "dog_name", "valid_until")]
    assert [matter.code for matter in kind.matters] == ["DOG-1"]
    assert kind.face.svg == FACE.encode()


def test_an_item_says_how_it_is_stored_shown_and_disclosed() -> None:
    items = {item.name: item for item in dog_licence().items}
    assert items["dog_name"].face_key == 2
    assert (items["dog_name"].required, items["dog_name"].on_face, items["dog_name"].mask) == (True, True, None)
    assert items["born_on"].mask is MaskRule.ALL
    assert (items["weight"].minimum, items["weight"].maximum, items["weight"].required) == (1, 120, False)
    assert [value.label.en for value in items["size"].values] == ["Large", "Small"]
    assert (items["colours"].type, items["colours"].max_items) == (ItemType.STRING_ARRAY, 3)
    assert (items["chip"].on_face, items["chip"].selectively_disclosable) == (False, False)


def test_a_pack_may_give_the_common_claims_the_names_that_its_licence_prints() -> None:
    labels = {claim.name: claim.label.zh for claim in dog_licence().common_claims}
    assert labels["holder_name"] == "犬主"
    assert labels["issued_on"] == "发证日期"
    assert [claim.name for claim in dog_licence().common_claims] == [claim.name for claim in COMMON_CLAIMS]


def test_a_type_without_expiry_needs_no_renewal_rule() -> None:
    pack = changed(PACK, "years: [1], long_term: false", "years: [], long_term: true")
    start, end = pack.index("renewal:"), pack.index("scenes:")
    kind = dog_licence(pack[:start] + "renewal: null\nreminders: []\n" + pack[end:])
    assert kind.renewal is None


def test_a_window_that_opens_at_any_time_is_null() -> None:
    kind = dog_licence(changed(PACK, "opens: {before: 1, unit: months}", "opens:"))
    assert kind.renewal is not None
    assert kind.renewal.opens is None


REFUSED = {
    # name: (text in the pack, its replacement, code, field; the error's line is that of the text)
    "an unknown key": ("photo: false\nlabels", "foto: false\nlabels", "pack_field_unknown", "foto"),
    "an unknown key in an item": ("max_items: 3", "max_item: 3", "pack_field_unknown", "items[5].max_item"),
    "a key of another item type": ("type: boolean", "max_length: 3, type: boolean", "pack_field_unknown", None),
    "a key twice": ("version: 2", "version: 2\nversion: 3", "pack_duplicate", "version"),
    "no version": ("version: 2\n", "", "pack_field_missing", "version"),
    "no maximum length of a string": ("max_length: 20, ", "", "pack_field_missing", "items[0].max_length"),
    "a code in capitals": ("code: dog-licence", "code: Dog-Licence", "pack_field_not_allowed", "code"),
    "a version in words": ("version: 2", "version: two", "pack_field_wrong_type", "version"),
    "a version of zero": ("version: 2", "version: 0", "pack_field_not_allowed", "version"),
    "a number in octal": ("version: 2", "version: 017", "pack_field_wrong_type", "version"),
    "a number base sixty": ("version: 2", "version: 1:30", "pack_field_wrong_type", "version"),
    "a huge number": ("version: 2", "version: " + "9" * 10_000, "pack_field_wrong_type", "version"),
    "a yes for a boolean": ("joint: false", "joint: no", "pack_field_wrong_type", "holder.joint"),
    "a state without quotes": ('["01", "04"]', '[01, "04"]', "pack_field_wrong_type", "states[0]"),
    "an unknown state": ('["01", "04"]', '["01", "08"]', "pack_field_not_allowed", "states[1]"),
    "a type that is never valid": ('["01", "04"]', '["04"]', "pack_field_not_allowed", "states"),
    "a state twice": ('["01", "04"]', '["01", "01"]', "pack_duplicate", "states[1]"),
    "a list for a mapping": ("{zh: 养犬登记证, en: Dog licence}", "[养犬登记证]", "pack_field_wrong_type", "name"),
    "a text for a list": ('states: ["01", "04"]', 'states: "01"', "pack_field_wrong_type", "states"),
    "a name in one language": (
        "{zh: 养犬登记证, en: Dog licence}",
        "{zh: 养犬登记证}",
        "pack_field_missing",
        "name.en",
    ),
    "an empty name": ("en: Dog licence", 'en: " "', "pack_field_not_allowed", "name.en"),
    "a name that is too long": ("en: Dog licence", f"en: {'x' * 101}", "pack_field_not_allowed", "name.en"),
    "a control character in a name": ("en: Dog licence", 'en: "Dog\\x07"', "pack_field_not_allowed", "name.en"),
    "a tag of one's own": ("en: Dog licence", "en: !!python/none Dog", "pack_field_wrong_type", "name.en"),
    "a type code without a serial": ("DX99", "D", "pack_field_not_allowed", "certificate_type_code"),
    "a type code of another authority": (
        "certificate_type_code: 11100000000013127DX99",
        "certificate_type_code: 11100000MB0341032YX99",
        "pack_field_not_allowed",
        "certificate_type_code",
    ),
    "an authority with a wrong check character": (
        "11310000000000211K",
        "11310000000000211M",
        "pack_field_not_allowed",
        "issuing_authorities[0].code",
    ),
    "an area that is no area": ('"310000"', '"31000"', "pack_field_not_allowed", "issuing_authorities[0].area"),
    "a person who is represented": (
        "joint: false",
        "joint: false, represented_by: dog_name",
        "pack_field_not_allowed",
        "holder.represented_by",
    ),
    "a representative in no item": (
        'category: person, code_types: ["111"], joint: false',
        'category: organisation, code_types: ["001"], joint: false, represented_by: master',
        "pack_field_not_allowed",
        "holder.represented_by",
    ),
    "a company's code for a person": ('["111"]', '["001"]', "pack_field_not_allowed", "holder.code_types[0]"),
    "a person's code for a company": (
        "category: person",
        "category: organisation",
        "pack_field_not_allowed",
        "holder.code_types[0]",
    ),
    "an item named like a common claim": (
        "name: chip",
        "name: valid_until",
        "pack_field_not_allowed",
        "items[6].name",
    ),
    "an item named like a token claim": ("name: chip", "name: status", "pack_field_not_allowed", "items[6].name"),
    "an item name in capitals": ("name: chip", "name: Chip", "pack_field_not_allowed", "items[6].name"),
    "two items with one name": ("name: chip", "name: weight", "pack_duplicate", "items[6]"),
    "two items with one face_key": (
        "type: date, mask",
        "type: date, face_key: 2, mask",
        "pack_duplicate",
        "items[3]",
    ),
    "a face_key of the common items": ("face_key: 2", "face_key: 1", "pack_field_not_allowed", "items[0].face_key"),
    "a face_key off the face": ("face: false", "face: false, face_key: 9", "pack_field_not_allowed", None),
    "a face_key for a long text": (
        "max_length: 20",
        "max_length: 129",
        "pack_field_not_allowed",
        "items[0].face_key",
    ),
    "an unknown type": ("type: boolean", "type: bool", "pack_field_not_allowed", "items[2].type"),
    "an unknown mask": ("mask: all", "mask: some", "pack_field_not_allowed", "items[3].mask"),
    "a broken pattern": ("'[^0-9]+'", "'[^0-9'", "pack_field_not_allowed", "items[0].pattern"),
    "a pattern that Python warns of": ("'[^0-9]+'", "'[[a]'", "pack_field_not_allowed", "items[0].pattern"),
    "a pattern that counts too far": (
        "'[^0-9]+'",
        "'a{99999999999}'",
        "pack_field_not_allowed",
        "items[0].pattern",
    ),
    "a value twice": ("{value: 小,", "{value: 大,", "pack_duplicate", "items[4].values[1]"),
    "a minimum above the maximum": ("maximum: 120", "maximum: 0", "pack_field_not_allowed", "items[1].maximum"),
    "no term at all": ("years: [1]", "years: []", "pack_field_not_allowed", "validity"),
    "fixed and free terms": ("free: false", "free: true", "pack_field_not_allowed", "validity"),
    "reminders without a rule": (
        "renewal:\n  opens: {before: 1, unit: months}\n  closes: {before: 0, unit: days}\n"
        "  source: {zh: 养犬管理条例第十条, en: 'Dog rules, art. 10'}",
        "renewal: null",
        "pack_field_not_allowed",
        "renewal",
    ),
    "reminders out of order": ("days_before: 0", "days_before: 31", "pack_field_not_allowed", None),
    "a reminder stage twice": ("stage: last-day", "stage: one-month", "pack_duplicate", "reminders[1]"),
    "a window in weeks": ("unit: months", "unit: weeks", "pack_field_not_allowed", "renewal.opens.unit"),
    "a scene with an unknown item": (
        "[holder_name, dog_name,",
        "[holder_name, dog_nme,",
        "pack_field_not_allowed",
        "scenes[0].items[1]",
    ),
    "a scene with an item twice": (
        "[holder_name, dog_name,",
        "[dog_name, dog_name,",
        "pack_duplicate",
        "scenes[0].items[1]",
    ),
    "a scene that releases no photo there is": (
        "    photo: false\n    offline",
        "    photo: true\n    offline",
        "pack_field_not_allowed",
        "scenes[0].photo",
    ),
    "a colour by name": ('"#ffffff"', "white", "pack_field_not_allowed", "face.background_color"),
    "a label for a claim there is not": ("holder_name: {zh: 犬主", "keeper: {zh: 犬主", "pack_field_unknown", None),
}


def test_a_pack_may_ask_for_a_clerk_and_for_attested_keys_and_disclose_an_array_by_element() -> None:
    plain = dog_licence()
    assert (plain.needs_release, plain.key_attestation) == (False, None)
    assert not any(item.elements_disclosable for item in plain.items)
    more = changed(PACK, "matters:", "release: clerk\nkey_attestation: {key_storage: [iso_18045_high]}\nmatters:")
    kind = dog_licence(changed(more, "max_items: 3", "max_items: 3\n    disclose_elements: true"))
    assert kind.needs_release
    assert kind.key_attestation == KeyAttestationDemand(("iso_18045_high",), ())
    assert [item.name for item in kind.items if item.elements_disclosable] == ["colours"]
    assert not dog_licence(changed(PACK, "matters:", "release: none\nmatters:")).needs_release
    assert dog_licence(changed(PACK, "matters:", "key_attestation: {}\nmatters:")).key_attestation is not None


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("matters:", "release: boss\nmatters:", "release"),
        ("matters:", "key_attestation: {key_storage: []}\nmatters:", "key_attestation.key_storage"),
        ("matters:", "key_attestation: {key_storage: [a, a]}\nmatters:", None),
        ("matters:", "key_attestation: {level: [a]}\nmatters:", None),
        ("matters:", "key_attestation: {key_storage: ['有']}\nmatters:", None),
        ("max_items: 3", "max_items: 3\n    disclosable: false\n    disclose_elements: true", None),
        ("type: boolean,", "type: boolean, disclose_elements: true,", None),
        ("max_items: 3", "max_items: 3\n    disclose_elements: 'true'", None),
    ],
)
def test_a_wrong_word_about_release_attestation_or_elements_is_refused(old: str, new: str, field: str | None) -> None:
    with pytest.raises(PackError) as refused:
        dog_licence(changed(PACK, old, new))
    assert field is None or refused.value.field == field


@pytest.mark.parametrize("name", REFUSED)
def test_a_broken_pack_is_refused_with_its_place(name: str) -> None:
    old, new, code, field = REFUSED[name]
    with pytest.raises(PackError) as refused:
        dog_licence(changed(PACK, old, new))
    assert refused.value.code == code
    assert refused.value.file == "dog-licence.yaml"
    assert field is None or refused.value.field == field
    assert str(refused.value).startswith(f"dog-licence.yaml:{refused.value.line}: ")


def test_the_line_is_that_of_the_wrong_value() -> None:
    pack = changed(PACK, "type: boolean", "type: bool")
    with pytest.raises(PackError) as refused:
        dog_licence(pack)
    assert refused.value.line == line_of(pack, "type: bool")


def test_too_many_items_for_a_pass_are_refused() -> None:
    extra = "".join(
        f"  - {{name: extra{key}, label: {{zh: 附, en: Extra}}, type: boolean, face_key: {key}}}\n"
        for key in range(3, 15)
    )
    with pytest.raises(PackError) as refused:
        dog_licence(changed(PACK, "items:\n", "items:\n" + extra))
    assert (refused.value.code, refused.value.field) == ("pack_field_not_allowed", "items")


UNREADABLE = {
    "nothing": b"",
    "two documents": b"a: 1\n---\nb: 2\n",
    "not UTF-8": b"code: ok\nname: \xff",
    "not YAML": b"code: [",
    "a tab for indentation": b"code:\n\t- a",
    "an alias": b"a: &a 1\nb: *a",
    "a cycle": b"&a [*a]",
    "a hundred thousand brackets": b"[" * 100_000,
    "half a surrogate pair": b'a: "Dog\\ud800"',
    "a character beyond Unicode": b'"\\UFFFFFFFF"',
    "a control character": b"a: \x01",
    "too large": b"#" * (MAX_PACK_BYTES + 1),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_not_a_document_is_refused(name: str) -> None:
    with pytest.raises(PackError) as refused:
        read_pack(UNREADABLE[name], FACE.encode(), file="p.yaml", face_file="p.svg")
    assert refused.value.code == "pack_unreadable"
    assert refused.value.line >= 1


def test_the_line_of_a_syntax_error_is_given() -> None:
    with pytest.raises(PackError) as refused:
        read_pack(b"a: 1\nb: 2\nc: }\n", FACE.encode(), file="p.yaml", face_file="p.svg")
    assert refused.value.line == 3


def _read(pack: bytes) -> None:
    """Any error but ours fails the test."""
    with suppress(PackError):
        read_pack(pack, FACE.encode(), file="p.yaml", face_file="p.svg")


YAML_WORDS = st.sampled_from(
    [
        "- ",
        "{",
        "}",
        "[",
        "]",
        ": ",
        "\n",
        "  ",
        "? ",
        "|",
        ">",
        "&a",
        "*a",
        "!!",
        "'",
        '"',
        "\\x",
        "code",
        "items",
        "%",
        "~",
    ]
)


@settings(max_examples=200)
@given(st.lists(YAML_WORDS | st.text(max_size=4), max_size=30).map("".join))
def test_any_text_is_a_type_or_a_pack_error(text: str) -> None:
    _read(text.encode("utf-8", "surrogatepass"))


@settings(max_examples=200)
@given(st.data())
def test_a_pack_with_a_hole_is_a_type_or_a_pack_error(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(PACK)))
    end = data.draw(st.integers(start, min(len(PACK), start + 40)))
    _read((PACK[:start] + data.draw(YAML_WORDS | st.text(max_size=3)) + PACK[end:]).encode("utf-8", "surrogatepass"))


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_by_a_pack_error(noise: bytes) -> None:
    _read(noise)
