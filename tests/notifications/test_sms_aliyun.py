"""SMS over Aliyun: its own SDK against a server on this machine that checks signatures and remembers."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications import (
    ChannelRefused,
    ChannelUnavailable,
    Contact,
    NoAddress,
    NotificationsError,
    OutgoingMessage,
)
from notifications.channels.formats.aliyun_sms_report import AliyunReport, out_id_prefix, read_aliyun_reports
from notifications.channels.sms_aliyun import AliyunAccount, SmsAliyun
from tests.credentials.issuance.test_parsers import ANY_JSON
from tests.fakes import FakeClock
from tests.notifications.aliyun import SECRET, FakeAliyun
from tests.notifications.fakes import sent
from tests.notifications.far_end import serving

MESSAGE = OutgoingMessage("key-1", "holder-1", "licence_expiry", "证照到期提醒", "您的证照将到期")
PHONE = Contact(phone="13800138000")


@pytest.fixture
def aliyun() -> Iterator[FakeAliyun]:
    with serving(FakeAliyun()) as server:
        yield server


@pytest.fixture
def sms(aliyun: FakeAliyun, clock: FakeClock) -> SmsAliyun:
    return SmsAliyun(aliyun.account({"*": "SMS_1", "code": "SMS_2"}), clock)


async def test_a_message_is_sent_by_its_template_under_its_key(aliyun: FakeAliyun, sms: SmsAliyun) -> None:
    receipt = await sent(sms, MESSAGE, PHONE)
    await sent(sms, replace(MESSAGE, kind="code"), Contact(phone="+852 9123 4567"))
    first, second = aliyun.taken
    assert (first["PhoneNumbers"], first["TemplateCode"]) == ("13800138000", "SMS_1")
    assert first["OutId"].startswith(out_id_prefix("key-1"))
    assert (receipt.delivered, receipt.provider_ref) == (False, first["OutId"])
    assert json.loads(first["TemplateParam"]) == {"title": "证照到期提醒", "text": "您的证照将到期"}
    assert (second["PhoneNumbers"], second["TemplateCode"]) == ("0085291234567", "SMS_2")
    assert aliyun.queries == []


async def test_what_was_accepted_without_an_answer_is_not_sent_again(
    aliyun: FakeAliyun, sms: SmsAliyun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notifications.channels.sms_aliyun.ANSWER_S", 0.1)
    aliyun.silent = True
    with pytest.raises(ChannelUnavailable) as unsure:
        await sent(sms, MESSAGE, PHONE)
    assert (unsure.value.code, unsure.value.uncertain) == ("sms_silent", True)
    assert "138" not in str(unsure.value)
    receipt = await sent(sms, replace(MESSAGE, attempt=2), PHONE)
    (taken,) = aliyun.taken
    assert (receipt.delivered, receipt.provider_ref) == (True, taken["OutId"])
    assert [query["SendDate"] for query in aliyun.queries] == ["20261123"]


async def test_what_aliyun_does_not_know_or_could_not_deliver_is_sent(aliyun: FakeAliyun, sms: SmsAliyun) -> None:
    await sent(sms, replace(MESSAGE, attempt=2), PHONE)
    aliyun.send_status = 2
    await sent(sms, replace(MESSAGE, attempt=3), PHONE)
    assert len({one["OutId"] for one in aliyun.taken}) == 2, "what is said of one is not said of the other"
    assert [query["SendDate"] for query in aliyun.queries] == ["20261123", "20261122"] * 2


async def test_nothing_is_sent_while_the_details_cannot_be_asked(aliyun: FakeAliyun, sms: SmsAliyun) -> None:
    aliyun.code = "isp.SYSTEM_ERROR"
    with pytest.raises(ChannelUnavailable) as unsure:
        await sent(sms, replace(MESSAGE, attempt=2), PHONE)
    assert unsure.value.uncertain
    assert aliyun.taken == []


@pytest.mark.parametrize(
    ("code", "status", "outcome", "wait_s"),
    [
        ("isv.MOBILE_NUMBER_ILLEGAL", 200, "phone_unknown", None),
        ("isv.BLACK_KEY_CONTROL_LIMIT", 200, "sms_refused", None),  # of the content: another provider may take it
        ("isv.BUSINESS_LIMIT_CONTROL", 200, "sms_busy", 3600),
        ("isv.AMOUNT_NOT_ENOUGH", 200, "sms_refused", None),
        ("Throttling.User", 400, "sms_busy", 5),
        ("SignatureDoesNotMatch", 403, "sms_refused", None),
    ],
)
async def test_a_refusal_says_what_it_is(
    aliyun: FakeAliyun, sms: SmsAliyun, code: str, status: int, outcome: str, wait_s: float | None
) -> None:
    aliyun.code, aliyun.status = code, status
    with pytest.raises((ChannelUnavailable, ChannelRefused)) as refused:
        await sent(sms, MESSAGE, PHONE)
    assert refused.value.code == outcome
    if isinstance(refused.value, ChannelUnavailable):
        assert (refused.value.retry_after_s, refused.value.uncertain) == (wait_s, False)


async def test_where_nobody_listens_nothing_can_have_been_taken(aliyun: FakeAliyun, sms: SmsAliyun) -> None:
    aliyun.leave()
    with pytest.raises(ChannelUnavailable) as away:
        await sent(sms, MESSAGE, PHONE)
    assert (away.value.code, away.value.uncertain) == ("sms_silent", False)


async def test_who_cannot_be_reached_is_told_apart(sms: SmsAliyun, clock: FakeClock) -> None:
    with pytest.raises(NoAddress):
        await sent(sms, MESSAGE, Contact())
    with pytest.raises(ChannelRefused, match="phone_malformed"):
        await sent(sms, MESSAGE, Contact(phone="110"))
    with pytest.raises(ChannelRefused, match="no_template"):
        await sent(SmsAliyun(AliyunAccount("id", SECRET), clock), MESSAGE, PHONE)


REPORT = {
    "phone_number": "13800138000",
    "send_time": "2026-11-23 09:00:00",
    "report_time": "2026-11-23 09:00:05",
    "success": False,
    "err_code": "MOBILE_NOT_ON_SERVICE",
    "err_msg": "停机",
    "sms_size": "1",
    "biz_id": "932702304080415357^0",
    "out_id": "liangzheng-key-1-0a1b2c3d",
}


def test_reports_are_read_and_none_spoils_another() -> None:
    strange = REPORT | {"success": True, "err_code": "电话 13800138000"}
    others = [REPORT | {"out_id": out_id} for out_id in (None, "", 7, "another system's", "liangzheng-key-1")]
    broken = [None, 1, [], "x", {}, REPORT | {"success": "true"}, REPORT | {"success": 1}]
    read = read_aliyun_reports(json.dumps([*broken, REPORT, *others, strange]).encode())
    assert read.ours == (
        AliyunReport("liangzheng-key-1-0a1b2c3d", False, "MOBILE_NOT_ON_SERVICE"),
        AliyunReport("liangzheng-key-1-0a1b2c3d", True, None),
    )
    assert (read.others, read.unreadable) == (5, 7)


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"{}", b"null", b"[" * 100_000, b"9" * 100_000, json.dumps(REPORT).encode()]
)
def test_a_post_that_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(NotificationsError, match="reports_malformed"):
        read_aliyun_reports(body)


ANY_REPORT = st.dictionaries(st.sampled_from(sorted(REPORT)), ANY_JSON, max_size=9).map(lambda more: REPORT | more)


@given(
    st.binary(max_size=200) | st.lists(ANY_REPORT | ANY_JSON, max_size=5).map(lambda found: json.dumps(found).encode())
)
def test_any_post_is_read_or_refused(body: bytes) -> None:
    with suppress(NotificationsError):
        read = read_aliyun_reports(body)
        assert len(json.loads(body)) == len(read.ours) + read.others + read.unreadable
        for one in read.ours:
            assert one.out_id.isascii()
            assert len(one.out_id) <= 96
            assert one.err_code is None or one.err_code.isascii()
