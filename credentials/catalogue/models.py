"""A licence type, as its type pack describes it. Values only; the pack's form is in PACKS.md."""

import base64
import binascii
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from credentials.catalogue.errors import ItemError

ITEM_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")  # also a valid svg_id (SD-JWT VC §9)
MAX_SAFE_INTEGER: Final = 2**53 - 1  # what JSON readers in JavaScript hold exactly (RFC 8259 §6)
_CONTROL_OR_SURROGATE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # Unicode categories Cc and Cs
_DATA_URI = re.compile(r"data:image/(jpeg|png);base64,([A-Za-z0-9+/]+={0,2})")
_IMAGE_STARTS = {"jpeg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n"}
MAX_IMAGE_CHARS: Final = 40_000  # of the data URI: a portrait of 30 kB; a row of an intake must hold it beside the rest
_ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class LocalisedText:
    """The same words in Chinese (zh-CN) and English."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class CommonClaim:
    """A claim that every licence has whatever its type, always at the top level of the credential."""

    name: str
    label: LocalisedText


COMMON_CLAIMS: Final = (
    CommonClaim("holder_name", LocalisedText("持证主体", "Holder")),  # several holders joined with 、
    CommonClaim("certificate_number", LocalisedText("证照编号", "Licence number")),
    CommonClaim("issuing_authority_name", LocalisedText("发证机关", "Issuing authority")),
    CommonClaim("certificate_identifier", LocalisedText("证照标识", "Licence identifier")),
    CommonClaim("issued_on", LocalisedText("发证日期", "Date of issue")),  # YYYY-MM-DD
    CommonClaim("valid_until", LocalisedText("有效期至", "Valid until")),  # YYYY-MM-DD, the last day; null: long-term
)


class CertState(StrEnum):
    """certState of the type standards (C 0293-2024): what a licence can be."""

    VALID = "01"  # 有效
    SUSPENDED = "02"  # 暂扣
    WITHDRAWN = "03"  # 撤销
    CANCELLED = "04"  # 注销
    LAPSED = "05"  # 失效
    TRANSFERRING_OUT = "06"  # 办理转出
    REVOKED = "07"  # 吊销
    OTHER = "99"  # 其他


class HolderCategory(StrEnum):
    """持证主体类别: who may hold a licence of the type."""

    PERSON = "person"
    ORGANISATION = "organisation"
    EITHER = "either"


class HolderCodeType(StrEnum):
    """持证主体代码类型 (GB/T 36903 annex A): what the holder's code is."""

    USCC = "001"  # 统一社会信用代码
    OTHER_ORGANISATION = "099"
    RESIDENT_ID = "111"  # 公民身份号码
    OFFICER = "114"
    POLICE_OFFICER = "115"
    SOLDIER = "118"
    POLICE_SOLDIER = "119"
    CIVILIAN_STAFF = "120"
    POLICE_CIVILIAN_STAFF = "122"
    DIPLOMATIC_PASSPORT = "411"
    SERVICE_PASSPORT = "412"
    PUBLIC_AFFAIRS_PASSPORT = "413"
    PASSPORT = "414"
    TAIWAN_PERMIT = "511"
    HONG_KONG_MACAO_PERMIT = "516"
    OTHER_PERSON = "999"

    @property
    def of_organisation(self) -> bool:
        """Whether such a code names an organisation; all others name natural persons."""
        return self.value.startswith("0")


class AuthorityLevel(StrEnum):
    """机构层级."""

    NATIONAL = "national"
    PROVINCIAL = "provincial"
    PREFECTURAL = "prefectural"
    COUNTY = "county"
    TOWNSHIP = "township"
    OTHER = "other"


class ItemType(StrEnum):
    """JSON type of a data item; `date` is text `YYYY-MM-DD`, `enum` one of the pack's values, `image` a data URI."""

    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DATE = "date"
    STRING_ARRAY = "array-of-string"
    ENUM = "enum"
    IMAGE = "image"


class MaskRule(StrEnum):
    """How a personal item is shown where it must be recognised but not read."""

    NAME = "name"
    NUMBER = "number"
    ADDRESS = "address"
    ALL = "all"

    def apply(self, text: str) -> str:
        """The masked text, as long as the text itself.

        NAME and NUMBER are presentation/FORMAT.md §3.2; ADDRESS keeps the first 6 characters (province and
        district, as in 上海市徐汇区) but never more than half; ALL keeps nothing.
        """
        match self:
            case MaskRule.NAME:
                head, tail = 1, 0
            case MaskRule.NUMBER:
                head, tail = (2, 2) if len(text) > 8 else (0, 2)
            case MaskRule.ADDRESS:
                head, tail = min(6, len(text) // 2), 0
            case MaskRule.ALL:
                head, tail = 0, 0
        hidden = max(len(text) - head - tail, 0)
        return text[:head] + "*" * hidden + text[head + hidden :]


@dataclass(frozen=True, slots=True)
class EnumValue:
    """One allowed value; the value itself is what is printed on the licence."""

    value: str
    label: LocalisedText


@dataclass(frozen=True, slots=True)
class DataItem:
    """One data item (信息项) of a type.

    Attributes:
        max_length: characters of the string, or of each string of an array; 0 for the other types.
        max_items: strings in an array; 0 for the other types.
        on_face: drawn on the licence's face.
        face_key: its integer key in a show pass (presentation/FORMAT.md §3.1), None when a pass does not carry it.
        selectively_disclosable: its own disclosure in the SD-JWT VC; otherwise visible to every reader.
        elements_disclosable: an array whose elements are disclosed one by one.
        mask: None for an item that is not personal.
        example: a made-up value that `check` accepts, for specimens and samples; None when the pack gives none.
    """

    name: str
    label: LocalisedText
    type: ItemType
    required: bool
    pattern: str | None
    max_length: int
    max_items: int
    minimum: int
    maximum: int
    values: tuple[EnumValue, ...]
    on_face: bool
    face_key: int | None
    selectively_disclosable: bool
    elements_disclosable: bool
    mask: MaskRule | None
    example: object

    def check(self, value: object) -> object:
        """The value, if it fits this item; an array comes back as a new list.

        Raises:
            ItemError: with this item's name.
        """
        match self.type:
            case ItemType.STRING:
                return self._check_string(value)
            case ItemType.ENUM:
                return self._check_listed(value)
            case ItemType.DATE:
                return self._check_date(value)
            case ItemType.INTEGER:
                return self._check_integer(value)
            case ItemType.BOOLEAN:
                if not isinstance(value, bool):
                    raise self._wrong_type("true or false")
                return value
            case ItemType.STRING_ARRAY:
                return self._check_array(value)
            case ItemType.IMAGE:
                return self._check_image(value)

    def _check_array(self, value: object) -> list[str]:
        if not isinstance(value, list | tuple):
            raise self._wrong_type("an array of strings")
        if not value:
            raise ItemError(self.name, "item_not_allowed", "an empty array: leave the item out")
        if len(value) > self.max_items:
            raise ItemError(self.name, "item_too_long", f"more than {self.max_items} elements")
        check = self._check_listed if self.values else self._check_string
        return [check(element) for element in value]

    def _check_string(self, value: object) -> str:
        if not isinstance(value, str):
            raise self._wrong_type("a string")
        if len(value) > self.max_length:
            raise ItemError(self.name, "item_too_long", f"more than {self.max_length} characters")
        if not value.strip():
            raise ItemError(self.name, "item_not_allowed", "an empty string: leave the item out")
        # Control characters have no place on a licence, and lone surrogates cannot be written as UTF-8.
        if _CONTROL_OR_SURROGATE.search(value):
            raise ItemError(self.name, "item_not_allowed", "holds control characters or lone surrogates")
        if self.pattern is not None and not re.fullmatch(self.pattern, value, re.ASCII):
            raise ItemError(self.name, "item_not_allowed", "does not match the type's pattern")
        return value

    def _check_listed(self, value: object) -> str:
        if not isinstance(value, str):
            raise self._wrong_type("a string")
        for listed in self.values:
            if listed.value == value:
                return value
        raise ItemError(self.name, "item_not_allowed", "is not one of the type's values")

    def _check_date(self, value: object) -> str:
        if not isinstance(value, str):
            raise self._wrong_type("a string YYYY-MM-DD")
        try:
            if not _ISO_DAY.fullmatch(value):
                raise ValueError
            date.fromisoformat(value)
        except ValueError as error:
            raise ItemError(self.name, "item_not_allowed", "is not a calendar day YYYY-MM-DD") from error
        return value

    def _check_image(self, value: object) -> str:
        if not isinstance(value, str):
            raise self._wrong_type("a data URI")
        if len(value) > MAX_IMAGE_CHARS:
            raise ItemError(self.name, "item_too_long", f"more than {MAX_IMAGE_CHARS} characters")
        found = _DATA_URI.fullmatch(value)
        try:
            if found is None or not base64.b64decode(found[2], validate=True).startswith(_IMAGE_STARTS[found[1]]):
                raise ValueError
        except (ValueError, binascii.Error) as error:
            raise ItemError(self.name, "item_not_allowed", "is no JPEG or PNG as a base64 data URI") from error
        return value

    def _check_integer(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong_type("an integer")
        if not self.minimum <= value <= self.maximum:
            raise ItemError(self.name, "item_not_allowed", f"outside {self.minimum} … {self.maximum}")
        return value

    def _wrong_type(self, expected: str) -> ItemError:
        return ItemError(self.name, "item_wrong_type", f"must be {expected}")


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority (机构): its name and its 统一社会信用代码."""

    name: LocalisedText
    code: str
    level: AuthorityLevel
    area_code: str | None  # GB/T 2260, 6 digits; None for the defining authority


@dataclass(frozen=True, slots=True)
class ValidityPolicy:
    """有效期限范围: which terms the authority may grant. It describes: a change keeps the old end, an age limit
    shortens it, so a licence outside these terms is a question for the authority, not an error.

    Attributes:
        years: fixed terms.
        long_term: no end is allowed.
        free: any end is allowed.
    """

    years: tuple[int, ...]
    long_term: bool
    free: bool
    source: LocalisedText


class LeadUnit(StrEnum):
    """Unit of a lead time. Working days need the holder's city's calendar."""

    DAYS = "days"
    WORKING_DAYS = "working-days"
    MONTHS = "months"


@dataclass(frozen=True, slots=True)
class LeadTime:
    """A time before a licence's last valid day."""

    amount: int
    unit: LeadUnit

    @property
    def about_days(self) -> float:
        """About how many days that is."""
        return self.amount * {LeadUnit.DAYS: 1, LeadUnit.WORKING_DAYS: 1.45, LeadUnit.MONTHS: 30.4}[self.unit]


@dataclass(frozen=True, slots=True)
class RenewalWindow:
    """When a renewal may be applied for, and the rule that says so.

    Attributes:
        opens: None when one may apply at any time.
        closes: amount 0 means until the last valid day.
    """

    opens: LeadTime | None
    closes: LeadTime
    source: LocalisedText


class StageBase(StrEnum):
    """What a reminder is counted from."""

    END = "end"
    OPENS = "opens"
    CLOSES = "closes"


@dataclass(frozen=True, slots=True)
class ReminderStage:
    """One reminder, so long before the last valid day, or before the renewal window opens or closes."""

    stage: str
    before: LeadTime
    name: LocalisedText
    counted_from: StageBase = StageBase.END

    def about_days(self, renewal: RenewalWindow | None) -> float:
        """About how many days before the last valid day: by which stages are put in order."""
        base = renewal and {StageBase.OPENS: renewal.opens, StageBase.CLOSES: renewal.closes}.get(self.counted_from)
        return self.before.about_days + (base.about_days if base else 0)


@dataclass(frozen=True, slots=True)
class Scene:
    """亮证场景: an occasion on which the licence may be shown, and what it may show then.

    Attributes:
        items: names of common claims and data items.
        photo: whether the holder's photo is released (online only: a pass does not carry it).
        offline: whether a check without a network is enough.
    """

    code: str
    name: LocalisedText
    items: tuple[str, ...]
    photo: bool
    offline: bool
    legal_basis: LocalisedText


@dataclass(frozen=True, slots=True)
class Matter:
    """事项: a service for which this licence need not be submitted on paper (证照—事项清单)."""

    code: str
    name: LocalisedText


@dataclass(frozen=True, slots=True)
class TextBox:
    """How much room a face leaves for one value.

    Attributes:
        x, font_size, line_height: in the drawing's units.
        columns: full-width characters in a line.
    """

    x: float
    font_size: float
    columns: float
    lines: int
    line_height: float


@dataclass(frozen=True, slots=True)
class Face:
    """The drawn face of a type.

    Attributes:
        svg: the template, exactly the bytes that are served and hashed.
        slots: for each placeholder in the order of the document its box, None for one that does not wrap.
        orientation: `landscape` or `portrait`.
        background_color, text_color: `#rrggbb`, for wallets that draw a plain card.
    """

    svg: bytes
    slots: tuple[TextBox | None, ...]
    orientation: str
    background_color: str
    text_color: str


@dataclass(frozen=True, slots=True)
class KeyAttestationDemand:
    """How well a wallet's keys must be kept (OpenID4VCI 1.0 §12.2.4, appendix D.2).

    Attributes:
        key_storage, user_authentication: any of these will do; empty asks for an attestation whatever it says.
    """

    key_storage: tuple[str, ...]
    user_authentication: tuple[str, ...]

    def is_met_by(self, key_storage: Collection[str], user_authentication: Collection[str]) -> bool:
        """Whether an attestation that claims these levels is good enough."""
        return all(
            not demanded or any(level in claimed for level in demanded)
            for demanded, claimed in ((self.key_storage, key_storage), (self.user_authentication, user_authentication))
        )

    def to_object(self) -> dict[str, list[str]]:
        """As `key_attestations_required` says it."""
        named = {"key_storage": list(self.key_storage), "user_authentication": list(self.user_authentication)}
        return {name: values for name, values in named.items() if values}


@dataclass(frozen=True, slots=True)
class LicenceType:
    """One version of a licence type, ready to be used: every rule of PACKS.md holds.

    Attributes:
        represented_by: the item that prints who may act for the holding organisation; None when a licence of this type
            gives nobody that power.
    """

    code: str
    version: int
    name: LocalisedText
    certificate_type_code: str
    defining_authority: Authority
    issuing_authorities: tuple[Authority, ...]
    holder_category: HolderCategory
    holder_code_types: tuple[HolderCodeType, ...]
    joint_holders: bool
    represented_by: str | None
    photo: bool
    common_claims: tuple[CommonClaim, ...]
    items: tuple[DataItem, ...]
    example_number: str  # a made-up 证照编号 in the form that the type's numbers have
    validity: ValidityPolicy
    states: tuple[CertState, ...]
    renewal: RenewalWindow | None
    reminders: tuple[ReminderStage, ...]
    scenes: tuple[Scene, ...]
    matters: tuple[Matter, ...]
    face: Face
    needs_release: bool  # by a clerk of the issuing authority, before a wallet gets a credential
    key_attestation: KeyAttestationDemand | None  # None: keys need no attestation

    def vct(self, public_url: str) -> str:
        """The type's `vct`: the URL of its Type Metadata. `public_url` has no trailing slash."""
        return f"{public_url}/types/{self.code}/{self.version}"

    def check_items(self, items: Mapping[str, object]) -> dict[str, object]:
        """A licence's data items, in the type's order, if they fit the type.

        Values are JSON as parsed: nothing is converted, `"1"` is not an integer and `true` is not 1.

        Raises:
            ItemError: the first item that does not fit; `item_missing`, `item_unknown`, `item_wrong_type`,
                `item_not_allowed` or `item_too_long`.
        """
        known = {item.name for item in self.items}
        for name in items:
            if name not in known:
                named = isinstance(name, str) and ITEM_NAME.fullmatch(name)
                raise ItemError(name if named else "", "item_unknown", "the type has no such item")
        checked: dict[str, object] = {}
        for item in self.items:
            if item.name in items:
                checked[item.name] = item.check(items[item.name])
            elif item.required:
                raise ItemError(item.name, "item_missing", "the type requires this item")
        return checked
