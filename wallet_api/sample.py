"""A believable, deterministic sample of a city: rows as departments would send them, with valid check digits.

The people and companies are made up; identity numbers are valid in form and drawn at random. Some licences end within a
month, so that there is something to remind of.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from stdnum.cn import ric, uscc

from credentials.catalogue import Catalogue, LicenceType

SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆"
)
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红建国志文海波宁欣怡子涵梓轩浩然雨桐思远嘉懿晨曦"
DISTRICTS = {"310101": "黄浦区", "310104": "徐汇区", "310105": "长宁区", "310106": "静安区", "310115": "浦东新区"}
OLD_DISTRICTS = ("310101", "310104", "310105", "310106")  # those that stood when the oldest holder was born
ROADS = ("人民大道", "南京西路", "淮海中路", "华山路", "四川北路", "世纪大道", "肇嘉浜路", "延安西路", "陆家嘴环路")
BRANDS = ("申禾", "浦悦", "沪鲜", "东方味", "海纳", "弄堂里", "明珠", "百川", "云栖", "外滩", "梧桐里", "新天")
TRADES = ("餐饮管理", "食品", "科技", "贸易", "物流", "建筑装饰", "文化传播", "信息技术")
CLASSES = ("C1", "C1", "C1", "C2", "B2", "A2D", "C1E")


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

    def rows(self, count: int, *, wrong: int = 0) -> Iterator[dict[str, Any]]:
        """`count` good rows of all three kinds, and `wrong` ones that must be refused, mixed in among them."""
        makers = (self._driving, self._driving, self._food, self._business)
        broken = set(self._random.sample(range(count + wrong), wrong))
        for number in range(count + wrong):
            row = makers[number % len(makers)](number)
            yield self._spoilt(row) if number in broken else row

    def _driving(self, number: int) -> dict[str, Any]:
        born = self._day(-65 * 365, -19 * 365)
        name, code = self._person(born)
        first = born + timedelta(days=self._random.randrange(18 * 366, 19 * 366))
        return self._row(
            self.catalogue.get("driving-licence"),
            number,
            years=self._random.choice((6, 10)),
            certificate_number=code,
            holders=[self._holder(name, code, "111")],
            items={
                "sex": self._sex(code),
                "nationality": "中国",
                "address": self._address(),
                "birth_date": born.isoformat(),
                "first_issue_date": first.isoformat(),
                "vehicle_class": self._random.choice(CLASSES),
                "file_number": f"3100{self._random.randrange(10**8):08}",
            },
        )

    def _food(self, number: int) -> dict[str, Any]:
        name, code = self._organisation()
        return self._row(
            self.catalogue.get("food-business-licence"),
            number,
            years=5,
            certificate_number=f"JY{self._random.randrange(10**14):014}",
            holders=[self._holder(name, code, "001")],
            items={
                "unified_social_credit_code": code,
                "legal_representative": self._name(),
                "domicile": self._address(),
                "premises": self._address(),
                "business_type": self._random.choice(("食品销售经营者", "餐饮服务经营者")),
                "business_items": self._random.sample(
                    ["预包装食品销售", "热食类食品制售", "冷食类食品制售", "自制饮品制售"], 2
                ),
                "complaint_hotline": "12315",
            },
        )

    def _business(self, number: int) -> dict[str, Any]:
        name, code = self._organisation()
        founded = self._day(-20 * 365, -30)
        return self._row(
            self.catalogue.get("business-licence"),
            number,
            years=None,
            certificate_number=code,
            holders=[self._holder(name, code, "001")],
            items={
                "unified_social_credit_code": code,
                "entity_type": "有限责任公司（自然人投资或控股）",
                "legal_representative": self._name(),
                "registered_capital": f"人民币{self._random.choice((50, 100, 500, 1000))}.0000万元整",
                "established_on": founded.isoformat(),
                "domicile": self._address(),
                "business_scope": "一般项目：技术服务、技术开发、技术咨询；日用百货销售；餐饮管理。",
            },
            issued_on=founded,
        )

    def _row(
        self,
        kind: LicenceType,
        number: int,
        *,
        years: int | None,
        certificate_number: str,
        holders: Sequence[dict[str, str]],
        items: dict[str, object],
        issued_on: date | None = None,
    ) -> dict[str, Any]:
        authority = self._random.choice(kind.issuing_authorities)
        last = None
        if years is not None:
            soon = number % 12 == 0  # one in twelve ends within a month
            last = self._day(3, 29) if soon else self._day(40, 365 * years)
            issued_on = last - timedelta(days=365 * years)
        assert issued_on is not None
        return {
            "source_record_id": f"{kind.code}-{self.seed}-{number:07}",
            "source_version": 1,
            "operate_type": "01",
            "certificate_type_code": kind.certificate_type_code,
            "certificate_number": certificate_number,
            "certificate_issuing_authority_code": authority.code,
            "certificate_area_code": authority.area_code,
            "certificate_issued_date": issued_on.isoformat(),
            "certificate_validate_start": issued_on.isoformat(),
            "certificate_validate_end": last and last.isoformat(),
            "certificate_holders": list(holders),
            "business_information": items,
        }

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

    def _person(self, born: date) -> tuple[str, str]:
        body = f"{self._random.choice(OLD_DISTRICTS)}{born:%Y%m%d}{self._random.randrange(1000):03}"
        return self._name(), body + str(ric.calc_check_digit(body + "0"))

    def _organisation(self) -> tuple[str, str]:
        body = f"91310000MA1F{self._random.randrange(10**5):05}"
        name = f"上海{self._random.choice(BRANDS)}{self._random.choice(BRANDS)}{self._random.choice(TRADES)}有限公司"
        return name, body + str(uscc.calc_check_digit(body))

    def _holder(self, name: str, code: str, code_type: str) -> dict[str, str]:
        return {
            "certificate_holder_name": name,
            "certificate_holder_code": code,
            "certificate_holder_type": code_type,
            "mobile": f"+86199{self._random.randrange(10**8):08}",
        }

    def _name(self) -> str:
        given = "".join(self._random.choices(GIVEN, k=self._random.choice((1, 2, 2))))
        return self._random.choice(SURNAMES) + given

    def _address(self) -> str:
        district = self._random.choice(list(DISTRICTS.values()))
        return f"上海市{district}{self._random.choice(ROADS)}{self._random.randrange(1, 2000)}号"

    def _sex(self, code: str) -> str:
        return "男" if int(code[16]) % 2 else "女"

    def _day(self, earliest: int, latest: int) -> date:
        return self.today + timedelta(days=self._random.randrange(earliest, latest))
