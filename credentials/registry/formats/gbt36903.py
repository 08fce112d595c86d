"""One intake row: a JSON object with the metadata names of GB/T 36903-2018 (long form), to a checked `IntakeRow`.

| member | value |
|---|---|
| `source_record_id`, `source_version` | the department's own record (64 of `A-Za-z0-9._:-`), its version (≥ 1) |
| `operate_type` | `01` to `10`: what they are and when they are allowed is in `lifecycle.py` |
| `cert_state` | with `05`: `03`, `04`, `06` or `07`; with `07`: `99`, or `01` to come back from it; else not needed |
| `reason` | with `03`, `05`, `06`, `07`: text, required; with others optional |
| `associated_certificate_identifier` | the licence before (associatedZzeCertID): with `08`; optional with `02`, `09` |
| `certificate_type_code` | 21 characters (with `01`, `02`, `08`, `09`, as are all that follow) |
| `certificate_identifier` | GB/T 36904, or absent: the store makes one |
| `certificate_number` | the number printed on the licence |
| `certificate_issuing_authority_code` | 统一社会信用代码 of the 发证单位 |
| `certificate_area_code` | 6 digits, optional |
| `certificate_issued_date`, `certificate_validate_start` | `YYYY-MM-DD` or `YYYYMMDD` |
| `certificate_validate_end` | the same; absent, null, empty or `9999-12-31`: long-term |
| `certificate_holders` | array of `{certificate_holder_name, _code, _type, mobile?}` |
| `certificate_representatives` | optional: who acts for it; like the above, `{certificate_representative_name, …}` |
| `business_information` | object: the type's data items |
"""

import codecs
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

from stdnum.cn import ric, uscc
from stdnum.exceptions import InvalidChecksum, InvalidComponent, InvalidFormat, ValidationError

from credentials.registry.errors import RowError
from credentials.registry.formats import members
from credentials.registry.lifecycle import NEEDS_REASON, NEW_VERSION, targets
from credentials.registry.models import (
    CertState,
    HolderEntry,
    IntakeRow,
    Licence,
    LicenceContent,
    OperateType,
)

MAX_ROW_BYTES = 65_536  # a licence's text is a few kilobytes, its photograph at most 30 kB
MAX_HOLDERS = 32  # co-owners of a real-estate certificate
MAX_TEXT = 4_000  # the business scope of a company is the longest text we know
MAX_DEPTH = 8  # data items are flat today; a little room, and no recursion to fear

RESIDENT_ID = "111"
UNIFIED_SOCIAL_CREDIT_CODE = "001"

_RESIDENT_ID = re.compile(r"[0-9]{17}[0-9X]")
_RECORD_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_MOBILE = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
_OTHER_CODE = re.compile(r"[A-Z0-9()\u4e00-\u9fff-]{1,40}")  # passports, officers' cards: no public check rule
LONG_TERM = ("9999-12-31", "99991231")  # how many sources write that a licence has no end

_STATE_MEMBERS = {"source_record_id", "source_version", "operate_type", "cert_state", "reason"}
CONTENT_MEMBERS = _STATE_MEMBERS | {
    "associated_certificate_identifier",
    "certificate_type_code",
    "certificate_identifier",
    "certificate_number",
    "certificate_issuing_authority_code",
    "certificate_area_code",
    "certificate_issued_date",
    "certificate_validate_start",
    "certificate_validate_end",
    "certificate_holders",
    "certificate_representatives",
    "business_information",
}


def row_from_line(line: bytes) -> IntakeRow:
    """Parse one line of NDJSON.

    Raises:
        RowError: `row_too_large`, or any of `members.json_value` and `row_from_object`.
    """
    if len(line) > MAX_ROW_BYTES:
        raise RowError("row_too_large", "", f"a row has at most {MAX_ROW_BYTES} bytes")
    line = line.removeprefix(codecs.BOM_UTF8)  # RFC 8259 §8.1: may be passed over
    return row_from_object(members.json_value(line))


def row_from_object(value: object) -> IntakeRow:
    """Check a row's form. What depends on the licence type or on the store is checked by the registry.

    Raises:
        RowError: with the member at fault and one of `row_not_object`, `member_missing`, `member_unknown`,
            `member_invalid`, `date_invalid`, `dates_out_of_order`, `holder_code_invalid`, `operation_not_supported`.
    """
    if not isinstance(value, dict):
        raise RowError("row_not_object", "", "a row is a JSON object")
    row: Mapping[str, Any] = value
    operate_type = _operate_type(row)
    has_content = operate_type in NEW_VERSION
    known = CONTENT_MEMBERS if has_content else _STATE_MEMBERS
    members.refuse_unknown(
        row, known - {"associated_certificate_identifier"} if operate_type is OperateType.ISSUE else known, ""
    )
    record_id = members.text(row, "source_record_id", 64)
    if not _RECORD_ID.fullmatch(record_id):
        raise RowError("member_invalid", "source_record_id", "1 to 64 of A-Z a-z 0-9 . _ : -")
    return IntakeRow(
        source_record_id=record_id,
        source_version=members.source_version(row),
        operate_type=operate_type,
        cert_state=_target_state(row, operate_type),
        reason=members.text(row, "reason", 500) if operate_type in NEEDS_REASON or "reason" in row else None,
        content=_content(row, operate_type) if has_content else None,
    )


def _operate_type(row: Mapping[str, Any]) -> OperateType:
    text = members.text(row, "operate_type", 2)
    try:
        return OperateType(text)
    except ValueError as error:
        raise RowError("operation_not_supported", "operate_type", "one of 01 to 10") from error


def _target_state(row: Mapping[str, Any], operate_type: OperateType) -> CertState:
    possible = targets(operate_type)
    if len(possible) == 1 and "cert_state" not in row:
        return possible[0]
    state = members.text(row, "cert_state", 2)
    if state not in possible:
        leads_to = ", ".join(sorted(possible))
        raise RowError("member_invalid", "cert_state", f"operate_type {operate_type.value} leads to {leads_to}")
    return CertState(state)


def _content(row: Mapping[str, Any], operate_type: OperateType) -> LicenceContent:
    issued_on = members.day(row, "certificate_issued_date")
    valid_from = members.day(row, "certificate_validate_start")
    valid_until = _last_day(row)
    if valid_until is not None and valid_until < valid_from:
        raise RowError("dates_out_of_order", "certificate_validate_end", "the last day is before the first")
    items = row.get("business_information", {})
    if not isinstance(items, dict):
        raise RowError("member_invalid", "business_information", "an object of data items")
    _refuse_controls(items, "business_information")
    area = row.get("certificate_area_code")
    if area is not None and not (isinstance(area, str) and re.fullmatch("[0-9]{6}", area)):
        raise RowError("member_invalid", "certificate_area_code", "6 digits")
    names_predecessor = operate_type is OperateType.TRANSFER_IN or "associated_certificate_identifier" in row
    return LicenceContent(
        type_code=members.text(row, "certificate_type_code", 64),
        identifier=None
        if _is_empty(row, "certificate_identifier")
        else members.text(row, "certificate_identifier", 128),
        number=members.text(row, "certificate_number", 128),
        authority_code=members.text(row, "certificate_issuing_authority_code", 18),
        area_code=area,
        issued_on=issued_on,
        valid_from=valid_from,
        valid_until=valid_until,
        holders=_parties(row, "holder"),
        items=items,
        representatives=_parties(row, "representative") if "certificate_representatives" in row else (),
        predecessor_identifier=members.text(row, "associated_certificate_identifier", 128)
        if names_predecessor
        else None,
    )


def _parties(row: Mapping[str, Any], role: str) -> tuple[HolderEntry, ...]:
    """The persons or organisations that a row names as `holder` or as `representative`."""
    member = f"certificate_{role}s"
    parties = row.get(member)
    if not isinstance(parties, list) or not 1 <= len(parties) <= MAX_HOLDERS:
        raise RowError("member_invalid", member, f"an array of 1 to {MAX_HOLDERS} {role}s")
    entries = tuple(_party(party, role, f"{member}[{at}]") for at, party in enumerate(parties))
    if len({(entry.code_type, entry.code) for entry in entries}) != len(entries):
        raise RowError("member_invalid", member, f"a {role} is named twice")
    return entries


def _party(value: object, role: str, at: str) -> HolderEntry:
    if not isinstance(value, dict):
        raise RowError("member_invalid", at, f"a {role} is an object")
    prefix = f"certificate_{role}"
    members.refuse_unknown(value, {f"{prefix}_name", f"{prefix}_code", f"{prefix}_type", "mobile"}, f"{at}.")
    name = members.text(value, f"{prefix}_name", 512, at)
    code_type = members.text(value, f"{prefix}_type", 3, at)
    code = holder_code(code_type, members.text(value, f"{prefix}_code", 64, at), f"{at}.{prefix}_code")
    mobile = value.get("mobile")
    if mobile is not None and not (isinstance(mobile, str) and _MOBILE.fullmatch(mobile)):
        raise RowError("member_invalid", f"{at}.mobile", "E.164, as +8613812345678")
    return HolderEntry(name=name, code_type=code_type, code=code, mobile=mobile)


def holder_code(code_type: str, code: str, field: str = "certificate_holder_code") -> str:
    """The normal form of an identity number: check digits of resident IDs and USCCs are verified.

    Raises:
        RowError: `holder_code_invalid`; the number itself is never in the detail.
    """
    if not re.fullmatch(r"[0-9]{3}", code_type):
        raise RowError("member_invalid", field, "the holder's code type has 3 digits (GB/T 36903 appendix A)")
    try:
        if code_type == RESIDENT_ID:
            return _resident_id(code)
        if code_type == UNIFIED_SOCIAL_CREDIT_CODE:
            return str(uscc.validate(code))
    except ValidationError as error:
        raise RowError("holder_code_invalid", field, "the check digit or the form is wrong") from error
    normal = "".join(unicodedata.normalize("NFKC", code).split()).upper()  # full-width letters, spaces in between
    if not _OTHER_CODE.fullmatch(normal):
        raise RowError("holder_code_invalid", field, "1 to 40 letters and digits")
    return normal


def _resident_id(code: str) -> str:
    """A resident's number (GB 11643): 17 digits with a day of birth, and their check character.

    Not checked: whether the district stood when the holder was born (`district_is_known`). Who was registered late has
    the number of a district that is younger than they are.

    Raises:
        ValidationError: the form, the check character or the day of birth.
    """
    number: str = code if _RESIDENT_ID.fullmatch(code) else ric.compact(code)
    if not _RESIDENT_ID.fullmatch(number):
        raise InvalidFormat
    if number[-1] != ric.calc_check_digit(number):
        raise InvalidChecksum
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError as error:
        raise InvalidComponent from error
    return number


def district_is_known(resident_id: str) -> bool:
    """Whether the first six digits were a district in the holder's year of birth, as far as our list of them goes."""
    return _district_stood(resident_id[:6], resident_id[6:10])


@lru_cache(maxsize=65_536)  # districts times years; nothing in it names a person
def _district_stood(district: str, year: str) -> bool:
    try:
        ric.get_birth_place(f"{district}{year}0101")
    except ValidationError:
        return False
    return True


def _is_empty(row: Mapping[str, Any], member: str) -> bool:
    return row.get(member) is None or row[member] == ""


def _last_day(row: Mapping[str, Any]) -> date | None:
    """The last day of validity, or None for a long-term licence."""
    if _is_empty(row, "certificate_validate_end"):
        return None
    long_term = row["certificate_validate_end"] in LONG_TERM
    return None if long_term else members.day(row, "certificate_validate_end")


def _refuse_controls(value: Mapping[str, object] | Sequence[object], field: str, depth: int = 0) -> None:
    """Look at all texts of one level with one search: a licence has a dozen of them."""
    if depth > MAX_DEPTH:
        raise RowError("member_invalid", field, f"nested deeper than {MAX_DEPTH} levels")
    parts = [*value, *value.values()] if isinstance(value, dict) else value
    texts = [part for part in parts if isinstance(part, str)]
    if max(map(len, texts), default=0) > MAX_TEXT or members.CONTROL.search("".join(texts)):
        raise RowError(
            "member_invalid", field, f"text of at most {MAX_TEXT} characters, none of control and none invisible"
        )
    for part in parts:
        if isinstance(part, dict | list):
            _refuse_controls(part, field, depth + 1)


def row_of(licence: Licence, certificate_type_code: str) -> dict[str, object]:
    """The row (01) that would bring in a licence as it stands, in the store's normal form. Mobiles are left out."""
    row: dict[str, object | None] = {
        "source_record_id": licence.source_record_id,
        "source_version": licence.source_version,
        "operate_type": OperateType.ISSUE.value,
        "certificate_type_code": certificate_type_code,
        "certificate_identifier": licence.identifier,
        "certificate_number": licence.number,
        "certificate_issuing_authority_code": licence.authority_code,
        "certificate_area_code": licence.area_code,
        "certificate_issued_date": licence.issued_on.isoformat(),
        "certificate_validate_start": licence.valid_from.isoformat(),
        "certificate_validate_end": licence.valid_until and licence.valid_until.isoformat(),
        "certificate_holders": _named(licence.holders, "holder"),
        "certificate_representatives": _named(licence.representatives, "representative") or None,
        "business_information": dict(licence.items),
    }
    return {member: value for member, value in row.items() if value is not None}


def _named(parties: Sequence[HolderEntry], role: str) -> list[dict[str, str]]:
    prefix = f"certificate_{role}"
    return [
        {f"{prefix}_name": party.name, f"{prefix}_code": party.code, f"{prefix}_type": party.code_type}
        for party in parties
    ]
