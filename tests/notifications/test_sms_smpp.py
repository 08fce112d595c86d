"""SMS over SMPP, against a centre of another make; and the texts and receipts that go over it."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications import (
    Bilingual,
    ChannelRefused,
    ChannelUnavailable,
    Contact,
    Delivery,
    NoAddress,
    Notice,
    OutgoingMessage,
    Receipt,
)
from notifications.channels.formats.delivery_receipt import read_delivery_receipt
from notifications.channels.formats.sms_text import UCS2, international_number, sms_parts
from notifications.channels.providers import FailOver
from notifications.channels.sms_smpp import SmppAccount, SmsSmpp
from notifications.outbox.receipts import ReceiptBook
from tests.notifications.fakes import City
from tests.sms_centre import SmsCentre, needs_node

LONG = "您的《食品经营许可证》有效期至2026年12月23日。请在届满30日前申请延续。" * 5


class Book:
    """Keeps receipts."""

    def __init__(self) -> None:
        self.notes: dict[str, tuple[bool, str | None]] = {}

    async def note(self, provider: str, provider_ref: str, *, delivered: bool, reason: str | None = None) -> None:
        self.notes[provider_ref] = (delivered, reason)

    async def of(self, ref: str | None) -> tuple[bool, str | None]:
        """The receipt of a message, which comes in a moment."""
        assert ref is not None
        for _ in range(1000):
            if ref in self.notes:
                break
            await asyncio.sleep(0.01)
        return self.notes[ref]


@pytest.fixture
def centre() -> Iterator[SmsCentre]:
    needs_node()
    centre = SmsCentre()
    yield centre
    centre.kill()


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def sms(centre: SmsCentre, book: Book, runner: asyncio.Runner) -> Iterator[SmsSmpp]:
    channel = SmsSmpp(account(centre), book)
    yield channel
    runner.run(channel.close())


def account(centre: SmsCentre) -> SmppAccount:
    return SmppAccount("127.0.0.1", centre.port, "wallet", "secret", source="10690000")


def delivery(ending: str = "9999", text: str = "正文", key: str = "key-1", title: str = "标题") -> Delivery:
    return Delivery(OutgoingMessage(key, "holder-1", "test", title, text), Contact(phone=f"1380013{ending}"))


def codes(outcomes: object) -> list[str]:
    assert isinstance(outcomes, list)
    return [one.code if isinstance(one, ChannelUnavailable | ChannelRefused) else "sent" for one in outcomes]


async def test_a_message_arrives_whole_and_its_receipt_comes_back(centre: SmsCentre, book: Book, sms: SmsSmpp) -> None:
    (receipt,) = await sms.send([delivery()])
    assert isinstance(receipt, Receipt)
    assert not receipt.delivered
    assert await book.of(receipt.provider_ref) == (True, None)
    (taken,) = centre.kill()
    assert (taken["to"], taken["from"], taken["coding"], taken["receipt"]) == ("8613800139999", "10690000", UCS2, 1)
    assert (taken["text"], taken["header"]) == ("标题：正文", "")


async def test_a_long_chinese_message_arrives_in_parts_that_join(centre: SmsCentre, book: Book, sms: SmsSmpp) -> None:
    (receipt,) = await sms.send([delivery(text=LONG)])
    assert isinstance(receipt, Receipt)
    assert await book.of(receipt.provider_ref) == (True, None)
    parts = centre.kill()
    assert "".join(part["text"] for part in parts) == f"标题：{LONG}"
    assert len(parts) == 4
    references = {part["header"][:-2] for part in parts}
    assert len(references) == 1
    assert [part["header"][-2:] for part in parts] == ["01", "02", "03", "04"]
    assert [part["receipt"] for part in parts] == [0, 0, 0, 1]


async def test_each_message_of_a_batch_has_its_own_answer(book: Book, sms: SmsSmpp) -> None:
    wanted = [delivery(ending) for ending in ("9999", "0001", "0002", "0005", "0006")]
    nobody = replace(wanted[0], contact=Contact())
    nonsense = replace(wanted[0], contact=Contact(phone="12345"))
    outcomes = list(await sms.send([*wanted, nobody, nonsense, delivery(text="很" * 700)]))
    assert codes(outcomes) == [
        "sent", "smsc_busy", "phone_unknown", "sent", "smsc_busy", "no_phone", "phone_malformed", "sent",
    ]  # fmt: skip
    busy, undelivered = outcomes[1], outcomes[3]
    assert isinstance(busy, ChannelUnavailable)
    assert (busy.uncertain, busy.retry_after_s) == (False, 5)
    assert isinstance(outcomes[5], NoAddress)
    assert isinstance(undelivered, Receipt)
    assert await book.of(undelivered.provider_ref) == (False, "UNDELIV")
    assert codes(list(await sms.send([delivery("0001")]))) == ["sent"]
    assert not any("138" in str(one) for one in outcomes)


async def test_a_line_that_breaks_leaves_it_open_and_is_bound_again(sms: SmsSmpp) -> None:
    (outcome,) = await sms.send([delivery("0004")])
    assert isinstance(outcome, ChannelUnavailable)
    assert (outcome.code, outcome.uncertain) == ("smsc_silent", True)
    assert codes(list(await sms.send([delivery()]))) == ["sent"]


async def test_an_answer_that_never_comes_leaves_it_open(
    centre: SmsCentre, sms: SmsSmpp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notifications.channels.sms_smpp.ANSWER_S", 0.2)
    outcomes = list(await sms.send([delivery("0003"), delivery()]))
    assert codes(outcomes) == ["smsc_silent", "sent"]
    assert isinstance(outcomes[0], ChannelUnavailable)
    assert outcomes[0].uncertain
    assert codes(list(await sms.send([delivery()]))) == ["sent"]


async def test_no_centre_or_a_wrong_password_is_no_attempt_at_all(centre: SmsCentre, book: Book) -> None:
    wrong = SmsSmpp(replace(account(centre), password="guess"), book)
    assert codes(list(await wrong.send([delivery()]))) == ["smsc_away"]
    await wrong.close()
    port = centre.port
    centre.kill()
    nobody = SmsSmpp(SmppAccount("127.0.0.1", port, "wallet", "secret"), book)
    (outcome,) = await nobody.send([delivery()])
    assert isinstance(outcome, ChannelUnavailable)
    assert (outcome.code, outcome.uncertain) == ("smsc_away", False)


@pytest.mark.parametrize("database", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True)
async def test_a_centre_killed_and_started_again_in_the_middle_loses_nothing(city: City) -> None:
    needs_node()
    centre = SmsCentre()
    sms = SmsSmpp(replace(account(centre), window=20), ReceiptBook(city.database, city.clock))
    city.configure(FailOver("sms", [sms]))
    city.contacts.everybody = lambda holder_id: Contact(
        phone="13900000007" if holder_id == "190" and centre.alive else f"13900{int(holder_id):06d}"
    )
    text = Bilingual("标题", "Title"), Bilingual("正文", "Text")
    notices = [Notice(str(n), "test", str(n), *text, channels=("sms",)) for n in range(100, 300)]
    async with city.database.transaction() as session:
        await city.outbox.notify(session, notices)
    await city.outbox.deliver(city.database)
    taken = [message["to"] for message in centre.kill()]
    assert (await city.counts())["sms", "pending"] > 20
    again = SmsCentre(centre.port)
    for _ in range(6):
        city.clock.forward(minutes=10)
        await city.outbox.deliver(city.database)
    states = await city.counts()
    await sms.close()
    taken += [message["to"] for message in again.kill()]
    assert set(states) <= {("sms", "sent"), ("sms", "delivered")}
    assert sum(states.values()) == 200
    times = Counter(taken)
    del times["8613900000007"]  # whose message killed it
    assert len(times) == 200, "none is lost"
    assert sum(times.values()) - 200 <= sms.batch * 2, "twice at most what was under way when it died"


@given(st.text(max_size=300), st.integers(0, 255))
def test_parts_join_to_the_text_and_fit(text: str, reference: int) -> None:
    try:
        cut = sms_parts(text, reference)
    except ValueError:
        assert len(text) > 200 or any("\ud800" <= c <= "\udfff" for c in text)
        return
    coding = "utf-16-be" if cut.data_coding == UCS2 else "ascii"
    assert all(len(part) <= (140 if cut.data_coding == UCS2 else 160) for part in cut.parts)
    bodies = [part[6:] if cut.headed else part for part in cut.parts]
    assert "".join(body.decode(coding) for body in bodies) == text  # each part decodes by itself
    if cut.headed:
        assert [part[3:6] for part in cut.parts] == [
            bytes([reference, len(bodies), number]) for number in range(1, len(bodies) + 1)
        ]


@pytest.mark.parametrize(
    ("phone", "number"),
    [
        ("13800138000", "8613800138000"), ("+86 138-0013-8000", "8613800138000"), ("008613800138000", "8613800138000"),
        ("+85291234567", "85291234567"),
    ],
)  # fmt: skip
def test_a_number_is_written_with_its_country_code(phone: str, number: str) -> None:
    assert international_number(phone) == number


@given(st.text(max_size=20))
def test_any_text_is_a_number_or_none(phone: str) -> None:
    with suppress(ValueError):
        assert international_number(phone).isdigit()


@given(st.integers(0, 255), st.binary(max_size=200), st.dictionaries(st.integers(0, 0xFFFF), st.binary(max_size=80)))
def test_any_message_of_a_centre_is_a_receipt_or_none(
    esm_class: int, text: bytes, parameters: dict[int, bytes]
) -> None:
    receipt = read_delivery_receipt(esm_class, text, parameters)
    assert receipt is None or (receipt.message_id.isascii() and receipt.state.isascii())


def test_receipts_are_read_from_parameters_or_text() -> None:
    text = b"id:123A sub:001 dlvrd:001 submit date:2611260900 done date:2611260901 stat:DELIVRD err:000 text:x"
    receipt = read_delivery_receipt(4, text, {})
    assert receipt is not None
    assert (receipt.message_id, receipt.delivered) == ("123A", True)
    spoken = read_delivery_receipt(4, text, {0x001E: b"0123\x00", 0x0427: b"\x05"})
    assert spoken is not None
    assert (spoken.message_id, spoken.state, spoken.delivered) == ("0123", "UNDELIV", False)
    under_way = read_delivery_receipt(0x04, text.replace(b"DELIVRD", b"ACCEPTD"), {})
    assert under_way is not None
    assert under_way.delivered is None
    assert read_delivery_receipt(0, text, {}) is None
