"""The scan of the whole suite's logs finds what must not be there, and nothing else."""

import pytest

from tests.credentials.rows import organisation_code, resident_id
from tests.log_scan import fail_on_leak

LINE = '{{"method": "GET", "route": "/x", "error": "{}", "event": "request", "level": "info"}}'
TOKEN = "mJ8x0nQ2vL5rT7wY9zB1cD3eF4gH6iK8lM0oP2qR4sU"
LEAKS = {
    "a resident's number": resident_id(1),
    "in a sentence": f"no licence of {resident_id(2)}!",
    "an organisation's code": organisation_code(3),
    "a mobile number": "+8613800000000",
    "a name": "张三丰",
    "another name": "holder 王伟芳 refused",
    "a signed token": "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln",
    "an access token": f"Bearer {TOKEN}",
}
HARMLESS = {
    "a wrong check digit": resident_id(1)[:-1] + ("0" if resident_id(1)[-1] != "0" else "1"),
    "an id": "019abc0123456789abcdef0123456789",
    "digits in an id": f"ab{resident_id(1)}cd",
    "a test's name": "test_a_very_long_name_of_a_rule_as_they_are",
    "a route": "/api/v1/licence-batches/{batch_id}/rejections",
}


def _report(section: tuple[str, str], outcome: str = "passed") -> pytest.TestReport:
    return pytest.TestReport("a test", ("a", 1, "a"), {}, outcome, None, "call", [section])  # type: ignore[arg-type]


@pytest.mark.parametrize("title", ["Captured stderr call", "Captured log call", "Captured stdout call"])
@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_a_line_that_gives_something_away_fails_its_test(title: str, leak: str) -> None:
    report = _report((title, LINE.format(leak)))
    fail_on_leak(report)
    assert report.failed
    assert "gives away" in str(report.longrepr)


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
def test_a_harmless_line_does_not(text: str) -> None:
    report = _report(("Captured stderr call", LINE.format(text)))
    fail_on_leak(report)
    assert report.passed


def test_what_a_command_prints_for_its_user_is_no_log() -> None:
    report = _report(("Captured stdout call", f"inbox of {resident_id(1)}"))
    fail_on_leak(report)
    assert report.passed
