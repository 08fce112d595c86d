"""Receipts that come before they are waited for, or in another place."""

from collections.abc import Sequence
from datetime import timedelta

from notifications import (
    ChannelUnavailable,
    Delivery,
    Receipt,
)
from notifications.channels.formats.delivery_receipt import read_delivery_receipt
from notifications.ports import SendOutcome
from tests.notifications.fakes import City, notice, notify


async def test_the_text_of_a_push_whose_receipt_overtook_the_worker_is_erased_too(city: City) -> None:
    """MESSAGE_TEXTS_KEPT_DAYS: "then the texts of closed messages are erased from the outbox"."""

    class Quick:
        """The phone confirms before the worker has closed the message."""

        name, batch = "push", 50

        async def send(self, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
            async with city.database.transaction() as session:
                for one in deliveries:
                    await city.outbox.confirm_push(session, one.message.idempotency_key)
            return [Receipt(False, "ref")] * len(deliveries)

    city.configure(Quick())
    await notify(city, notice(1), notice(2))
    await city.outbox.deliver(city.database)
    assert await city.counts() == {("push", "delivered"): 2}
    city.clock.forward(days=400)
    async with city.database.transaction() as session:
        await city.outbox.prune(session, timedelta(days=90))
        rows = await (await session.connection()).exec_driver_sql("SELECT body FROM outbox_message")
        assert [bytes(body) for (body,) in rows] == [b"", b""]


async def test_the_text_of_a_push_confirmed_while_it_waits_for_a_retry_is_erased_too(city: City) -> None:
    city.configure(city.push)
    city.push.failures = [ChannelUnavailable("late", "no answer", uncertain=True)]
    await notify(city, notice(1))
    await city.outbox.deliver(city.database)
    async with city.database.transaction() as session:
        await city.outbox.confirm_push(session, city.push.attempts[0].idempotency_key)
    assert await city.counts() == {("push", "delivered"): 1}
    city.clock.forward(days=400)
    async with city.database.transaction() as session:
        await city.outbox.prune(session, timedelta(days=90))
        rows = await (await session.connection()).exec_driver_sql("SELECT body FROM outbox_message")
        assert [bytes(body) for (body,) in rows] == [b""]


def test_a_receipt_in_the_message_payload_is_read() -> None:
    """SMPP 3.4 §4.6.1 and §5.3.2.32: a deliver_sm may carry its text in `message_payload` with an sm_length of 0."""
    text = b"id:m1 sub:001 dlvrd:001 submit date:2611260900 done date:2611260901 stat:DELIVRD err:000 text:"
    assert read_delivery_receipt(0x04, b"", {0x0424: text}) is not None
