"""SD-JWT VCs: what holds, what does not, and why."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes import FakeClock
from tests.verifier_sdk.cases import Case, World, hold, outcome
from tests.verifier_sdk.credentials import AUDIENCE, NONCE, credential_cases
from tests.verifier_sdk.issuer import DELETE, NOW_S, STATUS_URI, Issuer, digest, disclosure, jwk
from verifier_sdk import Expected, NotValid, Policy, TrustStore, Verifier, VerifierError

NAMES = [case.name for case in credential_cases(Issuer())]
EXPECTED = Expected(AUDIENCE, NONCE)


@pytest.fixture(scope="module")
def cases(issuer: Issuer) -> dict[str, Case]:
    return {case.name: case for case in credential_cases(issuer)}


@pytest.mark.parametrize("name", NAMES)
def test_a_credential_has_the_outcome_of_its_case(
    name: str, cases: dict[str, Case], world: World, tmp_path: Path
) -> None:
    assert outcome(cases[name], world, tmp_path) == cases[name].expect


def test_a_presentation_gives_what_was_disclosed_and_nothing_else(issuer: Issuer, verifier: Verifier) -> None:
    classes = [disclosure("C1"), disclosure("D")]
    name, born = disclosure("name", "张三丰"), disclosure("birth_date", "1990-01-01")
    sd_jwt = issuer.credential(
        (),
        disclosures=[classes[1], name],
        _sd=[digest(born), digest(name)],
        classes=[{"...": digest(each)} for each in classes],
        address={"_sd": [digest("decoy")]},
    )
    result = verifier.check_presentation(issuer.present(sd_jwt), EXPECTED)
    assert {key: result.claims[key] for key in ("name", "classes", "address")} == {
        "name": "张三丰",
        "classes": ["D"],
        "address": {},
    }
    assert not result.claims.keys() & {"_sd", "_sd_alg", "birth_date"}
    assert result.key_binding is not None
    assert (result.key_binding.audience, result.key_binding.nonce) == (AUDIENCE, NONCE)


def test_a_credential_names_its_issuer_type_holder_key_and_state(issuer: Issuer, verifier: Verifier) -> None:
    result = verifier.check_credential(issuer.credential())
    assert (result.type_code, result.type_name.zh, result.state) == ("driving-licence", "机动车驾驶证", "valid")
    assert result.authority is not None
    assert result.authority.name == "上海市公安局"
    assert result.cnf_jwk == jwk(issuer.holder)
    assert result.issuer_kid == issuer.credential_key.kid.hex()
    assert result.status_age is not None
    assert (result.trust_age.total_seconds(), result.status_age.total_seconds()) == (0, 600)
    assert result.key_binding is None


def test_a_chain_seen_before_is_still_checked(
    issuer: Issuer, world: World, trust: TrustStore, verifier: Verifier, tmp_path: Path, clock: FakeClock
) -> None:
    credential = issuer.credential(exp=NOW_S + 800 * 86_400)
    verifier.check_credential(credential)
    without = issuer.trust_list(keys=[issuer.listed("status", issuer.status_key)])
    hold(tmp_path, issuer.root.pem, without, world.status_lists)
    with pytest.raises(NotValid, match="issuer_unknown"):
        verifier.check_credential(credential)
    hold(tmp_path, issuer.root.pem, world.trust_list, {STATUS_URI: issuer.status_list({7: 1})})
    with pytest.raises(NotValid, match="revoked"):
        verifier.check_credential(credential)
    clock.forward(days=366)
    now_s = int(clock.now().timestamp())
    later = issuer.trust_list(iat=now_s, exp=now_s + 86_400)
    hold(tmp_path, issuer.root.pem, later, world.status_lists)
    with pytest.raises(NotValid, match="chain_invalid"):
        verifier.check_credential(credential)


def test_a_policy_may_let_a_credential_go_without_status(issuer: Issuer, trust: TrustStore, clock: FakeClock) -> None:
    lenient = Verifier(trust, Policy(require_status=False), clock=clock)
    assert lenient.check_credential(issuer.credential(status=DELETE)).state is None
    with pytest.raises(NotValid, match="status_index_unknown"):
        lenient.check_credential(issuer.credential(status={"status_list": {"idx": 9999, "uri": STATUS_URI}}))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_text_gives_a_result_or_one_of_our_errors(data: st.DataObject, issuer: Issuer, verifier: Verifier) -> None:
    good = issuer.present(issuer.credential())
    at = data.draw(st.integers(0, len(good) - 1))
    pieces = st.one_of(st.text(max_size=20), st.sampled_from(["~", ".", "~~", "eyJhIjoxfQ", "e30", "W10"]))
    text = data.draw(st.one_of(pieces, pieces.map(lambda piece: good[:at] + piece + good[at + 1 :])))
    for check in (verifier.check_credential, lambda each: verifier.check_presentation(each, EXPECTED)):
        with contextlib.suppress(VerifierError):
            check(text)


json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("sha-256"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["_sd", "...", "_sd_alg", "jwk", "kty", "status_list", "idx", "a"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
names = st.sampled_from(["iss", "vct", "iat", "nbf", "exp", "cnf", "status", "_sd", "_sd_alg", "aka_vcts", "...", "a"])


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(changes=st.dictionaries(names, json_values, min_size=1, max_size=3), sent=st.lists(json_values, max_size=2))
def test_any_signed_claims_give_a_result_or_one_of_our_errors(
    changes: dict[str, object], sent: list[object], issuer: Issuer, verifier: Verifier
) -> None:
    made = [disclosure("b", value) for value in sent]
    claims = {"_sd": [digest(each) for each in made], **changes}
    with contextlib.suppress(VerifierError):
        verifier.check_credential(issuer.credential((), disclosures=made, **claims))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.integers(0, 10_000), other=st.sampled_from("AQgwZ09-_.~ "))
def test_a_changed_character_is_never_valid(place: int, other: str, issuer: Issuer, verifier: Verifier) -> None:
    good = issuer.present(issuer.credential())
    at = place % len(good)
    if good[at] == other:
        return
    with pytest.raises(VerifierError):
        verifier.check_presentation(good[:at] + other + good[at + 1 :], EXPECTED)
