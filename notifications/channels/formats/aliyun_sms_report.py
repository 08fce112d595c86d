"""Delivery reports as Aliyun posts them: SmsReport, "HTTP batch push" (help.aliyun.com, document 101867).

An account's reports are of all its messages, also those of other systems; ours are told by their `OutId`.
"""

import json
import re
from dataclasses import dataclass

from notifications.errors import NotificationsError

ACKNOWLEDGED = {"code": 0, "msg": "接收成功"}  # Aliyun looks at the status 200, and that `code` is a number

_OUT_ID = re.compile(r"liangzheng-[0-9A-Za-z-]{1,64}-[0-9a-f]{8}")
_ERR_CODE = re.compile(r"[0-9A-Za-z_.:-]{1,64}")


@dataclass(frozen=True)
class AliyunReport:
    """What became of one submission. The phone number in the report is not read.

    Args:
        err_code: the carrier's word for a failure; None where it has no form that could be written down.
    """

    out_id: str
    success: bool
    err_code: str | None


@dataclass(frozen=True)
class AliyunReports:
    """One post: our reports, how many are of other systems' messages, and how many say nothing."""

    ours: tuple[AliyunReport, ...]
    others: int
    unreadable: int


def out_id_prefix(key: str) -> str:
    """What the `OutId` of every submission of a message begins with; eight hexadecimal digits of its own follow.

    Args:
        key: the message's idempotency key: letters, digits and hyphens.
    """
    return f"liangzheng-{key}-"


def read_aliyun_reports(body: bytes) -> AliyunReports:
    """Read a post. An element that is no report is counted, and does no harm to its neighbours.

    Raises:
        NotificationsError: `reports_malformed` when the body is no JSON array.
    """
    try:
        elements = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotificationsError("reports_malformed", "delivery reports are a JSON array") from error
    if not isinstance(elements, list):
        raise NotificationsError("reports_malformed", "delivery reports are a JSON array")
    ours: list[AliyunReport] = []
    others = unreadable = 0
    for element in elements:
        if not isinstance(element, dict) or not isinstance(element.get("success"), bool):
            unreadable += 1
        elif (out_id := _in_form(element.get("out_id"), _OUT_ID)) is None:
            others += 1
        else:
            ours.append(AliyunReport(out_id, element["success"], _in_form(element.get("err_code"), _ERR_CODE)))
    return AliyunReports(tuple(ours), others, unreadable)


def _in_form(value: object, form: re.Pattern[str]) -> str | None:
    return value if isinstance(value, str) and form.fullmatch(value) else None
