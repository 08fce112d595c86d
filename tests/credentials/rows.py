"""Rows as a department sends them, for tests: a valid one, and ways to bend it."""

import json
from typing import Any

from stdnum.cn import ric, uscc

DRIVING = "11100000000013127DX01"
TRAFFIC_POLICE = "11310000000000211K"


def resident_id(number: int, birthday: str = "19900101") -> str:
    """The `number`-th (0 to 999) resident of Shanghai's Huangpu district born on a day, with its check digit."""
    body = f"310101{birthday}{number:03}"
    return body + str(ric.calc_check_digit(body + "0"))


def organisation_code(number: int) -> str:
    """A 统一社会信用代码 with its check character."""
    body = f"91310000MA1F{number:05}"
    return body + str(uscc.calc_check_digit(body))


def driving_row(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A first issue (01) of a driving licence; `changes` replace members, None takes one away."""
    row = {
        "source_record_id": f"GA-{number:06}",
        "source_version": 1,
        "operate_type": "01",
        "certificate_type_code": DRIVING,
        "certificate_number": resident_id(number % 1000),
        "certificate_issuing_authority_code": TRAFFIC_POLICE,
        "certificate_issued_date": "2024-03-01",
        "certificate_validate_start": "2024-03-01",
        "certificate_validate_end": "2030-02-28",
        "certificate_holders": [
            {
                "certificate_holder_name": "张三丰",
                "certificate_holder_code": resident_id(number % 1000),
                "certificate_holder_type": "111",
                "mobile": "+8613800000000",
            }
        ],
        "business_information": {
            "sex": "男",
            "nationality": "中国",
            "address": "上海市黄浦区人民大道200号",
            "birth_date": "1990-01-01",
            "first_issue_date": "2012-06-05",
            "vehicle_class": "C1",
            "file_number": "310012345678",
        },
    } | changes
    return {name: value for name, value in row.items() if value is not None}


BUSINESS = "11100000MB0341032YX01"
MARKET_REGULATION = "11310000000000318Y"


def business_row(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A first issue (01) of a business licence whose legal representative is the resident of the same number."""
    code = organisation_code(number)
    row = {
        "source_record_id": f"SJ-{number:06}",
        "source_version": 1,
        "operate_type": "01",
        "certificate_type_code": BUSINESS,
        "certificate_number": code,
        "certificate_issuing_authority_code": MARKET_REGULATION,
        "certificate_issued_date": "2024-03-01",
        "certificate_validate_start": "2024-03-01",
        "certificate_holders": [
            {
                "certificate_holder_name": "上海申禾贸易有限公司",
                "certificate_holder_code": code,
                "certificate_holder_type": "001",
            }
        ],
        "certificate_representatives": [representative(number)],
        "business_information": {
            "unified_social_credit_code": code,
            "entity_type": "有限责任公司",
            "legal_representative": "张三丰",
            "established_on": "2019-03-15",
            "domicile": "上海市黄浦区人民大道200号",
            "business_scope": "一般项目：技术服务",
        },
    } | changes
    return {name: value for name, value in row.items() if value is not None}


def representative(number: int, **changes: Any) -> dict[str, Any]:
    """A resident as `certificate_representatives` names one."""
    return {
        "certificate_representative_name": "张三丰",
        "certificate_representative_code": resident_id(number),
        "certificate_representative_type": "111",
    } | changes


def step_row(number: int, version: int, operate_type: str, **changes: Any) -> dict[str, Any]:
    """A row that only moves the state of the licence of `driving_row(number)`."""
    return {
        "source_record_id": f"GA-{number:06}",
        "source_version": version,
        "operate_type": operate_type,
        "reason": "依法处理",
    } | changes


def lines(*rows: object) -> list[bytes]:
    """Rows as NDJSON lines."""
    return [json.dumps(row, ensure_ascii=False).encode() for row in rows]
