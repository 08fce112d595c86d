"""Status lists as CWT: the same rules as for the JWT form, each with a token that breaks only it."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes import FakeClock
from tests.verifier_sdk.cases import World, hold
from tests.verifier_sdk.issuer import DELETE, NOW_S, STATUS_URI, Issuer
from tests.verifier_sdk.server import STATUS, Answer, Server, serve
from tests.verifier_sdk.test_formats import load, public_key
from verifier_sdk import NotValid, Outcome, TrustError, TrustStore, Verifier, _cbor, _status_list
from verifier_sdk._cose import Sign1
from verifier_sdk._trust_list import TrustList


@pytest.fixture
def server(issuer: Issuer) -> Iterator[Server]:
    with serve(issuer) as server:
        yield server


@pytest.fixture
def trust_list(trust: TrustStore) -> TrustList:
    held = trust.trust_list()
    assert held is not None
    return held


def offer(server: Server, token: bytes, content_type: str = "application/statuslist+cwt") -> None:
    server.answers[STATUS] = Answer(token, content_type)


def live_code(server: Server) -> str:
    reference = {"status_list": {"idx": 7, "uri": server.status_uri}}
    return server.issuer.live_code(show_pass=server.issuer.show_pass({65535: reference}))


def test_a_status_list_may_be_fetched_as_cwt(server: Server, tmp_path: Path, clock: FakeClock) -> None:
    with TrustStore.open(tmp_path, [server.issuer.root.pem], clock=clock) as store:
        verifier = Verifier(store, clock=clock)
        offer(server, server.issuer.status_list_cwt({6: 1}, claims={2: server.status_uri}))
        assert store.sync(server.url, status_format="cwt").complete
        verifier.check(live_code(server))
        newer = server.issuer.status_list_cwt({7: 2}, claims={2: server.status_uri, 6: NOW_S - 60})
        offer(server, newer)
        assert store.refresh_status_list(server.status_uri, status_format="cwt").outcome is Outcome.REFRESHED
        with pytest.raises(NotValid, match="suspended"):
            verifier.check(live_code(server))
        server.offer_status_list(server.status_list())  # the other form, but older
        assert store.refresh_status_list(server.status_uri).code == "status_list_rolled_back"
        offer(server, newer, "application/statuslist+jwt")
        assert store.refresh_status_list(server.status_uri, status_format="cwt").code == "content_type_wrong"


def test_two_forms_of_one_status_list_say_the_same(issuer: Issuer, trust_list: TrustList) -> None:
    as_cwt = _status_list.read(issuer.status_list_cwt({3: 1, 9: 2}), STATUS_URI, trust_list)
    as_jwt = _status_list.read(issuer.status_list({3: 1, 9: 2}), STATUS_URI, trust_list)
    assert as_cwt == as_jwt


def test_certificates_may_stand_unprotected_and_in_an_array(issuer: Issuer, trust_list: TrustList) -> None:
    for certificates in (issuer.status_key.der, [issuer.status_key.der, issuer.root.der]):
        token = issuer.status_list_cwt(header={33: DELETE}, unprotected={33: certificates, 4: b"12"})
        assert _status_list.read(token, STATUS_URI, trust_list).statuses.status(7) == 0


def untagged(token: bytes) -> bytes:
    return cbor2.dumps(list(cbor2.loads(token).value))


def edited(token: bytes) -> bytes:
    protected, unprotected, payload, signature = cbor2.loads(token).value
    claims = {**cbor2.loads(payload), 65534: 7200}
    return cbor2.dumps(cbor2.CBORTag(18, [protected, unprotected, cbor2.dumps(claims), signature]))


REFUSED: dict[str, tuple[str, Callable[[Issuer], bytes]]] = {
    "nothing": ("status_list_malformed", lambda i: b""),
    "a JWT": ("status_list_malformed", lambda i: i.status_list().encode()),
    "bytes after it": ("status_list_malformed", lambda i: i.status_list_cwt() + b"\x00"),
    "no tag": ("status_list_malformed", lambda i: untagged(i.status_list_cwt())),
    "tagged as CWT": ("status_list_malformed", lambda i: b"\xd8\x3d" + i.status_list_cwt()),
    "another typ": ("status_list_malformed", lambda i: i.status_list_cwt(header={16: "application/cwt"})),
    "an unprotected typ": (
        "status_list_malformed",
        lambda i: i.status_list_cwt(header={16: DELETE}, unprotected={16: "application/statuslist+cwt"}),
    ),
    "another alg": ("status_list_malformed", lambda i: i.status_list_cwt(header={1: -35})),
    "an empty protected header": (
        "status_list_malformed",
        lambda i: i.status_list_cwt(header={1: DELETE, 16: DELETE, 33: DELETE}),
    ),
    "a critical header": ("status_list_malformed", lambda i: i.status_list_cwt(header={2: [99], 99: 1})),
    "a header in both maps": ("status_list_malformed", lambda i: i.status_list_cwt(unprotected={1: -7})),
    "no certificate": ("status_list_issuer_unknown", lambda i: i.status_list_cwt(header={33: DELETE})),
    "an empty chain": ("status_list_issuer_unknown", lambda i: i.status_list_cwt(header={33: []})),
    "a text as certificate": ("status_list_issuer_unknown", lambda i: i.status_list_cwt(header={33: "x"})),
    "a stranger": ("status_list_issuer_unknown", lambda i: i.status_list_cwt(signer=i.leaf("status"))),
    "a key for passes": ("status_list_issuer_unknown", lambda i: i.status_list_cwt(signer=i.pass_key)),
    "other claims under the signature": ("status_list_signature_invalid", lambda i: edited(i.status_list_cwt())),
    "another uri": ("status_list_uri_wrong", lambda i: i.status_list_cwt(claims={2: f"{STATUS_URI}/"})),
    "no uri": ("status_list_malformed", lambda i: i.status_list_cwt(claims={2: DELETE})),
    "no iat": ("status_list_malformed", lambda i: i.status_list_cwt(claims={6: DELETE})),
    "an exp of true": ("status_list_malformed", lambda i: i.status_list_cwt(claims={4: True})),
    "no list": ("status_list_malformed", lambda i: i.status_list_cwt(claims={65533: DELETE})),
    "lst as a text": ("status_list_malformed", lambda i: i.status_list_cwt(claims={65533: {"bits": 1, "lst": "e"}})),
    "three bits": ("status_list_malformed", lambda i: i.status_list_cwt(claims={65533: {"bits": 3, "lst": b""}})),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_cwt_is_refused(name: str, issuer: Issuer, trust_list: TrustList) -> None:
    code, make = REFUSED[name]
    with pytest.raises(TrustError) as error:
        _status_list.read(make(issuer), STATUS_URI, trust_list)
    assert error.value.code == code


def test_a_cwt_that_a_cache_was_made_to_hold_is_verified_when_loaded(
    issuer: Issuer, world: World, trust: TrustStore, tmp_path: Path
) -> None:
    hold(tmp_path, issuer.root.pem, world.trust_list, {STATUS_URI: issuer.status_list_cwt({7: 1})})
    held = trust.status_list(STATUS_URI)
    assert held is not None
    assert held.statuses.status(7) == 1
    hold(tmp_path, issuer.root.pem, world.trust_list, {STATUS_URI: edited(issuer.status_list_cwt())})
    assert trust.status_list(STATUS_URI) is None


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_bytes_are_a_status_list_or_one_of_our_errors(
    data: st.DataObject, issuer: Issuer, trust_list: TrustList
) -> None:
    token = bytearray(issuer.status_list_cwt())
    at = data.draw(st.integers(0, len(token) - 1))
    token[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with contextlib.suppress(TrustError):
        _status_list.read(bytes(token), STATUS_URI, trust_list)


def test_the_cwt_of_the_specification_verifies() -> None:
    vectors = load("status_list")
    signed, unprotected = Sign1.with_unprotected(_cbor.loads(bytes.fromhex(vectors["status_list_cwt_hex"]["value"])))
    assert _status_list.cwt_header(signed, unprotected)[4] == b"12"
    signed.verify(public_key(vectors["key"]), b"")
    claims = _cbor.loads(signed.payload)
    assert isinstance(claims, dict)
    statuses = _status_list.StatusArray.from_cbor(claims[65533])
    assert [statuses.status(idx) for idx in range(16)] == [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]
