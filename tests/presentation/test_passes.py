"""The writer of passes and live codes; what a reader makes of them is tested with the verifier SDK."""

import itertools
import secrets
from datetime import date, timedelta

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from presentation.shows import Profile, ShowableLicence, StatusPlace, encode_proof, qr_symbol, qr_text
from presentation.shows.formats.live_code import PassClaims, encode_pass
from presentation.shows.masking import mask_name, mask_number
from presentation.shows.models import DeviceKey
from presentation.shows.service import _windows, pass_items
from tests.fakes import FakeClock

NOW = FakeClock().now()
FACE = {2: "男", 3: "中国", 4: "上海市静安区南京西路1688号12楼1203室", 5: "1990-01-01", 6: "2012-06-05", 7: "C1"}
FACE |= {8: "310012345678", 9: "上海市公安局交通警察总队", 10: "A", 11: "2026-11-23", 12: "限自动挡", 13: "无"}


def live_code_text(profile: Profile) -> str:
    """A code of a platform with a PUBLIC_URL of 25 characters; from 28 on a `minimal` code takes a version more."""
    licence = ShowableLicence(
        "l" * 32, "h" * 32, "driving-licence", 1, "欧阳文博", "310101199001011234", True, date(2032, 1, 1), FACE
    )
    claims = PassClaims(
        not_before_s=int(NOW.timestamp()),
        expires_at_s=int(NOW.timestamp()) + 86_400,
        key=DeviceKey(secrets.token_bytes(32), True, "t"),
        type_code=licence.type_code,
        type_version=1,
        profile=profile,
        valid_until=licence.valid_until,
        items=pass_items(licence, profile),
        status=StatusPlace("https://wallet.sh.example/s/12", 987_654),
    )
    token = encode_pass(claims, secrets.token_bytes(8), lambda message: secrets.token_bytes(64))
    proof = encode_proof(token, int(NOW.timestamp()), secrets.token_bytes(16), lambda message: secrets.token_bytes(64))
    return qr_text("https://wallet.sh.example", proof)


@pytest.mark.parametrize(("profile", "budget"), [(Profile.MINIMAL, 16), (Profile.FACE, 21)])
def test_a_live_code_stays_within_its_qr_budget(profile: Profile, budget: int) -> None:
    symbol = qr_symbol(live_code_text(profile))
    assert symbol.version is not None
    assert symbol.version <= budget


def test_a_pass_names_nobody_beyond_its_profile() -> None:
    licence = ShowableLicence("l", "h", "driving-licence", 1, "张三丰", "310101199001011234", True, None, FACE)
    assert pass_items(licence, Profile.MINIMAL) == {0: "张**", 1: "31**************34"}
    assert pass_items(licence, Profile.FACE) == {0: "张三丰", 1: "310101199001011234", **FACE}
    company = ShowableLicence("l", "h", "business-licence", 1, "上海某公司", "91310000MA1FL0000X", False, None, {})
    assert pass_items(company, Profile.MINIMAL) == {0: "上海某公司", 1: "91310000MA1FL0000X"}


@given(st.text(alphabet=st.characters(exclude_characters="*、"), max_size=40))
def test_masking_keeps_the_length_and_shows_at_most_four_characters(text: str) -> None:
    masked = mask_number(text)
    assert len(masked) == len(text) == len(mask_name(text))
    assert sum(character != "*" for character in masked) <= 4
    assert sum(character != "*" for character in mask_name(text)) <= 1


@given(days=st.integers(1, 7), last_in=st.one_of(st.none(), st.integers(0, 10)))
def test_strips_cover_the_days_asked_for_and_never_outlive_a_day_or_the_licence(days: int, last_in: int | None) -> None:
    now_s = int(NOW.timestamp())
    last = None if last_in is None else NOW.date() + timedelta(days=last_in)
    windows = _windows(NOW, days, last)
    assert windows[0][0] <= now_s < windows[0][1]
    assert all(0 < end - start <= 86_400 for start, end in windows)
    assert all(later[0] < earlier[1] for earlier, later in itertools.pairwise(windows)), "no gap"
    if last_in is None:
        assert windows[-1][1] >= now_s + days * 86_400
    else:
        assert all(end <= now_s + (last_in + 1) * 86_400 for _, end in windows)


def test_the_proof_carries_the_pass_as_a_tagged_message() -> None:
    sign = lambda message: b"\x01" * 64  # noqa: E731
    token = cbor2.dumps(cbor2.CBORTag(18, [b"", {}, b"payload", b"\x02" * 64]))
    outer = cbor2.loads(encode_proof(token, 1, b"c" * 16, sign))
    header = cbor2.loads(outer.value[0])
    assert cbor2.dumps(header[13]) == token
    assert cbor2.loads(outer.value[2]) == {3: "lz-show", 6: 1, 7: b"c" * 16}
