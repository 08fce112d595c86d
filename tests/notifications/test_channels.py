"""The inbox, and the file that stands in for push and SMS."""

import asyncio
import json
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifications import ChannelUnavailable, Contact, InboxGlance, NoAddress, NotificationsError, OutgoingMessage, Sink
from notifications.channels.sink import read_sink
from notifications.outbox.policy import SHANGHAI
from tests.fakes import FakeClock
from tests.notifications.fakes import City, food, phone, sent

REACHABLE = Contact(devices=(phone("secret-token"),), phone="13800138000")


def message(key: str = "key-1", holder_id: str = "holder-1") -> OutgoingMessage:
    return OutgoingMessage(key, holder_id, "test", "标题", f"正文 {key}")


async def test_the_inbox_lists_newest_first_page_by_page(city: City) -> None:
    for number in range(5):
        await sent(city.inbox, message(f"key-{number}"), REACHABLE)
        city.clock.forward(seconds=number % 2)  # two arrive in the same instant
    await sent(city.inbox, message("other", holder_id="holder-2"), REACHABLE)
    seen: list[tuple[datetime, str]] = []
    more = True
    async with city.database.snapshot() as session:
        for _ in range(3):
            page = await city.inbox.list(session, "holder-1", seen[-1] if seen else None, limit=2)
            seen += [(one.received_at, one.id) for one in page.messages]
            more = page.more
    assert not more
    assert seen == sorted(seen, reverse=True)
    assert sorted(key for _, key in seen) == [f"key-{number}" for number in range(5)]


async def test_a_message_sent_twice_to_the_inbox_is_there_once(city: City) -> None:
    for _ in range(2):
        await sent(city.inbox, message(), REACHABLE)
    assert await city.inbox_of("holder-1") == ["正文 key-1"]


async def test_the_first_reading_of_a_message_counts(city: City) -> None:
    await sent(city.inbox, message(), REACHABLE)
    read_at = city.clock.now()
    for _ in range(2):
        async with city.database.transaction() as session:
            await city.inbox.mark_read(session, "holder-1", "key-1")
            page = await city.inbox.list(session, "holder-1")
        assert page.messages[0].read_at == read_at
        city.clock.forward(hours=1)


async def test_another_holders_message_is_not_found(city: City) -> None:
    await sent(city.inbox, message(), REACHABLE)
    async with city.database.transaction() as session:
        with pytest.raises(NotificationsError) as refused:
            await city.inbox.mark_read(session, "holder-2", "key-1")
        assert refused.value.code == "message_not_found"
        assert (await city.inbox.list(session, "holder-1")).messages[0].read_at is None


async def test_a_deleted_message_is_gone_and_stays_away(city: City) -> None:
    await sent(city.inbox, message(), REACHABLE)
    async with city.database.transaction() as session:
        with pytest.raises(NotificationsError) as refused:
            await city.inbox.delete(session, "holder-2", "key-1")
        assert refused.value.code == "message_not_found"
        await city.inbox.delete(session, "holder-1", "key-1")
        with pytest.raises(NotificationsError):
            await city.inbox.delete(session, "holder-1", "key-1")
    await sent(city.inbox, message(), REACHABLE)  # by a worker that never learnt that its first sending worked
    async with city.database.snapshot() as session:
        assert (await city.inbox.list(session, "holder-1")).messages == ()
        assert (await city.inbox.glance(session, "holder-1")) == InboxGlance(0, None)


async def test_unread_messages_are_counted_and_listed_alone(city: City) -> None:
    for number in range(3):
        await sent(city.inbox, message(f"key-{number}"), REACHABLE)
        city.clock.forward(seconds=1)
    async with city.database.transaction() as session:
        await city.inbox.mark_read(session, "holder-1", "key-1")
        page = await city.inbox.list(session, "holder-1", unread=True)
        assert [one.id for one in page.messages] == ["key-2", "key-0"]
        assert (await city.inbox.glance(session, "holder-1")) == InboxGlance(2, "key-2")
        assert await city.inbox.mark_all_read(session, "holder-1") == 2
        assert await city.inbox.mark_all_read(session, "holder-1") == 0
        assert (await city.inbox.glance(session, "holder-1")).unread == 0


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(limit=st.integers())
def test_any_limit_gives_a_page(city: City, runner: asyncio.Runner, limit: int) -> None:
    async def pages() -> int:
        await sent(city.inbox, message("a"), REACHABLE)
        await sent(city.inbox, message("b"), REACHABLE)
        async with city.database.snapshot() as session:
            return len((await city.inbox.list(session, "holder-1", limit=limit)).messages)

    assert runner.run(pages()) == (1 if limit < 2 else 2)


@pytest.mark.parametrize("name", ["push", "sms"])
async def test_the_sink_writes_a_line_without_address(name: str, tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "sent.jsonl"
    receipt = await sent(Sink(name, path, clock), message(), REACHABLE)  # type: ignore[arg-type]
    assert receipt.delivered
    assert json.loads(path.read_text()) == {
        "time": "2026-11-23T01:00:00+00:00",
        "channel": name,
        "idempotency_key": "key-1",
        "holder_id": "holder-1",
        "kind": "test",
        "title": "标题",
        "text": "正文 key-1",
    }
    assert path.stat().st_mode & 0o077 == 0


async def test_lines_written_at_once_stay_whole(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "sent.jsonl"
    sinks = Sink("push", path, clock), Sink("sms", path, clock)
    await asyncio.gather(*(sent(sink, message(f"key-{n}"), REACHABLE) for n in range(50) for sink in sinks))
    keys = [json.loads(line)["idempotency_key"] for line in path.read_text().splitlines()]
    assert sorted(keys) == sorted([f"key-{n}" for n in range(50)] * 2)


async def test_the_sink_refuses_whom_the_real_channel_could_not_reach(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "sent.jsonl"
    with pytest.raises(NoAddress) as refused:
        await sent(Sink("push", path, clock), message(), Contact(phone="13800138000"))
    assert refused.value.code == "no_push_token"
    with pytest.raises(NoAddress) as refused:
        await sent(Sink("sms", path, clock), message(), Contact(devices=(phone("token"),)))
    assert refused.value.code == "no_phone"
    assert not path.exists()


async def test_a_sink_that_cannot_be_written_is_unavailable(tmp_path: Path, clock: FakeClock) -> None:
    with pytest.raises(ChannelUnavailable):
        await sent(Sink("push", tmp_path / "missing" / "sent.jsonl", clock), message(), REACHABLE)


async def test_without_receipts_the_sink_shows_the_fall_back_to_sms(city: City, tmp_path: Path) -> None:
    path = tmp_path / "sent.jsonl"
    push = Sink("push", path, city.clock, receipts=False)
    city.configure(city.inbox, push, Sink("sms", path, city.clock))
    city.changes.write(food())
    await city.tick()
    city.clock.forward(minutes=10)
    await city.tick()
    assert [json.loads(line)["channel"] for line in path.read_text().splitlines()] == ["push", "sms"]
    assert "13800138000" not in path.read_text()


_text = st.text(st.characters(), max_size=9)  # also lone surrogates
_time = st.datetimes(timezones=st.timezones()).map(datetime.isoformat) | st.sampled_from([
    "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+09:00", "2026-11-26T01:00:00",
])  # fmt: skip
_like_ours = st.fixed_dictionaries({
    "time": _time, "channel": st.sampled_from(["push", "sms"]), "kind": _text, "title": _text, "text": _text,
})  # fmt: skip
_members = st.dictionaries(st.sampled_from(["time", "text"]), st.none() | st.integers() | _text)
_line = st.tuples(_like_ours, _members).map(lambda both: json.dumps(both[0] | both[1]).encode())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(lines=st.lists(_line | st.binary(), max_size=5))
def test_whatever_is_in_the_sink_what_is_read_can_be_shown(tmp_path: Path, lines: list[bytes]) -> None:
    path = tmp_path / "sent.jsonl"
    ours = {"time": "2026-11-26T01:00:00+00:00", "channel": "sms", "kind": "test", "title": "标题", "text": "ours"}
    path.write_bytes(b"\n".join([*lines, json.dumps(ours).encode()]))
    read = [one.at(SHANGHAI) for one in read_sink(path, 10)]
    assert read[0].text == "ours"
    for one in read:
        f"{one.time.isoformat()} {one.channel} {one.kind} {one.title} {one.text}".encode()


@given(st.none() | st.floats())
def test_an_absurd_retry_after_is_no_retry_after(retry_after_s: float | None) -> None:
    kept = ChannelUnavailable("c", "d", retry_after_s=retry_after_s).retry_after_s
    assert kept is None or (kept == retry_after_s and 0 < kept < float("inf"))


def test_neither_address_nor_text_shows_in_a_repr() -> None:
    shown = repr(REACHABLE) + repr(message())
    assert not any(secret in shown for secret in ("secret-token", "13800138000", "正文", "标题"))
