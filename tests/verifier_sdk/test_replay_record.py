"""The record of codes already seen, and the counter by which processes notice changes."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes import FakeClock
from tests.verifier_sdk.cases import World, hold
from tests.verifier_sdk.issuer import STATUS_URI, Issuer
from verifier_sdk import NotValid, TrustStore, Verifier
from verifier_sdk._change_counter import ChangeCounter
from verifier_sdk._replay_record import PLACES, ROWS, ReplayRecord

NOW_S, WINDOW_S = 1_000_000, 150


def cti(row: int, number: int) -> bytes:
    return row.to_bytes(4, "big") + number.to_bytes(12, "big")


@pytest.fixture
def record(tmp_path: Path) -> ReplayRecord:
    return ReplayRecord(tmp_path)


def test_a_code_is_new_once_and_again_after_the_window(record: ReplayRecord) -> None:
    assert record.record(cti(7, 1), NOW_S, WINDOW_S)
    assert not record.record(cti(7, 1), NOW_S, WINDOW_S)
    assert record.record(cti(7 + ROWS, 1), NOW_S, WINDOW_S)
    assert not record.record(cti(7, 1), NOW_S + WINDOW_S, WINDOW_S)
    assert record.record(cti(7, 1), NOW_S + WINDOW_S + 1, WINDOW_S)


def test_a_full_row_takes_no_code_and_forgets_none(record: ReplayRecord) -> None:
    for number in range(PLACES):
        assert record.record(cti(7, number), NOW_S, WINDOW_S)
    with pytest.raises(OSError, match="no free place"):
        record.record(cti(7, PLACES), NOW_S, WINDOW_S)
    assert record.record(cti(8, PLACES), NOW_S, WINDOW_S)
    assert not any(record.record(cti(7, number), NOW_S, WINDOW_S) for number in range(PLACES))
    assert record.record(cti(7, PLACES), NOW_S + WINDOW_S + 1, WINDOW_S)


def test_codes_seen_while_the_clock_was_ahead_make_room(record: ReplayRecord) -> None:
    for number in range(PLACES):
        assert record.record(cti(7, number), NOW_S + 10 * WINDOW_S, WINDOW_S)
    assert record.record(cti(7, 99), NOW_S, WINDOW_S)
    assert not record.record(cti(7, 99), NOW_S, WINDOW_S)
    assert not record.record(cti(7, 1), NOW_S, WINDOW_S)


def test_a_piece_of_two_codes_is_not_a_code(record: ReplayRecord) -> None:
    """Neighbours in the file are not looked at across their border."""
    first, second = cti(7, 1), bytes(4) + cti(7, 2)[:4] + bytes(8)
    assert record.record(first, NOW_S, WINDOW_S)
    across = (first + second)[8:24]
    row = int.from_bytes(across[:4], "big") % ROWS
    assert row == int.from_bytes(first[:4], "big") % ROWS or record.record(across, NOW_S, WINDOW_S)


def test_the_record_outlives_the_process(record: ReplayRecord, tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from verifier_sdk._replay_record import ReplayRecord\n"
        f"print(ReplayRecord(Path(sys.argv[1])).record(bytes(16), {NOW_S}, {WINDOW_S}), flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True)
    assert (killed.stdout, killed.returncode) == ("True\n", -9)
    assert not record.record(bytes(16), NOW_S, WINDOW_S)
    record.close()
    assert not ReplayRecord(tmp_path).record(bytes(16), NOW_S, WINDOW_S)


def test_one_of_many_at_once_is_the_first(tmp_path: Path) -> None:
    records = [ReplayRecord(tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(16) as pool:
        for number in range(20):
            code = cti(7, number % PLACES)
            now_s = NOW_S + number // PLACES * 1000
            outcomes = list(pool.map(lambda own: own.record(code, now_s, WINDOW_S), records * 4))  # noqa: B023
            assert outcomes.count(True) == 1


def test_a_file_of_another_size_is_no_record(record: ReplayRecord, tmp_path: Path) -> None:
    os.truncate(tmp_path / "seen-codes", 100)
    with pytest.raises(OSError, match="another size"):
        record.record(bytes(16), NOW_S, WINDOW_S)
    with pytest.raises(OSError, match="another size"):
        ReplayRecord(tmp_path)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 100)), max_size=40))
def test_the_record_agrees_with_a_plain_one(steps: list[tuple[int, int]], tmp_path: Path) -> None:
    (tmp_path / "seen-codes").unlink(missing_ok=True)
    record, plain, now_s = ReplayRecord(tmp_path), dict[int, int](), NOW_S
    for number, pause_s in steps:
        now_s += pause_s
        plain = {seen: at for seen, at in plain.items() if at >= now_s - WINDOW_S}
        if number not in plain and len(plain) == PLACES:
            continue
        assert record.record(cti(7, number), now_s, WINDOW_S) is (number not in plain)
        plain.setdefault(number, now_s)


def test_a_change_that_was_not_finished_hides_none(
    issuer: Issuer, world: World, trust: TrustStore, tmp_path: Path, clock: FakeClock
) -> None:
    """A process died while it changed something: the others ask the database each time."""
    verifier = Verifier(trust, clock=clock)
    verifier.check(issuer.live_code())
    counter = ChangeCounter(tmp_path)
    counter.changing().__enter__()
    verifier.check(issuer.live_code())
    hold(tmp_path, issuer.root.pem, world.trust_list, {STATUS_URI: issuer.status_list({7: 1})})
    counter.changing().__enter__()
    with pytest.raises(NotValid, match="revoked"):
        verifier.check(issuer.live_code())
    hold(tmp_path, issuer.root.pem, world.trust_list, {STATUS_URI: issuer.status_list()})
    verifier.check(issuer.live_code())
