"""The live code: what holds, what does not, and why."""

import os
import sqlite3
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes import FakeClock
from tests.verifier_sdk.cases import VALID, Case, World, hold, outcome
from tests.verifier_sdk.issuer import NOW_S, STATUS_URI, Issuer, prefix_base32, qr_text
from tests.verifier_sdk.live_codes import live_code_cases
from verifier_sdk import (
    CannotTell,
    NotValid,
    Policy,
    Profile,
    TrustError,
    TrustInHand,
    TrustStore,
    Verifier,
    VerifierError,
)

NAMES = [case.name for case in live_code_cases(Issuer())]


@pytest.fixture(scope="module")
def cases(issuer: Issuer) -> dict[str, Case]:
    return {case.name: case for case in live_code_cases(issuer)}


@pytest.mark.parametrize("name", NAMES)
def test_a_live_code_has_the_outcome_of_its_case(
    name: str, cases: dict[str, Case], world: World, tmp_path: Path
) -> None:
    assert outcome(cases[name], world, tmp_path) == cases[name].expect


def test_a_live_code_shows_items_with_labels_and_the_age_of_the_knowledge(
    issuer: Issuer, verifier: Verifier, clock: FakeClock
) -> None:
    items = {2: "C1", 1: "310", 0: "张三丰", 9: ["x", 1]}
    result = verifier.check(issuer.live_code(show_pass=issuer.show_pass(items=items), changes={7: b"c" * 16}))
    assert [(item.key, item.label.zh, item.label.en, item.value) for item in result.items] == [
        (0, "持证主体", "Holder", "张三丰"),
        (1, "证照编号", "Licence number", "310"),
        (2, "准驾车型", "Vehicle class", "C1"),
        (9, "第9项", "Item 9", ("x", 1)),
    ]
    assert (result.type_code, result.type_name.zh) == ("driving-licence", "机动车驾驶证")
    assert (result.profile, result.state) == (Profile.FACE, "valid")
    assert result.valid_until == date(2027, 3, 3)
    assert (result.authority, result.issuer_kid) == (None, issuer.pass_key.kid.hex())
    assert (result.trust_age, result.status_age) == (timedelta(0), timedelta(minutes=10))
    assert (result.checked_at, result.cti) == (clock.now(), b"c" * 16)
    with pytest.raises(AttributeError):
        result.state = "valid"  # type: ignore[misc]


def test_a_scene_shows_only_what_it_is_about(issuer: Issuer, verifier: Verifier) -> None:
    show_pass = issuer.show_pass(items={0: "张三丰", 1: "310", 2: "C1", 9: "x"})
    result = verifier.check(issuer.live_code(show_pass=show_pass), scene="road-traffic")
    assert [item.value for item in result.items] == ["张三丰", "C1"]
    assert result.scene is not None
    assert (result.scene.id, result.scene.version, result.scene.name.zh) == ("road-traffic", 3, "道路交通执法")
    assert verifier.check(issuer.live_code(show_pass=show_pass)).scene is None


def test_a_code_is_valid_once_on_a_device(issuer: Issuer, verifier: Verifier, clock: FakeClock) -> None:
    text = issuer.live_code()
    verifier.check(text)
    clock.forward(seconds=60)
    with pytest.raises(NotValid, match="code_replayed"):
        verifier.check(text)
    verifier.check(issuer.live_code(changes={6: int(clock.now().timestamp())}))


def test_what_is_shown_is_told_to_a_server_that_knows_the_state_itself(
    issuer: Issuer, world: World, clock: FakeClock
) -> None:
    in_hand = TrustInHand(world.trust_list, [issuer.root.pem])
    verifier = Verifier(in_hand, clock=clock)
    text = issuer.live_code(changes={7: b"c" * 16})
    shown = verifier.check_shown(text)
    assert (shown.type_code, shown.profile, shown.status_uri) == ("driving-licence", Profile.FACE, STATUS_URI)
    assert (shown.cti, shown.made_at_s) == (b"c" * 16, NOW_S)
    assert shown.device_key_x == issuer.holder.public_key().public_numbers().x.to_bytes(32, "big")
    assert verifier.check_shown(text) == shown, "nothing is recorded"
    with pytest.raises(CannotTell, match="status_missing"):
        verifier.check(text)
    with pytest.raises(NotValid, match="challenge_missing"):
        verifier.check_shown(text, challenge=b"12345678")
    clock.forward(seconds=91)
    with pytest.raises(NotValid, match="proof_expired"):
        verifier.check_shown(text)
    with pytest.raises(TrustError, match="trust_list_chain_invalid"):
        TrustInHand(world.trust_list, [Issuer().root.pem])
    with pytest.raises(TrustError, match="anchor_invalid"):
        TrustInHand(world.trust_list, [b"no certificate"])


def test_a_code_that_was_not_valid_is_not_recorded(issuer: Issuer, verifier: Verifier, trust: TrustStore) -> None:
    text = issuer.live_code()
    with pytest.raises(NotValid, match="challenge_missing"):
        verifier.check(text, challenge=b"12345678")
    verifier.check(text)


def test_the_record_forgets_after_its_window_and_not_before(
    issuer: Issuer, trust: TrustStore, clock: FakeClock
) -> None:
    now = clock.now()
    assert trust.record_code(b"a" * 16, now, 150)
    assert not trust.record_code(b"a" * 16, now + timedelta(seconds=150), 150)
    assert not trust.record_code(b"a" * 16, now - timedelta(days=1), 150)
    assert trust.record_code(b"a" * 16, now + timedelta(seconds=151), 150)


def test_one_of_many_simultaneous_checks_of_one_code_is_valid(
    issuer: Issuer, world: World, tmp_path: Path, clock: FakeClock
) -> None:
    hold(tmp_path, issuer.root.pem, world.trust_list, world.status_lists)
    text = issuer.live_code()

    def check(_: int) -> str:
        with TrustStore.open(tmp_path, [issuer.root.pem], clock=clock) as own:
            try:
                Verifier(own, clock=clock).check(text)
            except NotValid as refusal:
                return refusal.code
            return VALID

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(check, range(24)))
    assert sorted(outcomes) == ["code_replayed"] * 23 + [VALID]


def test_two_processes_share_the_record(tmp_path: Path, trust: TrustStore, clock: FakeClock) -> None:
    program = (
        "import sys; from datetime import datetime, UTC; from verifier_sdk import TrustStore\n"
        "trust = TrustStore.open(sys.argv[1])\n"
        "print(trust.record_code(b'a' * 16, datetime.fromtimestamp(int(sys.argv[2]), UTC), 150))"
    )
    arguments = [sys.executable, "-c", program, str(tmp_path), str(NOW_S)]
    first = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert first.stdout == "True\n"
    assert not trust.record_code(b"a" * 16, clock.now(), 150)


def test_a_device_that_cannot_keep_its_record_cannot_tell(issuer: Issuer, verifier: Verifier, tmp_path: Path) -> None:
    verifier.check(issuer.live_code())
    os.truncate(tmp_path / "seen-codes", 100)
    with pytest.raises(CannotTell) as doubt:
        verifier.check(issuer.live_code())
    assert doubt.value.code == "replay_record_unavailable"
    assert "writable" in doubt.value.cure


def test_a_device_whose_cache_is_gone_cannot_tell(issuer: Issuer, verifier: Verifier, trust: TrustStore) -> None:
    trust.close()
    with pytest.raises(CannotTell, match="trust_missing"):
        verifier.check(issuer.live_code())


def test_a_device_that_loses_its_status_lists_cannot_tell(issuer: Issuer, verifier: Verifier, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "verifier.sqlite3")) as other:
        other.execute("DROP TABLE status_list")
    with pytest.raises(CannotTell, match="status_missing"):
        verifier.check(issuer.live_code())


def test_a_pass_seen_before_is_still_checked_for_time_status_and_issuer(
    issuer: Issuer, verifier: Verifier, tmp_path: Path, world: World, clock: FakeClock
) -> None:
    show_pass = issuer.show_pass()
    verifier.check(issuer.live_code(show_pass=show_pass))
    hold(tmp_path, issuer.root.pem, world.trust_list, {STATUS_URI: issuer.status_list({7: 1})})
    with pytest.raises(NotValid, match="revoked"):
        verifier.check(issuer.live_code(show_pass=show_pass))
    without = issuer.trust_list(keys=[issuer.listed("status", issuer.status_key)])
    hold(tmp_path, issuer.root.pem, without, world.status_lists)
    with pytest.raises(NotValid, match="issuer_unknown"):
        verifier.check(issuer.live_code(show_pass=show_pass))
    hold(tmp_path, issuer.root.pem, world.trust_list, world.status_lists)
    clock.forward(hours=2)
    with pytest.raises(NotValid, match="pass_expired"):
        verifier.check(issuer.live_code(show_pass=show_pass, changes={6: NOW_S + 7200}))


def test_a_pass_seen_before_is_not_a_pass_with_another_signature(issuer: Issuer, verifier: Verifier) -> None:
    show_pass = issuer.show_pass()
    verifier.check(issuer.live_code(show_pass=show_pass))
    forged = cbor2.CBORTag(18, [*show_pass.value[:3], issuer.show_pass().value[3][:-1] + b"\x00"])
    with pytest.raises(NotValid, match="pass_signature_invalid"):
        verifier.check(issuer.live_code(show_pass=forged))


def test_every_key_with_a_kid_is_tried(issuer: Issuer, trust: TrustStore, verifier: Verifier) -> None:
    trust_list = trust.trust_list()
    assert trust_list is not None
    mine = trust_list.keys_by_kid("pass", issuer.pass_key.kid)[0]
    other = replace(mine, leaf_sha256=b"x" * 32, path=replace(mine.path, key=issuer.leaf("pass").key.public_key()))
    trust._trust_list = replace(trust_list, keys=(other, mine, *trust_list.keys))
    verifier.check(issuer.live_code())
    trust._trust_list = replace(trust_list, keys=(other,))
    with pytest.raises(NotValid, match="pass_signature_invalid"):
        verifier.check(issuer.live_code())


def test_the_limits_are_the_policys(issuer: Issuer, trust: TrustStore, clock: FakeClock) -> None:
    strict = Verifier(trust, Policy(max_status_age=timedelta(minutes=5)), clock=clock)
    with pytest.raises(CannotTell, match="status_stale"):
        strict.check(issuer.live_code())
    patient = Verifier(trust, Policy(code_lifetime_s=600), clock=clock)
    patient.check(issuer.live_code(changes={6: NOW_S - 600}))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(max_size=50) | st.from_regex(r"https://h/v#1[A-Z2-7]{0,80}", fullmatch=True))
def test_any_text_gives_a_result_or_one_of_our_errors(text: str, verifier: Verifier) -> None:
    with pytest.raises(NotValid):
        verifier.check(text)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_one_flipped_bit_is_never_valid(data: st.DataObject, issuer: Issuer, verifier: Verifier) -> None:
    proof = bytearray(issuer.proof())
    bit = data.draw(st.integers(0, len(proof) * 8 - 1))
    proof[bit // 8] ^= 1 << bit % 8
    with pytest.raises(NotValid):
        verifier.check(qr_text(bytes(proof)))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.integers(0, 10_000), other=st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
def test_a_text_with_another_letter_is_never_valid(place: int, other: str, issuer: Issuer, verifier: Verifier) -> None:
    text = issuer.live_code()
    start = text.index("#1") + 2
    at = start + place % (len(text) - start)
    changed = text[:at] + other + text[at + 1 :]
    if changed == text:
        return
    with pytest.raises(NotValid):
        verifier.check(changed)


@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY])
def test_no_bit_of_the_deflate_stream_is_to_spare(
    level: int, strategy: int, issuer: Issuer, verifier: Verifier
) -> None:
    """The first and the last two bytes have the bits that DEFLATE leaves unused; the stream itself is good."""
    deflater = zlib.compressobj(level, zlib.DEFLATED, -15, 9, strategy)
    deflated = deflater.compress(issuer.proof()) + deflater.flush()
    for bit in (*range(8), *range(len(deflated) * 8 - 16, len(deflated) * 8)):
        changed = bytearray(deflated)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(NotValid):
            verifier.check(prefix_base32(bytes(changed)))
    verifier.check(prefix_base32(deflated))


values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.integers(-3, 4) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    in_pass=st.dictionaries(st.sampled_from([4, 5, 8, 11, 65535, -65537, 2]), values, max_size=2),
    in_proof=st.dictionaries(st.sampled_from([3, 6, 7, 39, 2]), values, max_size=2),
)
def test_any_signed_claims_give_a_result_or_one_of_our_errors(
    in_pass: dict[int, object], in_proof: dict[int, object], issuer: Issuer, verifier: Verifier
) -> None:
    with suppress(VerifierError):
        verifier.check(issuer.live_code(show_pass=issuer.show_pass(in_pass), changes=in_proof))
