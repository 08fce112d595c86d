"""Reads what a test logged, and fails it when a line names a person or opens a door.

Logs go to standard error and to `logging`; a structlog that nobody configured writes to standard output.
"""

import re
from collections.abc import Callable, Iterable

import pytest
from stdnum.cn import ric, uscc

from wallet_api.sample import GIVEN, SURNAMES

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_LOG_LINE = re.compile(r'^\{".*"event": |^\d{4}-\d\d-\d\d[T ]\S+ \[\w+ *\] ')
_ALONE = r"(?<![0-9A-Za-z_.-]){}(?![0-9A-Za-z_-])"


def _always(_found: str) -> bool:
    return True


def _random(found: str) -> bool:
    """Random base64url has all three; a long name in a traceback has not."""
    return all(re.search(kind, found) for kind in ("[a-z]", "[A-Z]", "[0-9]"))


_NEEDLES: dict[str, tuple[re.Pattern[str], Callable[[str], bool]]] = {
    "a resident's number": (re.compile(_ALONE.format(r"\d{17}[\dXx]")), ric.is_valid),
    "an organisation's code": (re.compile(_ALONE.format(r"[0-9A-HJ-NPQRTUWXY]{18}")), uscc.is_valid),
    "a mobile number": (re.compile(_ALONE.format(r"(?:\+86)?1[3-9]\d{9}")), _always),
    "a sample person's name": (re.compile(rf"张三丰|[{SURNAMES}][{GIVEN}]{{1,2}}"), _always),
    "a signed token": (re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}"), _always),
    "an access token or code": (re.compile(_ALONE.format(r"[A-Za-z0-9_-]{43}")), _random),
}


def leaks(lines: Iterable[str]) -> list[str]:
    """What the lines give away, each as `what: line`."""
    return [
        f"{what}: {line[:400]}"
        for line in lines
        for what, (pattern, is_one) in _NEEDLES.items()
        if any(is_one(found) for found in pattern.findall(line))
    ]


def logged(report: pytest.TestReport) -> list[str]:
    """The log lines of this phase of a test."""
    lines = []
    for title, text in report.sections:
        if title.endswith(f" {report.when}"):
            plain = _ANSI.sub("", text).splitlines()
            lines += plain if "stdout" not in title else [line for line in plain if _LOG_LINE.match(line)]
    return lines


def fail_on_leak(report: pytest.TestReport) -> None:
    """Turn a passed phase into a failed one when its log gives something away."""
    if report.passed and (told := leaks(logged(report))):
        report.outcome = "failed"
        report.longrepr = "a log line gives away\n" + "\n".join(told)
