"""Identifiers (GB/T 36904), rows (GB/T 36903) and identity numbers: what is taken, what is refused, what is flagged."""

import codecs
import contextlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import ric
from stdnum.iso7064 import mod_37_36

from credentials.catalogue import Catalogue
from credentials.registry import Intake, IntakeSource, Licence, RowError, row_of
from credentials.registry.errors import IdentifierError
from credentials.registry.formats.gbt36903 import district_is_known, holder_code, row_from_line, row_from_object
from credentials.registry.formats.gbt36904 import Identifier
from credentials.registry.models import CertState, HolderEntry
from tests.credentials.rows import DRIVING, TRAFFIC_POLICE, driving_row, lines, organisation_code, resident_id
from tests.fakes import FakeClock
from wallet_api.database import Database
from wallet_api.protection import DataProtector

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "gbt36904.json").read_text())
UPPER = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_identifiers_are_read_as_the_vectors_say(vector: dict[str, Any]) -> None:
    if code := vector["expect"].get("error"):
        with pytest.raises(IdentifierError) as refused:
            Identifier.from_text(vector["input"])
        assert refused.value.code == code
        return
    identifier = Identifier.from_text(vector["input"])
    assert {name: getattr(identifier, name) for name in vector["expect"]} == vector["expect"]
    assert str(identifier) == vector["input"]


@given(
    st.text(UPPER, min_size=21, max_size=21),
    st.text(UPPER, min_size=18, max_size=18),
    st.text(UPPER, min_size=1, max_size=40),
    st.integers(1, 999),
    st.data(),
)
def test_what_we_issue_has_the_right_check_character_and_one_changed_character_is_seen(
    type_code: str, authority: str, serial: str, version: int, data: st.DataObject
) -> None:
    issued = Identifier.issue(type_code, authority, serial, version)
    assert Identifier.from_text(str(issued)) == issued
    assert issued.check_holds
    assert issued.check == mod_37_36.calc_check_digit(f"{type_code}{authority}{serial}{version:03}")
    at = data.draw(st.integers(0, len(serial) - 1))
    other = data.draw(st.sampled_from(UPPER).filter(lambda character: character != serial[at]))
    changed = Identifier(type_code, authority, serial[:at] + other + serial[at + 1 :], version, issued.check)
    assert not changed.check_holds


@given(st.one_of(st.text(max_size=160), st.from_regex(r"1\.2\.156\.3005\.2(\.[0-9A-Z]{1,30}){3,6}", fullmatch=True)))
def test_any_text_is_an_identifier_or_our_error(text: str) -> None:
    with contextlib.suppress(IdentifierError):
        assert str(Identifier.from_text(text)) == text


# --- Rows ----------------------------------------------------------------------------------------------------------

BLANKS = "\u115f\u1160\u3164\uffa0\ufffc\ufffd"  # letters and symbols that show nothing, or that something was lost
TEXTS = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters=BLANKS), min_size=1, max_size=40)
DAYS = st.dates(date(1950, 1, 1), date(2100, 12, 31))
PERSONS = st.builds(HolderEntry, TEXTS, st.just("111"), st.integers(0, 999).map(resident_id))
HOLDERS = st.one_of(
    PERSONS,
    st.builds(HolderEntry, TEXTS, st.just("001"), st.integers(0, 999).map(organisation_code)),
    st.builds(HolderEntry, TEXTS, st.just("414"), st.from_regex("[EG][0-9]{8}", fullmatch=True)),
)


def _distinct(parties: st.SearchStrategy[HolderEntry], least: int) -> st.SearchStrategy[tuple[HolderEntry, ...]]:
    return st.lists(parties, min_size=least, max_size=4, unique_by=lambda party: party.code).map(tuple)


LICENCES = st.builds(
    Licence,
    id=st.just("0" * 32),
    identifier=st.just(VECTORS[0]["input"]),
    type_code=st.just("driving-licence"),
    type_version=st.just(1),
    version=st.integers(1, 999),
    number=TEXTS,
    authority_code=st.just(TRAFFIC_POLICE),
    authority_name=TEXTS,
    area_code=st.none() | st.from_regex("[0-9]{6}", fullmatch=True),
    holder_ids=st.just(()),
    holders=_distinct(HOLDERS, 1),
    issued_on=DAYS,
    valid_from=st.just(date(1950, 1, 1)),
    valid_until=st.none() | DAYS,
    state=st.sampled_from(CertState),
    predecessor_id=st.none(),
    source_system=st.just("test"),
    source_record_id=st.from_regex("[A-Za-z0-9._:-]{1,64}", fullmatch=True),
    source_version=st.integers(1, 2**53 - 1),
    items=st.dictionaries(st.from_regex("[a-z_]{1,9}", fullmatch=True), TEXTS | st.integers(0, 99) | st.booleans()),
    representatives=_distinct(PERSONS, 0),
)


@given(LICENCES)
def test_a_licence_written_with_the_metadata_names_is_read_back_the_same(licence: Licence) -> None:
    row = row_from_object(json.loads(json.dumps(row_of(licence, DRIVING))))
    content = row.content
    assert content is not None
    assert (row.source_record_id, row.source_version) == (licence.source_record_id, licence.source_version)
    for name in (
        "identifier",
        "number",
        "authority_code",
        "area_code",
        "issued_on",
        "valid_from",
        "valid_until",
        "holders",
        "items",
        "representatives",
    ):
        assert getattr(content, name) == getattr(licence, name)


@pytest.mark.parametrize(
    "day",
    [
        "2024-0301",
        "202403-01",
        "2024-3-1",
        "2024/03/01",
        "20240230",
        "２０２４0301",
        "2024030",
        "0001-01-01",
        "9999-12-31",
    ],
)
def test_a_day_out_of_form_is_refused(day: str) -> None:
    with pytest.raises(RowError) as refused:
        row_from_object(driving_row(1, certificate_issued_date=day))
    assert refused.value.code == "date_invalid"


def test_a_day_is_read_in_both_forms() -> None:
    rows = [row_from_object(driving_row(1, certificate_issued_date=day)) for day in ("2024-02-29", "20240229")]
    assert {row.content.issued_on for row in rows if row.content} == {date(2024, 2, 29)}


@pytest.mark.parametrize("end", [None, "", "9999-12-31", "99991231"])
def test_a_licence_without_an_end_is_written_in_four_ways(end: str | None) -> None:
    content = row_from_object(driving_row(1, certificate_validate_end=end)).content
    assert content is not None
    assert content.valid_until is None


@pytest.mark.parametrize("member", ["certificate_validate_end", "certificate_identifier"])
@pytest.mark.parametrize("value", [0, False, [], {}, 0.0])
def test_an_empty_value_of_another_kind_is_not_taken_for_absent(member: str, value: object) -> None:
    with pytest.raises(RowError) as refused:
        row_from_object(driving_row(1, **{member: value}))
    assert (refused.value.code, refused.value.field) == ("member_invalid", member)


@pytest.mark.parametrize("hidden", "\u200b\u202e\u2066\u200f\ufeff\xad\u3164\ufffd\uffff\U000e0041")
def test_a_name_that_does_not_read_as_it_is_written_is_refused(hidden: str) -> None:
    for name in (f"王{hidden}伟", hidden):
        row = driving_row(1)
        row["certificate_holders"][0]["certificate_holder_name"] = name
        with pytest.raises(RowError) as refused:
            row_from_object(row)
        assert refused.value.field == "certificate_holders[0].certificate_holder_name"


@pytest.mark.parametrize("name", ["阿卜杜热西提·买买提", "ᠪᠠᠶᠠᠷ\u180eᠠ", "葛\U000e0100城", "نۇر\u200cگۈل", "\ue000伟"])
def test_names_of_every_people_are_taken(name: str) -> None:
    row = driving_row(1)
    row["certificate_holders"][0]["certificate_holder_name"] = name
    content = row_from_object(row).content
    assert content is not None
    assert content.holders[0].name == name


@pytest.mark.parametrize("gap", ["", " ", "\n"])
def test_a_member_that_hides_another_is_refused(gap: str) -> None:
    (good,) = lines(driving_row(1, source_record_id="a:b:c", certificate_number='"a":"b":'))  # colons of its own
    assert row_from_line(codecs.BOM_UTF8 + good).source_record_id == "a:b:c"
    for twice in ('"source_version"%s: 2', '"business_information"%s: {"a"%s: 1, "a": 2}'):
        line = good[:-1] + b", " + twice.replace("%s", gap).encode() + b"}"
        with pytest.raises(RowError) as refused:
            row_from_line(line)
        assert refused.value.code == "member_repeated"


@given(st.recursive(st.text(max_size=5) | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
def test_no_object_is_said_to_repeat_a_member_that_does_not(value: object) -> None:
    with pytest.raises(RowError) as refused:
        row_from_line(json.dumps(value).encode())
    assert refused.value.code != "member_repeated"


# --- Identity numbers ----------------------------------------------------------------------------------------------


def _number(district: str, birthday: str) -> str:
    body = f"{district}{birthday}001"
    return body + str(ric.calc_check_digit(body + "0"))


YOUNG_DISTRICT = _number("310151", "19500101")  # 崇明区 since 2016


def test_who_was_registered_in_a_district_younger_than_themselves_is_taken() -> None:
    assert holder_code("111", YOUNG_DISTRICT) == YOUNG_DISTRICT
    assert not ric.is_valid(YOUNG_DISTRICT)
    assert not district_is_known(YOUNG_DISTRICT)
    assert district_is_known(resident_id(1))


@pytest.mark.parametrize(
    "number",
    [_number("310101", "19900230"), _number("310101", "00000101"), resident_id(1)[:-1], resident_id(1) + "0", "1" * 18],
)
def test_a_number_with_a_wrong_check_character_or_birthday_is_refused_and_not_repeated(number: str) -> None:
    with pytest.raises(RowError) as refused:
        holder_code("111", number)
    assert refused.value.code == "holder_code_invalid"
    assert number not in str(refused.value)


@pytest.mark.parametrize(
    ("code_type", "code", "normal"),
    [
        ("414", " e1234 5678", "E12345678"),
        ("414", "Ｅ１２３４５６７８", "E12345678"),
        ("516", "H1234567（8）", "H1234567(8)"),
        ("114", "军字第1234567号", "军字第1234567号"),
        ("001", " 91310000ma1f00001" + organisation_code(1)[-1].lower(), organisation_code(1)),
    ],
)
def test_numbers_of_other_kinds_have_one_normal_form(code_type: str, code: str, normal: str) -> None:
    assert holder_code(code_type, code) == normal


@given(st.sampled_from(["111", "001", "414", "999", "", "1111", "１１１"]), st.text(max_size=60))
def test_any_text_as_a_number_gives_a_normal_form_or_our_error(code_type: str, code: str) -> None:
    try:
        normal = holder_code(code_type, code)
    except RowError:
        return
    assert holder_code(code_type, normal) == normal
    assert 1 <= len(normal) <= 40


async def test_old_data_are_taken_and_flagged(database: Database, protector: DataProtector, clock: FakeClock) -> None:
    by_area = str(Identifier.issue(DRIVING, "310000", "2024000001", 1))
    elsewhere = str(Identifier.issue(DRIVING, "340100", "2024000002", 1))
    young = driving_row(3)["certificate_holders"][0] | {"certificate_holder_code": YOUNG_DISTRICT}
    rows = [
        driving_row(1, certificate_identifier=by_area),
        driving_row(2, certificate_identifier=elsewhere),
        driving_row(3, certificate_holders=[young]),
    ]
    intake = Intake(Catalogue.default(), protector, clock)
    report = await intake.take_all(database, IntakeSource("police", frozenset({TRAFFIC_POLICE})), lines(*rows))
    assert (report.accepted, report.flagged) == (2, 2)
    assert [(no.line, no.code) for no in report.rejections] == [(2, "identifier_mismatch")]


@pytest.mark.parametrize(
    "line", [b"[" * 1015 + b"]" * 1015, b'{"a":' * 1000 + b"1" + b"}" * 1000, b"[" * 10**4, b'{"a": NaN}']
)
def test_a_row_nested_as_deep_as_can_be_is_refused_as_no_row(line: bytes) -> None:
    with pytest.raises(RowError) as refused:
        row_from_line(line)
    assert refused.value.code == "row_not_json"
