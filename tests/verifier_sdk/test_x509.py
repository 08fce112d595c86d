"""Certificate paths: every rule has a chain that breaks only it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.verifier_sdk.issuer import NOW, Certified, Issuer, certify, new_key, purpose_oid
from verifier_sdk._fault import Fault
from verifier_sdk._x509 import Path, validate

Chain = list[Certified]


def middle(issuer: Issuer, name: str = "Intermediate", **changes: Any) -> Certified:
    return certify(name, **{"issuer": issuer.root, "ca": True, **changes})


def check(issuer: Issuer, chain: Chain, *anchors: Certified) -> Path:
    roots = [anchor.certificate for anchor in anchors or (issuer.root,)]
    return validate([each.der for each in chain], roots, "pass")


def below(issuer: Issuer, parent: Certified, **changes: Any) -> Chain:
    return [issuer.leaf("pass", issuer=parent, **changes), parent]


def two_below(issuer: Issuer, upper: Certified) -> Chain:
    return [*below(issuer, certify("Lower", issuer=upper, ca=True)), upper]


GOOD: dict[str, Callable[[Issuer], Chain]] = {
    "a leaf below the root": lambda i: [i.leaf("pass")],
    "an intermediate": lambda i: below(i, middle(i)),
    "an intermediate with path length 0": lambda i: below(i, middle(i, path_length=0)),
    "two intermediates": lambda i: two_below(i, middle(i, path_length=1)),
    "an intermediate for the same purpose": lambda i: below(i, middle(i, purposes=["pass"])),
    "a P-384 intermediate": lambda i: below(i, middle(i, key=new_key(ec.SECP384R1())), digest=hashes.SHA384()),
    "an unknown extension that is not critical": lambda i: [
        i.leaf("pass", extra=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"), False)])
    ],
}


@pytest.mark.parametrize("name", GOOD)
def test_a_path_that_keeps_all_rules_holds(name: str, issuer: Issuer) -> None:
    chain = GOOD[name](issuer)
    path = check(issuer, chain)
    assert path.key.public_numbers() == chain[0].key.public_key().public_numbers()
    assert path.holds_at(NOW)


def unknown_critical() -> tuple[x509.ExtensionType, bool]:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"), True


BAD: dict[str, Callable[[Issuer], Chain]] = {
    "nothing of the anchor": lambda i: [i.leaf("pass", issuer=certify("Other Root", ca=True))],
    "another anchor of the same name": lambda i: [i.leaf("pass", issuer=certify("Liangzheng Root", ca=True))],
    "a self-signed leaf": lambda i: [certify("me", purposes=["pass"])],
    "a leaf with its issuer's name": lambda i: [i.leaf("pass", name="Liangzheng Root")],
    "the anchor at the end": lambda i: [i.leaf("pass"), i.root],
    "the anchor alone": lambda i: [i.root],
    "the wrong order": lambda i: below(i, middle(i))[::-1],
    "a certificate in between that is not needed": lambda i: [i.leaf("pass"), middle(i)],
    "a leaf signed by someone else": lambda i: [i.leaf("pass", signing_key=new_key())],
    "an intermediate signed by someone else": lambda i: below(i, middle(i, signing_key=new_key())),
    "a name that does not chain": lambda i: [i.leaf("pass", issuer_name="Elsewhere")],
    "another purpose": lambda i: [i.leaf("status")],
    "two purposes": lambda i: [i.leaf("pass", purposes=["pass", "status"])],
    "no purpose": lambda i: [i.leaf("pass", purposes=[])],
    "a purpose that is not critical": lambda i: [i.leaf("pass", purposes_critical=False)],
    "any purpose": lambda i: [
        i.leaf(
            "pass",
            purposes=[],
            extra=[(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), True)],
        )
    ],
    "no key usage": lambda i: [i.leaf("pass", usage=[])],
    "key usage that is not critical": lambda i: [i.leaf("pass", usage_critical=False)],
    "key usage without signatures": lambda i: [i.leaf("pass", usage=["key_agreement"])],
    "a leaf that is a CA": lambda i: [i.leaf("pass", ca=True, usage=["digital_signature", "key_cert_sign"])],
    "a leaf without basic constraints": lambda i: [i.leaf("pass", constraints=False)],
    "a leaf below a leaf": lambda i: below(i, i.leaf("pass")),
    "an intermediate that is no CA": lambda i: below(i, middle(i, ca=False, usage=["key_cert_sign"])),
    "an intermediate that may not sign": lambda i: below(i, middle(i, usage=["digital_signature"])),
    "an intermediate for another purpose": lambda i: below(i, middle(i, purposes=["status"])),
    "a path longer than its CA allows": lambda i: two_below(i, middle(i, path_length=0)),
    "an unknown critical extension on the leaf": lambda i: [i.leaf("pass", extra=[unknown_critical()])],
    "an unknown critical extension on a CA": lambda i: below(i, middle(i, extra=[unknown_critical()])),
    "critical name constraints": lambda i: below(
        i, middle(i, extra=[(x509.NameConstraints([x509.DNSName("x.example")], None), True)])
    ),
    "a P-384 leaf": lambda i: [i.leaf("pass", key=new_key(ec.SECP384R1()))],
    "a P-521 intermediate": lambda i: below(i, middle(i, key=new_key(ec.SECP521R1()))),
    "an Ed25519 leaf": lambda i: [i.leaf("pass", key=ed25519.Ed25519PrivateKey.generate())],
    "SHA-512": lambda i: [i.leaf("pass", digest=hashes.SHA512())],
}


@pytest.mark.parametrize("name", BAD)
def test_a_path_that_breaks_one_rule_is_refused(name: str, issuer: Issuer) -> None:
    with pytest.raises(Fault) as refusal:
        check(issuer, BAD[name](issuer))
    assert refusal.value.rule == "chain"


def test_an_empty_set_of_anchors_trusts_nothing(issuer: Issuer) -> None:
    with pytest.raises(Fault, match="does not lead to a pinned anchor"):
        validate([issuer.pass_key.der], [], "pass")


def test_two_anchors_may_bear_one_name(issuer: Issuer) -> None:
    namesake = certify("Liangzheng Root", ca=True)
    assert check(issuer, [issuer.leaf("pass")], namesake, issuer.root)


def test_a_root_that_forbids_intermediates_is_obeyed() -> None:
    strict = Issuer(root=certify("Strict Root", ca=True, path_length=0))
    assert check(strict, [strict.leaf("pass")])
    with pytest.raises(Fault):
        check(strict, below(strict, middle(strict)))


def test_a_path_holds_as_long_as_its_shortest_certificate(issuer: Issuer) -> None:
    parent = middle(issuer, not_after=NOW + timedelta(days=1), not_before=NOW - timedelta(days=1))
    path = check(issuer, below(issuer, parent, not_after=NOW + timedelta(days=9)))
    assert (path.not_before, path.not_after) == (NOW - timedelta(days=1), NOW + timedelta(days=1))
    assert path.holds_at(path.not_before)
    assert path.holds_at(path.not_after)
    assert not path.holds_at(path.not_after + timedelta(seconds=1))
    assert not path.holds_at(path.not_before - timedelta(seconds=1))


def test_the_purposes_are_those_of_the_format() -> None:
    from verifier_sdk._x509 import PURPOSES

    assert {purpose: purpose_oid(purpose) for purpose in PURPOSES} == PURPOSES


@pytest.mark.parametrize("unused_bits", [1, 2])
def test_a_signature_is_whole_octets(issuer: Issuer, unused_bits: int) -> None:
    """Bits that do not count are zero in DER: only a signature that ends in such bits could pass."""
    good = issuer.leaf("pass")
    while good.certificate.signature[-1] & 3:
        good = issuer.leaf("pass")
    length = len(good.certificate.signature)
    other = good.der[: -length - 1] + bytes([unused_bits]) + good.der[-length:]
    assert check(issuer, [good])
    with pytest.raises(Fault):
        validate([other], [issuer.root.certificate], "pass")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_bytes_give_a_path_or_a_fault(data: st.DataObject, issuer: Issuer) -> None:
    der = bytearray(issuer.pass_key.der)
    for _ in range(data.draw(st.integers(1, 3))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    if bytes(der) == issuer.pass_key.der:
        return
    with pytest.raises(Fault):
        validate([bytes(der)], [issuer.root.certificate], "pass")
