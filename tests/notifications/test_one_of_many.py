"""One message, one device, one carrier that fails or is slow, and what becomes of the others beside it."""

import asyncio
import threading
from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from notifications import (
    Bilingual,
    ChannelRefused,
    ChannelUnavailable,
    Contact,
    Delivery,
    DeliveryPolicy,
    OutgoingMessage,
    Receipt,
)
from notifications.channels import push_fcm, sms_smpp, web_push
from notifications.channels.providers import FailOver
from notifications.channels.push import Push
from notifications.channels.sms_smpp import SmppAccount, SmsSmpp
from notifications.channels.web_push import PUSH_SERVICES, WebPush
from notifications.ports import SendOutcome
from tests.fakes import FakeClock
from tests.notifications.fakes import City, FakeChannel, notice, notify, sent
from tests.notifications.far_end import Answering, serving
from tests.notifications.test_sms_smpp import Book
from tests.notifications.test_web_push import KEY, Browser, PushService

MESSAGE = OutgoingMessage("key-1", "holder-1", "licence_expiry", "证照到期提醒", "您的证照将到期")

POISON = [
    "https://fcm.googleapis.com:/x",
    "https://xn--zzzzzzzz.notify.windows.com/x",
    "https://xn--0.push.samsung.com/x",
]


@pytest.mark.parametrize("endpoint", POISON)
async def test_a_strange_endpoint_is_an_outcome_of_its_own_message_only(clock: FakeClock, endpoint: str) -> None:
    """`Channel.send`: one message's failure is no other one's, and none is raised."""
    with serving(PushService()) as service:
        push = WebPush(KEY, "mailto:desk@city.example", PUSH_SERVICES, service.forget, clock, insecure=True)
        bad = Browser(service).kept(endpoint=endpoint)
        outcomes = await push.send([
            Delivery(MESSAGE, Contact((bad,))), Delivery(MESSAGE, Contact((Browser(service).device,)))
        ])  # fmt: skip
        assert isinstance(outcomes[0], ChannelRefused | ChannelUnavailable)
        assert isinstance(outcomes[1], Receipt)
        await push.close()


async def test_a_strange_endpoint_of_one_holder_does_not_delay_the_others(city: City) -> None:
    with serving(PushService()) as service:
        carrier = WebPush(KEY, "mailto:desk@city.example", PUSH_SERVICES, service.forget, city.clock, insecure=True)
        city.configure(Push([carrier]))
        bad = Browser(service).kept(endpoint=POISON[0])
        city.contacts.everybody = lambda holder: Contact((bad if holder == "h7" else Browser(service).device,))
        await notify(city, *(notice(n) for n in range(20)))
        await city.outbox.deliver(city.database)
        counts = await city.counts()
        await carrier.close()
    assert counts["push", "sent"] == 19, counts


class _Together(PushService):
    """Answers when four requests are there at once."""

    def __init__(self) -> None:
        super().__init__()
        self.RequestHandlerClass = _AtOnce
        self.all_here = threading.Barrier(4)


class _AtOnce(Answering):
    server: _Together

    def do_POST(self) -> None:
        self.body()
        self.server.all_here.wait(30)
        self.answer(201, {})


async def test_all_browsers_of_a_holder_are_asked_at_once(clock: FakeClock) -> None:
    with serving(_Together()) as service:
        push = WebPush(KEY, "mailto:desk@city.example", PUSH_SERVICES, service.forget, clock, insecure=True)
        browsers = tuple(Browser(service, f"/{number}").device for number in range(4))
        assert isinstance(await sent(push, MESSAGE, Contact(browsers)), Receipt)
        await push.close()


async def test_carriers_are_asked_side_by_side() -> None:
    both_asked = asyncio.Barrier(2)

    class Carrier(FakeChannel):
        async def send(self, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
            async with asyncio.timeout(30):
                await both_asked.wait()
            return await super().send(deliveries)

    push = Push([Carrier("fcm", delivered=False), Carrier("web-push", delivered=False)])
    assert isinstance(await sent(push, MESSAGE, Contact()), Receipt)


def test_every_channel_has_an_outcome_for_each_message_before_its_batch_is_given_up() -> None:
    given_up_s = DeliveryPolicy().send_timeout_s
    assert max(push_fcm.TIMEOUT_S, web_push.TIMEOUT_S, sms_smpp.SEND_S) < given_up_s


async def test_what_one_carrier_holds_back_does_not_hide_the_failure_of_the_other(city: City) -> None:
    held = ChannelUnavailable("provider_throttled", "slowly", retry_after_s=60, held=True)
    fcm, browsers = FakeChannel("fcm"), FakeChannel("web-push")
    fcm.always, browsers.always = held, ChannelUnavailable("push_unavailable", "503")
    city.configure(Push([fcm, browsers]), city.sms, policy=DeliveryPolicy(max_attempts=3))
    await notify(city, notice(1))
    for _ in range(10):
        await city.outbox.deliver(city.database)
        city.clock.forward(minutes=30)
    assert len(browsers.attempts) <= 3
    assert len(city.sms.sent) == 1, (len(browsers.attempts), await city.counts())


class _Centre:
    """A session that answers at once, but for one number."""

    def __init__(self) -> None:
        self.answers_all = asyncio.Event()
        self.taken: list[str] = []

    async def submit_sm(self, number: str, part: bytes, **_: object) -> object:
        if number.endswith("7777"):
            await self.answers_all.wait()
        self.taken.append(number)
        return SimpleNamespace(is_success=True, message_id=f"m{len(self.taken)}", command_status=0)


async def test_a_message_without_an_answer_does_not_take_the_answers_of_its_neighbours(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/operate.md: twice goes only what a dead worker had under way, or what was never answered."""
    monkeypatch.setattr(sms_smpp, "SEND_S", 0.5)
    sms = SmsSmpp(SmppAccount("127.0.0.1", 9, "w", "s", source="1069"), Book())
    centre = _Centre()

    async def bound() -> _Centre:
        return centre

    monkeypatch.setattr(sms, "_bound", bound)
    city.configure(FailOver("sms", [sms]))
    city.contacts.everybody = lambda h: Contact(phone="13800137777" if h == "h7" else f"1390013{int(h[1:]):04d}")
    await notify(city, *(notice(n) for n in range(20) if n != 7), notice(7, Bilingual("很" * 180, "x")))
    for _ in range(3):
        await city.outbox.deliver(city.database)
        city.clock.forward(minutes=10)
        centre.answers_all.set()
    await sms.close()
    assert len([number for number in centre.taken if number.endswith("7777")]) == 3, "in three parts"
    assert len([number for number in centre.taken if not number.endswith("7777")]) == 19
    assert await city.counts() == {("sms", "sent"): 20}
