"""Certificates keep to the profile of TRUST_LIST.md."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.keys import Authority, KeyPurpose, KeyRequest
from credentials.keys.errors import InvalidKeyRequest
from credentials.keys.formats.x509 import Validity, build_leaf, build_root, kid, subject_of
from tests.credentials.keys.requests import MARKET, URL
from tests.credentials.keys.signing import VALIDITY

ROOT_KEY = ec.generate_private_key(ec.SECP256R1())
ROOT = build_root(ROOT_KEY, VALIDITY)
LEAF_KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
ARC = "2.25.190658200501632449883014538961567251728"


def leaf(purpose: KeyPurpose = KeyPurpose.PASS, authority: Authority | None = None) -> x509.Certificate:
    return build_leaf(LEAF_KEY, purpose, authority, VALIDITY, ROOT, ROOT_KEY, URL)


def test_the_root_is_a_self_signed_ca_that_signs_certificates_only() -> None:
    ROOT.verify_directly_issued_by(ROOT)
    constraints = ROOT.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = ROOT.extensions.get_extension_for_class(x509.KeyUsage)
    assert constraints.critical
    assert constraints.value.ca
    assert usage.critical
    assert usage.value.key_cert_sign
    assert not usage.value.digital_signature


@pytest.mark.parametrize(
    ("purpose", "arc"),
    [(KeyPurpose.CREDENTIAL, 1), (KeyPurpose.STATUS, 2), (KeyPurpose.PASS, 3), (KeyPurpose.TRUST_LIST, 4)],
)
def test_a_leaf_is_good_for_its_one_purpose(purpose: KeyPurpose, arc: int) -> None:
    usages = leaf(purpose).extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert usages.critical
    assert [usage.dotted_string for usage in usages.value] == [f"{ARC}.{arc}"]


def test_a_leaf_signs_data_and_no_certificates() -> None:
    certificate = leaf()
    certificate.verify_directly_issued_by(ROOT)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert constraints.critical
    assert not constraints.value.ca
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert not usage.value.crl_sign
    assert not usage.value.key_agreement


def test_a_leaf_points_to_the_key_that_signed_it() -> None:
    authority_key = leaf().extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert authority_key == ROOT.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest


def test_a_credential_leaf_names_its_authority() -> None:
    subject = leaf(KeyPurpose.CREDENTIAL, MARKET).subject
    assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == MARKET.name
    assert subject.get_attributes_for_oid(NameOID.ORGANIZATION_IDENTIFIER)[0].value == MARKET.code


def test_a_leaf_never_outlives_its_issuer() -> None:
    eternal = Validity(VALIDITY.not_before, VALIDITY.not_after + timedelta(days=1000))
    certificate = build_leaf(LEAF_KEY, KeyPurpose.PASS, None, eternal, ROOT, ROOT_KEY, URL)
    assert certificate.not_valid_after_utc == ROOT.not_valid_after_utc


def test_two_leaves_over_one_key_have_different_kids() -> None:
    assert len(kid(leaf())) == 8
    assert kid(leaf()) != kid(leaf())


@settings(max_examples=100)
@given(st.text(min_size=1, max_size=250))
def test_any_name_makes_a_subject_or_is_refused(name: str) -> None:
    try:
        authority = Authority("11310000MB2F30042K", name)
    except InvalidKeyRequest:
        return
    subject = subject_of(KeyPurpose.CREDENTIAL, authority)
    cut = subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    assert isinstance(cut, str)
    assert name.startswith(cut)
    assert subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == name


@pytest.mark.parametrize(
    ("purpose", "authority", "licence_types"),
    [
        (KeyPurpose.ROOT, None, ("*",)),
        (KeyPurpose.CREDENTIAL, None, ("*",)),
        (KeyPurpose.PASS, MARKET, ("*",)),
        (KeyPurpose.PASS, None, ()),
    ],
    ids=["a root", "a credential key of nobody", "a pass key of an authority", "a key for nothing"],
)
def test_a_request_outside_the_profile_is_refused(
    purpose: KeyPurpose, authority: Authority | None, licence_types: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidKeyRequest):
        KeyRequest(purpose, authority, licence_types)


def test_a_leaf_names_the_url_that_credentials_have_as_iss() -> None:
    names = leaf(KeyPurpose.CREDENTIAL, MARKET).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.UniformResourceIdentifier) == [URL]
    assert not names.critical
