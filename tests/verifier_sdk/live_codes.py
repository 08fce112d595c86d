"""Live codes of every kind: those that hold, and each thing that can be wrong with one."""

import os
import zlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import cbor2

from tests.verifier_sdk.cases import VALID, Case
from tests.verifier_sdk.issuer import (
    DELETE,
    HOST,
    NOW,
    NOW_S,
    STATUS_URI,
    Issuer,
    days,
    new_key,
    prefix_base32,
    qr_text,
)

TODAY = days(NOW)
DAY_S = 86_400
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def live_code_cases(issuer: Issuer) -> list[Case]:
    groups = (
        _valid,
        _text,
        _deflate,
        _cbor,
        _proof_form,
        _pass_form,
        _licence_form,
        _keys,
        _times,
        _challenge,
        _scenes,
        _status,
    )
    cases = [case for group in (*groups, _trust) for case in group(issuer)]
    assert len({case.name for case in cases}) == len(cases)
    return cases


def _valid(issuer: Issuer) -> Iterator[Case]:
    def case(name: str, text: str, **more: Any) -> Case:
        return Case(name, VALID, text, **more)

    yield case("a face code", issuer.live_code())
    minimal = issuer.show_pass(profile=1, items={0: "张**", 1: "31**************34"})
    yield case("a minimal code", issuer.live_code(show_pass=minimal))
    yield case("a long-term licence", issuer.live_code(show_pass=issuer.show_pass(valid_until=None)))
    yield case("the licence's last day", issuer.live_code(show_pass=issuer.show_pass(valid_until=TODAY)))
    items = {0: "张三丰", 1: "310", 2: 3, 3: True, 4: ["A1", 2, False], 900: -5}
    yield case("items of every kind, known and unknown", issuer.live_code(show_pass=issuer.show_pass(items=items)))
    yield case("http before the fragment", qr_text(issuer.proof(), "http://elsewhere.example:8080/a/v#1"))
    yield case("an unanswered challenge that nobody gave", issuer.live_code(changes={39: b"12345678"}))
    yield case("the oldest second of a code", issuer.live_code(changes={6: NOW_S - 90}))
    yield case("the newest second of a code", issuer.live_code(changes={6: NOW_S + 30}))
    last = issuer.show_pass({5: NOW_S - DAY_S - 30, 4: NOW_S - 30})
    yield case("the last second of a pass", issuer.live_code(show_pass=last, changes={6: NOW_S - 30}))
    first = issuer.show_pass({5: NOW_S + 30, 4: NOW_S + DAY_S + 30})
    yield case("the first second of a pass", issuer.live_code(show_pass=first))
    yield case("a large proof", issuer.live_code(show_pass=_large_pass(issuer, 7000)))
    longest = qr_text(proof := issuer.proof(), f"{HOST}/{'a' * (4296 - len(qr_text(proof)) - 1)}/v#1")
    yield case("the longest text a QR code can hold", longest)
    yield case("stored instead of compressed", prefix_base32(_deflate_stored(issuer.proof())))
    listed = [
        issuer.listed("pass", issuer.pass_key, licence_types=["marriage"]),
        issuer.listed("status", issuer.status_key),
        issuer.listed("pass", issuer.pass_key, licence_types=["driving-licence"]),
    ]
    yield case(
        "two keys with one kid, the second is for the type",
        issuer.live_code(),
        trust_list=issuer.trust_list(keys=listed),
    )
    yield case("a type the trust list does not name", issuer.live_code(), trust_list=issuer.trust_list(types=[]))


def _deflate_stored(data: bytes) -> bytes:
    deflater = zlib.compressobj(0, zlib.DEFLATED, -15)
    return deflater.compress(data) + deflater.flush()


def _large_pass(issuer: Issuer, size: int) -> cbor2.CBORTag:
    return issuer.show_pass(items={0: "张三丰", 1: "310", 2: "C" * size})


def _with_stray_bit(issuer: Issuer) -> str:
    """A code that is right but for a bit of its last letter that stands for nothing."""
    while True:
        text = issuer.live_code()
        if len(text.partition("#1")[2]) * 5 % 8:
            return text[:-1] + LETTERS[LETTERS.index(text[-1]) + 1]


def _deflated(data: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflater.compress(data) + deflater.flush()


def _text(issuer: Issuer) -> Iterator[Case]:
    proof = issuer.proof()
    good = qr_text(proof)
    body = good.partition("#1")[2]
    versions = {"0": "version_unsupported", "$": "version_unsupported", "8": "paper_copy_unsupported"}
    versions |= {"9": "paper_copy_unsupported", "": "malformed", "A": "malformed", "2": "malformed"}
    for version, code in versions.items():
        yield Case(f"version {version or 'missing'}", code, f"{HOST}/v#{version}{body}")
    texts = {
        "an empty text": "",
        "no fragment": f"{HOST}/v",
        "an empty fragment": f"{HOST}/v#",
        "a version and nothing more": f"{HOST}/v#1",
        "only the fragment": f"#1{body}",
        "another path": good.replace("/v#", "/w#"),
        "another scheme": good.replace("https:", "ftp:"),
        "a space in the address": good.replace("wallet", "wal let"),
        "lower-case base32": f"{HOST}/v#1{body.lower()}",
        "padded base32": f"{good}====",
        "a line feed at the end": f"{good}\n",
        "a digit outside base32": f"{good[:-1]}1",
        "a full-width letter": f"{good[:-1]}\uff21",
        "a length that base32 cannot have": f"{HOST}/v#1" + "A" * 9,
        "stray trailing bits in base32": _with_stray_bit(issuer),
        "longer than a QR code": qr_text(proof, f"{HOST}/{'a' * (4297 - len(good) - 1)}/v#1"),
    }
    for name, text in texts.items():
        yield Case(name, "malformed", text)


def _with_last_bit(issuer: Issuer) -> bytes:
    """A stream that is right but for the last bit of its last byte, which is after its end."""
    while True:
        deflater = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_FIXED)
        stream = deflater.compress(proof := issuer.proof(_large_pass(issuer, 100))) + deflater.flush()
        changed = stream[:-1] + bytes([stream[-1] ^ 0x80])
        inflater = zlib.decompressobj(-15)
        if inflater.decompress(changed) == proof and inflater.eof:
            return changed


def _deflate(issuer: Issuer) -> Iterator[Case]:
    proof = issuer.proof()
    streams = {
        "not DEFLATE": b"\xff" * 40,
        "with a zlib header": zlib.compress(proof),
        "a byte after the DEFLATE stream": _deflated(proof) + b"\x00",
        "a DEFLATE stream cut short": _deflated(proof)[:-1],
        "a second stream after the first": _deflated(proof) + _deflated(proof),
        "a decompression bomb": _deflated(b"\x00" * 1_000_000),
        "a proof larger than may be inflated": _deflated(issuer.proof(_large_pass(issuer, 9000))),
        "a bit set after the type of a stored block": b"\x09" + _deflate_stored(proof)[1:],
        "a bit set after the end of the DEFLATE stream": _with_last_bit(issuer),
    }
    for name, stream in streams.items():
        yield Case(name, "malformed", prefix_base32(stream))


def _cbor(issuer: Issuer) -> Iterator[Case]:
    proof = issuer.proof()
    tag = cbor2.loads(proof)
    protected, _, payload, signature = tag.value
    claims = cbor2.loads(payload)

    def with_parts(*parts: object) -> bytes:
        return cbor2.dumps(cbor2.CBORTag(18, list(parts)))

    def with_payload(payload: bytes) -> bytes:
        return issuer.proof(payload=payload)

    encoded = cbor2.dumps(claims)
    inputs = {
        "not CBOR": b"\xff\xff",
        "nothing inside": b"",
        "a byte after the proof": proof + b"\x00",
        "no tag": cbor2.dumps(tag.value),
        "tag 17": cbor2.dumps(cbor2.CBORTag(17, tag.value)),
        "tag 61 around tag 18": cbor2.dumps(cbor2.CBORTag(61, tag)),
        "tag 18 twice": cbor2.dumps(cbor2.CBORTag(18, tag)),
        "an array of five": with_parts(protected, {}, payload, signature, b""),
        "an array of three": with_parts(protected, {}, payload),
        "something in the unprotected header": with_parts(protected, {4: b"12345678"}, payload, signature),
        "an array as unprotected header": with_parts(protected, [], payload, signature),
        "no payload": with_parts(protected, {}, None, signature),
        "a signature of 63 bytes": with_parts(protected, {}, payload, signature[:-1]),
        "a signature of 65 bytes": with_parts(protected, {}, payload, signature + b"\x00"),
        "the protected header as a map": with_parts(cbor2.loads(protected), {}, payload, signature),
        "an indefinite array": b"\xd2\x9f" + proof[2:] + b"\xff",
        "a tag head longer than need be": b"\xd8\x12" + proof[1:],
        "an integer longer than need be": with_payload(encoded.replace(b"\x06\x1a", b"\x06\x1b\0\0\0\0", 1)),
        "a map head longer than need be": with_payload(b"\xb8" + bytes([len(claims)]) + encoded[1:]),
        "an indefinite text": with_payload(encoded.replace(b"\x67lz-show", b"\x7f\x67lz-show\xff", 1)),
        "a duplicate map key": with_payload(bytes([encoded[0] + 1]) + encoded[1:] + b"\x06\x00"),
        "a map that promises more": with_payload(bytes([encoded[0] + 1]) + encoded[1:]),
        "a text that is not UTF-8": with_payload(encoded.replace(b"lz-show", b"lz-sho\xff", 1)),
        "true as a map key": with_payload(bytes([encoded[0] + 1]) + encoded[1:] + b"\xf5\x00"),
        "a byte string as a map key": with_payload(bytes([encoded[0] + 1]) + encoded[1:] + b"\x41\x00\x00"),
        "an array as a map key": with_payload(bytes([encoded[0] + 1]) + encoded[1:] + b"\x80\x00"),
        "an array as payload": with_payload(cbor2.dumps([1])),
        "undefined as a value": with_payload(bytes([encoded[0] + 1]) + encoded[1:] + b"\x18\x27\xf7"),
        "a thousand arrays in each other": with_payload(b"\x81" * 1000 + b"\x00"),
        "nine arrays in each other": with_payload(b"\x81" * 9 + b"\x00"),
    }
    for name, data in inputs.items():
        yield Case(name, "malformed", qr_text(data))


def _proof_form(issuer: Issuer) -> Iterator[Case]:
    headers: dict[str, dict[int, Any]] = {
        "a proof without alg": {1: DELETE},
        "a proof with ES384": {1: -35},
        "a proof with alg none": {1: 0},
        "a proof with a typ": {16: "kb+cwt"},
        "a proof with crit": {2: [4]},
        "a proof with a kid": {4: b"12345678"},
        "a proof without a pass": {13: DELETE},
        "a pass wrapped in a byte string": {13: cbor2.dumps(issuer.show_pass())},
    }
    for name, header in headers.items():
        yield Case(name, "malformed", issuer.live_code(header=header))
    claims: dict[str, dict[int, Any]] = {
        "aud is missing": {3: DELETE},
        "aud is a number": {3: 1},
        "aud is an array": {3: ["lz-show"]},
        "iat is missing": {6: DELETE},
        "iat is a float": {6: float(NOW_S)},
        "iat is a text": {6: str(NOW_S)},
        "iat is negative": {6: -1},
        "iat is beyond the calendar": {6: 1 << 62},
        "cti is missing": {7: DELETE},
        "cti has 15 bytes": {7: b"1" * 15},
        "cti is a text": {7: "1" * 16},
        "cnonce has 7 bytes": {39: b"1" * 7},
        "cnonce has 65 bytes": {39: b"1" * 65},
        "cnonce is null": {39: None},
        "a proof with a claim too many": {2: "someone"},
    }
    for name, changes in claims.items():
        yield Case(name, "malformed", issuer.live_code(changes=changes))


def _pass_form(issuer: Issuer) -> Iterator[Case]:
    headers: dict[str, dict[int, Any]] = {
        "a pass without kid": {4: DELETE},
        "a kid of 7 bytes": {4: b"1234567"},
        "a pass with ES384": {1: -35},
        "a pass with a typ": {16: "cwt"},
        "a pass with a label too many": {3: 0},
    }
    for name, header in headers.items():
        yield Case(name, "malformed", issuer.live_code(show_pass=issuer.show_pass(header=header)))
    unprotected = issuer.show_pass(unprotected={33: b""})
    yield Case("something in the pass's unprotected header", "malformed", issuer.live_code(show_pass=unprotected))
    cnf = issuer.cnf()
    key: dict[int, Any] = cnf[1]  # type: ignore[assignment]
    reference = {"idx": 7, "uri": STATUS_URI}
    claims: dict[str, dict[int, Any]] = {
        "exp is missing": {4: DELETE},
        "exp is a bool": {4: True},
        "a pass with a subject": {2: "someone"},
        "a pass without a life": {4: NOW_S, 5: NOW_S},
        "a pass that lives more than a day": {4: NOW_S + DAY_S, 5: NOW_S - 1},
        "a pass whose end comes first": {4: NOW_S - 10, 5: NOW_S},
        "cnf is missing": {8: DELETE},
        "cnf names a kid": {8: {3: b"1"}},
        "cnf with an uncompressed point": {8: {1: {**key, -3: b"1" * 32}}},
        "cnf on another curve": {8: {1: {**key, -1: 2}}},
        "cnf curve true": {8: {1: {**key, -1: True}}},
        "cnf of another key type": {8: {1: {**key, 1: 1}}},
        "cnf with a private key": {8: {1: {**key, -4: b"1" * 32}}},
        "cnf with a short coordinate": {8: {1: {**key, -2: b"1" * 31}}},
        "cnf with a point that does not exist": {8: {1: {**key, -2: b"\xff" * 32}}},
        "cnf is an array": {8: [key]},
        "vct is missing": {11: DELETE},
        "vct is empty": {11: ""},
        "vct in capitals": {11: "Driving-Licence"},
        "vct of 65 characters": {11: "a" * 65},
        "vct with a line feed": {11: "driving-licence\n"},
        "status is missing": {65535: DELETE},
        "status of another kind": {65535: {"identifier_list": reference}},
        "status of two kinds": {65535: {"status_list": reference, "other": 1}},
        "status without uri": {65535: {"status_list": {"idx": 7}}},
        "status index below zero": {65535: {"status_list": {**reference, "idx": -1}}},
        "status index true": {65535: {"status_list": {**reference, "idx": True}}},
        "status with a member too many": {65535: {"status_list": {**reference, "x": 1}}},
        "licence is missing": {-65537: DELETE},
        "licence is an array": {-65537: [1]},
    }
    for name, changes in claims.items():
        yield Case(name, "malformed", issuer.live_code(show_pass=issuer.show_pass(changes)))


def _licence_form(issuer: Issuer) -> Iterator[Case]:
    items: dict[Any, Any] = {0: "张三丰", 1: "310", 2: "C1"}
    licences: dict[str, dict[str, Any]] = {
        "no items": {"items": DELETE},
        "an unknown profile": {"profile": 3},
        "profile true": {"profile": True},
        "type version 0": {"version": 0},
        "valid until a text": {"valid_until": "2027-01-01"},
        "valid until a negative day": {"valid_until": -1},
        "valid until beyond the calendar": {"valid_until": 1 << 40},
        "valid until false": {"valid_until": False},
        "items are an array": {"items": ["张三丰", "310"]},
        "no holder": {"items": {1: "310", 2: "C1"}},
        "no licence number": {"items": {0: "张三丰", 2: "C1"}},
        "a holder that is a number": {"items": {**items, 0: 5}},
        "a minimal pass with a third item": {"profile": 1, "items": items},
        "an item with a text as its key": {"items": {**items, "2": "C1"}},
        "an item with a negative key": {"items": {**items, -2: "C1"}},
        "an item that is null": {"items": {**items, 2: None}},
        "an item that is a map": {"items": {**items, 2: {}}},
        "an item that is a byte string": {"items": {**items, 2: b"C1"}},
        "an item that is an array of arrays": {"items": {**items, 2: [["C1"]]}},
    }
    for name, changes in licences.items():
        yield Case(name, "malformed", issuer.live_code(show_pass=issuer.show_pass(**changes)))


def _keys(issuer: Issuer) -> Iterator[Case]:
    stranger = issuer.leaf("pass")
    by_stranger = issuer.live_code(show_pass=issuer.show_pass(signer=stranger))
    yield Case("signed with a key that is not listed", "issuer_unknown", by_stranger)

    def with_keys(name: str, code: str, text: str, *keys: dict[str, object]) -> Case:
        listed = [*keys, issuer.listed("status", issuer.status_key)]
        return Case(name, code, text, trust_list=issuer.trust_list(keys=listed))

    text = issuer.live_code()
    yield with_keys("an empty list of keys", "issuer_unknown", text)
    for_marriages = issuer.listed("pass", issuer.pass_key, licence_types=["marriage"])
    yield with_keys("a pass key for another licence type", "issuer_unknown", text, for_marriages)
    for_nothing = issuer.listed("pass", issuer.pass_key, licence_types=[])
    yield with_keys("a pass key for no licence type", "issuer_unknown", text, for_nothing)
    for purpose in ("status", "credential", "trust-list"):
        other = issuer.leaf(purpose)
        signed = issuer.live_code(show_pass=issuer.show_pass(signer=other))
        yield with_keys(f"signed with a {purpose} key", "issuer_unknown", signed, issuer.listed(purpose, other))
        as_pass = issuer.listed("pass", other)
        yield with_keys(f"a {purpose} certificate listed for passes", "issuer_unknown", signed, as_pass)
    wrong_kid = issuer.listed("pass", issuer.pass_key, kid="AAAAAAAAAAA")
    forged = issuer.live_code(show_pass=issuer.show_pass(header={4: bytes(8)}))
    yield with_keys("a kid that is not the certificate's", "issuer_unknown", forged, wrong_kid)
    over = issuer.leaf("pass", not_after=NOW - timedelta(seconds=1))
    signed = issuer.live_code(show_pass=issuer.show_pass(signer=over))
    yield with_keys("a pass key whose certificate has run out", "issuer_unknown", signed, issuer.listed("pass", over))
    early = issuer.leaf("pass", not_before=NOW + timedelta(seconds=1))
    signed = issuer.live_code(show_pass=issuer.show_pass(signer=early))
    yield with_keys("a pass key whose certificate is for later", "issuer_unknown", signed, issuer.listed("pass", early))

    forged_pass = issuer.show_pass(header={4: issuer.pass_key.kid}, signer=stranger)
    yield Case(
        "signed with another key under a listed kid",
        "pass_signature_invalid",
        issuer.live_code(show_pass=forged_pass),
    )
    yield from _broken_signatures(issuer)


def _broken_signatures(issuer: Issuer) -> Iterator[Case]:
    def broken(tag: cbor2.CBORTag, change: Callable[[list[Any]], None]) -> cbor2.CBORTag:
        parts = list(tag.value)
        change(parts)
        return cbor2.CBORTag(18, parts)

    def signature(value: bytes) -> Callable[[list[Any]], None]:
        return lambda parts: parts.__setitem__(3, value)

    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    signatures = {
        "of zeros": bytes(64),
        "with r = 0": bytes(32) + b"\x01" * 32,
        "with s = n": b"\x01" * 32 + order.to_bytes(32, "big"),
        "of another message": os.urandom(64),
    }
    for name, value in signatures.items():
        show_pass = broken(issuer.show_pass(), signature(value))
        yield Case(f"a pass signature {name}", "pass_signature_invalid", issuer.live_code(show_pass=show_pass))
        proof = broken(cbor2.loads(issuer.proof()), signature(value))
        yield Case(f"a proof signature {name}", "proof_signature_invalid", qr_text(cbor2.dumps(proof)))

    def other_payload(parts: list[Any]) -> None:
        parts[2] = cbor2.dumps(issuer.pass_claims(items={0: "李四", 1: "310", 2: "A1"}))

    swapped = broken(issuer.show_pass(), other_payload)
    yield Case("a pass with another holder written in", "pass_signature_invalid", issuer.live_code(show_pass=swapped))
    yield Case("shown by another device", "proof_signature_invalid", issuer.live_code(holder=new_key()))
    for context in (b"", b"lz-show-1", b"lz-pass-2"):
        code = issuer.live_code(show_pass=issuer.show_pass(context=context))
        yield Case(f"a pass signed in the context {context!r}", "pass_signature_invalid", code)
    for context in (b"", b"lz-pass-1", b"lz-show-2"):
        code = issuer.live_code(context=context)
        yield Case(f"a proof signed in the context {context!r}", "proof_signature_invalid", code)
    mine, yours = (
        cbor2.loads(issuer.proof()),
        cbor2.loads(issuer.proof(issuer.show_pass(items={0: "李四", 1: "310"}))),
    )
    spliced = cbor2.CBORTag(18, [yours.value[0], *mine.value[1:]])
    yield Case("a proof moved onto another pass", "proof_signature_invalid", qr_text(cbor2.dumps(spliced)))


def _times(issuer: Issuer) -> Iterator[Case]:
    late = issuer.show_pass({5: NOW_S - 7200, 4: NOW_S - 31})
    yield Case("a pass that has run out", "pass_expired", issuer.live_code(show_pass=late))
    early = issuer.show_pass({5: NOW_S + 31, 4: NOW_S + 7200})
    yield Case("a pass of tomorrow's strip", "pass_not_yet_valid", issuer.live_code(show_pass=early))
    yield Case("a code for another audience", "proof_audience_wrong", issuer.live_code(changes={3: "lz-login"}))
    yield Case("a screenshot", "proof_expired", issuer.live_code(changes={6: NOW_S - 91}))
    yield Case("a code from the future", "proof_from_the_future", issuer.live_code(changes={6: NOW_S + 31}))
    ending = issuer.show_pass({5: NOW_S - 7200, 4: NOW_S - 20})
    after = issuer.live_code(show_pass=ending, changes={6: NOW_S + 15})
    yield Case("a proof made after its pass", "proof_outside_pass", after)
    starting = issuer.show_pass({5: NOW_S + 20, 4: NOW_S + 7200})
    before = issuer.live_code(show_pass=starting, changes={6: NOW_S - 15})
    yield Case("a proof made before its pass", "proof_outside_pass", before)
    yesterday = issuer.live_code(show_pass=issuer.show_pass(valid_until=TODAY - 1))
    yield Case("a licence whose last day was yesterday", "licence_expired", yesterday)
    midnight_s = (TODAY + 1) * DAY_S - 8 * 3600  # Shanghai
    night = issuer.show_pass({5: midnight_s - 3600, 4: midnight_s + 3600}, valid_until=TODAY)
    for name, code, now in (
        ("the last second of the last day", VALID, midnight_s - 1),
        ("the first second after the last day", "licence_expired", midnight_s),
    ):
        yield Case(name, code, issuer.live_code(show_pass=night, changes={6: now}), now=now)


def _challenge(issuer: Issuer) -> Iterator[Case]:
    challenge = os.urandom(16)
    answered = issuer.live_code(changes={39: challenge})
    yield Case("the challenge is answered", VALID, answered, challenge=challenge.hex())
    yield Case("the challenge is not answered", "challenge_missing", issuer.live_code(), challenge=challenge.hex())
    other = issuer.live_code(changes={39: os.urandom(16)})
    yield Case("another challenge is answered", "challenge_wrong", other, challenge=challenge.hex())
    shorter = issuer.live_code(changes={39: challenge[:8]})
    yield Case("half the challenge is answered", "challenge_wrong", shorter, challenge=challenge.hex())


def _scenes(issuer: Issuer) -> Iterator[Case]:
    text = issuer.live_code()
    yield Case("a licence of the scene", VALID, text, scene="road-traffic")
    yield Case("a licence of another scene", "scene_type", text, scene="hotel")
    yield Case("a scene for checks on line", "scene_needs_network", text, scene="bank")
    yield Case("a scene that the trust list does not have", "scene_unknown", text, scene="road traffic")
    without = issuer.trust_list(scenes=DELETE)
    yield Case("a trust list without scenes", "scene_unknown", text, scene="road-traffic", trust_list=without)
    forged = issuer.live_code(show_pass=issuer.show_pass(header={4: b"stranger"}))
    yield Case("a stranger's pass in another scene", "issuer_unknown", forged, scene="hotel")
    older = [issuer.scene(offline=False), issuer.scene(version=2), issuer.scene(version=1, offline=False)]
    newest = issuer.trust_list(scenes=older)
    yield Case("a scene in several versions", "scene_needs_network", text, scene="road-traffic", trust_list=newest)


def _status(issuer: Issuer) -> Iterator[Case]:
    def with_status(name: str, code: str, token: str | None, **more: Any) -> Case:
        return Case(name, code, issuer.live_code(), status_lists={STATUS_URI: token} if token else {}, **more)

    yield with_status("a neighbour is revoked", VALID, issuer.status_list({6: 1, 8: 1}))
    yield with_status("revoked", "revoked", issuer.status_list({7: 1}))
    yield with_status("revoked in a list of one bit", "revoked", issuer.status_list({7: 1}, bits=1))
    yield with_status("suspended", "suspended", issuer.status_list({7: 2}))
    yield with_status("suspended in a list of eight bits", "suspended", issuer.status_list({7: 2}, bits=8))
    yield with_status("a status that is not known", "status_value_unknown", issuer.status_list({7: 3}))
    outside = issuer.show_pass({65535: {"status_list": {"idx": 1024, "uri": STATUS_URI}}})
    yield Case("a status index outside the list", "status_index_unknown", issuer.live_code(show_pass=outside))
    last = issuer.show_pass({65535: {"status_list": {"idx": 1023, "uri": STATUS_URI}}})
    yield Case("the last status index of the list", VALID, issuer.live_code(show_pass=last))
    yield with_status("no status list", "status_missing", None)
    elsewhere = issuer.show_pass({65535: {"status_list": {"idx": 7, "uri": f"{STATUS_URI}/"}}})
    yield Case("a status list with almost this URI", "status_missing", issuer.live_code(show_pass=elsewhere))
    yesterday = issuer.status_list(iat=NOW_S - DAY_S - 1)
    yield with_status("a status list of the day before", "status_stale", yesterday)
    yield with_status("a status list a day old", VALID, issuer.status_list(iat=NOW_S - DAY_S))
    yield with_status("a status list that has run out", "status_stale", issuer.status_list(exp=NOW_S))
    yield with_status("a status list from the future", "status_stale", issuer.status_list(iat=NOW_S + 31))
    yield with_status("revoked in a list that has run out", "status_stale", issuer.status_list({7: 1}, exp=NOW_S))
    over = issuer.leaf("status", not_after=NOW - timedelta(seconds=1))
    keys = [issuer.listed("pass", issuer.pass_key), issuer.listed("status", over)]
    yield with_status(
        "a status key whose certificate has run out", "status_stale", issuer.status_list(signer=over),
        trust_list=issuer.trust_list(keys=keys),
    )  # fmt: skip
    keys = [issuer.listed("pass", issuer.pass_key)]
    yield with_status(
        "a status key that has left the trust list", "status_missing", issuer.status_list(),
        trust_list=issuer.trust_list(keys=keys),
    )  # fmt: skip
    keys.append(issuer.listed("status", issuer.status_key, licence_types=["marriage"]))
    yield with_status(
        "a status key for another licence type", "status_missing", issuer.status_list(),
        trust_list=issuer.trust_list(keys=keys),
    )  # fmt: skip


def _trust(issuer: Issuer) -> Iterator[Case]:
    text = issuer.live_code()
    yield Case("no trust list", "trust_missing", text, trust_list=None)
    old = issuer.trust_list(iat=NOW_S - 7 * DAY_S - 1)
    yield Case("a trust list older than a week", "trust_stale", text, trust_list=old)
    week = issuer.trust_list(iat=NOW_S - 7 * DAY_S)
    yield Case("a trust list a week old", VALID, text, trust_list=week)
    yield Case("a trust list that has run out", "trust_stale", text, trust_list=issuer.trust_list(exp=NOW_S))
    ahead = issuer.trust_list(iat=NOW_S + 31)
    yield Case("a clock behind the trust list", "trust_stale", text, trust_list=ahead)
    yield Case("garbage and no trust list", "malformed", f"{HOST}/v#1AAAAAAAA", trust_list=None)
