"""Checks on line: what is released, once, to whom; and why not."""

import asyncio
import base64
import hashlib
import json
from collections import Counter
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credentials.keys.formats.signed_jwt import SignedJwt
from tests.credentials.issuance.test_parsers import ANY_JSON
from tests.credentials.rows import driving_row, step_row
from tests.wallet_api.running import Running, new_key, unverified
from tests.wallet_api.showing import SCENE, Device, inspector, refusal

AT_ONCE = 50


async def test_a_check_is_answered_with_a_signed_result_for_this_verifier(running: Running) -> None:
    device, police = await Device.of(running), await inspector(running)
    code = device.code()
    answer = await police.check(code, reason="例行检查", operator="031234")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    header, claims = unverified(answer.json()["result"])
    assert (header["typ"], header["alg"]) == ("lz-check+jwt", "ES256")
    leaf = x509.load_der_x509_certificate(base64.b64decode(header["x5c"][0]))
    root = x509.load_pem_x509_certificate(running.platform.key_ring.ring.anchor_pem.encode())
    leaf.verify_directly_issued_by(root)
    (purpose,) = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert purpose.dotted_string.endswith(".6"), "a key of purpose check"
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    SignedJwt.from_compact(answer.json()["result"], typ="lz-check+jwt").verified(key)
    assert len(header["x5c"]) == 1, "the anchor is not among them"
    now_s = device.wallet.now_s
    digest = base64.urlsafe_b64encode(hashlib.sha256(code.encode()).digest()).rstrip(b"=").decode()
    assert {name: value for name, value in claims.items() if name not in ("jti", "items", "licence")} == {
        "iss": running.url,
        "aud": "police-terminal",
        "iat": now_s,
        "exp": now_s + 300,
        "code_hash": digest,
        "scene": SCENE,
        "scene_version": 1,
        "outcome": "valid",
        "shown_at": now_s,
    }
    assert claims["licence"] == {
        "type": "driving-licence",
        "type_version": 1,
        "state": "valid",
        "valid_until": driving_row()["certificate_validate_end"],
    }


async def test_what_is_released_is_scene_and_profile_and_asked(running: Running) -> None:
    device, police = await Device.of(running, 1, "face", "minimal"), await inspector(running)
    row = driving_row()
    face = (await police.released(device.code("face")))["items"]
    assert face["holder_name"] == row["certificate_holders"][0]["certificate_holder_name"]
    assert face["certificate_number"] == row["certificate_number"]
    assert face["vehicle_class"] == row["business_information"]["vehicle_class"]
    assert "address" not in face, "the scene does not name it"
    assert "certificate_identifier" not in face
    minimal = (await police.released(device.code("minimal")))["items"]
    assert set(minimal) == {"holder_name", "certificate_number", "issuing_authority_name", "valid_until"}
    assert minimal["holder_name"] == row["certificate_holders"][0]["certificate_holder_name"][0] + "*" * (
        len(row["certificate_holders"][0]["certificate_holder_name"]) - 1
    )
    assert minimal["certificate_number"].count("*") == 14
    asked = (await police.released(device.code("face"), items=["vehicle_class", "address", "no_such_item"]))["items"]
    assert asked == {"vehicle_class": face["vehicle_class"]}


async def test_fifty_checks_of_one_code_at_once_in_two_processes_give_one_answer(running: Running) -> None:
    """Lesson 24: find, check, save let two scanners pass."""
    device, police = await Device.of(running), await inspector(running)
    other = await Running.start(running.platform.settings.data_dir, running.clock, running.platform.database)
    code = device.code()
    await police.check("warm up: fetches the token")
    body = {"code": code, "scene": SCENE}
    answers = await asyncio.gather(
        *(police.send("/api/v1/checks", body, (running, other)[at % 2]) for at in range(AT_ONCE))
    )
    codes = Counter(answer.json().get("code", "released") for answer in answers)
    assert codes == {"released": 1, "already_used": AT_ONCE - 1}
    assert {refusal(answer) for answer in answers if answer.status_code != 200} == {(409, "already_used", "not_valid")}
    assert await running.count("access_log") == 1
    await other.http.aclose()


async def test_a_code_under_the_other_of_its_two_signatures_is_the_same_code(running: Running) -> None:
    """The cti counts, not the text: the proof can be signed anew by its device, or its s turned to n - s by anybody."""
    device, police = await Device.of(running), await inspector(running)
    cti = b"\x07" * 16
    await police.released(device.code(cti=cti))
    assert refusal(await police.check(device.code(cti=cti))) == (409, "already_used", "not_valid")
    other = await Device.of(running, 2)
    await police.released(other.code(cti=cti))  # another device's, who draws what it likes


async def test_a_refused_check_uses_nothing_up(running: Running) -> None:
    device, police = await Device.of(running), await inspector(running)
    stranger = await inspector(running, "stranger", scenes=("car-rental",))
    challenge = b"12345678"
    code = device.code(challenge=challenge)
    assert refusal(await stranger.check(code)) == (403, "scene_not_allowed", None)
    assert refusal(await police.check(code, "no-such-scene")) == (404, "scene_unknown", None)
    wrong = base64.urlsafe_b64encode(b"87654321").rstrip(b"=").decode()
    assert refusal(await police.check(code, cnonce=wrong)) == (422, "challenge_wrong", "not_valid")
    assert await running.count("access_log") == 0
    right = base64.urlsafe_b64encode(challenge).rstrip(b"=").decode()
    await police.released(code, cnonce=right)
    assert await running.count("access_log") == 1


async def test_what_does_not_hold_is_refused_with_the_sdks_code(running: Running) -> None:
    """Lesson 29: an old screenshot, another device's key, a clock that is off."""
    device, police = await Device.of(running), await inspector(running)
    code = device.code()
    late = device.code(ahead_s=31)
    assert refusal(await police.check("hello")) == (422, "malformed", "not_valid")
    assert refusal(await police.check(code[:-1] + "8")) == (422, "malformed", "not_valid")
    assert refusal(await police.check(late)) == (422, "proof_from_the_future", "not_valid")
    assert refusal(await police.check(device.code(key=new_key()))) == (422, "proof_signature_invalid", "not_valid")
    assert refusal(await police.check(code, cnonce="MTIzNDU2Nzg")) == (422, "challenge_missing", "not_valid")
    running.clock.forward(seconds=91)
    assert refusal(await police.check(code)) == (422, "proof_expired", "not_valid")
    running.clock.forward(hours=25)
    police.bearer = ""
    assert refusal(await police.check(device.code())) == (422, "pass_expired", "not_valid")


async def test_the_live_state_counts_not_the_status_list(running: Running) -> None:
    police = await inspector(running)
    device = await Device.of(running)
    await running.take(step_row(1, 2, "03"))
    assert refusal(await police.check(device.code())) == (409, "suspended", "not_valid")
    await running.take(step_row(1, 3, "06"))
    await police.released(device.code())
    await running.take(step_row(1, 4, "05", cert_state="07"))
    code = device.code()
    assert refusal(await police.check(code)) == (409, "revoked", "not_valid")
    assert refusal(await police.check(code)) == (409, "revoked", "not_valid"), "and stays the better answer"
    renewed = await Device.of(running, 2)
    await running.take(driving_row(2, source_version=2, operate_type="02", certificate_validate_end="2036-02-28"))
    assert refusal(await police.check(renewed.code())) == (409, "lapsed", "not_valid")


async def test_a_suspended_verifier_is_refused_at_once(running: Running) -> None:
    """Lesson 26: whoever is signed in is no verifier yet."""
    device, police, platform = await Device.of(running), await inspector(running), running.platform
    await police.released(device.code())
    async with platform.database.transaction() as session:
        await platform.verifiers.suspend(session, "police-terminal")
    code = device.code()
    assert refusal(await police.check(code)) == (403, "verifier_suspended", None)
    assert refusal(await police.check("not even read")) == (403, "verifier_suspended", None)
    assert refusal(await police.upload({"id": "0" * 32})) == (403, "verifier_suspended", None)
    async with platform.database.transaction() as session:
        await platform.verifiers.resume(session, "police-terminal")
    await police.released(code)


async def test_only_registered_verifiers_check(running: Running) -> None:
    device = await Device.of(running)
    department = await running.department()
    body = {"code": device.code(), "scene": SCENE}
    answer = await department.post("/api/v1/checks", body)
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    answer = await device.wallet.post("/api/v1/checks", json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert (await running.post("/api/v1/checks", json=body)).status_code == 401


async def test_a_licence_of_another_type_is_not_of_the_scene(running: Running) -> None:
    device = await Device.of(running)
    road = await inspector(running, "road", scenes=("road-transport-check",))
    assert refusal(await road.check(device.code(), "road-transport-check")) == (422, "scene_type", "not_valid")


BODY = {"code": "x", "scene": SCENE}


WRONG: list[dict[str, Any]] = [
    {"more": 1},
    {"code": None},
    {"code": 1},
    {"code": "x" * 8193},
    {"code": "\ud800"},
    {"scene": "Road"},
    {"scene": "a" * 65},
    {"scene": "x\n"},
    {"reason": ""},
    {"reason": "x" * 201},
    {"reason": "\u3000 "},
    {"reason": "a\0"},
    {"operator": "\x1b[2J"},
    {"operator": "\u202e"},
    {"operator": "x" * 65},
    {"cnonce": "MTIzNA"},
    {"cnonce": "MTIzNDU2Nzh="},
    {"cnonce": "MTIzNDU2Nzm"},
    {"items": []},
    {"items": "vehicle_class"},
    {"items": ["Vehicle"]},
    {"items": ["a"] * 101},
]


async def test_a_body_out_of_form_is_refused(running: Running) -> None:
    police = await inspector(running)
    for wrong in WRONG:
        answer = await police.send("/api/v1/checks", BODY | wrong)
        assert refusal(answer) == (422, "request_invalid", None), wrong
    for broken in (b"", b"{", b"[]", b"null", b"\xff", b"[" * 10_000):
        assert 400 <= (await police.send("/api/v1/checks", broken)).status_code < 500, broken


MEMBERS = ["code", "scene", "reason", "operator", "cnonce", "items", "device", "entries", "x"]
HOSTILE = st.one_of(
    st.binary(max_size=60),
    st.dictionaries(st.sampled_from(MEMBERS), ANY_JSON, max_size=5).map(lambda body: json.dumps(body).encode()),
    st.dictionaries(st.sampled_from(MEMBERS[2:6]), ANY_JSON, max_size=2).map(
        lambda body: json.dumps({"code": "https://wallet.example/v#1AAAA", "scene": SCENE} | body).encode()
    ),
)


def test_whatever_a_verifier_sends_is_answered_with_a_refusal(running: Running, runner: asyncio.Runner) -> None:
    police = runner.run(inspector(running, refusals_per_10_minutes=100_000))

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(["/api/v1/checks", "/api/v1/check-journals"]), HOSTILE)
    def send(path: str, body: bytes) -> None:
        answer = runner.run(police.send(path, body))
        assert 400 <= answer.status_code < 500
        assert answer.json()["code"]

    send()


async def test_a_release_stands_in_the_holders_log_without_values(running: Running) -> None:
    device, police = await Device.of(running), await inspector(running)
    claims = await police.released(device.code(), reason="例行检查", operator="031234", items=["vehicle_class"])
    page = await device.access_log()
    now, number = running.clock.now().isoformat(), driving_row()["certificate_number"]
    assert page == {
        "entries": [
            {
                "id": "1",
                "at": now,
                "recorded_at": now,
                "organisation": "某市公安局交通警察总队",
                "system": "路面查验终端",
                "licence": {
                    "type": "driving-licence",
                    "name": {"zh-CN": "机动车驾驶证", "en": "Driving licence"},
                    "number": f"{number[:2]}{'*' * 14}{number[-2:]}",
                },
                "items": ["vehicle_class", "valid_until"],
                "reason": "例行检查",
                "scene": {
                    "id": SCENE,
                    "version": 1,
                    "name": {"zh-CN": "交通警察路面查验", "en": "Roadside check by the traffic police"},
                },
                "mode": "online",
            }
        ],
        "next_cursor": None,
    }
    assert claims["items"]["vehicle_class"] not in str(page)
