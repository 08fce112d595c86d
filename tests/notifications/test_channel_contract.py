"""What the port `Channel` promises, asked of every channel there is, each against a far end on this machine."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from notifications import (
    ChannelRefused,
    ChannelUnavailable,
    Contact,
    Delivery,
    Inbox,
    NoAddress,
    OutgoingMessage,
    Receipt,
    Sink,
)
from notifications.channels.sms_aliyun import SmsAliyun
from notifications.channels.sms_smpp import SmppAccount, SmsSmpp
from notifications.channels.web_push import PUSH_SERVICES, WebPush
from notifications.ports import Channel, SendOutcome
from tests.notifications.aliyun import FakeAliyun
from tests.notifications.fakes import phone
from tests.notifications.far_end import serving
from tests.notifications.test_push_fcm import FakeFcm, push_over
from tests.notifications.test_sms_smpp import Book
from tests.notifications.test_web_push import KEY, Browser, PushService
from tests.sms_centre import SmsCentre, needs_node
from wallet_api.database import Database

MESSAGE = OutgoingMessage("key-0", "holder-1", "test", "秘密标题", "秘密正文")
NOWHERE = Contact()


@dataclass
class Line:
    """A channel with its far end, and whom it reaches.

    Attributes:
        reached: a contact by number; numbers from 1000 to 1999 are good everywhere.
        no_address: the code for a contact without an address; None: everybody is reached.
        has_ref: whether a receipt names the message as the provider does.
        leave: takes the provider away; None: there is none.
        away: the code when it is away.
        shown: how many messages a holder sees, or the provider has; None: nobody can tell a repetition.
        refused: makes the provider refuse one contact, and gives it; None: it refuses nobody.
    """

    channel: Channel
    reached: Callable[[int], Contact]
    no_address: str | None = None
    has_ref: bool = False
    leave: Callable[[], object] | None = None
    away: str = ""
    shown: Callable[[], Awaitable[int]] | None = None
    refused: Callable[[], Contact] | None = None

    def deliveries(self, number: int, *nowhere: int) -> list[Delivery]:
        """As many, each under its own key; those at the places `nowhere` go to somebody without an address."""
        return [
            Delivery(
                replace(MESSAGE, idempotency_key=f"key-{at}"), NOWHERE if at in nowhere else self.reached(1000 + at)
            )
            for at in range(number)
        ]


def inbox(request: pytest.FixtureRequest, _: ExitStack, kind: str = "sqlite") -> Line:
    database: Database = request.getfixturevalue(f"{kind}_database")
    channel = Inbox(request.getfixturevalue("clock"), request.getfixturevalue("protector"), database)

    async def shown() -> int:
        async with database.snapshot() as session:
            return len((await channel.list(session, MESSAGE.holder_id)).messages)

    return Line(channel, lambda _: NOWHERE, shown=shown)


def sink(request: pytest.FixtureRequest, _: ExitStack) -> Line:
    folder: Path = request.getfixturevalue("tmp_path") / "sink"
    folder.mkdir()
    channel = Sink("sms", folder / "sink.ndjson", request.getfixturevalue("clock"))
    return Line(channel, phone_number, "no_phone", leave=folder.rmdir, away="sink_unwritable")


def fcm(request: pytest.FixtureRequest, stack: ExitStack) -> Line:
    server = stack.enter_context(serving(FakeFcm()))
    monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    channel = push_over(server, request.getfixturevalue("private_key_pem"), monkeypatch)
    stack.callback(lambda: request.getfixturevalue("runner").run(channel.close()))

    async def shown() -> int:
        return len({message["android"]["collapse_key"] for message in server.received})

    def refused() -> Contact:
        server.fail("secret-device-0", 404, "UNREGISTERED")
        return device(0)

    def device(number: int) -> Contact:
        return Contact((phone(f"secret-device-{number}"),))

    return Line(channel, device, "no_push_token", True, server.leave, "push_unavailable", shown, refused)


def web_push(request: pytest.FixtureRequest, stack: ExitStack) -> Line:
    server = stack.enter_context(serving(PushService()))
    clock = request.getfixturevalue("clock")
    channel = WebPush(KEY, "mailto:desk@city.example", PUSH_SERVICES, server.forget, clock, insecure=True)
    stack.callback(lambda: request.getfixturevalue("runner").run(channel.close()))

    async def shown() -> int:
        return len({headers["Topic"] for _, headers, _ in server.received})

    def refused() -> Contact:
        server.status = 410
        return browser(0)

    def browser(number: int) -> Contact:
        return Contact((Browser(server, f"/secret/{number}").device,))

    return Line(channel, browser, "no_push_token", True, server.leave, "push_unavailable", shown, refused)


def aliyun(request: pytest.FixtureRequest, stack: ExitStack) -> Line:
    server = stack.enter_context(serving(FakeAliyun()))
    channel = SmsAliyun(server.account({"*": "SMS_1"}), request.getfixturevalue("clock"))

    async def shown() -> int:
        return len(server.taken)

    def refused() -> Contact:
        server.code = "isv.MOBILE_NUMBER_ILLEGAL"
        return phone_number(1000)

    return Line(channel, phone_number, "no_phone", True, server.leave, "sms_silent", shown, refused)


def smpp(request: pytest.FixtureRequest, stack: ExitStack) -> Line:
    needs_node()
    centre = SmsCentre()
    stack.callback(centre.kill)
    channel = SmsSmpp(SmppAccount("127.0.0.1", centre.port, "wallet", "secret", source="10690000"), Book())
    stack.callback(lambda: request.getfixturevalue("runner").run(channel.close()))
    return Line(channel, phone_number, "no_phone", True, centre.kill, "smsc_away", refused=lambda: phone_number(2))


def phone_number(ending: int) -> Contact:
    return Contact(phone=f"1380013{ending:04d}")


EVERY_LINE = (
    pytest.param(inbox, id="inbox"),
    pytest.param(partial(inbox, kind="postgresql"), id="inbox-postgresql", marks=pytest.mark.postgresql),
    *(pytest.param(build, id=build.__name__) for build in (sink, fcm, web_push, aliyun, smpp)),
)


@pytest.fixture(params=EVERY_LINE)
def line(request: pytest.FixtureRequest) -> Iterator[Line]:
    with ExitStack() as stack:
        yield request.param(request, stack)


async def test_nothing_to_send_gives_nothing(line: Line) -> None:
    assert list(await line.channel.send([])) == []


async def test_each_delivery_of_a_batch_has_its_receipt(line: Line) -> None:
    outcomes = await line.channel.send(line.deliveries(line.channel.batch))
    assert len(outcomes) == line.channel.batch >= 1
    receipts = [one for one in outcomes if isinstance(one, Receipt)]
    assert len(receipts) == len(outcomes)
    refs = {one.provider_ref for one in receipts}
    assert (None not in refs and len(refs) == len(outcomes)) if line.has_ref else refs == {None}


async def test_who_has_no_address_disturbs_nobody_beside(line: Line) -> None:
    outcomes = await line.channel.send(line.deliveries(5, 1, 2, 4))
    missing = [isinstance(one, NoAddress) for one in outcomes]
    assert missing == [line.no_address is not None and at in (1, 2, 4) for at in range(5)]
    assert codes(outcomes) <= {line.no_address}
    assert all(isinstance(one, Receipt | NoAddress) for one in outcomes)


async def test_a_provider_tells_whom_it_reaches_as_it_answers(line: Line) -> None:
    reaches = getattr(line.channel, "reaches", None)
    assert (reaches is not None) == line.has_ref, "whoever is asked over a network is a Provider"
    if reaches is not None:
        assert reaches(line.reached(1000))
        assert not reaches(NOWHERE)


async def test_a_provider_that_is_not_there_has_an_answer_for_each(line: Line) -> None:
    if line.leave is None:
        assert line.no_address is None, "the inbox is our own database"
        return
    line.leave()
    assert list(await line.channel.send([])) == []
    asked = line.deliveries(5, 1)
    outcomes = await line.channel.send(asked)
    assert [type(one) for one in outcomes] == [ChannelUnavailable, NoAddress, *[ChannelUnavailable] * 3]
    assert codes(outcomes) == {line.away, line.no_address}
    says_nothing(outcomes, asked)


async def test_a_refusal_names_neither_holder_nor_text(line: Line) -> None:
    asked = line.deliveries(1, 0)
    if line.refused is not None:
        asked.append(Delivery(MESSAGE, line.refused()))
    outcomes = await line.channel.send(asked)
    refusals = [one for one in outcomes if isinstance(one, ChannelRefused)]
    assert len(refusals) == (line.no_address is not None) + (line.refused is not None)
    says_nothing(outcomes, asked)


async def test_a_repetition_under_the_same_key_is_taken_and_leaves_one_message(line: Line) -> None:
    (first,) = line.deliveries(1)
    for attempt in (1, 2):
        (outcome,) = await line.channel.send([replace(first, message=replace(first.message, attempt=attempt))])
        assert isinstance(outcome, Receipt)
    if line.shown is not None:
        assert await line.shown() == 1


def codes(outcomes: Sequence[SendOutcome]) -> set[str | None]:
    return {one.code for one in outcomes if not isinstance(one, Receipt)}


def says_nothing(outcomes: Sequence[SendOutcome], asked: Sequence[Delivery]) -> None:
    """No error holds what a delivery must not show: its text, or where it goes."""
    secrets: list[Any] = [MESSAGE.title, MESSAGE.text, MESSAGE.holder_id, "/secret/"]
    for one in asked:
        secrets += [device.address for device in one.contact.devices]
        secrets += [one.contact.phone] if one.contact.phone else []
    said = [repr(one) + str(one) for one in outcomes if not isinstance(one, Receipt)]
    assert not [secret for secret in secrets for text in said if secret in text]
