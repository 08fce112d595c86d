"""Notices, muted channels, quiet hours, receipts that come later, and what operators put back."""

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications import (
    Bilingual,
    ChannelRefused,
    ChannelUnavailable,
    DeliveryPolicy,
    MessageState,
    Notice,
    QuietHours,
    Receipt,
    Selection,
)
from notifications.errors import THROTTLED
from notifications.outbox import delivery
from notifications.outbox.models import Digest, Entry
from notifications.outbox.receipts import ReceiptBook
from tests.notifications.fakes import TODAY, City, notify

NIGHT = QuietHours.parse("21:00-08:00")


def notice(**different: object) -> Notice:
    values = {"holder_id": "holder-1", "kind": "test", "subject": "a", "title": Bilingual("标题", "Title")}
    return Notice(**{**values, "text": Bilingual("正文", "Text"), **different})  # type: ignore[arg-type]


async def test_a_notice_goes_out_at_once_and_alone(city: City) -> None:
    assert await notify(city, notice(), notice(subject="b")) == 4
    await city.outbox.deliver(city.database)
    assert [message.text for message in city.push.sent] == ["正文", "正文"]
    assert await city.inbox_of("holder-1") == ["正文", "正文"]


async def test_a_notice_of_a_kind_about_a_subject_is_given_once(city: City) -> None:
    assert await notify(city, notice(), notice()) == 2
    assert await notify(city, notice()) == 0
    assert await notify(city, notice(kind="other")) == 2


async def test_a_notice_goes_only_where_it_may(city: City) -> None:
    await notify(city, notice(channels=("sms",)), notice(subject="b", channels=("inbox", "push")))
    city.push.always = ChannelRefused("gone", "app gone")
    await city.outbox.deliver(city.database)
    assert await city.counts() == {("sms", "delivered"): 1, ("inbox", "delivered"): 1, ("push", "failed"): 1}


async def test_a_muted_push_is_sent_as_sms_and_a_muted_route_is_silent(city: City) -> None:
    await notify(city, notice(muted=frozenset({"push"})), notice(subject="b", muted=frozenset({"push", "sms"})))
    await city.outbox.deliver(city.database)
    assert await city.counts() == {("sms", "delivered"): 1, ("inbox", "delivered"): 2}


async def test_an_entry_that_is_muted_on_the_next_channel_does_not_go_on(city: City) -> None:
    entries = (
        Entry("a", Bilingual("甲", "A"), frozenset({"sms"})),
        Entry("b", Bilingual("乙", "B")),
        Entry("c", Bilingual("丙", "C"), frozenset({"inbox"})),
    )
    text = Bilingual("标题", "Title"), Bilingual("共{count}条", "{count} items"), Bilingual("完", "End")
    async with city.database.transaction() as session:
        await city.outbox.post(session, [Digest("holder-1", TODAY, "test", *text, entries)])
    city.push.always = ChannelRefused("gone", "app gone")
    await city.outbox.deliver(city.database)
    assert [message.text for message in city.push.attempts] == ["共3条\n1. 甲\n2. 乙\n3. 丙\n完"]
    assert [message.text for message in city.sms.sent] == ["共2条\n1. 乙\n2. 丙\n完"]
    assert await city.inbox_of("holder-1") == ["共2条\n1. 甲\n2. 乙\n完"]


async def test_at_night_only_what_is_urgent_rings(city: City) -> None:
    city.configure(city.inbox, city.push, city.sms, policy=DeliveryPolicy(quiet=NIGHT))
    city.clock.forward(hours=12)  # 21:00 in Shanghai
    await notify(city, notice(), notice(subject="code", urgent=True))
    await city.outbox.deliver(city.database)
    assert (len(city.push.sent), len(await city.inbox_of("holder-1"))) == (1, 2)
    city.clock.forward(hours=10, minutes=59)
    assert (await city.outbox.deliver(city.database)).sent == 0
    city.clock.forward(minutes=1)  # 08:00
    assert (await city.outbox.deliver(city.database)).sent == 1


async def test_an_sms_that_falls_into_the_night_waits_for_the_morning(city: City) -> None:
    city.configure(city.push, city.sms, policy=DeliveryPolicy(quiet=NIGHT))
    city.push.delivered = False
    city.clock.forward(hours=11, minutes=55)
    await notify(city, notice())
    await city.outbox.deliver(city.database)
    city.clock.forward(minutes=10)
    assert (await city.outbox.deliver(city.database)).sent == 0
    city.clock.forward(hours=11)
    assert (await city.outbox.deliver(city.database)).sent == len(city.sms.sent) == 1


async def test_what_nobody_needs_any_more_is_not_sent(city: City) -> None:
    city.configure(city.sms)
    city.sms.failures = [ChannelUnavailable("down", "provider down")]
    await notify(city, notice(useful_until=city.clock.now() + timedelta(minutes=10)))
    await city.outbox.deliver(city.database)
    city.clock.forward(minutes=10)
    assert (await city.outbox.deliver(city.database)).cancelled == 1
    assert (city.sms.sent, await city.counts()) == ([], {("sms", "cancelled"): 1})


class Courier:
    """An SMS provider that accepts and tells later; it remembers whom it was told to stick to."""

    name, batch = "sms", 50

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.providers: list[str | None] = []
        self.answers: list[Receipt | ChannelUnavailable] = []

    async def send(self, deliveries: list) -> list:  # type: ignore[type-arg]
        self.calls.append([one.message.idempotency_key for one in deliveries])
        self.providers += [one.message.provider for one in deliveries]
        return [
            self.answers.pop(0) if self.answers else Receipt(False, f"ref-{len(self.calls)}-{n}", "courier")
            for n, _ in enumerate(deliveries)
        ]


async def receipt(city: City, ref: str, *, delivered: bool) -> None:
    book = ReceiptBook(city.database, city.clock)
    await book.note("courier", ref, delivered=delivered, reason=None if delivered else "UNDELIV")


async def test_a_batch_is_handed_over_in_one_call(city: City) -> None:
    courier = Courier()
    city.configure(courier)
    await notify(city, *(notice(subject=f"s{n}", holder_id=f"h{n}") for n in range(120)))
    assert (await city.outbox.deliver(city.database)).sent == 120
    assert sorted(len(call) for call in courier.calls) == [20, 50, 50]


async def test_all_receipts_are_settled_in_one_run_however_many_came(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "RECEIPTS_AT_ONCE", 3)
    city.configure(Courier())
    await notify(city, *(notice(subject=f"s{n}", holder_id=f"h{n}") for n in range(8)))
    await city.outbox.deliver(city.database)
    for n in range(8):
        await receipt(city, f"ref-1-{n}", delivered=n % 2 == 0)
    await city.outbox.deliver(city.database)
    assert await city.counts() == {("sms", "delivered"): 4, ("sms", "failed"): 4}


async def test_receipts_find_their_messages_even_when_they_come_first(city: City) -> None:
    city.configure(Courier())
    await receipt(city, "ref-1-0", delivered=True)
    await notify(city, notice(), notice(subject="b"))
    await city.outbox.deliver(city.database)
    await receipt(city, "ref-1-1", delivered=False)
    await receipt(city, "unknown", delivered=True)
    await city.outbox.deliver(city.database)
    assert await city.counts() == {("sms", "delivered"): 1, ("sms", "failed"): 1}
    await receipt(city, "ref-1-0", delivered=False)  # a provider that changes its mind is not believed
    await city.outbox.deliver(city.database)
    assert await city.counts() == {("sms", "delivered"): 1, ("sms", "failed"): 1}
    async with city.database.snapshot() as session:
        (failed,) = await city.outbox.list(session, Selection(state=MessageState.FAILED))
    assert failed.reason == "undelivered: UNDELIV"


async def test_who_may_have_accepted_a_message_is_asked_again(city: City) -> None:
    courier = Courier()
    city.configure(courier)
    unsure = ChannelUnavailable("no_answer", "no answer", uncertain=True)
    unsure.provider = "second"
    courier.answers = [unsure]
    await notify(city, notice())
    await city.outbox.deliver(city.database)
    city.clock.forward(hours=1)
    assert (await city.outbox.deliver(city.database)).sent == 1
    assert courier.providers == [None, "second"]
    assert courier.calls[0] == courier.calls[1]


async def test_what_we_hold_back_ourselves_is_no_attempt(city: City) -> None:
    courier = Courier()
    city.configure(courier, policy=DeliveryPolicy(max_attempts=2))
    await notify(city, notice())
    for _ in range(5):
        courier.answers = [ChannelUnavailable(THROTTLED, "slowly", retry_after_s=0.001, held=True)]
        await city.outbox.deliver(city.database)
        city.clock.forward(seconds=1)
    assert (await city.outbox.deliver(city.database)).sent == 1


async def test_a_throttled_push_does_not_become_an_sms(city: City) -> None:
    city.push.failures = [ChannelUnavailable(THROTTLED, "slowly", retry_after_s=900, held=True)]
    await notify(city, notice(channels=("push", "sms")))
    await city.outbox.deliver(city.database)
    city.clock.forward(minutes=14)
    await city.outbox.deliver(city.database)
    assert await city.counts() == {("push", "pending"): 1}


async def redrive(city: City, **selection: object) -> int:
    async with city.database.transaction() as session:
        return await city.outbox.redrive(session, Selection(**selection))  # type: ignore[arg-type]


async def test_failed_messages_are_put_back_once(city: City) -> None:
    city.configure(city.sms, policy=DeliveryPolicy(max_attempts=1))
    city.sms.always = ChannelUnavailable("down", "provider down")
    await notify(city, notice(), notice(subject="b", useful_until=city.clock.now() + timedelta(minutes=1)))
    await city.outbox.deliver(city.database)
    assert await redrive(city, channel="push") == 0
    city.sms.always = None
    city.clock.forward(minutes=2)
    assert await redrive(city, channel="sms") == 1  # nobody needs the other any more
    assert await redrive(city) == 0
    assert (await city.outbox.deliver(city.database)).sent == 1


async def test_what_another_channel_carried_is_not_put_back(city: City) -> None:
    city.push.always = ChannelRefused("gone", "app gone")
    await notify(city, notice())
    await city.outbox.deliver(city.database)
    assert await redrive(city) == 0


async def test_an_sms_that_failed_after_a_push_without_receipt_is_put_back(city: City) -> None:
    city.configure(city.push, city.sms, policy=DeliveryPolicy(max_attempts=1))
    city.push.delivered = False
    city.sms.always = ChannelUnavailable("down", "provider down")
    await notify(city, notice())
    await city.outbox.deliver(city.database)
    city.clock.forward(minutes=11)
    await city.outbox.deliver(city.database)
    assert await city.counts() == {("push", "sent"): 1, ("sms", "failed"): 1}
    city.sms.always = None
    assert await redrive(city) == 1
    await city.outbox.deliver(city.database)
    assert await city.counts() == {("push", "sent"): 1, ("sms", "delivered"): 1}


@pytest.mark.parametrize("push", ["arrives", "fails"])
async def test_push_and_sms_put_back_together_follow_each_other(city: City, push: str) -> None:
    city.configure(city.push, city.sms, policy=DeliveryPolicy(max_attempts=1))
    city.push.always = city.sms.always = ChannelUnavailable("down", "both are down")
    await notify(city, notice())
    await city.outbox.deliver(city.database)
    assert await city.counts() == {("push", "failed"): 1, ("sms", "failed"): 1}
    city.sms.always = None
    city.push.always = None if push == "arrives" else city.push.always
    assert await redrive(city) == 2
    await city.outbox.deliver(city.database)
    expected = {"arrives": ("delivered", "cancelled"), "fails": ("failed", "delivered")}[push]
    assert await city.counts() == {("push", expected[0]): 1, ("sms", expected[1]): 1}


async def test_texts_of_old_messages_are_erased_and_the_promise_stays(city: City) -> None:
    await notify(city, notice(), notice(subject="code", useful_until=city.clock.now() + timedelta(minutes=5)))
    await city.outbox.deliver(city.database)
    city.clock.forward(hours=1)
    erased = []
    for days in (89, 2):
        async with city.database.transaction() as session:
            await city.outbox.prune(session, timedelta(days=90))
            rows = await (await session.connection()).exec_driver_sql("SELECT body FROM outbox_entry")
            erased.append(sum(not body for (body,) in rows))
        city.clock.forward(days=days)
    async with city.database.transaction() as session:
        await city.outbox.prune(session, timedelta(days=90))
    assert erased == [2, 2]
    assert await notify(city, notice()) == 0
    assert (await city.outbox.deliver(city.database)).sent == 0


@pytest.mark.parametrize("text", ["21-8", "24:00-08:00", "21:00-08:60", "21:00–08:00", " 21:00-08:00"])
def test_quiet_hours_in_another_form_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="21:00-08:00"):
        QuietHours.parse(text)


@given(st.text(max_size=12))
def test_any_text_is_quiet_hours_or_refused(text: str) -> None:
    with suppress(ValueError):
        hours = QuietHours.parse(text)
        assert hours is None or hours.begin != hours.end
