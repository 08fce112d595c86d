"""The encoding, against the vectors of the draft and any list at all."""

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st
from jwcrypto.jwk import JWK

from credentials.keys.formats.cose import to_be_signed
from credentials.keys.formats.jws import b64u_decode
from credentials.status.errors import InvalidStatusList
from credentials.status.formats.token_status_list import StatusListContent, compress, pack, sign
from credentials.status.models import StatusListFormat
from tests.credentials.keys.signing import self_signed
from tests.credentials.status.reading import not_valid, read_cwt, read_jwt, statuses

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "status_list.json").read_text(encoding="utf-8")
)
URI = "https://wallet.example/s/1"


def vector_key() -> EllipticCurvePublicKey:
    key = JWK(**VECTORS["key"]).get_op_key("verify")
    assert isinstance(key, EllipticCurvePublicKey)
    return key


@pytest.mark.parametrize("vector", VECTORS["short"], ids=lambda vector: f"{vector['bits']} bits")
def test_the_drafts_short_lists(vector: dict[str, Any]) -> None:
    entries = [(idx, value) for idx, value in enumerate(vector["statuses"]) if value]
    packed = pack(vector["bits"], len(vector["statuses"]), entries)
    assert packed.hex() == vector["byte_array_hex"]
    assert zlib.decompress(b64u_decode(vector["json"]["lst"])) == packed
    assert statuses(vector["bits"], compress(packed)) == vector["statuses"]


@pytest.mark.parametrize("vector", VECTORS["long"], ids=lambda vector: f"{vector['bits']} bits")
def test_the_drafts_lists_of_a_million_entries(vector: dict[str, Any]) -> None:
    entries = {int(idx): value for idx, value in vector["status"].items()}
    packed = pack(vector["bits"], vector["size"], entries.items())
    assert hashlib.sha256(packed).hexdigest() == vector["decoded_sha256"]
    assert zlib.decompress(b64u_decode(vector["json"]["lst"])) == packed
    assert zlib.decompress(cbor2.loads(bytes.fromhex(vector["cbor_hex"]))["lst"]) == packed
    assert not_valid(vector["bits"], compress(packed)) == {idx: value for idx, value in entries.items() if value}


@settings(max_examples=100)
@given(st.sampled_from([1, 2, 4, 8]), st.integers(1, 64), st.data())
def test_any_list_comes_back_from_its_encoding(bits: int, octets: int, data: st.DataObject) -> None:
    size = octets * 8 // bits
    values = data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=size, max_size=size))
    assert statuses(bits, compress(pack(bits, size, enumerate(values)))) == values


@settings(max_examples=150)
@given(
    st.integers(-1, 9),
    st.integers(-8, 64),
    st.lists(st.tuples(st.integers(-2, 70), st.integers(-2, 300)), max_size=4, unique_by=lambda entry: entry[0]),
)
def test_any_input_is_packed_or_refused(bits: int, size: int, entries: list[tuple[int, int]]) -> None:
    try:
        packed = pack(bits, size, entries)
    except InvalidStatusList:
        return
    assert len(packed) * 8 == size * bits


@pytest.mark.parametrize(
    ("bits", "size", "entry"),
    [
        pytest.param(3, 8, (0, 1), id="three bits"),
        pytest.param(2, 0, (0, 1), id="empty"),
        pytest.param(2, 3, (0, 1), id="part of a byte"),
        pytest.param(2, 4, (4, 1), id="index past the end"),
        pytest.param(2, 4, (-1, 1), id="index before the start"),
        pytest.param(2, 4, (0, 4), id="value too wide"),
        pytest.param(1, 8, (0, -1), id="negative value"),
    ],
)
def test_what_has_no_encoding_is_refused(bits: int, size: int, entry: tuple[int, int]) -> None:
    with pytest.raises(InvalidStatusList):
        pack(bits, size, [entry])


CONTENT = StatusListContent(URI, 2, compress(pack(2, 12, [(0, 1), (5, 2)])), 1_700_000_000, 1_700_086_400, 300)


def test_the_jwt_has_the_drafts_header_and_claims_and_no_others() -> None:
    signer = self_signed()
    header, claims = read_jwt(sign(CONTENT, StatusListFormat.JWT, signer))
    assert header.keys() == {"alg", "typ", "x5c"}
    assert (header["alg"], header["typ"], len(header["x5c"])) == ("ES256", "statuslist+jwt", 1)
    status_list = claims.pop("status_list")
    assert claims == {"sub": URI, "iat": 1_700_000_000, "exp": 1_700_086_400, "ttl": 300}
    assert status_list.keys() == {"bits", "lst"}
    assert not_valid(status_list["bits"], b64u_decode(status_list["lst"])) == {0: 1, 5: 2}


def test_the_cwt_has_the_drafts_header_and_claims_and_no_others() -> None:
    signer = self_signed()
    header, claims = read_cwt(sign(CONTENT, StatusListFormat.CWT, signer))
    assert header == {1: -7, 4: signer.kid, 16: "application/statuslist+cwt", 33: signer.x5c_der[0]}
    status_list = claims.pop(65533)
    assert claims == {2: URI, 6: 1_700_000_000, 4: 1_700_086_400, 65534: 300}
    assert not_valid(status_list["bits"], status_list["lst"]) == {0: 1, 5: 2}


def test_the_drafts_jwt_has_the_form_of_ours() -> None:
    vector = VECTORS["status_list_jwt"]
    header, claims = read_jwt(vector["value"].encode(), vector_key())
    _, ours = read_jwt(sign(CONTENT, StatusListFormat.JWT, self_signed()))
    assert header["typ"] == "statuslist+jwt"
    assert claims.keys() - {"iss"} == ours.keys()  # the sample still carries the `iss` that the draft dropped
    assert {name: type(value) for name, value in ours.items()} == {
        name: type(value) for name, value in claims.items() if name != "iss"
    }


def test_the_drafts_cwt_has_the_form_of_ours() -> None:
    header, claims = read_cwt(bytes.fromhex(VECTORS["status_list_cwt_hex"]["value"]), vector_key())
    our_header, ours = read_cwt(sign(CONTENT, StatusListFormat.CWT, self_signed()))
    assert header[16] == our_header[16]
    assert {label: type(value) for label, value in ours.items()} == {
        label: type(value) for label, value in claims.items()
    }


def test_the_drafts_cwt_verifies_over_our_signature_structure() -> None:
    protected, _, payload, signature = cbor2.loads(bytes.fromhex(VECTORS["status_list_cwt_hex"]["value"])).value
    halves = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    vector_key().verify(encode_dss_signature(*halves), to_be_signed(protected, payload), ECDSA(SHA256()))
