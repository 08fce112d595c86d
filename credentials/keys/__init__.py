"""Signing keys, their certificates, and the trust list that tells readers whom to believe.

    keys = KeyService(KeyFiles(Path("data/keys"), passphrase), clock, "https://wallet.example")
    async with database.transaction() as session:
        await keys.ensure(session, [
            KeyRequest(KeyPurpose.TRUST_LIST),
            KeyRequest(KeyPurpose.STATUS),
            KeyRequest(KeyPurpose.PASS),
            KeyRequest(KeyPurpose.CREDENTIAL, Authority("11310000MB2F30042K", "某市市场监管局"), ("food",)),
        ])
        key_ring = await keys.load(session)
    key_ring.signer(KeyPurpose.CREDENTIAL, "11310000MB2F30042K").sign(b"...")     # 64 bytes, ES256

    lists = TrustListService(clock)
    async with database.transaction() as session:
        await lists.publish(session, key_ring, types, "https://wallet.example")  # on a timer; True when it signed
        (await lists.current(session)).token                    # what GET /api/v1/trust-list answers

The private keys are files, encrypted under a passphrase that this folder never stores, or stay in a PKCS#11 token
(`KeyStores(files, Pkcs11Keys(module, token_label, pin), purposes)`); everything else about a key is in the database.
`CertificateService` asks an outside authority for certificates. The formats are in TRUST_LIST.md.
"""

from credentials.keys.certificate_service import CertificateService
from credentials.keys.key_files import KeyFiles
from credentials.keys.key_ring import KeyRing
from credentials.keys.key_stores import KeyStores
from credentials.keys.models import (
    Authority,
    KeyPurpose,
    KeyRequest,
    LocalText,
    PublishedTrustList,
    TrustedKey,
    TrustListItem,
    TrustListType,
)
from credentials.keys.ports import KeyStore, Signer
from credentials.keys.service import KeyService
from credentials.keys.trust_list_service import TrustListService

__all__ = [
    "Authority",
    "CertificateService",
    "KeyFiles",
    "KeyPurpose",
    "KeyRequest",
    "KeyRing",
    "KeyService",
    "KeyStore",
    "KeyStores",
    "LocalText",
    "PublishedTrustList",
    "Signer",
    "TrustListItem",
    "TrustListService",
    "TrustListType",
    "TrustedKey",
]
