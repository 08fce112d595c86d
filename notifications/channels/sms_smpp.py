"""SMS over SMPP 3.4: one bound session, a window of messages under way, and receipts as they come.

    sms = SmsSmpp(SmppAccount("smsc.example", 2775, "wallet", "secret", source="10690000"), receipts)

A centre knows no idempotency key: a worker that dies between the centre's answer and its own commit sends once more. So
does one whose answer never came; such a message is `uncertain` and goes to no other provider.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from notifications.channels.formats.delivery_receipt import read_delivery_receipt
from notifications.channels.formats.shortening import shortened
from notifications.channels.formats.sms_text import SmsParts, fits_sms, international_number, joined, sms_parts
from notifications.errors import ChannelRefused, ChannelUnavailable, NoAddress
from notifications.models import Contact, Delivery, Receipt
from notifications.ports import Receipts, SendOutcome

ANSWER_S = 15  # to one submit_sm
SEND_S = 28  # for a batch with its session; below DeliveryPolicy.send_timeout_s, so that each keeps its own outcome
CONNECT_S = 5
BUSY_S = 5  # a centre that throttles does not say for how long
INTERNATIONAL, ISDN = 1, 1  # TON and NPI, §5.2.5 and §5.2.6
ALPHANUMERIC, UNKNOWN = 5, 0
WITH_HEADER = 0x40  # esm_class: the message begins with a user data header, §5.2.12

_BUSY = frozenset({0x58, 0x14})  # ESME_RTHROTTLED, ESME_RMSGQFUL
_BAD_NUMBER = frozenset({0x0B})  # ESME_RINVDSTADR


@dataclass(frozen=True)
class SmppAccount:
    """How to bind to a centre.

    Args:
        source: what the holder sees as the sender: digits, or up to 11 letters.
        window: how many messages may wait for the centre's answer at once.
    """

    host: str
    port: int
    system_id: str
    password: str = field(repr=False)
    source: str = ""
    system_type: str = ""
    tls: bool = False
    window: int = 50


class SmsSmpp:
    """A centre behind one session, which is bound when it is first needed and bound again when it breaks.

    Args:
        receipts: told of every receipt of the centre's.
    """

    name = "smpp"

    def __init__(self, account: SmppAccount, receipts: Receipts) -> None:
        self.batch = account.window
        self._account = account
        self._receipts = receipts
        self._binding = asyncio.Lock()
        self._client: Any = None
        self._session: Any = None
        self._reader: asyncio.Task[None] | None = None

    def reaches(self, contact: Contact) -> bool:
        """Whether the contact has a phone number."""
        return contact.phone is not None

    async def send(self, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
        """Submit messages, all at once.

        A text that is too long is shortened. `NoAddress` is `no_phone`; `ChannelRefused` is `phone_malformed`,
        `phone_unknown` (the centre says so) or `text_too_long` (its title alone is); `ChannelUnavailable` is
        `smsc_away`, `smsc_busy`, `smsc_error`, or `smsc_silent` when no answer came.
        """
        prepared = [_prepared(one) for one in deliveries]
        if all(isinstance(one, ChannelRefused) for one in prepared):
            return [one for one in prepared if isinstance(one, ChannelRefused)]  # nothing to ask the centre for
        until = asyncio.get_running_loop().time() + SEND_S
        try:
            session = await self._bound()
        except (OSError, TimeoutError, self._smpp_error()) as error:
            away = ChannelUnavailable("smsc_away", f"no session with the SMS centre ({type(error).__name__})")
            return [one if isinstance(one, ChannelRefused) else away for one in prepared]
        outcomes = await asyncio.gather(*(self._send(session, one, until) for one in prepared))
        if any(isinstance(one, ChannelUnavailable) and one.code == "smsc_silent" for one in outcomes):
            await self._drop(session)  # whatever it is, it is not a session any more
        return outcomes

    async def close(self) -> None:
        """Unbind."""
        if self._session is not None:
            with suppress(Exception):
                await asyncio.wait_for(self._session.unbind(), CONNECT_S)
            await self._drop(self._session)

    async def _send(self, session: Any, prepared: "_Prepared | ChannelRefused", until: float) -> SendOutcome:
        if isinstance(prepared, ChannelRefused):
            return prepared
        try:
            async with asyncio.timeout_at(until):
                return await self._submit(session, prepared.number, prepared.cut)
        except (OSError, TimeoutError, self._smpp_error()) as error:
            return ChannelUnavailable(
                "smsc_silent", f"no answer from the SMS centre ({type(error).__name__})", uncertain=True
            )

    async def _submit(self, session: Any, number: str, cut: SmsParts) -> SendOutcome:
        digits = self._account.source.isdigit()
        answer: Any = None
        for at, part in enumerate(cut.parts, start=1):
            submitted = session.submit_sm(
                number,
                part,
                source_addr=self._account.source,
                source_addr_ton=UNKNOWN if digits or not self._account.source else ALPHANUMERIC,
                source_addr_npi=ISDN if digits else UNKNOWN,
                dest_addr_ton=INTERNATIONAL,
                dest_addr_npi=ISDN,
                esm_class=WITH_HEADER if cut.headed else 0,
                data_coding=cut.data_coding,
                registered_delivery=int(at == len(cut.parts)),  # the last part speaks for all
            )
            answer = await asyncio.wait_for(submitted, ANSWER_S)
            if not answer.is_success:
                return _refusal(answer.command_status)
        return Receipt(delivered=False, provider_ref=answer.message_id)

    async def _bound(self) -> Any:
        import smpp34  # loads a library of its own: only for those who use it

        async with self._binding:
            if self._session is None:
                account = self._account
                self._client = smpp34.Client(
                    account.host,
                    account.port,
                    account.system_id,
                    account.password,
                    bind_type="TRX",
                    system_type=account.system_type,
                    tls=account.tls,
                    window_size=account.window,
                    connect_timeout_ms=CONNECT_S * 1000,
                )
                session = await asyncio.wait_for(self._client.connect(), CONNECT_S * 2)
                self._session, self._reader = session, asyncio.create_task(self._listen(session))
            return self._session

    async def _listen(self, session: Any) -> None:
        import smpp34

        while True:
            try:
                event = await session.next()
            except (OSError, smpp34.SmppError):
                event = None
            if not isinstance(event, smpp34.DeliverSmEvent):
                break
            await self._take(event)
        if self._session is session:
            self._session = None

    async def _take(self, event: Any) -> None:
        parameters = {tlv.tag: tlv.value for tlv in event.tlvs}
        receipt = read_delivery_receipt(event.esm_class, bytes(event.short_message), parameters)
        if receipt is None or receipt.delivered is None:
            return
        reason = None if receipt.delivered else receipt.state
        # A receipt that cannot be kept is lost, and its message stays `sent`; the session must go on.
        with suppress(Exception):
            await self._receipts.note(self.name, receipt.message_id, delivered=receipt.delivered, reason=reason)

    async def _drop(self, session: Any) -> None:
        async with self._binding:
            if self._session is not session:
                return
            client, reader = self._client, self._reader
            self._client = self._session = self._reader = None
        if reader is not None:
            reader.cancel()
        with suppress(Exception):
            await asyncio.wait_for(client.stop(), CONNECT_S)

    def _smpp_error(self) -> type[Exception]:
        import smpp34

        return smpp34.SmppError


@dataclass(frozen=True)
class _Prepared:
    """What the centre gets."""

    number: str = field(repr=False)
    cut: SmsParts = field(repr=False)


def _prepared(delivery: Delivery) -> _Prepared | ChannelRefused:
    message, phone = delivery.message, delivery.contact.phone
    if phone is None:
        return NoAddress("no_phone", "the holder has no phone number")
    try:
        number = international_number(phone)
    except ValueError:
        return ChannelRefused("phone_malformed", "the holder's phone number cannot be dialled")
    reference = hashlib.sha256(message.idempotency_key.encode()).digest()[0]
    try:
        text = shortened(message.text, lambda text: fits_sms(joined(message.title, text)))
        cut = sms_parts(joined(message.title, text), reference)
    except ValueError:
        return ChannelRefused("text_too_long", "the text does not fit into an SMS")
    return _Prepared(number, cut)


def _refusal(status: int) -> SendOutcome:
    if status in _BUSY:
        return ChannelUnavailable("smsc_busy", "the SMS centre takes no more at the moment", retry_after_s=BUSY_S)
    if status in _BAD_NUMBER:
        return ChannelRefused("phone_unknown", "the SMS centre knows no such number")
    return ChannelUnavailable("smsc_error", f"the SMS centre answered 0x{status:08x}")
