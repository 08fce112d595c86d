"""Synchronisation: what is refused, what is kept, and what is never fetched."""

import http.client
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import DNSName, SubjectAlternativeName

from tests.fakes import FakeClock
from tests.verifier_sdk.issuer import DELETE, NOW, NOW_S, Issuer, certify, jws, status_lst, tamper
from tests.verifier_sdk.server import AGGREGATION, STATUS, TRUST_LIST, Server, serve
from verifier_sdk import CannotTell, Outcome, TrustError, TrustStore, Valid, Verifier, _fetch

Offer = Callable[[Server], None]


@pytest.fixture
def server(issuer: Issuer) -> Iterator[Server]:
    with serve(issuer) as server:
        yield server


@pytest.fixture
def store(tmp_path: Path, issuer: Issuer, clock: FakeClock) -> Iterator[TrustStore]:
    with TrustStore.open(tmp_path / "device", [issuer.root.pem], clock=clock) as store:
        yield store


def live_code(server: Server, idx: int = 7) -> str:
    reference = {"status_list": {"idx": idx, "uri": server.status_uri}}
    return server.issuer.live_code(show_pass=server.issuer.show_pass({65535: reference}))


def test_a_device_that_synchronised_needs_no_network_to_check(
    server: Server, store: TrustStore, clock: FakeClock
) -> None:
    report = store.sync(server.url)
    assert report.complete
    assert report.trust_list.outcome is Outcome.REFRESHED
    assert [item.outcome for item in report.status_lists] == [Outcome.REFRESHED]
    asked = list(server.asked)
    assert asked == [TRUST_LIST, AGGREGATION, STATUS]
    assert isinstance(Verifier(store, clock=clock).check(live_code(server)), Valid)
    assert server.asked == asked


def test_url_and_anchor_are_remembered(server: Server, store: TrustStore, tmp_path: Path, clock: FakeClock) -> None:
    store.sync(server.url)
    with TrustStore.open(tmp_path / "device", clock=clock) as later:
        assert later.sync().trust_list.outcome is Outcome.UNCHANGED
        Verifier(later, clock=clock).check(live_code(server))


def test_other_processes_notice_what_one_synchronised(
    server: Server, store: TrustStore, tmp_path: Path, clock: FakeClock
) -> None:
    with TrustStore.open(tmp_path / "device", [server.issuer.root.pem], clock=clock) as other:
        verifier = Verifier(other, clock=clock)
        with pytest.raises(CannotTell, match="trust_missing"):
            verifier.check(live_code(server))
        store.sync(server.url)
        verifier.check(live_code(server))
        server.offer_status_list(server.status_list({7: 1}, iat=NOW_S))
        store.sync()
        with pytest.raises(Exception, match="revoked"):
            verifier.check(live_code(server))


def test_without_an_anchor_nothing_is_fetched(server: Server, tmp_path: Path) -> None:
    with TrustStore.open(tmp_path) as store, pytest.raises(TrustError, match="anchor_missing"):
        store.sync(server.url)
    assert server.asked == []


def test_without_a_url_there_is_nothing_to_synchronise(store: TrustStore) -> None:
    with pytest.raises(TrustError, match="url_not_allowed"):
        store.sync()


def by_other_root(server: Server) -> str:
    root = certify("Liangzheng Root", ca=True)  # the same name
    return server.trust_list(signer=Issuer.leaf(server.issuer, "trust-list", issuer=root))


def raw_claims(server: Server, payload: bytes) -> str:
    signer = server.issuer.trust_list_key
    return jws(signer.key, {"alg": "ES256", "typ": "lz-trust-list+jwt", "x5c": signer.x5c}, payload)


REFUSED_TRUST_LISTS: dict[str, tuple[str, Callable[[Server], str]]] = {
    "not a JWS": ("trust_list_malformed", lambda s: "<html>"),
    "not ASCII": ("trust_list_malformed", lambda s: s.trust_list() + "é"),
    "two parts": ("trust_list_malformed", lambda s: s.trust_list().rpartition(".")[0]),
    "another typ": ("trust_list_malformed", lambda s: s.trust_list(header={"typ": "JWT"})),
    "no typ": ("trust_list_malformed", lambda s: s.trust_list(header={"typ": DELETE})),
    "alg none": ("trust_list_malformed", lambda s: s.trust_list(header={"alg": "none"})),
    "crit": ("trust_list_malformed", lambda s: s.trust_list(header={"crit": ["x"], "x": 1})),
    "no certificates": ("trust_list_malformed", lambda s: s.trust_list(header={"x5c": DELETE})),
    "an empty x5c": ("trust_list_malformed", lambda s: s.trust_list(header={"x5c": []})),
    "not a certificate": ("trust_list_chain_invalid", lambda s: s.trust_list(header={"x5c": ["AAAA"]})),
    "another root of the same name": ("trust_list_chain_invalid", by_other_root),
    "a certificate for passes": ("trust_list_chain_invalid", lambda s: s.trust_list(signer=s.issuer.pass_key)),
    "a certificate that has run out": (
        "trust_list_chain_invalid",
        lambda s: s.trust_list(signer=s.issuer.leaf("trust-list", not_after=NOW - timedelta(seconds=1))),
    ),
    "signed by the root itself": ("trust_list_chain_invalid", lambda s: s.trust_list(signer=s.issuer.root)),
    "the anchor in x5c": (
        "trust_list_chain_invalid",
        lambda s: s.trust_list(header={"x5c": [*s.issuer.trust_list_key.x5c, *s.issuer.root.x5c]}),
    ),
    "another payload": ("trust_list_signature_invalid", lambda s: tamper(s.trust_list())),
    "a stranger's signature": (
        "trust_list_signature_invalid",
        lambda s: s.trust_list(signer=s.issuer.leaf("trust-list"), header={"x5c": s.issuer.trust_list_key.x5c}),
    ),
    "issued in the future": ("trust_list_from_the_future", lambda s: s.trust_list(iat=NOW_S + 31)),
    "run out": ("trust_list_expired", lambda s: s.trust_list(exp=NOW_S)),
    "an older sequence": ("trust_list_rolled_back", lambda s: s.trust_list(sequence=4)),
    "the same sequence with other content": ("trust_list_sequence_reused", lambda s: s.trust_list(types=[])),
    "another platform": (
        "trust_list_issuer_changed",
        lambda s: s.trust_list(iss="https://other.example", sequence=9),
    ),
    "no sequence": ("trust_list_malformed", lambda s: s.trust_list(sequence=DELETE)),
    "sequence true": ("trust_list_malformed", lambda s: s.trust_list(sequence=True)),
    "sequence 0": ("trust_list_malformed", lambda s: s.trust_list(sequence=0)),
    "no exp": ("trust_list_malformed", lambda s: s.trust_list(exp=DELETE)),
    "keys as an object": ("trust_list_malformed", lambda s: s.trust_list(keys={})),
    "a type without a name": ("trust_list_malformed", lambda s: s.trust_list(types=[{"code": "x"}])),
    "scenes as an object": ("trust_list_malformed", lambda s: s.trust_list(scenes={})),
    "a scene whose id has spaces": (
        "trust_list_malformed",
        lambda s: s.trust_list(scenes=[s.issuer.scene(id="Road Traffic")]),
    ),
    "a scene that says neither on line nor offline": (
        "trust_list_malformed",
        lambda s: s.trust_list(scenes=[s.issuer.scene(offline="no")]),
    ),
    "a duplicate member": ("trust_list_malformed", lambda s: raw_claims(s, b'{"sequence":6,"sequence":7}')),
    "NaN": ("trust_list_malformed", lambda s: raw_claims(s, b'{"sequence":NaN}')),
    "a number without bounds": ("trust_list_malformed", lambda s: raw_claims(s, b'{"sequence":1e999}')),
    "deep nesting": ("trust_list_malformed", lambda s: raw_claims(s, b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}")),
    "an array as payload": ("trust_list_malformed", lambda s: raw_claims(s, b"[]")),
    "a lone surrogate": ("trust_list_malformed", lambda s: raw_claims(s, b'{"iss":"\\ud800"}')),
}


@pytest.mark.parametrize("name", REFUSED_TRUST_LISTS)
def test_a_bad_trust_list_is_refused_and_nothing_it_names_is_fetched(
    name: str, server: Server, store: TrustStore
) -> None:
    code, make = REFUSED_TRUST_LISTS[name]
    assert store.sync(server.url).complete
    held = store.trust_list()
    server.asked.clear()
    server.offer_trust_list(make(server))
    report = store.sync(server.url)
    assert (report.trust_list.outcome, report.trust_list.code) == (Outcome.FAILED, code)
    assert report.trust_list.age is not None
    assert server.asked == [TRUST_LIST]
    assert store.trust_list() == held


REFUSED_ANSWERS: dict[str, tuple[str, dict[str, Any]]] = {
    "not found": ("http_status", {"status": 404}),
    "no content": ("http_status", {"status": 204}),
    "a redirect": ("redirect_refused", {"status": 302, "headers": {"Location": "/elsewhere"}}),
    "not modified, unasked": ("redirect_refused", {"status": 304}),
    "HTML": ("content_type_wrong", {"content_type": "text/html"}),
    "a body compressed unasked": ("content_type_wrong", {"headers": {"Content-Encoding": "gzip"}}),
}


@pytest.mark.parametrize("name", REFUSED_ANSWERS)
def test_an_answer_of_another_kind_is_refused(name: str, server: Server, store: TrustStore) -> None:
    code, more = REFUSED_ANSWERS[name]
    server.offer_trust_list(server.trust_list(), **more)
    assert store.sync(server.url).trust_list.code == code
    assert server.asked == [TRUST_LIST]


def test_a_document_beyond_its_size_is_not_read(server: Server, store: TrustStore) -> None:
    server.offer_trust_list("a" * ((4 << 20) + 1))
    assert store.sync(server.url).trust_list.code == "too_large"


@pytest.mark.parametrize(
    ("url", "code"),
    {
        "http://wallet.example/api/v1/trust-list": "url_not_allowed",
        "http://10.0.0.1/": "url_not_allowed",
        "ftp://127.0.0.1/": "url_not_allowed",
        "file:///etc/passwd": "url_not_allowed",
        "https:///": "url_not_allowed",
        "https://user@127.0.0.1/": "url_not_allowed",
        "https://127.0.0.1/#a": "url_not_allowed",
        "https://127.0.0.1:99999/": "url_not_allowed",
        "https://[::1": "url_not_allowed",
        "https://127.0.0.1/a b": "url_not_allowed",
        "https://127.0.0.1/\r\nHost:x": "url_not_allowed",
        "https://10.0.0.1/": "address_not_allowed",
        "https://192.168.1.1/": "address_not_allowed",
        "https://169.254.169.254/latest": "address_not_allowed",
        "https://100.64.0.1/": "address_not_allowed",
        "https://[fe80::1]/": "address_not_allowed",
        "https://[fd00::1]/": "address_not_allowed",
        "https://[::ffff:10.0.0.1]/": "address_not_allowed",
        "https://0.0.0.0/": "address_not_allowed",
        "https://224.0.0.1/": "address_not_allowed",
    }.items(),
)
def test_an_address_that_may_not_be_asked_is_not_asked(url: str, code: str, store: TrustStore) -> None:
    assert store.sync(url).trust_list.code == code


@pytest.mark.parametrize("url", ["https://169.254.169.254/", "https://0.0.0.0/", "https://[fe80::1]/"])
def test_a_private_network_does_not_open_link_local_addresses(url: str, store: TrustStore) -> None:
    assert store.sync(url, private_network=True).trust_list.code == "address_not_allowed"


def test_this_machine_may_be_named_by_ipv6(store: TrustStore) -> None:
    assert store.sync("http://[::1]:9/").trust_list.code == "unreachable"
    assert store.sync("https://[::1]/").trust_list.code == "unreachable"


def test_a_server_that_is_not_there_leaves_what_is_held(server: Server, store: TrustStore, clock: FakeClock) -> None:
    store.sync(server.url)
    report = store.sync("http://127.0.0.1:9/api/v1/trust-list")
    assert report.trust_list.code == "unreachable"
    Verifier(store, clock=clock).check(live_code(server))


def test_a_list_signed_anew_refreshes_its_age(server: Server, store: TrustStore, clock: FakeClock) -> None:
    store.sync(server.url)
    clock.forward(days=6)
    server.offer_trust_list(server.trust_list(iat=NOW_S + 6 * 86_400))
    assert store.sync().trust_list.outcome is Outcome.REFRESHED
    assert store.knowledge().trust_age == clock.now() - clock.now()


@pytest.mark.parametrize(("seconds", "is_off"), [(0, False), (30, False), (31, True), (-31, True)])
def test_a_clock_that_is_off_is_noticed_and_decides_nothing(
    seconds: int, is_off: bool, server: Server, store: TrustStore, clock: FakeClock
) -> None:
    server.now = clock.now() - timedelta(seconds=seconds)
    for _ in range(2):  # the second time nothing has changed
        report = store.sync(server.url)
        assert (report.complete, report.clock_ahead) == (True, timedelta(seconds=seconds))
        assert report.clock_is_off is is_off


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Nov 2026 01:00:00 GMT"])
def test_a_server_that_does_not_tell_the_time_is_no_error(date: str) -> None:
    message = http.client.HTTPMessage()
    message["Date"] = date
    response = SimpleNamespace(headers=message)
    assert _fetch._date(response) is None  # type: ignore[arg-type]


def test_an_older_copy_under_the_same_sequence_is_not_kept(server: Server, store: TrustStore) -> None:
    store.sync(server.url)
    held = store.trust_list()
    server.offer_trust_list(server.trust_list(iat=NOW_S - 1))
    assert store.sync().trust_list.outcome is Outcome.UNCHANGED
    assert store.trust_list() == held


def test_a_next_sequence_is_kept(server: Server, store: TrustStore) -> None:
    store.sync(server.url)
    server.offer_trust_list(server.trust_list(sequence=6, types=[]))
    assert store.sync().trust_list.outcome is Outcome.REFRESHED
    held = store.trust_list()
    assert held is not None
    assert held.sequence == 6


def test_what_has_not_changed_is_not_sent_again(server: Server, store: TrustStore) -> None:
    server.offer_trust_list(server.trust_list(), headers={"ETag": '"t1"'})
    server.offer_status_list(server.status_list(), headers={"ETag": '"s1"'})
    store.sync(server.url)
    report = store.sync()
    assert report.complete
    assert report.trust_list.outcome is Outcome.UNCHANGED
    assert report.status_lists[0].outcome is Outcome.UNCHANGED


REFUSED_STATUS_LISTS: dict[str, tuple[str, Callable[[Server], str]]] = {
    "not a JWS": ("status_list_malformed", lambda s: "{}"),
    "not ASCII": ("status_list_malformed", lambda s: s.status_list() + "é"),
    "another typ": ("status_list_malformed", lambda s: s.status_list(header={"typ": "JWT"})),
    "alg none": ("status_list_malformed", lambda s: s.status_list(header={"alg": "none"})),
    "no sub": ("status_list_malformed", lambda s: s.status_list(sub=DELETE)),
    "no iat": ("status_list_malformed", lambda s: s.status_list(iat=DELETE)),
    "no list": ("status_list_malformed", lambda s: s.status_list(status_list=DELETE)),
    "three bits": ("status_list_malformed", lambda s: s.status_list(status_list={**status_lst(), "bits": 3})),
    "bits true": (
        "status_list_malformed",
        lambda s: s.status_list(status_list={**status_lst(bits=1), "bits": True}),
    ),
    "not compressed": ("status_list_malformed", lambda s: s.status_list(status_list={"bits": 1, "lst": "AAAA"})),
    "padded base64": ("status_list_malformed", lambda s: s.status_list(status_list={"bits": 1, "lst": "AA=="})),
    "another URI": ("status_list_uri_wrong", lambda s: s.status_list(sub=s.status_uri + "0")),
    "no certificates": ("status_list_issuer_unknown", lambda s: s.status_list(header={"x5c": DELETE})),
    "its own certificate": (
        "status_list_issuer_unknown",
        lambda s: s.status_list(signer=certify("me", purposes=["status"])),
    ),
    "a key that is not listed": (
        "status_list_issuer_unknown",
        lambda s: s.status_list(signer=s.issuer.leaf("status")),
    ),
    "a pass key": ("status_list_issuer_unknown", lambda s: s.status_list(signer=s.issuer.pass_key)),
    "another payload": ("status_list_signature_invalid", lambda s: tamper(s.status_list())),
    "issued in the future": ("status_list_from_the_future", lambda s: s.status_list(iat=NOW_S + 31)),
    "run out": ("status_list_expired", lambda s: s.status_list(exp=NOW_S)),
    "older than the one held": ("status_list_rolled_back", lambda s: s.status_list(iat=NOW_S - 601)),
}


@pytest.mark.parametrize("name", REFUSED_STATUS_LISTS)
def test_a_bad_status_list_is_refused_and_the_one_held_stays(
    name: str, server: Server, store: TrustStore, clock: FakeClock
) -> None:
    code, make = REFUSED_STATUS_LISTS[name]
    store.sync(server.url)
    held = store.status_list(server.status_uri)
    server.offer_status_list(make(server))
    report = store.sync()
    assert not report.complete
    assert report.trust_list.outcome is not Outcome.FAILED
    assert (report.status_lists[0].code, report.status_lists[0].age is not None) == (code, True)
    assert store.status_list(server.status_uri) == held
    Verifier(store, clock=clock).check(live_code(server))


def test_a_status_list_by_a_key_that_has_run_out_is_refused(server: Server, store: TrustStore) -> None:
    over = server.issuer.leaf("status", not_after=NOW - timedelta(seconds=1))
    server.offer_trust_list(server.trust_list(keys=[server.issuer.listed("status", over)]))
    server.offer_status_list(server.status_list(signer=over))
    assert store.sync(server.url).status_lists[0].code == "status_list_issuer_unknown"


def test_one_bad_status_list_does_not_hold_up_the_others(server: Server, store: TrustStore) -> None:
    other = server.base + "/s/2"
    server.offer_aggregation({"status_lists": [server.status_uri, other]})
    server.offer_status_list("garbage")
    server.offer_status_list(server.status_list(sub=other), "/s/2")
    assert [item.code for item in store.sync(server.url).status_lists] == ["status_list_malformed", None]


@pytest.mark.parametrize(
    "uri",
    [
        "https://elsewhere.example/s/1",
        "http://127.0.0.1:9/s/1",
        "http://localhost/s/1",
        "file:///etc/passwd",
        "",
        "/s/1",
    ],
)
def test_a_status_list_elsewhere_is_reported_and_not_fetched(uri: str, server: Server, store: TrustStore) -> None:
    server.offer_aggregation({"status_lists": [uri, server.status_uri]})
    refused, fetched = store.sync(server.url).status_lists
    assert refused.code in {"host_not_allowed", "url_not_allowed"}
    assert fetched.outcome is Outcome.REFRESHED


def test_an_aggregation_elsewhere_is_not_fetched(server: Server, store: TrustStore) -> None:
    elsewhere = server.trust_list(status_list_aggregation_uri="https://elsewhere.example/lists")
    server.offer_trust_list(elsewhere)
    report = store.sync(server.url)
    assert report.aggregation is not None
    assert report.aggregation.code == "host_not_allowed"
    assert server.asked == [TRUST_LIST]


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        {"status_lists": "x"},
        {"status_lists": [1]},
        b"",
        b"\xff",
        {"status_lists": [str(i) for i in range(4097)]},
    ],
    ids=["array", "empty object", "a text", "a number", "nothing", "not UTF-8", "too many"],
)
def test_a_bad_aggregation_is_reported(value: object, server: Server, store: TrustStore) -> None:
    server.offer_aggregation(value)
    report = store.sync(server.url)
    assert report.aggregation is not None
    assert report.aggregation.code == "aggregation_malformed"
    assert report.trust_list.outcome is Outcome.REFRESHED


def test_a_status_list_that_is_no_longer_listed_goes_when_it_has_run_out(
    server: Server, store: TrustStore, clock: FakeClock
) -> None:
    store.sync(server.url)
    server.offer_aggregation({"status_lists": []})
    store.sync()
    assert len(store.knowledge().status_lists) == 1
    clock.forward(days=3)
    store.sync()
    assert store.knowledge().status_lists == ()


def test_one_missing_status_list_can_be_fetched_alone(server: Server, store: TrustStore, clock: FakeClock) -> None:
    server.offer_aggregation({"status_lists": []})
    store.sync(server.url)
    verifier = Verifier(store, clock=clock)
    with pytest.raises(CannotTell, match="status_missing"):
        verifier.check(live_code(server))
    assert store.refresh_status_list(server.status_uri).outcome is Outcome.REFRESHED
    assert store.refresh_status_list("https://elsewhere.example/s/1").code == "host_not_allowed"
    verifier.check(live_code(server))


def test_a_network_that_is_gone_is_not_tried_for_every_list(server: Server, store: TrustStore) -> None:
    paths = [f"/s/{number}" for number in range(5)]
    server.offer_aggregation({"status_lists": [server.base + path for path in paths]})
    for path in paths:
        server.offer_status_list("x", path, headers={"Transfer-Encoding": "chunked"})  # never a valid chunk
    report = store.sync(server.url)
    assert {item.code for item in report.status_lists} == {"unreachable"}
    assert [path for path in server.asked if path in paths] == paths[:2]


def test_anchors_change_only_explicitly(server: Server, store: TrustStore, tmp_path: Path, clock: FakeClock) -> None:
    store.sync(server.url)
    stranger = Issuer()
    with pytest.raises(TrustError, match="anchor_changed"):
        TrustStore.open(tmp_path / "device", [stranger.root.pem])
    with (
        serve(stranger) as other,
        TrustStore.open(tmp_path / "device", [stranger.root.pem], replace_anchors=True, clock=clock) as replaced,
    ):
        assert replaced.trust_list() is None
        failed = replaced.sync(server.url)
        assert failed.trust_list.code == "trust_list_chain_invalid"
        Verifier(store, clock=clock).check(live_code(server))
        assert replaced.sync(other.url).complete
        Verifier(replaced, clock=clock).check(live_code(other))
        with pytest.raises(CannotTell, match="trust_missing"):
            Verifier(store, clock=clock).check(live_code(server))


@pytest.mark.parametrize(
    "anchor",
    [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\n", Issuer().pass_key.pem, certify("no CA").pem],
    ids=["nothing", "garbage", "half a PEM", "a leaf", "not a CA"],
)
def test_an_anchor_that_is_no_root_is_refused(anchor: bytes, tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="anchor_invalid"):
        TrustStore.open(tmp_path, [anchor])


def test_a_cache_that_is_not_one_is_reported(tmp_path: Path, issuer: Issuer) -> None:
    (tmp_path / "verifier.sqlite3").write_bytes(b"not a database" * 100)
    with pytest.raises(TrustError, match="cache_unavailable"):
        TrustStore.open(tmp_path, [issuer.root.pem])
    with pytest.raises(TrustError, match="cache_unavailable"):
        TrustStore.open(tmp_path / "verifier.sqlite3", [issuer.root.pem])


def test_a_new_folder_may_be_opened_by_many_at_once(tmp_path: Path, issuer: Issuer, clock: FakeClock) -> None:
    def open_and_record(number: int) -> bool:
        with TrustStore.open(tmp_path / "new", [issuer.root.pem], clock=clock) as store:
            return store.record_code(bytes([number]) * 16, clock.now(), 150)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(open_and_record, range(16)))


def test_https_needs_a_certificate_for_the_host(
    tmp_path: Path, issuer: Issuer, store: TrustStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = certify(
        "localhost",
        ca=True,
        usage=["digital_signature", "key_cert_sign"],
        extra=[(SubjectAlternativeName([DNSName("localhost")]), False)],
        not_before=datetime(2020, 1, 1, tzinfo=UTC),  # TLS looks at the real clock
        not_after=datetime(2099, 1, 1, tzinfo=UTC),
    )
    pem = tmp_path / "web.pem"
    pem.write_bytes(web.pem + web.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with serve(issuer, context) as server:
        assert store.sync(server.url).trust_list.code == "unreachable"
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
        assert store.sync(server.url).complete
        assert store.sync(server.url.replace("localhost", "127.0.0.1")).trust_list.code == "unreachable"
