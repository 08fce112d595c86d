"""Offline checks come in later, once, and reach the holder's log (lesson 32)."""

import asyncio
import json
import secrets
from datetime import timedelta
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presentation.checks import EntryOutcome, JournalEntry, JournalInvalid, read_journal
from presentation.checks.formats.journal import MAX_ENTRIES
from tests.credentials.issuance.test_parsers import ANY_JSON
from tests.wallet_api.running import Running, b64u
from tests.wallet_api.showing import SCENE, Device, inspector, refusal

Json = dict[str, Any]


def entry(device: Device, **changes: object) -> Json:
    """What an SDK writes down of a check of the device's pass."""
    claims = cbor2.loads(cbor2.loads(device.passes["face"]).value[2])
    status = claims[65535]["status_list"]
    return {
        "id": secrets.token_hex(16),
        "checked_at": device.wallet.now_s,
        "scene": SCENE,
        "cti": b64u(secrets.token_bytes(16)),
        "pass_status": {"uri": status["uri"], "idx": status["idx"]},
        "outcome": "valid",
        "code": "ok",
    } | changes


def outcomes(answer: Any) -> list[tuple[str, str | None]]:
    assert answer.status_code == 200, answer.text
    return [(each["outcome"], each.get("code")) for each in answer.json()["entries"]]


async def test_an_offline_check_reaches_the_log_once(running: Running) -> None:
    device, police = await Device.of(running), await inspector(running)
    first = entry(device)
    running.clock.forward(hours=3)
    police.bearer = ""
    assert outcomes(await police.upload(first, entry(device))) == [("accepted", None)] * 2
    answers = await asyncio.gather(*(police.upload(first, third) for third in [entry(device)] * 10))
    assert sorted(outcome for answer in answers for outcome, _ in outcomes(answer)) == ["accepted"] + ["unchanged"] * 19
    assert outcomes(await police.upload(first | {"scene": None})) == [("rejected", "id_reused")]
    async with running.platform.database.snapshot() as session:
        holder = (await running.platform.registry.licence(session, await running.licence_id())).holder_ids[0]
        page = await running.platform.access_log.page(session, holder, None, 100)
        assert await running.platform.access_log.verify(session, holder) == []
    assert len(page.entries) == 3
    one = page.entries[0]
    assert (one.offline, one.scene_id, one.recorded_at) == (True, SCENE, running.clock.now())
    assert page.entries[-1].at == running.clock.now() - timedelta(hours=3)
    assert {"holder_name", "certificate_number", "vehicle_class", "valid_until"} <= set(one.items)
    assert await running.count("check_journal_entry") == 3


async def test_entries_are_judged_one_by_one_and_none_is_dropped(running: Running) -> None:
    device, police = await Device.of(running), await inspector(running)
    now_s, place = device.wallet.now_s, entry(device)["pass_status"]
    wrong: list[tuple[Json, str]] = [
        ({"checked_at": now_s + 301}, "checked_in_the_future"),
        ({"checked_at": now_s - 61 * 86_400}, "too_old"),
        ({"checked_at": now_s - 3_600}, "outside_pass"),
        ({"scene": "no-such-scene"}, "scene_unknown"),
        ({"scene": "car-rental"}, "scene_not_allowed"),
        ({"pass_status": {"uri": place["uri"], "idx": place["idx"] ^ 1}}, "pass_unknown"),
        ({"pass_status": {"uri": "https://other.example/s/1", "idx": 1}}, "pass_unknown"),
        ({"pass_status": {"uri": "", "idx": 1}}, "entry_malformed"),
        ({"pass_status": {"uri": place["uri"], "idx": -1}}, "entry_malformed"),
        ({"pass_status": {"uri": place["uri"], "idx": 1 << 31}}, "entry_malformed"),
        ({"pass_status": {"uri": "x\x00", "idx": 1}}, "entry_malformed"),
        ({"pass_status": None}, "entry_malformed"),
        ({"checked_at": True}, "entry_malformed"),
        ({"checked_at": 1e9}, "entry_malformed"),
        ({"checked_at": 10**400}, "entry_malformed"),
        ({"cti": "AAAA"}, "entry_malformed"),
        ({"cti": "A" * 21 + "B"}, "entry_malformed"),
        ({"outcome": "ok"}, "entry_malformed"),
        ({"code": "\ud800"}, "entry_malformed"),
        ({"more": 1}, "entry_malformed"),
    ]
    good, refused = entry(device), entry(device, outcome="not_valid", code="revoked")
    sent = [good, *(entry(device, **changes) for changes, _ in wrong), refused]
    answer = await police.upload(*sent)
    assert outcomes(answer) == [("accepted", None), *(("rejected", code) for _, code in wrong), ("accepted", None)]
    assert [each["id"] for each in answer.json()["entries"]] == [each["id"] for each in sent]
    assert [each["mode"] for each in (await device.access_log())["entries"]] == ["offline"]


async def test_an_upload_out_of_form_is_refused_whole(running: Running) -> None:
    device, police = await Device.of(running), await inspector(running)
    good = entry(device)
    bodies: list[object] = [
        {"entries": [good]},
        {"device": "a", "entries": []},
        {"device": "a", "entries": [good] * 2},
        {"device": "a", "entries": [{"id": f"{at:032x}"} for at in range(MAX_ENTRIES + 1)]},
        {"device": "", "entries": [good]},
        {"device": "a b", "entries": [good]},
        {"device": "a" * 65, "entries": [good]},
        {"device": "a", "entries": [good], "more": 1},
        {"device": "a", "entries": [good | {"id": "A" * 32}]},
        {"device": "a", "entries": [good | {"id": None}]},
        {"device": "a", "entries": [None]},
        b"",
        b"[]",
        b'{"device": "a", "device": "b", "entries": []}',
        b"\xff",
    ]
    for body in bodies:
        assert refusal(await police.send("/api/v1/check-journals", body)) == (422, "journal_invalid", None), body
    assert await running.count("check_journal_entry") == 0


async def test_guessing_status_indexes_is_stopped_and_reported(running: Running) -> None:
    """Lesson 27: an upload could ask which passes exist."""
    device, police = await Device.of(running), await inspector(running, refusals_per_10_minutes=20)
    uri = entry(device)["pass_status"]["uri"]
    guesses = [entry(device, pass_status={"uri": uri, "idx": at}) for at in range(25)]
    answered = outcomes(await police.upload(*guesses))
    assert sum(code == "pass_unknown" for _, code in answered) >= 20
    assert refusal(await police.upload(*guesses)) == (429, "too_many_refusals", None)
    async with running.platform.database.snapshot() as session:
        (report,) = await running.platform.checks.reports(session)
    assert (report.client_id, report.kind, report.stopped) == ("police-terminal", "refusals", 1)


ENTRIES = st.dictionaries(
    st.sampled_from(["id", "checked_at", "scene", "cti", "pass_status", "outcome", "code", "x"]), ANY_JSON, max_size=8
)

BODIES = st.dictionaries(st.sampled_from(["device", "entries", "x"]), ANY_JSON, max_size=3)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["device", "entries", "x"]), ANY_JSON, max_size=3), st.lists(ENTRIES, max_size=3)
)
def test_any_journal_is_read_or_refused(body: Json, entries: list[Json]) -> None:
    for at, each in enumerate(entries):
        each["id"] = f"{at:032x}"
    for given_ in (body, body | {"device": "a", "entries": entries}):
        try:
            journal = read_journal(json.loads(json.dumps(given_)))
        except JournalInvalid:
            continue
        assert all(isinstance(one, JournalEntry | EntryOutcome) for one in journal.entries)
        assert len(journal.entries) == len(given_["entries"])


def test_a_whole_entry_is_read() -> None:
    sent = {
        "id": "0" * 32,
        "checked_at": 1_700_000_000,
        "scene": None,
        "cti": "AAAAAAAAAAAAAAAAAAAAAA",
        "pass_status": {"uri": "https://wallet.example/s/1", "idx": 7},
        "outcome": "cannot_tell",
        "code": "status_stale",
    }
    (read,) = read_journal({"device": "a", "entries": [sent]}).entries
    assert isinstance(read, JournalEntry)
    assert (read.place.idx, read.cti, read.scene_id, read.outcome) == (7, bytes(16), None, "cannot_tell")
    with pytest.raises(JournalInvalid):
        read_journal({})
