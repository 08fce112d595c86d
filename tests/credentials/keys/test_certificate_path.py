"""Chains of others: every rule has a chain that breaks only it."""

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.keys.errors import CertificatePathInvalid
from credentials.keys.formats.certificate_path import (
    MAX_CERTIFICATES,
    CertificatePath,
    chain_from_x5c,
    validate_path,
)
from tests.verifier_sdk.issuer import Certified, certify, new_key, purpose_oid

NOW = datetime(2026, 11, 23, 1, 0, 0, 500_000, tzinfo=UTC)
DAY = timedelta(days=1)
ROOT = certify("Attesters Root", ca=True)
ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE


def leaf(issuer: Certified = ROOT, name: str = "attester", **changes: Any) -> Certified:
    return certify(name, **{"issuer": issuer, **changes})


def middle(name: str = "Intermediate", **changes: Any) -> Certified:
    return certify(name, **{"issuer": ROOT, "ca": True, **changes})


def below(*parents: Certified, **changes: Any) -> list[Certified]:
    return [leaf(parents[0], **changes), *parents]


def checked(chain: Sequence[Certified], *anchors: Certified, purpose: str | None = None) -> CertificatePath:
    oid = purpose_oid(purpose) if purpose else None
    roots = [anchor.certificate for anchor in anchors or (ROOT,)]
    return validate_path([each.der for each in chain], roots, NOW, purpose=oid)


def extra(extension: x509.ExtensionType, *, critical: bool = True) -> list[tuple[x509.ExtensionType, bool]]:
    return [(extension, critical)]


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")
RSA_KEY: Any = rsa.generate_private_key(65537, 2048)
RSA_ROOT = certify("RSA Root", ca=True, key=RSA_KEY)

GOOD: dict[str, Callable[[], list[Certified]]] = {
    "a leaf below the anchor": lambda: [leaf()],
    "an intermediate": lambda: below(middle()),
    "an intermediate with path length 0": lambda: below(middle(path_length=0)),
    "two intermediates": lambda: below(certify("Lower", issuer=(upper := middle(path_length=1)), ca=True), upper),
    "a P-384 intermediate": lambda: below(middle(key=new_key(ec.SECP384R1())), digest=hashes.SHA384()),
    "an unknown extension that is not critical": lambda: [leaf(extra=extra(UNKNOWN, critical=False))],
    "a leaf without basic constraints": lambda: [leaf(constraints=False)],
    "a leaf without key usage": lambda: [leaf(usage=[])],
    "a leaf for some purpose, where none is asked": lambda: [leaf(purposes=["status"])],
}


@pytest.mark.parametrize("name", GOOD)
def test_a_chain_that_keeps_all_rules_holds(name: str) -> None:
    chain = GOOD[name]()
    path = checked(chain)
    assert path.leaf == chain[0].certificate
    assert path.anchor == ROOT.certificate
    assert path.key.public_numbers() == chain[0].key.public_key().public_numbers()


BAD: dict[str, Callable[[], list[Certified]]] = {
    "an expired leaf": lambda: [leaf(not_after=NOW - DAY)],
    "a leaf from tomorrow on": lambda: [leaf(not_before=NOW + DAY)],
    "an expired intermediate": lambda: below(middle(not_after=NOW - DAY)),
    "an intermediate that is no CA": lambda: below(middle(ca=False, usage=["key_cert_sign"])),
    "an intermediate without basic constraints": lambda: below(middle(constraints=False)),
    "an intermediate that may not sign certificates": lambda: below(middle(usage=["digital_signature"])),
    "an intermediate without key usage": lambda: below(middle(usage=[])),
    "a leaf below a leaf": lambda: below(leaf(name="another")),
    "a path longer than its CA allows": lambda: below(
        certify("Lower", issuer=(upper := middle(path_length=0)), ca=True), upper
    ),
    "a name that does not chain": lambda: [leaf(issuer_name="Elsewhere")],
    "a leaf signed by someone else": lambda: [leaf(signing_key=new_key())],
    "an intermediate signed by someone else": lambda: below(middle(signing_key=new_key())),
    "another anchor of the same name": lambda: [leaf(certify("Attesters Root", ca=True))],
    "an unknown critical extension on the leaf": lambda: [leaf(extra=extra(UNKNOWN))],
    "an unknown critical extension on a CA": lambda: below(middle(extra=extra(UNKNOWN))),
    "name constraints": lambda: below(middle(extra=extra(x509.NameConstraints([x509.DNSName("x.example")], None)))),
    "a self-signed leaf": lambda: [certify("me")],
    "a leaf with its issuer's name": lambda: [leaf(name="Attesters Root")],
    "the anchor at the end": lambda: [leaf(), ROOT],
    "the anchor alone": lambda: [ROOT],
    "a CA as leaf": lambda: [leaf(ca=True, usage=["digital_signature", "key_cert_sign"])],
    "a leaf that may not sign data": lambda: [leaf(usage=["key_agreement"])],
    "the wrong order": lambda: below(middle())[::-1],
    "an intermediate missing": lambda: below(middle())[:1],
    "a certificate that is no part of it": lambda: [leaf(), middle()],
    "the same certificate twice": lambda: [(once := leaf()), once],
    "too many certificates": lambda: [leaf()] * (MAX_CERTIFICATES + 1),
    "nothing": lambda: [],
    "a P-384 leaf": lambda: [leaf(key=new_key(ec.SECP384R1()))],
    "a secp256k1 leaf": lambda: [leaf(key=new_key(ec.SECP256K1()))],
    "a P-521 intermediate": lambda: below(middle(key=new_key(ec.SECP521R1()))),
    "an Ed25519 leaf": lambda: [leaf(key=ed25519.Ed25519PrivateKey.generate())],
    "an RSA leaf": lambda: [leaf(key=RSA_KEY)],
    "an RSA intermediate": lambda: below(middle(key=RSA_KEY)),
    "SHA-512": lambda: [leaf(digest=hashes.SHA512())],
}


@pytest.mark.parametrize("name", BAD)
def test_a_chain_that_breaks_one_rule_is_refused(name: str) -> None:
    with pytest.raises(CertificatePathInvalid) as refusal:
        checked(BAD[name]())
    assert refusal.value.code == "certificate_path_invalid"


def test_a_chain_below_an_rsa_anchor_is_refused() -> None:
    with pytest.raises(CertificatePathInvalid):
        checked([leaf(RSA_ROOT)], RSA_ROOT)


def test_an_expired_anchor_is_no_anchor() -> None:
    root = certify("Old Root", ca=True, not_after=NOW - DAY)
    with pytest.raises(CertificatePathInvalid):
        checked([leaf(root)], root)


def test_without_anchors_nothing_is_trusted() -> None:
    with pytest.raises(CertificatePathInvalid, match="no anchor"):
        validate_path([leaf().der], [], NOW)


def test_two_anchors_may_bear_one_name() -> None:
    namesake = certify("Attesters Root", ca=True)
    assert checked([leaf()], namesake, ROOT).anchor == ROOT.certificate


def test_a_pinned_intermediate_is_an_anchor_and_its_root_is_not_needed() -> None:
    pinned = middle()
    assert checked(below(pinned)[:1], pinned).anchor == pinned.certificate
    with pytest.raises(CertificatePathInvalid):
        checked(below(pinned), pinned)


def test_a_purpose_that_is_asked_must_be_named() -> None:
    assert checked([leaf(purposes=["status", "pass"])], purpose="pass")
    assert checked(below(middle(purposes=["pass"]), purposes=["pass"]), purpose="pass")
    assert checked(below(middle(extra=extra(x509.ExtendedKeyUsage([ANY]))), purposes=["pass"]), purpose="pass")
    for chain in (
        [leaf()],
        [leaf(purposes=["status"])],
        [leaf(extra=extra(x509.ExtendedKeyUsage([ANY])))],
        below(middle(purposes=["status"]), purposes=["pass"]),
    ):
        with pytest.raises(CertificatePathInvalid, match="purpose"):
            checked(chain, purpose="pass")


def test_a_path_ends_with_its_first_certificate() -> None:
    assert checked(below(middle(not_after=NOW + 5 * DAY), not_after=NOW + 9 * DAY)).not_after == (
        NOW + 5 * DAY
    ).replace(microsecond=0)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_one_flipped_bit_is_refused(data: st.DataObject) -> None:
    der = bytearray(FLIPPED.der)
    position = data.draw(st.integers(0, len(der) * 8 - 1))
    der[position >> 3] ^= 1 << (position & 7)
    with pytest.raises(CertificatePathInvalid):
        validate_path([bytes(der)], [ROOT.certificate], NOW)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=3))
def test_any_bytes_are_refused(chain: list[bytes]) -> None:
    with pytest.raises(CertificatePathInvalid):
        validate_path(chain, [ROOT.certificate], NOW)


@pytest.mark.parametrize("unused_bits", [1, 2])
def test_a_signature_is_whole_octets(unused_bits: int) -> None:
    """Bits that do not count are zero in DER: only a signature that ends in such bits could pass."""
    good = leaf()
    while good.certificate.signature[-1] & 3:
        good = leaf()
    length = len(good.certificate.signature)
    other = good.der[: -length - 1] + bytes([unused_bits]) + good.der[-length:]
    assert checked([good])
    with pytest.raises(CertificatePathInvalid, match="octets"):
        validate_path([other], [ROOT.certificate], NOW)


FLIPPED = leaf()


def test_x5c_is_read_as_it_was_written() -> None:
    chain = [FLIPPED.der, ROOT.certificate.public_bytes(Encoding.DER)]
    assert chain_from_x5c([base64.b64encode(der).decode() for der in chain]) == tuple(chain)


@settings(max_examples=150)
@given(
    st.one_of(st.none(), st.text(), st.lists(st.one_of(st.text(), st.integers(), st.binary(), st.none()), max_size=7))
)
def test_any_x5c_is_read_or_refused(x5c: object) -> None:
    try:
        chain = chain_from_x5c(x5c)
    except CertificatePathInvalid:
        return
    assert all(isinstance(der, bytes) for der in chain)


@pytest.mark.parametrize("text", ["MII=\n", "MI-_", " MIIB", "MIIB=", "证书", "A" * 30_000])
def test_x5c_is_standard_base64_of_bounded_size(text: str) -> None:
    with pytest.raises(CertificatePathInvalid):
        chain_from_x5c([text])
