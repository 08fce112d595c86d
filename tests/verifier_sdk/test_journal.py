"""The journal: sealed, whole after every kind of end, delivered once, and bounded."""

import pickle
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes import FakeClock
from tests.verifier_sdk.issuer import NOW_S, STATUS_URI, Issuer
from tests.verifier_sdk.platform import CLIENT_ID, Platform, as_json
from tests.verifier_sdk.server import serve
from verifier_sdk import CannotTell, Journal, JournalError, OnlineClient, TrustStore, Valid, Verifier, journal

KEY = b"k" * 32


@pytest.fixture
def result(issuer: Issuer, verifier: Verifier) -> Valid:
    return verifier.check(issuer.live_code(changes={7: b"c" * 16}), scene="road-traffic")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checks" / "journal"


@pytest.fixture
def platform(issuer: Issuer) -> Iterator[Platform]:
    with serve(issuer) as server:
        yield Platform(server)


@pytest.fixture
def client(platform: Platform, clock: FakeClock) -> OnlineClient:
    return OnlineClient(platform.server.base, CLIENT_ID, platform.verifier_key, clock=clock)


def fill(path: Path, result: Valid, count: int) -> list[str]:
    """A journal with that many entries; their ids."""
    with Journal.open(path, KEY) as own:
        for _ in range(count):
            own.record(result)
        return ids(own)


def ids(own: Journal) -> list[str]:
    return [entry.id for entry in own.entries()]


def code_on_opening(path: Path, key: bytes | None = KEY) -> str:
    try:
        Journal.open(path, key).close()
    except JournalError as error:
        return error.code
    return "opened"


def test_a_valid_check_stands_in_the_journal(issuer: Issuer, trust: TrustStore, clock: FakeClock, path: Path) -> None:
    with Journal.open(path) as own:
        verifier = Verifier(trust, clock=clock, journal=own)
        verifier.check(issuer.live_code(changes={7: b"c" * 16}), scene="road-traffic")
        verifier.check(issuer.live_code())
        with pytest.raises(Exception, match="proof_expired"):
            verifier.check(issuer.live_code(changes={6: NOW_S - 91}))
    with Journal.open(path) as later:
        first, second = later.entries()
    assert (first.checked_at, first.scene, first.cti) == (NOW_S, "road-traffic", b"c" * 16)
    assert (first.status_uri, first.status_idx, second.scene) == (STATUS_URI, 7, None)
    assert first.id != second.id
    assert len(first.id) == 32


def test_what_is_on_the_disk_tells_nothing(path: Path, result: Valid) -> None:
    with Journal.open(path) as own:
        own.record(result)
    for file in path.parent.iterdir():
        assert file.stat().st_mode & 0o077 == 0
        if file.suffix != ".key":
            assert STATUS_URI.encode() not in file.read_bytes()
            assert b"road-traffic" not in file.read_bytes()


def test_a_code_that_cannot_be_entered_is_not_valid(
    issuer: Issuer, trust: TrustStore, clock: FakeClock, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MAX_ENTRIES", 2)
    with Journal.open(path, KEY) as own:
        verifier = Verifier(trust, clock=clock, journal=own)
        for _ in range(2):
            verifier.check(issuer.live_code())
        with pytest.raises(CannotTell, match="journal_full") as doubt:
            verifier.check(issuer.live_code())
        assert doubt.value.code == "check_not_recorded"
        assert "upload" in doubt.value.cure
        assert len(own.entries()) == 2


def test_every_entry_is_delivered_once(path: Path, result: Valid, platform: Platform, client: OnlineClient) -> None:
    written = fill(path, result, 3)
    with Journal.open(path, KEY) as own:
        report = own.upload(client)
        assert (report.accepted, report.unchanged, report.rejected) == (3, 0, ())
        assert own.entries() == ()
        assert own.upload(client).accepted == 0
        own.record(result)
        assert own.upload(client).accepted == 1
    assert list(platform.told)[:3] == written
    assert len(platform.told) == 4
    assert len(platform.devices) == 1
    assert platform.told[written[0]] == {
        "id": written[0],
        "checked_at": NOW_S,
        "scene": "road-traffic",
        "cti": "Y2NjY2NjY2NjY2NjY2NjYw",
        "pass_status": {"uri": STATUS_URI, "idx": 7},
        "outcome": "valid",
        "code": "ok",
    }


def test_an_answer_that_is_lost_delivers_nothing_twice(
    path: Path, result: Valid, platform: Platform, client: OnlineClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MAX_UPLOAD", 2)
    written = fill(path, result, 5)
    with Journal.open(path, KEY) as own:
        platform.answer = lambda answer: None if len(platform.requests) == 2 else as_json(answer)
        with pytest.raises(CannotTell, match="network_unavailable"):
            own.upload(client)
        assert ids(own) == written[2:]
    with Journal.open(path, KEY) as later:
        report = later.upload(client)
    assert (report.accepted, report.unchanged) == (1, 2)
    assert list(platform.told) == written


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answer: {"entries": answer["entries"][1:]},
        lambda answer: {"entries": [*answer["entries"], answer["entries"][0]]},
        lambda answer: {"entries": [{**each, "id": "x"} for each in answer["entries"]]},
        lambda answer: {"entries": [{**each, "outcome": "lost"} for each in answer["entries"]]},
        lambda answer: {"entries": [{**each, "outcome": 1} for each in answer["entries"]]},
        lambda answer: {"entries": {}},
        lambda answer: {},
    ],
)
def test_an_answer_that_does_not_account_for_every_entry_delivers_nothing(
    spoil: Any, path: Path, result: Valid, platform: Platform, client: OnlineClient
) -> None:
    written = fill(path, result, 2)
    platform.answer = lambda answer: as_json(spoil(answer))
    with Journal.open(path, KEY) as own:
        with pytest.raises(CannotTell, match="answer_not_trusted"):
            own.upload(client)
        assert ids(own) == written


def test_what_the_platform_rejects_is_reported_and_not_offered_again(
    path: Path, result: Valid, platform: Platform, client: OnlineClient
) -> None:
    written = fill(path, result, 2)

    def reject_first(answer: dict[str, Any]) -> Any:
        first, second = answer["entries"]
        return as_json({"entries": [{"id": first["id"], "outcome": "rejected", "code": "too_old"}, second]})

    platform.answer = reject_first
    with Journal.open(path, KEY) as own:
        report = own.upload(client)
        assert (report.accepted, report.rejected) == (1, ((written[0], "too_old"),))
        assert own.entries() == ()


def test_a_journal_that_was_delivered_starts_anew_and_keeps_its_device(
    path: Path, result: Valid, platform: Platform, client: OnlineClient
) -> None:
    fill(path, result, 5)
    size = path.stat().st_size
    with Journal.open(path, KEY) as own:
        own.upload(client)
    assert path.stat().st_size < size / 5
    fill(path, result, 1)
    with Journal.open(path, KEY) as own:
        own.upload(client)
    assert len(platform.devices) == 1


def test_a_process_that_dies_in_the_middle_of_a_record_loses_only_that_one(path: Path, result: Valid) -> None:
    """The head is written after the record: it still counts two."""
    written = fill(path, result, 2)
    head, whole = path.with_name("journal.head").read_bytes(), len(path.read_bytes())
    written += fill(path, result, 1)[2:]
    data = path.read_bytes()
    for cut in range(whole, len(data) + 1):
        path.write_bytes(data[:cut])
        path.with_name("journal.head").write_bytes(head)
        with Journal.open(path, KEY) as own:
            assert ids(own) == (written if cut == len(data) else written[:2])
            if cut % 50 == 0:
                own.record(result)
                assert ids(own)[:2] == written[:2]
                assert len(own.entries()) == 3


def test_a_journal_cut_short_is_noticed_at_every_byte(path: Path, result: Valid) -> None:
    fill(path, result, 2)
    data = path.read_bytes()
    for cut in range(len(data)):
        path.write_bytes(data[:cut])
        assert code_on_opening(path) == "journal_tampered", cut


def test_a_flipped_bit_is_noticed_wherever_it_is(path: Path, result: Valid) -> None:
    fill(path, result, 2)
    for file in (path, path.with_name("journal.head")):
        data = file.read_bytes()
        for at in range(len(data)):
            file.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
            assert code_on_opening(path) == "journal_tampered", (file.name, at)
        file.write_bytes(data)
    assert code_on_opening(path) == "opened"


def records(path: Path) -> list[bytes]:
    data, found = path.read_bytes()[28:], []
    while data:
        size = 4 + int.from_bytes(data[:4], "big")
        found.append(data[:size])
        data = data[size:]
    return found


def test_records_cannot_be_moved_left_out_or_brought_from_elsewhere(path: Path, result: Valid, tmp_path: Path) -> None:
    fill(path, result, 3)
    fill(tmp_path / "other", result, 3)
    prefix, own, others = path.read_bytes()[:28], records(path), records(tmp_path / "other")
    for forged in (
        [own[1], own[0], own[2]],
        [own[0], own[2], own[2]],
        [own[0], own[2]],
        [*own, own[2]],
        [*own[:2], others[2]],
        others,
    ):
        path.write_bytes(prefix + b"".join(forged))
        assert code_on_opening(path) == "journal_tampered"


def test_a_lost_head_key_or_another_key_is_noticed(path: Path, result: Valid) -> None:
    with Journal.open(path) as own:
        own.record(result)
    assert code_on_opening(path, b"x" * 32) == "journal_tampered"
    key_file = path.with_name("journal.key")
    key = key_file.read_bytes()
    key_file.unlink()
    assert code_on_opening(path, None) == "journal_key_missing"
    key_file.write_bytes(key[:31])
    assert code_on_opening(path, None) == "journal_tampered"
    key_file.write_bytes(key)
    assert code_on_opening(path, None) == "opened"
    path.with_name("journal.head").unlink()
    assert code_on_opening(path, None) == "journal_tampered"


def test_a_key_has_32_bytes(path: Path) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Journal.open(path, b"short")
    assert not path.exists()


def test_a_journal_that_cannot_be_written_says_so(path: Path, tmp_path: Path) -> None:
    path.mkdir(parents=True)
    assert code_on_opening(path) == "journal_unavailable"
    (tmp_path / "file").write_bytes(b"")
    assert code_on_opening(tmp_path / "file" / "journal") == "journal_unavailable"
    assert code_on_opening(tmp_path / "file" / "journal", None) == "journal_unavailable"


def test_an_entry_of_another_version_is_noticed(path: Path, result: Valid) -> None:
    with Journal.open(path, KEY) as own:
        own._file.append(b'{"id": 7}', lambda held: None)
        with pytest.raises(JournalError, match="journal_tampered"):
            own.entries()
        with pytest.raises(JournalError, match="journal_full"):
            own._file.append(bytes(2049), lambda held: None)


def test_many_may_write_at_once(path: Path, result: Valid) -> None:
    def write(_: int) -> None:
        with Journal.open(path) as own:
            own.record(result)
            own.record(result)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(12)))
    with Journal.open(path) as own:
        assert len(set(ids(own))) == 24


WRITER = """
import pickle, sys
from verifier_sdk import Journal
result = pickle.load(sys.stdin.buffer)
with Journal.open(sys.argv[1], b"k" * 32) as journal:
    while True:
        journal.record(result)
        print("recorded", flush=True)
"""


def test_a_process_that_is_killed_loses_nothing_that_it_reported(path: Path, result: Valid) -> None:
    for _ in range(3):
        before = len(records(path)) if path.exists() else 0
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdin is not None
            assert writer.stdout is not None
            writer.stdin.write(pickle.dumps(result))
            writer.stdin.close()
            reported = [writer.stdout.readline() for _ in range(5)]
            writer.kill()
            reported += writer.stdout.readlines()
        whole = [line for line in reported if line == b"recorded\n"]
        with Journal.open(path, KEY) as own:
            assert len(own.entries()) >= before + len(whole)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=100), head=st.binary(max_size=60))
def test_any_files_are_a_journal_or_an_error_of_ours(data: bytes, head: bytes, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    path.with_name("journal.head").write_bytes(head)
    assert code_on_opening(path) == "journal_tampered"
