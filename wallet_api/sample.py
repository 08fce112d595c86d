"""A believable, deterministic sample of a city: rows as departments would send them, with valid check digits.

The people and companies are made up; identity numbers are valid in form and drawn at random. What a type's items look
like is the type pack's business: rows vary its examples where a holder's own data belongs. Some licences end within a
month, so that there is something to remind of.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count, cycle
from typing import Any

from stdnum.cn import ric, uscc

from credentials.catalogue import Catalogue, LicenceType
from credentials.catalogue.errors import ItemError
from credentials.catalogue.models import CertState, DataItem, HolderCategory, ItemType, MaskRule

SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红建国志文海波宁欣怡子涵梓轩浩然雨桐思远嘉懿晨曦"
DISTRICTS = ("黄浦区", "徐汇区", "长宁区", "静安区", "浦东新区")
OLD_DISTRICTS = ("310101", "310104", "310105", "310106")  # those that stood when the oldest holder was born
ROADS = ("人民大道", "南京西路", "淮海中路", "华山路", "四川北路", "世纪大道", "肇嘉浜路", "延安西路", "陆家嘴环路")
BRANDS = ("申禾", "浦悦", "沪鲜", "东方味", "海纳", "弄堂里", "明珠", "百川", "云栖", "外滩", "梧桐里", "新天")
TRADES = ("餐饮管理", "食品", "科技", "贸易", "物流", "建筑装饰", "文化传播", "信息技术")
EVERY_FOURTH = "driving-licence"  # the tour and many scenes are about drivers
ENDING_SOON = 12  # one in so many of the limited licences ends within a month
MOST_REPRESENTATIVES = 10_000  # of the residents may lead a company; a list that stays small in a city of millions
FATES = {
    "nothing": 70,
    "renewed": 10,
    "changed": 6,
    "suspended": 5,
    "lapsed": 3,
    "revoked": 2,
    "cancelled": 3,
    "withdrawn": 1,
}  # of a hundred licences
ENDED_AS = {"revoked": CertState.REVOKED, "cancelled": CertState.CANCELLED, "withdrawn": CertState.WITHDRAWN}
CREDIT_CODE_CHARACTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100-2015 leaves out I O S V Z
RESIDENT_ID, CREDIT_CODE = "111", "001"  # GB/T 36903 appendix A


@dataclass(frozen=True)
class _Holder:
    name: str
    code_type: str
    code: str
    mobile: str

    @property
    def is_person(self) -> bool:
        return self.code_type == RESIDENT_ID


@dataclass
class City:
    """Draws rows; the same seed and day give the same rows.

    Args:
        today: a Shanghai day; dates are spread around it.
    """

    catalogue: Catalogue
    seed: int
    today: date

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._residents: list[_Holder] = []

    def rows(self, good: int, *, wrong: int = 0) -> Iterator[dict[str, Any]]:
        """`good` rows of every type, and `wrong` ones that must be refused, mixed in among them."""
        others = cycle(self.catalogue.types())
        broken = set(self._random.sample(range(good + wrong), wrong))
        for number in range(good + wrong):
            kind = next(others) if number % 4 else self.catalogue.get(EVERY_FOURTH)
            row = self.row(kind, number)
            yield self._spoilt(row) if number in broken else row

    def lives(self, holders: int, *, wrong: int = 0) -> Iterator[list[dict[str, Any]]]:
        """Holder by holder the rows of all their licences, each record's from its first issue to today.

        Every fourth is an organisation. `wrong` rows that must be refused lie among them.
        """
        spoilt, records = Counter(self._random.choices(range(holders), k=wrong)), count()
        for number in range(holders):
            holder = self._organisation() if number % 4 == 3 else self._person()
            kinds = [kind for kind in self.catalogue.types() if holder.code_type in kind.holder_code_types]
            rows: list[dict[str, Any]] = []
            for kind in self._random.sample(kinds, min(self._random.choice((1, 1, 2, 2, 3, 4)), len(kinds))):
                together = [holder, self._resident()] if kind.joint_holders and self._residents else [holder]
                rows += self._history(kind, self.row(kind, next(records), list(dict.fromkeys(together))))
            for _ in range(spoilt[number]):
                rows.append(self._spoilt(self.row(self.catalogue.get(EVERY_FOURTH), next(records))))
            yield rows

    def _history(self, kind: LicenceType, row: dict[str, Any]) -> list[dict[str, Any]]:
        """What became of a licence since its first issue: of most nothing, otherwise what its type allows."""
        happened, *_ = self._random.choices(list(FATES), list(FATES.values()))
        start, last = row["certificate_validate_start"], row["certificate_validate_end"]
        if happened in ("renewed", "lapsed") and last is not None and CertState.LAPSED in kind.states:
            term = date.fromisoformat(last) - date.fromisoformat(start)
            before = (date.fromisoformat(start) - term).isoformat()
            earlier = {"certificate_issued_date": before, "certificate_validate_start": before}
            first = row | earlier | {"certificate_validate_end": start}
            if happened == "renewed":
                return [first, row | {"operate_type": "02", "source_version": 2}]
            return [first, _step(row, 2, "04", "有效期届满未延续")] if start < self.today.isoformat() else [row]
        if happened == "changed":
            return [row, row | {"operate_type": "09", "source_version": 2, "reason": "登记事项变更"}]
        if happened == "suspended" and CertState.SUSPENDED in kind.states:
            held, back = _step(row, 2, "03", "依法暂扣"), _step(row, 3, "06", "暂扣期满发还")
            return [row, held, back] if self._random.random() < 0.3 else [row, held]
        if happened in ENDED_AS and ENDED_AS[happened] in kind.states:
            return [row, _step(row, 2, "05", "依法办理") | {"cert_state": ENDED_AS[happened].value}]
        return [row]

    def row(self, kind: LicenceType, number: int, holders: Sequence[_Holder] = ()) -> dict[str, Any]:
        """A first issue (01) of one licence of a type; `number` makes its record id, without `holders` they are new."""
        holders = holders or self._holders(kind)
        authority = self._random.choice(kind.issuing_authorities)
        issued_on, last = self._dates(kind, number)
        items = {item.name: self._value(item, holders[0]) for item in kind.items if item.example is not None}
        row: dict[str, Any] = {
            "source_record_id": f"{kind.code}-{self.seed}-{number:07}",
            "source_version": 1,
            "operate_type": "01",
            "certificate_type_code": kind.certificate_type_code,
            "certificate_number": self._number(kind.example_number, holders[0]),
            "certificate_issuing_authority_code": authority.code,
            "certificate_area_code": authority.area_code,
            "certificate_issued_date": issued_on.isoformat(),
            "certificate_validate_start": issued_on.isoformat(),
            "certificate_validate_end": last and last.isoformat(),
            "certificate_holders": [self._named(holder, "holder") | {"mobile": holder.mobile} for holder in holders],
            "business_information": items,
        }
        if kind.represented_by and not holders[0].is_person:
            person = self._resident()
            items[kind.represented_by] = person.name
            row["certificate_representatives"] = [self._named(person, "representative")]
        return row

    def _named(self, holder: _Holder, role: str) -> dict[str, str]:
        prefix = f"certificate_{role}"
        return {f"{prefix}_name": holder.name, f"{prefix}_code": holder.code, f"{prefix}_type": holder.code_type}

    def _resident(self) -> _Holder:
        """Somebody who holds a licence already, where there is anybody: a legal representative has a wallet."""
        return self._random.choice(self._residents) if self._residents else self._person()

    def _holders(self, kind: LicenceType) -> list[_Holder]:
        personal = kind.holder_category is not HolderCategory.ORGANISATION
        if kind.holder_category is HolderCategory.EITHER:
            personal = self._random.random() < 0.5
        if not personal:
            return [self._organisation()]
        return [self._person() for _ in range(2 if kind.joint_holders else 1)]

    def _dates(self, kind: LicenceType, number: int) -> tuple[date, date | None]:
        """First day and last day, within the type's terms."""
        terms = kind.validity.years or ((5,) if kind.validity.free and not kind.validity.long_term else ())
        if not terms:
            return self._day(-20 * 365, -30), None
        term = timedelta(days=365 * self._random.choice(terms))
        last = self._day(3, 29) if number % ENDING_SOON == 0 else self._day(40, max(term.days, 41))
        return last - term, last

    def _value(self, item: DataItem, holder: _Holder) -> object:
        """The pack's example, or the holder's own data where the item is about the holder."""
        value = item.example
        if item.name == "birth_date" and item.type is ItemType.DATE and holder.is_person:
            value = f"{holder.code[6:10]}-{holder.code[10:12]}-{holder.code[12:14]}"
        elif item.name == "sex" and holder.is_person:
            value = "男" if int(holder.code[16]) % 2 else "女"
        elif item.type is ItemType.STRING and isinstance(value, str):
            value = self._text(item, value, holder)
        try:
            return item.check(value)
        except ItemError:  # a drawn value that this type does not take
            return item.example

    def _text(self, item: DataItem, example: str, holder: _Holder) -> str:
        if ric.is_valid(example) and holder.is_person:
            return holder.code
        if uscc.is_valid(example) and not holder.is_person:
            return holder.code
        if item.mask is MaskRule.NAME:
            return self._name()
        return self._address() if item.mask is MaskRule.ADDRESS else example

    def _number(self, example: str, holder: _Holder) -> str:
        """In the example's form: the holder's own code where it is one, else with its last digits drawn anew."""
        if ric.is_valid(example) and holder.is_person:
            return holder.code
        if uscc.is_valid(example) and not holder.is_person:
            return holder.code
        *_, last = re.finditer("[0-9]+", example)
        drawn = f"{self._random.randrange(10 ** len(last[0])):0{len(last[0])}}"
        return example[: last.start()] + drawn + example[last.end() :]

    def _spoilt(self, row: dict[str, Any]) -> dict[str, Any]:
        holder = row["certificate_holders"][0]
        wrong: dict[str, Any] = self._random.choice(
            (
                {"certificate_holders": [holder | {"certificate_holder_code": "310101199001010000"}]},
                {"certificate_type_code": "11100000000000000XZ99"},
                {"certificate_validate_end": "2026-02-30"},
                {"business_information": {}},
                {"operate_type": "02"},
            )
        )
        return row | wrong

    def _person(self) -> _Holder:
        born = self._day(-65 * 365, -19 * 365)
        body = f"{self._random.choice(OLD_DISTRICTS)}{born:%Y%m%d}{self._random.randrange(1000):03}"
        code = body + str(ric.calc_check_digit(body + "0"))
        person = _Holder(self._name(), RESIDENT_ID, code, self._mobile())
        if len(self._residents) < MOST_REPRESENTATIVES:
            self._residents.append(person)
        return person

    def _organisation(self) -> _Holder:
        body = "91310000MA" + "".join(self._random.choices(CREDIT_CODE_CHARACTERS, k=7))
        name = f"上海{self._random.choice(BRANDS)}{self._random.choice(BRANDS)}{self._random.choice(TRADES)}有限公司"
        return _Holder(name, CREDIT_CODE, body + str(uscc.calc_check_digit(body)), self._mobile())

    def _mobile(self) -> str:
        return f"+86199{self._random.randrange(10**8):08}"

    def _name(self) -> str:
        given = "".join(self._random.choices(GIVEN, k=self._random.choice((1, 2, 2))))
        return self._random.choice(SURNAMES) + given

    def _address(self) -> str:
        district = self._random.choice(DISTRICTS)
        return f"上海市{district}{self._random.choice(ROADS)}{self._random.randrange(1, 2000)}号"

    def _day(self, earliest: int, latest: int) -> date:
        return self.today + timedelta(days=self._random.randrange(earliest, latest))


def _step(row: Mapping[str, Any], version: int, operate_type: str, reason: str) -> dict[str, Any]:
    """A row that only moves the state of the licence that `row` brought."""
    return {
        "source_record_id": row["source_record_id"],
        "source_version": version,
        "operate_type": operate_type,
        "reason": reason,
    }
