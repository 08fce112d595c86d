"""Checks on line: what the platform says is believed under its signature only."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes import FakeClock
from tests.verifier_sdk.issuer import DELETE, NOW, NOW_S, Issuer, new_key, tamper
from tests.verifier_sdk.platform import CHECKS, CLIENT_ID, METADATA, TOKEN, Platform, as_json, problem
from tests.verifier_sdk.server import Answer, Server, serve
from verifier_sdk import (
    CannotTell,
    NotValid,
    OnlineClient,
    Redeemed,
    TrustError,
    TrustStore,
    Valid,
    Verifier,
    VerifierError,
    _check_result,
)
from verifier_sdk._check_result import Asked

SCENE = "road-traffic"


@pytest.fixture
def server(issuer: Issuer) -> Iterator[Server]:
    with serve(issuer) as server:
        yield server


@pytest.fixture
def platform(server: Server) -> Platform:
    return Platform(server)


@pytest.fixture
def trust(platform: Platform, tmp_path: Path, clock: FakeClock) -> Iterator[TrustStore]:
    with TrustStore.open(tmp_path, [platform.server.issuer.root.pem], clock=clock) as trust:
        assert trust.sync(platform.server.url).complete
        yield trust


@pytest.fixture
def verifier(trust: TrustStore, clock: FakeClock) -> Verifier:
    return Verifier(trust, clock=clock)


@pytest.fixture
def client(platform: Platform, clock: FakeClock) -> OnlineClient:
    return OnlineClient(platform.server.base, CLIENT_ID, platform.verifier_key, clock=clock)


def live_code(platform: Platform, **more: Any) -> str:
    reference = {"status_list": {"idx": 7, "uri": platform.server.status_uri}}
    issuer = platform.server.issuer
    return issuer.live_code(show_pass=issuer.show_pass({65535: reference}), **more)


def test_the_platforms_answer_is_given_once_it_is_verified(
    platform: Platform, verifier: Verifier, client: OnlineClient
) -> None:
    result = verifier.redeem(live_code(platform), SCENE, client)
    assert isinstance(result, Redeemed)
    assert [(item.name, item.label.zh, item.value) for item in result.items] == [
        ("holder_name", "持证主体", "张三丰"),
        ("vehicle_class", "准驾车型", ("C1", "D")),
        ("issued_on", "发证日期", "2017-03-04"),
        ("valid_until", "有效期至", "2027-03-03"),
        ("other", "other", 1),
    ]
    assert (result.type_code, result.type_name.en, result.state) == ("driving-licence", "Driving licence", "valid")
    assert (result.valid_until, result.portrait) == (date(2027, 3, 3), "data:image/jpeg;base64,AAAA")
    assert (result.check_id, result.scene_id, result.scene_version) == ("check-1", SCENE, 3)
    assert (result.checked_at, result.shown_at) == (NOW, NOW - timedelta(seconds=5))


def test_what_is_asked_reaches_the_platform(platform: Platform, verifier: Verifier, client: OnlineClient) -> None:
    text = live_code(platform, changes={39: b"12345678"})
    verifier.redeem(
        text, SCENE, client, challenge=b"12345678", items=["vehicle_class"], reason="事故", operator="310115"
    )
    assert platform.requests == [
        {
            "code": text,
            "scene": SCENE,
            "cnonce": "MTIzNDU2Nzg",
            "items": ["vehicle_class"],
            "reason": "事故",
            "operator": "310115",
        }
    ]
    verifier.redeem(text, SCENE, client)
    assert platform.requests[1].keys() == {"code", "scene"}


def test_what_is_no_live_code_is_not_sent(platform: Platform, verifier: Verifier, client: OnlineClient) -> None:
    with pytest.raises(NotValid, match="malformed"):
        verifier.redeem("320106199001011234", SCENE, client)
    assert platform.requests == []


def test_a_code_that_was_redeemed_is_not_valid_without_a_network(
    platform: Platform, verifier: Verifier, client: OnlineClient
) -> None:
    text = live_code(platform)
    verifier.redeem(text, SCENE, client)
    with pytest.raises(NotValid, match="code_replayed"):
        verifier.check(text)


REFUSALS: dict[str, tuple[str, Answer | None]] = {
    "used before": ("already_used", problem(409, "already_used")),
    "revoked": ("revoked", problem(409, "revoked", outcome="not_valid")),
    "suspended": ("suspended", problem(409, "suspended", outcome="not_valid")),
    "lapsed": ("lapsed", problem(409, "lapsed", outcome="not_valid")),
    "a code of the format": ("proof_expired", problem(422, "proof_expired", outcome="not_valid")),
    "a reason not known here": ("refused_by_platform", problem(422, "code_malformed", outcome="not_valid")),
    "the platform cannot tell": ("status_stale", problem(422, "status_stale", outcome="cannot_tell")),
    "the platform does not know the state": ("state_unknown", problem(409, "state_unknown", outcome="cannot_tell")),
    "a doubt not known here": ("state_unknown", problem(422, "something", outcome="cannot_tell")),
    "a scene that is not this verifier's": ("verifier_refused", problem(403, "scene_not_allowed")),
    "a scene that there is not": ("scene_unknown", problem(404, "scene_unknown")),
    "a suspended verifier": ("verifier_refused", problem(403, "verifier_suspended")),
    "far too many refusals": ("too_many_requests", problem(429, "too_many_refusals")),
    "a stopped pattern": ("too_many_requests", problem(429, "pattern_stopped")),
    "a code of another family": ("too_many_requests", problem(429, "trust_list_expired")),
    "no such interface": ("network_unavailable", Answer(b"<html>", "text/html", 404)),
    "a gateway's error": ("network_unavailable", Answer(b"<html>", "text/html", 502)),
    "a redirect": ("network_unavailable", Answer(b"", "text/plain", 302, {"Location": "https://x.example"})),
    "a broken connection": ("network_unavailable", None),
    "a compressed answer": (
        "network_unavailable",
        Answer(b"{}", "application/json", headers={"Content-Encoding": "gzip"}),
    ),
    "a token that is never good": ("verifier_refused", Answer(b"", "text/plain", 401)),
    "an answer without a result": ("answer_not_trusted", as_json({"outcome": "valid"})),
    "a result that is no text": ("answer_not_trusted", as_json({"result": {"outcome": "valid"}})),
    "an answer that is no JSON": ("answer_not_trusted", Answer(b"valid", "application/json")),
    "an array": ("answer_not_trusted", as_json(["valid"])),
    "nested too deeply": ("answer_not_trusted", Answer(b'{"result":' + b"[" * 9000, "application/json")),
    "a problem with another code type": ("answer_not_trusted", as_json({"code": 7})),
    "a success that is a refusal": ("answer_not_trusted", problem(201, "valid")),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_an_answer_that_is_none_has_a_code(
    name: str, platform: Platform, verifier: Verifier, client: OnlineClient
) -> None:
    code, answer = REFUSALS[name]
    platform.answer = lambda _: answer
    with pytest.raises(VerifierError) as refusal:
        verifier.redeem(live_code(platform), SCENE, client)
    assert refusal.value.code == code
    assert isinstance(refusal.value, NotValid) or refusal.value.cure  # type: ignore[attr-defined]


Change = Callable[[Platform, dict[str, Any]], str]


def changed(**changes: Any) -> Change:
    return lambda platform, request: platform.result(request, **changes)


BAD_RESULTS: dict[str, Change] = {
    "not a JWS": lambda p, r: "valid",
    "another typ": changed(header={"typ": "JWT"}),
    "alg none": changed(header={"alg": "none"}),
    "crit": changed(header={"crit": ["b64"], "b64": False}),
    "no certificates": changed(header={"x5c": DELETE}),
    "a key for passes": lambda p, r: p.result(r, signer=p.server.issuer.pass_key),
    "a check key that the trust list does not have": lambda p, r: p.result(r, signer=p.server.issuer.leaf("check")),
    "another platform's key": lambda p, r: p.result(r, signer=Issuer().leaf("check")),
    "another payload": lambda p, r: tamper(p.result(r)),
    "another key's signature": lambda p, r: p.result(
        r, signer=p.server.issuer.leaf("check"), header={"x5c": p.check_key.x5c}
    ),
    "for another verifier": changed(aud="hotel-7"),
    "for a list of verifiers": changed(aud=[CLIENT_ID]),
    "of another platform": changed(iss="https://other.example"),
    "over another code": lambda p, r: p.result({**r, "code": live_code(p)}),
    "in another scene": changed(scene="bank"),
    "not valid": changed(outcome="not_valid"),
    "without an outcome": changed(outcome=DELETE),
    "outcome true": changed(outcome=True),
    "revoked": changed(licence={"type": "driving-licence", "type_version": 1, "state": "revoked"}),
    "without a licence": changed(licence=DELETE),
    "a licence type that is a number": changed(licence={"type": 1, "type_version": 1, "state": "valid"}),
    "a day that is none": changed(
        licence={"type": "driving-licence", "type_version": 1, "state": "valid", "valid_until": "2027-02-30"}
    ),
    "items as an array": changed(items=["C1"]),
    "a portrait that is a number": changed(portrait=7),
    "no iat": changed(iat=DELETE),
    "an iat of true": changed(iat=True),
    "no jti": changed(jti=DELETE),
}


@pytest.mark.parametrize("name", BAD_RESULTS)
def test_a_result_that_does_not_verify_is_never_valid(
    name: str, platform: Platform, verifier: Verifier, client: OnlineClient
) -> None:
    make = BAD_RESULTS[name]
    platform.answer = lambda request: as_json({"result": make(platform, request)})
    with pytest.raises(CannotTell) as doubt:
        verifier.redeem(live_code(platform), SCENE, client, or_offline=True)
    assert doubt.value.code == "answer_not_trusted"


@pytest.mark.parametrize(("seconds", "holds"), [(30, True), (31, False), (-329, True), (-330, False)])
def test_a_clock_that_disagrees_with_the_signed_answer_is_noticed(
    seconds: int, holds: bool, platform: Platform, verifier: Verifier, client: OnlineClient
) -> None:
    iat = NOW_S + seconds
    platform.answer = lambda request: as_json({"result": platform.result(request, iat=iat, exp=iat + 300)})
    if holds:
        verifier.redeem(live_code(platform), SCENE, client)
    else:
        with pytest.raises(CannotTell, match="clock_off"):
            verifier.redeem(live_code(platform), SCENE, client)


def test_a_licence_type_that_the_trust_list_does_not_name_is_shown_by_its_code(
    platform: Platform, verifier: Verifier, client: OnlineClient
) -> None:
    licence = {"type": "fishing", "type_version": 1, "state": "valid", "valid_until": None}
    platform.answer = lambda request: as_json({"result": platform.result(request, licence=licence, portrait=DELETE)})
    result = verifier.redeem(live_code(platform), SCENE, client)
    assert isinstance(result, Redeemed)
    assert (result.type_name.zh, result.valid_until, result.portrait) == ("fishing", None, None)


def test_without_a_network_the_caller_may_fall_back_to_a_check_on_the_device(
    server: Server, platform: Platform, verifier: Verifier, clock: FakeClock
) -> None:
    gone = OnlineClient("http://127.0.0.1:9", CLIENT_ID, platform.verifier_key, clock=clock)
    text = live_code(platform)
    with pytest.raises(CannotTell, match="network_unavailable") as doubt:
        verifier.redeem(text, SCENE, gone)
    assert "try again with a network" in doubt.value.cure
    result = verifier.redeem(text, SCENE, gone, or_offline=True)
    assert isinstance(result, Valid)
    assert result.scene is not None
    with pytest.raises(CannotTell, match="scene_needs_network"):
        verifier.redeem(live_code(platform), "bank", gone, or_offline=True)


def test_without_a_trust_list_nothing_is_asked(platform: Platform, client: OnlineClient, tmp_path: Path) -> None:
    with (
        TrustStore.open(tmp_path / "empty", [platform.server.issuer.root.pem]) as empty,
        pytest.raises(CannotTell, match="trust_missing"),
    ):
        Verifier(empty).redeem(live_code(platform), SCENE, client)
    assert platform.requests == []


def test_a_token_is_used_until_it_ends_or_is_not_known_any_more(
    platform: Platform, verifier: Verifier, client: OnlineClient, clock: FakeClock
) -> None:
    for _ in range(3):
        verifier.redeem(live_code(platform), SCENE, client)
    assert len(platform.tokens) == 1
    platform.tokens.append("another")  # the platform has forgotten the first
    verifier.redeem(live_code(platform), SCENE, client)
    assert len(platform.tokens) == 3
    clock.forward(seconds=271)
    late = {6: NOW_S + 271}
    platform.answer = lambda request: as_json({"result": platform.result(request, iat=NOW_S + 271)})
    verifier.redeem(live_code(platform, changes=late), SCENE, client)
    assert len(platform.tokens) == 4


@pytest.mark.parametrize(
    ("path", "answer", "code"),
    [
        (TOKEN, problem(401, "x", error="invalid_client"), "verifier_refused"),
        (TOKEN, problem(400, "x", error="invalid_scope"), "verifier_refused"),
        (TOKEN, problem(503, "x"), "network_unavailable"),
        (TOKEN, as_json({"access_token": "a\r\nX: y", "expires_in": 300}), "answer_not_trusted"),
        (TOKEN, as_json({"access_token": "a", "expires_in": "soon"}), "answer_not_trusted"),
        (TOKEN, as_json([]), "answer_not_trusted"),
        (METADATA, as_json({"issuer": "https://other.example", "token_endpoint": "https://x.example"}), None),
        (METADATA, as_json({"token_endpoint": 7}), None),
        (METADATA, Answer(b"", "text/html", 404), "network_unavailable"),
    ],
)
def test_without_a_token_nothing_is_sent(
    path: str, answer: Answer, code: str | None, platform: Platform, verifier: Verifier, client: OnlineClient
) -> None:
    platform.server.answers[path] = answer
    platform.server.takers[path] = lambda body, authorization: answer
    with pytest.raises(CannotTell, match=code or "answer_not_trusted"):
        verifier.redeem(live_code(platform), SCENE, client)
    assert CHECKS not in platform.server.asked


def test_a_token_endpoint_elsewhere_gets_no_assertion(
    platform: Platform, verifier: Verifier, client: OnlineClient
) -> None:
    elsewhere = {"issuer": platform.server.base, "token_endpoint": "https://collector.example/token"}
    platform.server.answers[METADATA] = as_json(elsewhere)
    with pytest.raises(CannotTell, match="answer_not_trusted"):
        verifier.redeem(live_code(platform), SCENE, client)


def test_a_verifiers_key_is_a_p256_key() -> None:
    pem = new_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    locked = new_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    other = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    OnlineClient("https://wallet.example/", "x", pem)
    for bad in (locked, other, b"garbage", new_key(ec.SECP384R1())):
        with pytest.raises(ValueError, match=r"key|PEM"):
            OnlineClient("https://wallet.example", "x", bad)
    with pytest.raises(TrustError, match="url_not_allowed"):
        OnlineClient("http://wallet.example", "x", pem)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_one_flipped_bit_in_a_result_is_never_valid(
    data: st.DataObject, platform: Platform, trust: TrustStore, clock: FakeClock
) -> None:
    good = platform.result({"code": "x", "scene": SCENE})
    asked = Asked("x", SCENE, CLIENT_ID)
    trust_list = trust.trust_list()
    assert trust_list is not None
    assert _check_result.read(good, asked, trust, trust_list, clock.now(), 30).check_id == "check-1"
    changed = bytearray(good.encode())
    bit = data.draw(st.integers(0, len(changed) * 8 - 1))
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CannotTell):
        _check_result.read(changed.decode("latin-1"), asked, trust, trust_list, clock.now(), 30)
