"""SMS over Aliyun: its own SDK against a server on this machine that checks signatures and remembers."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from notifications import ChannelRefused, ChannelUnavailable, Contact, NoAddress, OutgoingMessage
from notifications.channels.sms_aliyun import AliyunAccount, SmsAliyun
from tests.fakes import FakeClock
from tests.notifications.fakes import sent
from tests.notifications.far_end import Answering, HttpFarEnd, serving

MESSAGE = OutgoingMessage("key-1", "holder-1", "licence_expiry", "证照到期提醒", "您的证照将到期")
PHONE = Contact(phone="13800138000")
SECRET = "a secret"


class FakeAliyun(HttpFarEnd):
    """Takes messages as long as it is told nothing else."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.taken: list[dict[str, str]] = []
        self.queries: list[dict[str, str]] = []
        self.code = "OK"
        self.status = 200
        self.silent = False
        self.send_status = 3


class _Handler(Answering):
    server: FakeAliyun

    def do_POST(self) -> None:
        self.body()
        query = dict(parse_qsl(urlsplit(self.path).query))
        assert self.headers["Authorization"].endswith(f"Signature={self._signature(query)}")
        answer: dict[str, Any] = {"Code": self.server.code, "Message": "…", "RequestId": "r"}
        if self.headers["x-acs-action"] == "SendSms":
            if self.server.code == "OK":
                self.server.taken.append(query)
                answer["BizId"] = "1"
            if self.server.silent:
                time.sleep(0.4)
        else:
            self.server.queries.append(query)
            mine = [one for one in self.server.taken if one["PhoneNumbers"] == query["PhoneNumber"]]
            details = [{"OutId": one["OutId"], "SendStatus": self.server.send_status} for one in mine]
            answer |= {"TotalCount": str(len(details)), "SmsSendDetailDTOs": {"SmsSendDetailDTO": details}}
        self.answer(self.server.status, {"Content-Type": "application/json"}, json.dumps(answer).encode())

    def _signature(self, query: dict[str, str]) -> str:
        """ACS3-HMAC-SHA256, computed by ourselves."""
        names = self.headers["Authorization"].split("SignedHeaders=")[1].split(",")[0]
        signed = "".join(f"{name}:{self.headers[name].strip()}\n" for name in names.split(";"))
        asked = "&".join(f"{quote(name, safe='~')}={quote(query[name], safe='~')}" for name in sorted(query))
        lines = ["POST", "/", asked, signed, names, self.headers["x-acs-content-sha256"]]
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        return hmac.new(SECRET.encode(), f"ACS3-HMAC-SHA256\n{digest}".encode(), hashlib.sha256).hexdigest()


@pytest.fixture
def aliyun() -> Iterator[FakeAliyun]:
    with serving(FakeAliyun()) as server:
        yield server


@pytest.fixture
def sms(aliyun: FakeAliyun, clock: FakeClock) -> SmsAliyun:
    endpoint = f"127.0.0.1:{aliyun.server_port}"
    return SmsAliyun(AliyunAccount("id", SECRET, "一网通办", {"*": "SMS_1", "code": "SMS_2"}, endpoint, "HTTP"), clock)


async def test_a_message_is_sent_by_its_template_under_its_key(aliyun: FakeAliyun, sms: SmsAliyun) -> None:
    receipt = await sent(sms, MESSAGE, PHONE)
    assert (receipt.delivered, receipt.provider_ref) == (False, "key-1")
    await sent(sms, replace(MESSAGE, kind="code"), Contact(phone="+852 9123 4567"))
    first, second = aliyun.taken
    assert (first["PhoneNumbers"], first["OutId"], first["TemplateCode"]) == ("13800138000", "key-1", "SMS_1")
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
    assert (receipt.delivered, receipt.provider_ref, len(aliyun.taken)) == (True, "key-1", 1)
    assert [query["SendDate"] for query in aliyun.queries] == ["20261123"]


async def test_what_aliyun_does_not_know_or_could_not_deliver_is_sent(aliyun: FakeAliyun, sms: SmsAliyun) -> None:
    await sent(sms, replace(MESSAGE, attempt=2), PHONE)
    aliyun.send_status = 2
    await sent(sms, replace(MESSAGE, attempt=3), PHONE)
    assert len(aliyun.taken) == 2
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


async def test_who_cannot_be_reached_is_told_apart(sms: SmsAliyun, clock: FakeClock) -> None:
    with pytest.raises(NoAddress):
        await sent(sms, MESSAGE, Contact())
    with pytest.raises(ChannelRefused, match="phone_malformed"):
        await sent(sms, MESSAGE, Contact(phone="110"))
    with pytest.raises(ChannelRefused, match="no_template"):
        await sent(SmsAliyun(AliyunAccount("id", SECRET), clock), MESSAGE, PHONE)
