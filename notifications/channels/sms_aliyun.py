"""SMS over Aliyun's short message service, by its own SDK.

    sms = SmsAliyun(AliyunAccount("LTAI…", "secret", "上海一网通办", {"*": "SMS_154950909"}), clock)

`SendSms` knows no idempotency key. Our own de-duplication: each submission's `OutId` begins with the message's key, and
before a second attempt the day's details of that phone are asked for it. What Aliyun has accepted but not yet written
into its details (seconds) is the window in which a message can go out twice.

    counts = await AliyunReceipts(book).take(body)    # what Aliyun posts when it knows what became of messages

Receipts go by the `OutId`, because the details do not tell Aliyun's own `BizId`. Each submission has another one, so
that what is said of an earlier attempt, late or twice, is not taken for the word on the attempt that counts.
"""

import asyncio
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from notifications.channels.formats.aliyun_sms_report import out_id_prefix, read_aliyun_reports
from notifications.channels.formats.sms_text import international_number
from notifications.errors import ChannelRefused, ChannelUnavailable, NoAddress
from notifications.models import Contact, Delivery, OutgoingMessage, Receipt
from notifications.outbox.policy import SHANGHAI
from notifications.outbox.receipts import ProviderReceipt, ReceiptBook
from notifications.ports import Clock, SendOutcome

ANSWER_S = 10  # a request; two of them stay below DeliveryPolicy.send_timeout_s
CONNECT_S = 5
AT_ONCE = 20
LOOK_BACK = timedelta(days=1)  # a message that was tried before midnight stands in yesterday's details
PAGE = 50  # the most that QuerySendDetails gives; nobody gets more of ours in a day
PROVIDER = "aliyun"
ACCEPTED = "OK"
ARRIVED, FAILED = 3, 2  # SendStatus; 1 is under way

_BAD_NUMBER = frozenset({"isv.MOBILE_NUMBER_ILLEGAL"})
_BUSY = {  # seconds to wait
    "isv.BUSINESS_LIMIT_CONTROL": 3600.0,
    "isv.DAY_LIMIT_CONTROL": 3600.0,
    "Throttling.User": 5.0,
    "Throttling": 5.0,
}


@dataclass(frozen=True)
class AliyunAccount:
    """An access key with the right to send, and what was approved.

    Args:
        templates: kind of message → code of the approved template; `*` for all others. A template has the variables
            `title` and `text`.
        endpoint: without a scheme.
    """

    access_key_id: str
    access_key_secret: str = field(repr=False)
    sign_name: str = ""
    templates: Mapping[str, str] = field(default_factory=dict)
    endpoint: str = "dysmsapi.aliyuncs.com"
    protocol: str = "HTTPS"


class SmsAliyun:
    """One account at Aliyun."""

    name = PROVIDER
    batch = AT_ONCE

    def __init__(self, account: AliyunAccount, clock: Clock) -> None:
        self._account = account
        self._clock = clock
        self._client: Any = None

    def reaches(self, contact: Contact) -> bool:
        """Whether the contact has a phone number."""
        return contact.phone is not None

    async def send(self, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
        """Send messages, each with a request of its own.

        `NoAddress` is `no_phone`; `ChannelRefused` is `phone_malformed`, `phone_unknown` or `no_template`;
        `ChannelUnavailable` is `sms_busy`, `sms_refused` (Aliyun's code says why: an account without money, a wrong
        signature; operators must act) or `sms_silent` when no answer came.
        """
        return await asyncio.gather(*(asyncio.to_thread(self._send, one) for one in deliveries))

    def _send(self, delivery: Delivery) -> SendOutcome:
        message, phone = delivery.message, delivery.contact.phone
        if phone is None:
            return NoAddress("no_phone", "the holder has no phone number")
        template = self._account.templates.get(message.kind) or self._account.templates.get("*")
        if template is None:
            return ChannelRefused("no_template", f"no template is approved for {message.kind}")
        try:
            number = international_number(phone)
        except ValueError:
            return ChannelRefused("phone_malformed", "the holder's phone number cannot be dialled")
        number = number.removeprefix("86") if number.startswith("861") else f"00{number}"
        try:
            if message.attempt > 1 and (earlier := self._earlier(number, message.idempotency_key)):
                return earlier
            return self._submit(number, message, template)
        except Exception as error:  # noqa: BLE001  (the SDK raises whatever its transport does)
            # The error's text holds the whole request, number and message.
            why = f"no answer from Aliyun ({type(error).__name__})"
            return ChannelUnavailable("sms_silent", why, uncertain=not _never_left(error))

    def _submit(self, number: str, message: OutgoingMessage, template: str) -> SendOutcome:
        from alibabacloud_dysmsapi20170525 import models

        out_id = out_id_prefix(message.idempotency_key) + secrets.token_hex(4)
        request = models.SendSmsRequest(
            phone_numbers=number,
            sign_name=self._account.sign_name,
            template_code=template,
            template_param=json.dumps({"title": message.title, "text": message.text}, ensure_ascii=False),
            out_id=out_id,
        )
        try:
            answer = self._api().send_sms_with_options(request, _options()).body
        except Exception as error:
            code = getattr(error, "code", None)
            if not isinstance(code, str) or getattr(error, "status_code", None) is None:
                raise
            return _refusal(code)  # an answer with an error status
        if answer.code != ACCEPTED:
            return _refusal(str(answer.code))
        return Receipt(delivered=False, provider_ref=out_id)

    def _earlier(self, number: str, key: str) -> Receipt | None:
        """The receipt of an attempt that Aliyun has accepted, whatever became of our connection."""
        from alibabacloud_dysmsapi20170525 import models

        now, mine = self._clock.now().astimezone(SHANGHAI), out_id_prefix(key)
        for day in (now, now - LOOK_BACK):
            request = models.QuerySendDetailsRequest(
                phone_number=number, send_date=f"{day:%Y%m%d}", page_size=PAGE, current_page=1
            )
            answer = self._api().query_send_details_with_options(request, _options()).body
            if answer.code != ACCEPTED:
                raise LookupError(answer.code)
            found = answer.sms_send_detail_dtos
            for detail in (found and found.sms_send_detail_dto) or ():
                if (detail.out_id or "").startswith(mine) and detail.send_status != FAILED:
                    return Receipt(delivered=detail.send_status == ARRIVED, provider_ref=detail.out_id)
        return None

    def _api(self) -> Any:
        if self._client is None:
            # Importing takes over a second: only for those who use it.
            from alibabacloud_dysmsapi20170525.client import Client
            from alibabacloud_tea_openapi.models import Config

            account = self._account
            self._client = Client(
                Config(
                    access_key_id=account.access_key_id,
                    access_key_secret=account.access_key_secret,
                    endpoint=account.endpoint,
                    protocol=account.protocol,
                )
            )
        return self._client


@dataclass(frozen=True)
class ReportCounts:
    """What was in a post of Aliyun's: arrived, failed, of other systems' messages, no reports at all."""

    arrived: int
    failed: int
    others: int
    unreadable: int


class AliyunReceipts:
    """Takes the delivery reports that Aliyun posts. Who posts is for the caller to know: reports are not signed.

    Args:
        book: where they are kept until the next run of the outbox.
    """

    def __init__(self, book: ReceiptBook) -> None:
        self._book = book

    async def take(self, body: bytes) -> ReportCounts:
        """Keep what a post says of our messages; the same post again does no harm.

        Raises:
            NotificationsError: `reports_malformed` when the body is no JSON array; nothing is kept.
        """
        found = read_aliyun_reports(body)
        await self._book.note_all(
            PROVIDER,
            [ProviderReceipt(one.out_id, one.success, None if one.success else one.err_code) for one in found.ours],
        )
        arrived = sum(one.success for one in found.ours)
        return ReportCounts(arrived, len(found.ours) - arrived, found.others, found.unreadable)


def _options() -> Any:
    from alibabacloud_tea_util.models import RuntimeOptions

    # Its own retry would send a second time without asking.
    waits = {"connect_timeout": CONNECT_S * 1000, "read_timeout": int(ANSWER_S * 1000)}
    return RuntimeOptions(**waits, autoretry=False, max_attempts=1)


def _never_left(error: BaseException) -> bool:
    """Whether there was no connection. The SDK wraps what its transport says in errors of its own."""
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    inner: BaseException | None = getattr(error, "inner_exception", error)
    while inner is not None and not isinstance(inner, ConnectTimeoutError | NewConnectionError):
        inner = inner.__cause__ or inner.__context__
    return inner is not None


def _refusal(code: str) -> SendOutcome:
    if code in _BAD_NUMBER:
        return ChannelRefused("phone_unknown", f"Aliyun: {code}")
    if code in _BUSY:
        return ChannelUnavailable("sms_busy", f"Aliyun: {code}", retry_after_s=_BUSY[code])
    return ChannelUnavailable("sms_refused", f"Aliyun: {code}")
