"""Certificates of an outside authority: what comes back is checked, announced, and put to work like any other key."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credentials.keys import CertificateService, KeyFiles, KeyPurpose, KeyRequest, KeyService
from credentials.keys.errors import (
    CertificatePathInvalid,
    CertificateRequestMissing,
    CertificateUnfit,
    InvalidKeyRequest,
    KeysError,
)
from credentials.keys.formats.x509 import PURPOSE_OIDS
from credentials.keys.models import KeyState
from tests.credentials.keys.requests import MARKET, MARKET_KEY, PASSPHRASE, URL, WANTED
from tests.fakes import FakeClock
from tests.verifier_sdk.issuer import Certified, certify
from verifier_sdk import _x509 as reader
from wallet_api.database import Database

NOW = FakeClock().now()
ROOT = certify("City Root CA", ca=True, not_after=NOW + timedelta(days=3650))
MIDDLE = certify("City Issuing CA", issuer=ROOT, ca=True, not_after=NOW + timedelta(days=1800))
ROOT_PEM = ROOT.pem


@pytest.fixture
def keys(tmp_path: Path, clock: FakeClock) -> KeyService:
    return KeyService(KeyFiles(tmp_path / "keys", PASSPHRASE), clock, URL)


@pytest.fixture
def outside(tmp_path: Path, clock: FakeClock) -> CertificateService:
    return CertificateService(KeyFiles(tmp_path / "keys", PASSPHRASE), clock, URL)


def answered(csr_pem: str, issuer: Certified = MIDDLE, **changes: Any) -> x509.Certificate:
    """What an authority makes of a request; `changes` are what it does wrong."""
    csr = x509.load_pem_x509_csr(csr_pem.encode())
    assert csr.is_signature_valid
    builder = x509.CertificateBuilder(
        subject_name=changes.get("subject", csr.subject),
        issuer_name=issuer.certificate.subject,
        public_key=changes.get("public_key", csr.public_key()),
        serial_number=x509.random_serial_number(),
        not_valid_before=NOW - timedelta(days=1),
        not_valid_after=changes.get("not_after", NOW + timedelta(days=730)),
    )
    for extension in csr.extensions:
        value, critical = changes.get(type(extension.value).__name__, (extension.value, extension.critical))
        if value is not None:
            builder = builder.add_extension(value, critical)
    return builder.sign(issuer.key, hashes.SHA256())


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


async def requested(database: Database, outside: CertificateService, wanted: KeyRequest = MARKET_KEY) -> str:
    async with database.transaction() as session:
        return await outside.request(session, wanted)


async def installed(database: Database, outside: CertificateService, *arguments: bytes) -> bytes:
    async with database.transaction() as session:
        return (await outside.install(session, *arguments)).kid


async def test_a_request_says_what_the_certificate_must_be(database: Database, outside: CertificateService) -> None:
    csr = x509.load_pem_x509_csr((await requested(database, outside)).encode())
    assert csr.is_signature_valid
    assert csr.subject.get_attributes_for_oid(NameOID.ORGANIZATION_IDENTIFIER)[0].value == MARKET.code
    usage = csr.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert usage.critical
    assert list(usage.value) == [PURPOSE_OIDS[KeyPurpose.CREDENTIAL]]


async def test_a_certificate_is_announced_and_signs_after_a_rotation(
    database: Database, keys: KeyService, outside: CertificateService
) -> None:
    async with database.transaction() as session:
        await keys.ensure(session, WANTED)
        before = await keys.load(session)
    certificate = answered(await requested(database, outside))
    kid = await installed(database, outside, pem(certificate, MIDDLE.certificate, ROOT.certificate))
    async with database.transaction() as session:
        announced = await keys.load(session)
        assert announced.signer(KeyPurpose.CREDENTIAL, MARKET.code).kid != kid
        assert kid in {key.kid for key in announced.trusted()}
        assert await keys.rotate(session, KeyPurpose.CREDENTIAL, MARKET.code) == kid
        after = await keys.load(session, announced)
        assert await outside.waiting(session) == []
    signer = after.signer(KeyPurpose.CREDENTIAL, MARKET.code)
    assert signer.x5c_der == (certificate.public_bytes(Encoding.DER), MIDDLE.der), "without the anchor"
    assert after.anchors_pem == (before.anchor_pem, ROOT_PEM.decode())
    # The reader's own path validation takes it under the outside root, and not under the platform's.
    assert reader.validate(signer.x5c_der, [reader.load_anchor(ROOT_PEM)], "credential").holds_at(NOW)
    with pytest.raises(Exception, match="pinned anchor"):
        reader.validate(signer.x5c_der, [reader.load_anchor(before.anchor_pem.encode())], "credential")


async def test_the_anchor_may_come_apart(database: Database, outside: CertificateService) -> None:
    certificate = answered(await requested(database, outside))
    assert await installed(database, outside, pem(certificate, MIDDLE.certificate), ROOT_PEM)


async def test_a_key_that_was_certified_outside_is_not_renewed_by_us_until_it_is_over(
    database: Database, keys: KeyService, outside: CertificateService, clock: FakeClock
) -> None:
    async with database.transaction() as session:
        await keys.ensure(session, WANTED)
    kid = await installed(
        database, outside, pem(answered(await requested(database, outside)), MIDDLE.certificate, ROOT.certificate)
    )
    async with database.transaction() as session:
        await keys.rotate(session, KeyPurpose.CREDENTIAL, MARKET.code)
        clock.forward(days=729)
        await keys.ensure(session, WANTED)
        assert (await keys.load(session)).signer(KeyPurpose.CREDENTIAL, MARKET.code).kid == kid
        clock.forward(days=2)
        await keys.ensure(session, WANTED)
        ring = await keys.load(session)
    assert ring.signer(KeyPurpose.CREDENTIAL, MARKET.code).kid != kid
    assert ring.outside_anchors_pem == ()


async def test_a_second_certificate_takes_the_place_of_one_that_was_only_announced(
    database: Database, keys: KeyService, outside: CertificateService
) -> None:
    kids = [
        await installed(database, outside, pem(answered(await requested(database, outside), ROOT), ROOT.certificate))
        for _ in range(2)
    ]
    async with database.snapshot() as session:
        states = {key.kid: key.state for key in await keys.all(session)}
    assert states == {kids[0]: KeyState.RETIRED, kids[1]: KeyState.NEXT}


OTHER_KEY = certify("somebody else").key.public_key()
CREDENTIAL_OID = PURPOSE_OIDS[KeyPurpose.CREDENTIAL]
NO_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Market")])
Answer = Callable[[str], tuple[bytes, ...]]


def usage(**changes: bool) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: changes.get(name, False) for name in names})


def whole(csr: str, **changes: Any) -> tuple[bytes, ...]:
    return (pem(answered(csr, **changes), MIDDLE.certificate, ROOT.certificate),)


LIMITED = certify("Limited CA", issuer=ROOT, ca=True, purposes=["status"], not_after=NOW + timedelta(days=900))
BAD: dict[str, tuple[type[KeysError], Answer]] = {
    "for a key that never waited": (CertificateRequestMissing, lambda csr: whole(csr, public_key=OTHER_KEY)),
    "expired": (CertificatePathInvalid, lambda csr: whole(csr, not_after=NOW - timedelta(hours=1))),
    "over too soon": (CertificateUnfit, lambda csr: whole(csr, not_after=NOW + timedelta(days=29))),
    "a CA": (CertificatePathInvalid, lambda csr: whole(csr, BasicConstraints=(x509.BasicConstraints(True, 0), True))),
    "without basic constraints": (CertificateUnfit, lambda csr: whole(csr, BasicConstraints=(None, False))),
    "not for signing": (CertificatePathInvalid, lambda csr: whole(csr, KeyUsage=(usage(key_agreement=True), True))),
    "without key usage": (CertificateUnfit, lambda csr: whole(csr, KeyUsage=(None, True))),
    "with key usage that is not critical": (
        CertificateUnfit,
        lambda csr: whole(csr, KeyUsage=(usage(digital_signature=True), False)),
    ),
    "for another purpose": (
        CertificatePathInvalid,
        lambda csr: whole(csr, ExtendedKeyUsage=(x509.ExtendedKeyUsage([PURPOSE_OIDS[KeyPurpose.PASS]]), True)),
    ),
    "for two purposes": (
        CertificateUnfit,
        lambda csr: whole(
            csr, ExtendedKeyUsage=(x509.ExtendedKeyUsage([CREDENTIAL_OID, PURPOSE_OIDS[KeyPurpose.PASS]]), True)
        ),
    ),
    "with a purpose that is not critical": (
        CertificateUnfit,
        lambda csr: whole(csr, ExtendedKeyUsage=(x509.ExtendedKeyUsage([CREDENTIAL_OID]), False)),
    ),
    "without a purpose": (CertificatePathInvalid, lambda csr: whole(csr, ExtendedKeyUsage=(None, True))),
    "of another subject": (CertificateUnfit, lambda csr: whole(csr, subject=NO_NAME)),
    "below a CA for another purpose": (
        CertificatePathInvalid,
        lambda csr: (pem(answered(csr, LIMITED), LIMITED.certificate, ROOT.certificate),),
    ),
    "without the intermediate": (CertificatePathInvalid, lambda csr: (pem(answered(csr)), ROOT_PEM)),
    "in the wrong order": (
        CertificateRequestMissing,
        lambda csr: (pem(MIDDLE.certificate, answered(csr)), ROOT_PEM),
    ),
    "without the anchor": (CertificateUnfit, lambda csr: (pem(answered(csr), MIDDLE.certificate),)),
    "with an anchor that is not self-signed": (CertificateUnfit, lambda csr: (pem(answered(csr)), MIDDLE.pem)),
    "with another anchor": (
        CertificatePathInvalid,
        lambda csr: (pem(answered(csr), MIDDLE.certificate), certify("City Root CA", ca=True).pem),
    ),
    "with an anchor that is no CA": (
        CertificatePathInvalid,
        lambda csr: (pem(answered(csr), MIDDLE.certificate), certify("City Root CA").pem),
    ),
    "with two anchors": (CertificateUnfit, lambda csr: (pem(answered(csr)), ROOT_PEM + ROOT_PEM)),
    "nothing but the anchor": (CertificateUnfit, lambda csr: (ROOT_PEM, ROOT_PEM)),
    "no certificate": (CertificateUnfit, lambda csr: (csr.encode(),)),
    "too much": (CertificateUnfit, lambda csr: (ROOT_PEM * 200,)),
}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", BAD)
async def test_a_wrong_answer_is_refused_and_the_key_goes_on_waiting(
    name: str, database: Database, outside: CertificateService
) -> None:
    refusal, answer = BAD[name]
    csr = await requested(database, outside)
    with pytest.raises(refusal):
        await installed(database, outside, *answer(csr))
    async with database.snapshot() as session:
        assert await outside.waiting(session) == [MARKET_KEY]
    assert await installed(database, outside, *whole(csr))
    with pytest.raises(CertificateRequestMissing):
        await installed(database, outside, *whole(csr))


@pytest.mark.parametrize("purpose", [KeyPurpose.TRUST_LIST, KeyPurpose.METADATA])
async def test_what_readers_look_for_under_the_platforms_root_is_not_certified_outside(
    database: Database, outside: CertificateService, purpose: KeyPurpose
) -> None:
    with pytest.raises(InvalidKeyRequest):
        await requested(database, outside, KeyRequest(purpose))


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bytes_are_refused(runner: Any, database: Database, outside: CertificateService, data: Any) -> None:
    position = data.draw(st.integers(0, len(ROOT_PEM) - 1))
    broken = data.draw(st.sampled_from([ROOT_PEM[:position], ROOT_PEM[:position] + b"\0" + ROOT_PEM[position:]]))
    chain = data.draw(st.one_of(st.binary(max_size=60), st.just(broken)))
    with pytest.raises(KeysError):
        runner.run(installed(database, outside, chain))
