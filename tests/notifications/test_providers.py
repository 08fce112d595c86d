"""Providers behind one channel: limits, rests, and who takes over."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from notifications import (
    Bilingual,
    ChannelRefused,
    ChannelUnavailable,
    Contact,
    Delivery,
    DeliveryPolicy,
    Device,
    DeviceKind,
    NoAddress,
    Notice,
    OutgoingMessage,
    Receipt,
)
from notifications.channels.providers import RESTING, Admission, FailOver, Gate, Gated, GatePolicy
from notifications.channels.web_push import PUSH_SERVICES, VapidKey, WebPush
from notifications.errors import THROTTLED
from notifications.outbox.claims import AskedBook
from notifications.ports import SendOutcome
from tests.fakes import FakeClock
from tests.notifications.fakes import City, FakeChannel

DOWN = ChannelUnavailable("down", "provider down")


def deliveries(number: int, **different: object) -> list[Delivery]:
    message = OutgoingMessage("key", "holder-1", "test", "标题", "正文")
    return [
        Delivery(replace(message, idempotency_key=f"key-{n}", **different), Contact())  # type: ignore[arg-type]
        for n in range(number)
    ]


@pytest.fixture
def gate(city: City) -> Gate:
    return Gate(city.database, city.clock)


async def test_a_limit_is_shared_and_refills(city: City, gate: Gate) -> None:
    policy = GatePolicy(per_second=10)
    assert (await gate.admit("p", 7, policy)).granted == 7
    assert await Gate(city.database, city.clock).admit("p", 7, policy) == Admission(3, THROTTLED, 0.1)
    city.clock.forward(seconds=0.5)
    assert (await gate.admit("p", 100, policy)).granted == 5
    city.clock.forward(days=400)
    assert (await gate.admit("p", 100, policy)).granted == 10  # never more than a second's worth


async def test_many_at_once_get_no_more_than_the_limit(city: City, gate: Gate) -> None:
    admissions = await asyncio.gather(*(gate.admit("p", 3, GatePolicy(per_second=20)) for _ in range(10)))
    assert sum(admission.granted for admission in admissions) == 20


async def test_a_provider_that_fails_is_left_alone_and_then_tried_by_one(city: City, gate: Gate) -> None:
    policy = GatePolicy(failures=2, rest_s=30)
    provider = FakeChannel("p")
    provider.always = DOWN
    gated = Gated(provider, gate, policy)
    for _ in range(4):
        await gated.send(deliveries(3))
    assert len(provider.attempts) == 6
    (held, *_) = await gated.send(deliveries(2))
    assert isinstance(held, ChannelUnavailable)
    assert (held.code, held.held, held.retry_after_s) == (RESTING, True, 30)
    city.clock.forward(seconds=30)
    await asyncio.gather(*(gated.send(deliveries(3)) for _ in range(4)))
    assert len(provider.attempts) == 7  # one message tried, and the rest began again
    provider.always = None
    city.clock.forward(seconds=30)
    await gated.send(deliveries(3))
    await gated.send(deliveries(3))
    assert len(provider.sent) == 4


async def test_a_clock_that_goes_back_neither_owes_nor_rests_for_long(city: City, gate: Gate) -> None:
    """A server whose time is set right, or a run as of another day: nothing may wait until that day comes again."""
    policy = GatePolicy(per_second=10, failures=1, rest_s=30)
    assert (await gate.admit("p", 4, policy)).granted == 4
    await gate.note("p", policy, failed=True)
    city.clock.forward(days=-100)
    assert [(await gate.admit("p", 4, policy)).granted for _ in range(2)] == [1, 0], "one tries"
    await gate.note("p", policy, failed=False)
    assert (await gate.admit("p", 9, policy)).granted == 5
    city.clock.forward(days=-1)
    assert (await gate.admit("p", 9, policy)).granted == 0
    city.clock.forward(seconds=1)
    assert (await gate.admit("p", 9, policy)).granted == 9


@pytest.mark.parametrize("apart", [timedelta(milliseconds=20), timedelta(seconds=1)])
async def test_workers_whose_clocks_differ_share_one_limit(city: City, apart: timedelta) -> None:
    """Also one clock that is read before its row is locked: who had to wait comes with an older instant."""
    policy, granted = GatePolicy(per_second=100), 0
    clocks = [FakeClock(city.clock.now() + apart), FakeClock(city.clock.now())]
    for _ in range(200):
        for clock in clocks:
            granted += (await Gate(city.database, clock).admit("p", 50, policy)).granted
            clock.forward(milliseconds=5)
    assert granted <= 100 * (1 + 1)  # a second has passed, and the stock was full


async def test_a_rest_holds_for_a_worker_whose_clock_is_behind(city: City) -> None:
    policy, ahead = GatePolicy(failures=1, rest_s=30), FakeClock(city.clock.now() + timedelta(milliseconds=1))
    assert (await Gate(city.database, ahead).admit("p", 1, policy)).granted == 1
    await Gate(city.database, ahead).note("p", policy, failed=True)
    assert (await Gate(city.database, city.clock).admit("p", 1, policy)).granted == 0


async def test_a_clock_that_goes_back_parks_nothing_at_a_gate_without_tokens(city: City, gate: Gate) -> None:
    policy = GatePolicy(per_second=10, failures=1, rest_s=30)
    assert (await gate.admit("p", 10, policy)).granted == 10
    await gate.note("p", policy, failed=True)
    city.clock.forward(days=-100)
    assert (await gate.admit("p", 4, policy)).retry_after_s <= 30


async def test_one_success_in_a_call_ends_the_count(city: City, gate: Gate) -> None:
    provider = FakeChannel("p")
    gated = Gated(provider, gate, GatePolicy(failures=2))
    for _ in range(3):
        provider.failures = [DOWN]
        outcomes = await gated.send(deliveries(2))
        assert [isinstance(one, Receipt) for one in outcomes] == [False, True]
        assert outcomes[1] == Receipt(True, "ref", "p")


async def test_what_raises_counts_as_a_failure(city: City, gate: Gate) -> None:
    provider = FakeChannel("p")
    gated = Gated(provider, gate, GatePolicy(failures=1))
    provider.failures = [RuntimeError("a bug")]
    with pytest.raises(RuntimeError):
        await gated.send(deliveries(1))
    (held,) = await gated.send(deliveries(1))
    assert isinstance(held, ChannelUnavailable)
    assert held.code == RESTING


def kinds(outcomes: list[SendOutcome]) -> list[str]:
    return [one.code if isinstance(one, ChannelUnavailable | ChannelRefused) else "sent" for one in outcomes]


async def test_the_next_provider_takes_over_what_the_first_does_not_take(city: City, gate: Gate) -> None:
    first, second = FakeChannel("first"), FakeChannel("second")
    channel = FailOver("sms", [Gated(one, gate, GatePolicy()) for one in (first, second)])
    first.failures = [DOWN, ChannelRefused("bad_number", "no such number")]
    outcomes = await channel.send(deliveries(3))
    assert kinds(list(outcomes)) == ["sent", "bad_number", "sent"]
    assert [outcome.provider for outcome in outcomes if isinstance(outcome, Receipt)] == ["second", "first"]


async def test_what_may_have_been_taken_is_given_to_nobody_else(city: City, gate: Gate) -> None:
    first, second = FakeChannel("first"), FakeChannel("second")
    channel = FailOver("sms", [Gated(one, gate, GatePolicy()) for one in (first, second)])
    first.failures = [ChannelUnavailable("no_answer", "no answer", uncertain=True), DOWN]
    (unsure,) = await channel.send(deliveries(1))
    assert isinstance(unsure, ChannelUnavailable)
    assert (unsure.uncertain, unsure.provider, second.attempts) == (True, "first", [])
    assert kinds(list(await channel.send(deliveries(1, provider="first")))) == ["down"]
    assert kinds(list(await channel.send(deliveries(1, provider="first")))) == ["sent"]
    assert (len(first.sent), second.attempts) == (1, [])
    await channel.send(deliveries(1, provider="long gone"))
    assert len(first.sent) == 2


def addressed(number: int, *nowhere: int) -> list[Delivery]:
    """Deliveries to phones, but for those at the places `nowhere`."""
    contact = Contact(phone="13800138000")
    return [one if at in nowhere else replace(one, contact=contact) for at, one in enumerate(deliveries(number))]


async def test_who_cannot_be_reached_is_told_so_while_the_provider_rests(city: City, gate: Gate) -> None:
    provider = FakeChannel("p")
    provider.reaches = lambda contact: contact.phone is not None
    gated = Gated(provider, gate, GatePolicy(failures=1))
    provider.always = DOWN
    outcomes = await gated.send(addressed(3, 1))
    assert kinds(list(outcomes)) == ["down", "no_address", "down"]
    assert kinds(list(await gated.send(addressed(4, 0, 2)))) == ["no_address", RESTING, "no_address", RESTING]
    assert kinds(list(await gated.send(addressed(1, 0)))) == ["no_address"]
    assert len(provider.attempts) == 2, "who has no address does not end the rest"


async def test_only_who_can_be_reached_uses_up_the_limit(city: City, gate: Gate) -> None:
    provider = FakeChannel("p")
    provider.reaches = lambda contact: contact.phone is not None
    gated = Gated(provider, gate, GatePolicy(per_second=2))
    assert kinds(list(await gated.send(addressed(9, *range(9))))) == ["no_address"] * 9
    outcomes = await gated.send(addressed(5, 0, 2))
    assert kinds(list(outcomes)) == ["no_address", "sent", "no_address", "sent", THROTTLED]


async def test_a_holder_without_a_browser_has_no_push_while_web_push_rests(city: City, gate: Gate) -> None:
    async def forget(_: Device) -> None:
        raise AssertionError("nobody is asked")

    web_push = WebPush(VapidKey.new(), "mailto:desk@city.example", PUSH_SERVICES, forget, city.clock)
    policy = GatePolicy(per_second=10, failures=1)
    await gate.admit(web_push.name, 1, policy)
    await gate.note(web_push.name, policy, failed=True)
    browser = Contact((Device(DeviceKind.WEB_PUSH, "{}"),))
    asked = [replace(one, contact=browser if at == 1 else Contact()) for at, one in enumerate(deliveries(3))]
    outcomes = await Gated(web_push, gate, policy).send(asked)
    assert kinds(list(outcomes)) == ["no_push_token", RESTING, "no_push_token"]
    assert isinstance(outcomes[0], NoAddress)


async def test_a_provider_that_takes_too_long_keeps_what_it_may_have(city: City, gate: Gate) -> None:
    class Slow(FakeChannel):
        slow = True

        async def send(self, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
            if self.slow:
                await asyncio.Event().wait()
            return await super().send(deliveries)

    first, second = Slow("first"), FakeChannel("second")
    asked = AskedBook(city.database)
    channel = FailOver("sms", [Gated(one, gate, GatePolicy(), asked) for one in (first, second)])
    city.configure(channel, policy=DeliveryPolicy(send_timeout_s=1))
    text = Bilingual("标题", "Title"), Bilingual("正文", "Text")
    async with city.database.transaction() as session:
        await city.outbox.notify(session, [Notice("holder-1", "test", "a", *text, channels=("sms",))])
    assert (await city.outbox.deliver(city.database)).retried == 1
    first.slow = False
    for answer in (DOWN, None):
        first.always = answer
        city.clock.forward(hours=1)
        await city.outbox.deliver(city.database)
    assert (len(first.sent), second.attempts) == (1, [])


async def test_who_is_asked_is_noted_for_what_it_gets_and_nothing_else(city: City, gate: Gate) -> None:
    notes: list[tuple[str, list[str]]] = []

    class Asked:
        async def note(self, provider: str, idempotency_keys: Sequence[str]) -> None:
            assert not any(one.attempts for one in (first, second)[len(notes) :]), "before it is asked"
            notes.append((provider, list(idempotency_keys)))

    first, second = FakeChannel("first"), FakeChannel("second")
    first.reaches = lambda contact: contact.phone is not None
    policies = GatePolicy(per_second=1), GatePolicy()
    channel = FailOver(
        "sms", [Gated(one, gate, policy, Asked()) for one, policy in zip((first, second), policies, strict=True)]
    )
    assert kinds(list(await channel.send(addressed(4, 0)))) == ["no_address", "sent", "sent", "sent"]
    assert notes == [("first", ["key-1"]), ("second", ["key-2", "key-3"])]
    await channel.send(deliveries(1, provider="second"))
    assert len(notes) == 2, "whose name is there need not be noted again"


async def test_a_used_up_limit_spills_over(city: City, gate: Gate) -> None:
    first, second = FakeChannel("first"), FakeChannel("second")
    channel = FailOver(
        "sms", [Gated(first, gate, GatePolicy(per_second=2)), Gated(second, gate, GatePolicy(per_second=1))]
    )
    assert kinds(list(await channel.send(deliveries(5)))) == ["sent"] * 3 + [THROTTLED] * 2
    assert (len(first.sent), len(second.sent)) == (2, 1)
