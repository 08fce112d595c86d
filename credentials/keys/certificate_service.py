"""Certificates from an outside authority: a request goes out, a chain comes in, its root is pinned by readers."""

from asyncio import to_thread
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.keys.errors import (
    CertificatePathInvalid,
    CertificateRequestMissing,
    CertificateUnfit,
    InvalidKeyRequest,
)
from credentials.keys.formats import x509 as certificates
from credentials.keys.formats.certificate_path import validate_path
from credentials.keys.formats.x509 import PURPOSE_OIDS, build_request, to_pem
from credentials.keys.models import PUBLISHED_PURPOSES, Authority, KeyPurpose, KeyRequest, KeyState, SigningKey
from credentials.keys.ports import Clock, KeyStore
from credentials.keys.repository import AnchorRepository, KeyRepository
from credentials.keys.signers import KeySigner, prove
from credentials.keys.tables import PLATFORM, CertificateRequestRow, TrustAnchorRow

LEAST_LEFT = timedelta(days=30)  # to announce the key, put it to work, and ask for the next one
MAX_BUNDLE_BYTES = 65_536  # DoS bound: five certificates and a root in PEM take about ten kilobytes


class CertificateService:
    """Requests to outside authorities and what comes back.

    Args:
        store: makes and keeps the private keys.
        clock: tells whether a certificate holds.
        url: the platform's, which the requests ask to be named.
    """

    def __init__(self, store: KeyStore, clock: Clock, url: str) -> None:
        self._store = store
        self._clock = clock
        self._url = url

    async def request(self, session: AsyncSession, wanted: KeyRequest) -> str:
        """Make a key and a request for its certificate (PKCS #10, PEM). The key signs nothing until `install`.

        Raises:
            InvalidKeyRequest: the purpose is one that readers look for under the platform's root only.
            KeysError: the store cannot keep a key.
        """
        if wanted.purpose not in PUBLISHED_PURPOSES:
            names = ", ".join(PUBLISHED_PURPOSES)
            raise InvalidKeyRequest(f"only keys of the trust list are certified outside: {names}")
        reference, private_key = await to_thread(self._store.generate, wanted.purpose)
        csr = await to_thread(build_request, private_key, wanted.purpose, wanted.authority, self._url)
        await AnchorRepository(session).add_request(
            CertificateRequestRow(
                key_reference=reference,
                purpose=wanted.purpose.value,
                authority_code=wanted.authority_code or PLATFORM,
                authority_name=wanted.authority.name if wanted.authority else PLATFORM,
                licence_types=list(wanted.licence_types),
                public_key_sha256=_public_key_sha256(csr),
                created_at=self._clock.now(),
            )
        )
        return csr.public_bytes(Encoding.PEM).decode("ascii")

    async def waiting(self, session: AsyncSession) -> list[KeyRequest]:
        """What was requested and did not come back yet, the oldest first."""
        return [_wanted(row) for row in await AnchorRepository(session).requests()]

    async def install(self, session: AsyncSession, chain_pem: bytes, anchor_pem: bytes | None = None) -> SigningKey:
        """Take a certificate for a requested key. It is announced in the trust list; `KeyService.rotate` lets it sign.

        1. The chain is PEM, leaf first; the anchor comes apart or at its end, and is self-signed.
        2. A key of ours waits for this leaf: their public keys are the same.
        3. The path leads to the anchor and holds now (RFC 5280 §6.1), for the purpose that was requested.
        4. The leaf keeps the profile of TRUST_LIST.md, names the authority, and holds for 30 days more at least.
        5. The private key signs what the certificate verifies.

        A key that was announced for the same place before is retired.

        Raises:
            CertificateUnfit: steps 1 and 4.
            CertificateRequestMissing: step 2.
            CertificatePathInvalid: step 3.
            KeysError: step 5.
        """
        chain, anchor = _chain_and_anchor(chain_pem, anchor_pem)  # (1)
        row = await AnchorRepository(session).take_request(_public_key_sha256(chain[0]))  # (2)
        if row is None:
            raise CertificateRequestMissing("no key waits for this certificate: send the authority a request of ours")
        wanted, now = _wanted(row), self._clock.now()
        purpose = PURPOSE_OIDS[wanted.purpose]
        chain_der = [certificate.public_bytes(Encoding.DER) for certificate in chain]
        path = validate_path(chain_der, [anchor], now, purpose=purpose)  # (3)
        _expect_profile(chain, purpose, wanted.authority)  # (4)
        if path.not_after - now < LEAST_LEFT:
            raise CertificateUnfit("the certificate, or one above it, is over in less than 30 days")
        private_key = await to_thread(self._store.read, row.key_reference)
        await to_thread(prove, KeySigner(private_key, chain))  # (5)
        return await self._announce(session, row.key_reference, wanted, chain, anchor)

    async def _announce(
        self,
        session: AsyncSession,
        key_reference: str,
        wanted: KeyRequest,
        chain: tuple[x509.Certificate, ...],
        anchor: x509.Certificate,
    ) -> SigningKey:
        keys, now = KeyRepository(session), self._clock.now()
        anchor_sha256 = sha256(anchor.public_bytes(Encoding.DER)).hexdigest()
        await AnchorRepository(session).add_anchor(
            TrustAnchorRow(sha256=anchor_sha256, pem=to_pem([anchor]), added_at=now)
        )
        announced = await keys.find(wanted.purpose, wanted.authority_code, KeyState.NEXT)
        if announced is not None:
            await keys.move(announced.kid, KeyState.NEXT, KeyState.RETIRED)
        key = SigningKey(
            kid=certificates.kid(chain[0]),
            purpose=wanted.purpose,
            authority=wanted.authority,
            licence_types=wanted.licence_types,
            certificates=chain,
            key_reference=key_reference,
            state=KeyState.NEXT,
            not_before=chain[0].not_valid_before_utc,
            not_after=chain[0].not_valid_after_utc,
            created_at=now,
            anchor_sha256=anchor_sha256,
        )
        if not await keys.add(key):
            raise CertificateUnfit("another process announced a key for the same place; import again")
        return key


def _chain_and_anchor(
    chain_pem: bytes, anchor_pem: bytes | None
) -> tuple[tuple[x509.Certificate, ...], x509.Certificate]:
    chain = _certificates(chain_pem)
    given = _certificates(anchor_pem) if anchor_pem is not None else ()
    if len(given) > 1:
        raise CertificateUnfit("the anchor is one certificate")
    if not given and len(chain) > 1 and _is_self_signed(chain[-1]):
        given = chain[-1:]
    if not given:
        raise CertificateUnfit("the authority's root is missing: give it apart, or at the end of the chain")
    if not _is_self_signed(given[0]):
        raise CertificateUnfit("the anchor is not self-signed: readers pin the authority's root")
    chain = tuple(certificate for certificate in chain if certificate != given[0])
    if not chain:
        raise CertificateUnfit("the chain holds nothing but the anchor")
    return chain, given[0]


def _certificates(pem: bytes) -> tuple[x509.Certificate, ...]:
    try:
        if len(pem) <= MAX_BUNDLE_BYTES:
            return tuple(x509.load_pem_x509_certificates(pem))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateUnfit("not certificates in PEM") from error
    raise CertificateUnfit("more than a chain of certificates")


def _is_self_signed(certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _expect_profile(
    chain: Sequence[x509.Certificate], purpose: x509.ObjectIdentifier, authority: Authority | None
) -> None:
    """What readers demand beyond a valid path."""
    leaf = {extension.oid: extension for extension in chain[0].extensions}
    usages = leaf[x509.ExtendedKeyUsage.oid]
    if not usages.critical or list(usages.value) != [purpose]:
        raise CertificateUnfit(f"extendedKeyUsage must be critical and hold {purpose.dotted_string} alone")
    usage = leaf.get(x509.KeyUsage.oid)
    if usage is None or not usage.critical:
        raise CertificateUnfit("keyUsage must be there and critical, with digitalSignature")
    if x509.BasicConstraints.oid not in leaf:
        raise CertificateUnfit("basicConstraints must be there, with CA false")
    for issuer in chain[1:]:
        named = [each.value for each in issuer.extensions if each.oid == x509.ExtendedKeyUsage.oid]
        if named and purpose not in named[0]:
            raise CertificateUnfit("an intermediate limits extendedKeyUsage without naming ours")
    codes = chain[0].subject.get_attributes_for_oid(NameOID.ORGANIZATION_IDENTIFIER)
    if authority is not None and [code.value for code in codes] != [authority.code]:
        raise CertificateUnfit("the subject's organizationIdentifier is not the authority's code")


def _public_key_sha256(holder: x509.Certificate | x509.CertificateSigningRequest) -> str:
    try:
        spki = holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificatePathInvalid("the leaf holds a key that cannot be read") from error
    return sha256(spki).hexdigest()


def _wanted(row: CertificateRequestRow) -> KeyRequest:
    authority = Authority(row.authority_code, row.authority_name) if row.authority_code != PLATFORM else None
    return KeyRequest(KeyPurpose(row.purpose), authority, tuple(row.licence_types))
