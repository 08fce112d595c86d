"""Texts that are too long for their channel."""

import json
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.catalogue import Catalogue
from notifications import (
    ChannelRefused,
    ChannelUnavailable,
    Contact,
    Delivery,
    Language,
    OutgoingMessage,
)
from notifications.channels import sms_smpp
from notifications.channels.formats.shortening import shortened
from notifications.channels.sms_smpp import SmppAccount, SmsSmpp
from notifications.reminders.wording import digest, entry
from tests.notifications.fakes import TODAY, phone, sent
from tests.notifications.far_end import serving
from tests.notifications.test_push_fcm import FakeFcm, push_over
from tests.notifications.test_sms_smpp import Book
from wallet_api.reminding import RENEWED_AT, PackRules


def reminder_of(number: int, language: Language, code: str = "food-business-licence") -> OutgoingMessage:
    """What a holder is told of so many licences of a type on one day, in the words of its pack."""
    wording = PackRules(Catalogue.default()).wording(code)
    plan: Any = SimpleNamespace(id="r", plan=SimpleNamespace(valid_until=date(2026, 12, 23)))
    entries = [entry(plan, wording, TODAY) for _ in range(number)]
    told = digest("h", TODAY, entries, RENEWED_AT)
    lines = [told.lead.to(language).replace("{count}", str(number))]
    lines += [f"{at}. {one.text.to(language)}" for at, one in enumerate(entries, 1)]
    text = "\n".join([*lines, told.closing.to(language)])
    return OutgoingMessage("k" * 32, "h", told.kind, told.title.to(language), text)


async def test_a_long_digest_fits_into_what_fcm_takes(private_key_pem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """FCM takes 4,096 bytes and answers 400 beyond, which is read as "FCM knows none of the devices"."""
    with serving(FakeFcm()) as fcm:
        push = push_over(fcm, private_key_pem, monkeypatch)
        await sent(push, reminder_of(20, "zh"), Contact((phone("p"),)))
        (posted,) = fcm.received
        await push.close()
    shown = {"notification": posted["notification"], "data": posted["data"]}
    assert len(json.dumps(shown, ensure_ascii=False).encode()) <= 4096


@pytest.mark.parametrize(("number", "language"), [(5, "zh"), (6, "zh"), (10, "zh"), (2, "en"), (3, "en")])
async def test_who_has_several_licences_that_run_out_hears_by_sms_too(number: int, language: Language) -> None:
    """The issue: by push, by SMS if the push does not arrive; `reminders/` makes one digest a holder and day."""
    sms = SmsSmpp(SmppAccount("127.0.0.1", 9, "w", "s", source="1069"), Book())
    (outcome,) = await sms.send([Delivery(reminder_of(number, language), Contact(phone="13800138000"))])
    assert isinstance(outcome, ChannelUnavailable), outcome  # nobody listens there: all else is about the text


async def test_an_english_message_goes_in_the_default_alphabet() -> None:
    """`sms_parts` has an alphabet for it, but what joins title and text is a full-width colon."""
    prepared = sms_smpp._prepared(
        Delivery(OutgoingMessage("k", "h", "test", "Title", "Text " * 30), Contact(phone="13800138000"))
    )
    assert not isinstance(prepared, ChannelRefused)
    assert (prepared.cut.data_coding, len(prepared.cut.parts)) == (0, 1)


@given(st.text(max_size=300), st.integers(60, 200))
def test_a_shortened_text_fits_and_begins_as_the_whole_one(text: str, limit: int) -> None:
    short = shortened(text, lambda text: len(text) <= limit)
    assert len(short) <= limit
    if len(text) <= limit:
        assert short == text
    else:
        kept, _, rest = short.rpartition("……") if "……其余" in short else short.rpartition("...")
        assert text.startswith(kept.removesuffix("\n"))
        assert "wallet" in rest or "钱包" in rest


def test_a_digest_is_cut_between_its_licences() -> None:
    lines = [f"{number}. 您的证照将到期" for number in range(1, 100)]
    *kept, rest = shortened("\n".join(lines), lambda text: len(text) <= 200).split("\n")
    assert kept == lines[: len(kept)]
    assert len(kept) > 10
    assert "钱包" in rest
