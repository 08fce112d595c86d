"""Making, loading and rotating keys."""

from asyncio import to_thread
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.keys.errors import KeyRotationLost, SigningKeyMissing
from credentials.keys.formats import x509 as certificates
from credentials.keys.formats.x509 import Validity, build_leaf, build_root, to_pem
from credentials.keys.key_files import KeyFiles
from credentials.keys.key_ring import KeyRing
from credentials.keys.models import (
    ALL_LICENCE_TYPES,
    PUBLISHED_PURPOSES,
    KeyPurpose,
    KeyRequest,
    KeyState,
    SigningKey,
    TrustedKey,
)
from credentials.keys.ports import Clock, Signer
from credentials.keys.repository import KeyRepository
from credentials.keys.signers import MemorySigner, prove

ROOT_LIFETIME = timedelta(days=20 * 365)
LEAF_LIFETIME = timedelta(days=3 * 365)
BACKDATED_BY = timedelta(minutes=5)  # a reader whose clock is a little slow accepts a fresh certificate
RENEWAL_LEAD = timedelta(days=400)  # a credential lives a year at most and must not outlive its certificate
ANNOUNCED_FOR = timedelta(days=14)  # twice the life of a trust list: by then every reader holds the next key


class KeyService:
    """The platform's keys.

    Args:
        directory: where the private keys are; all processes of a platform share it.
        passphrase: encrypts the key files; at least 16 random bytes.
        clock: dates the certificates.

    Raises:
        PassphraseTooShort: the passphrase has fewer than 16 bytes.
    """

    def __init__(self, directory: Path, passphrase: bytes, clock: Clock) -> None:
        self._files = KeyFiles(directory, passphrase)
        self._clock = clock

    async def ensure(self, session: AsyncSession, wanted: Sequence[KeyRequest]) -> None:
        """Make what is missing, and move on what is due; run it at the start and daily.

        The first call makes the root. A key with less than 400 days left gets a successor, which stands in the
        trust list for 14 days before it signs. A changed list of licence types is taken over; a changed name of an
        authority takes a new key, because the certificate speaks it. Keys that are no longer wanted stay.

        Raises:
            KeyFileMissing, KeyFileUnreadable, KeyCertificateMismatch: the root is needed and cannot sign.
        """
        keys = KeyRepository(session)
        await keys.retire_expired(self._clock.now())
        await self._root(keys)
        # One order for everyone: two processes that insert the same keys wait for each other only in one direction.
        for request in sorted(wanted, key=lambda request: (request.purpose, request.authority_code or "")):
            await self._ensure_leaf(keys, request)

    async def load(self, session: AsyncSession) -> KeyRing:
        """Read the keys and prove that each active one belongs to its certificate.

        The root's private key is not touched: it may be kept elsewhere between rotations.

        Raises:
            SigningKeyMissing: there is no root; `ensure` was never run.
            KeyFileMissing, KeyFileUnreadable, KeyCertificateMismatch: an active key cannot sign.
        """
        unretired = await KeyRepository(session).unretired()
        roots = [key for key in unretired if key.purpose is KeyPurpose.ROOT]
        if not roots:
            raise SigningKeyMissing("there are no keys yet")
        now = self._clock.now()
        leaves = [key for key in unretired if key.purpose is not KeyPurpose.ROOT and key.not_after > now]
        active = [key for key in leaves if key.state is KeyState.ACTIVE]
        signers = await to_thread(lambda: [self._proven_signer(key) for key in active])
        return KeyRing(
            anchor_pem=to_pem(roots[-1].certificates),
            signers={(key.purpose, key.authority_code): signer for key, signer in zip(active, signers, strict=True)},
            trusted_keys=tuple(map(trusted_key, published_keys(leaves, now))),
        )

    async def rotate(self, session: AsyncSession, purpose: KeyPurpose, authority_code: str | None = None) -> bytes:
        """Put a successor in the place of the active key, at once; the old one stays in the trust list.

        The successor is the announced one where there is one. An unannounced one is unknown to readers who are off
        line until they fetch the trust list again: rotate so when a key may have leaked (and `retire` the old one),
        else leave it to `ensure`.

        Returns:
            The kid of the key that signs from now on; `load` again to use it.

        Raises:
            SigningKeyMissing: there is no active key to follow, or the purpose is the root's.
            KeyRotationLost: another process rotated the same key.
        """
        keys = KeyRepository(session)
        active = await keys.find(purpose, authority_code, KeyState.ACTIVE)
        if active is None or purpose is KeyPurpose.ROOT:
            raise SigningKeyMissing("no active leaf key that another could follow")
        successor = await self._succeed(keys, active, _request_of(active))
        if successor is None:
            raise KeyRotationLost("another process rotated this key")
        return successor

    async def retire(self, session: AsyncSession, kid: bytes) -> None:
        """Take a rotated key out of the trust list: what it signed is not believed any more.

        Raises:
            SigningKeyMissing: there is no such key, or it still signs; `rotate` first.
        """
        if not await KeyRepository(session).move(kid, KeyState.PREVIOUS, KeyState.RETIRED):
            raise SigningKeyMissing("no previous key with this kid")

    async def _ensure_leaf(self, keys: KeyRepository, request: KeyRequest) -> None:
        active = await keys.find(request.purpose, request.authority_code, KeyState.ACTIVE)
        upcoming = await keys.find(request.purpose, request.authority_code, KeyState.NEXT)
        for key in (active, upcoming):
            if key is not None and set(key.licence_types) != set(request.licence_types):
                await keys.set_licence_types(key.kid, request.licence_types)
        now = self._clock.now()
        if active is None:
            if upcoming is None or not await keys.move(upcoming.kid, KeyState.NEXT, KeyState.ACTIVE):
                await self._make(keys, request, KeyState.ACTIVE)
        elif active.authority != request.authority:
            await self._succeed(keys, active, request)
        elif active.not_after - now < RENEWAL_LEAD:
            if upcoming is None:
                await self._make(keys, request, KeyState.NEXT)
            elif now - upcoming.created_at >= ANNOUNCED_FOR:
                await self._succeed(keys, active, request)

    async def _succeed(self, keys: KeyRepository, active: SigningKey, request: KeyRequest) -> bytes | None:
        """Move the active key back and its successor in; None when another process was faster."""
        if not await keys.move(active.kid, KeyState.ACTIVE, KeyState.PREVIOUS):
            return None
        upcoming = await keys.find(active.purpose, active.authority_code, KeyState.NEXT)
        if upcoming is not None:
            fits = upcoming.authority == request.authority
            after = KeyState.ACTIVE if fits else KeyState.RETIRED
            if await keys.move(upcoming.kid, KeyState.NEXT, after) and fits:
                return upcoming.kid
        return await self._make(keys, request, KeyState.ACTIVE)

    async def _make(self, keys: KeyRepository, request: KeyRequest, state: KeyState) -> bytes | None:
        """Make a leaf; None when another process made it first."""
        root = await self._root(keys)
        root_key = await to_thread(self._files.read, root.key_reference)
        prove(MemorySigner(root_key, root.certificates))
        private_key = ec.generate_private_key(ec.SECP256R1())
        certificate = build_leaf(
            private_key.public_key(),
            request.purpose,
            request.authority,
            self._validity(LEAF_LIFETIME),
            root.certificates[0],
            root_key,
        )
        return await self._store(keys, private_key, certificate, request, state)

    async def _root(self, keys: KeyRepository) -> SigningKey:
        root = await keys.find(KeyPurpose.ROOT, None, KeyState.ACTIVE)
        if root is None:
            private_key = ec.generate_private_key(ec.SECP256R1())
            certificate = build_root(private_key, self._validity(ROOT_LIFETIME))
            await self._store(keys, private_key, certificate, None, KeyState.ACTIVE)
            root = await keys.find(KeyPurpose.ROOT, None, KeyState.ACTIVE)
        if root is None:
            raise KeyRotationLost("the root went away while it was made")
        return root

    async def _store(
        self,
        keys: KeyRepository,
        private_key: ec.EllipticCurvePrivateKey,
        certificate: x509.Certificate,
        request: KeyRequest | None,
        state: KeyState,
    ) -> bytes | None:
        """File first, row second: a row never points at nothing. The loser of a race takes its file away.

        A transaction that is rolled back later leaves an encrypted file behind that no row names; it does no harm.
        """
        purpose = request.purpose if request else KeyPurpose.ROOT
        kid = certificates.kid(certificate)
        reference = await to_thread(self._files.write, f"{purpose.value}-{kid.hex()}", private_key)
        key = SigningKey(
            kid=kid,
            purpose=purpose,
            authority=request.authority if request else None,
            licence_types=request.licence_types if request else ALL_LICENCE_TYPES,
            certificates=(certificate,),
            key_reference=reference,
            state=state,
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            created_at=self._clock.now(),
        )
        added = False
        try:
            added = await keys.add(key)
        finally:
            if not added:
                await to_thread(self._files.remove, reference)
        return kid if added else None

    def _validity(self, lifetime: timedelta) -> Validity:
        now = self._clock.now().replace(microsecond=0)
        return Validity(now - BACKDATED_BY, now + lifetime)

    def _proven_signer(self, key: SigningKey) -> Signer:
        signer = MemorySigner(self._files.read(key.key_reference), key.certificates)
        prove(signer)
        return signer


def published_keys(keys: Sequence[SigningKey], now: datetime) -> list[SigningKey]:
    """Of these unretired keys, the ones that belong into a trust list."""
    return [key for key in keys if key.purpose in PUBLISHED_PURPOSES and key.not_after > now]


def trusted_key(key: SigningKey) -> TrustedKey:
    """What a reader is told about a key."""
    return TrustedKey(
        kid=key.kid,
        purpose=key.purpose,
        authority=key.authority,
        licence_types=key.licence_types,
        x5c_der=tuple(certificate.public_bytes(Encoding.DER) for certificate in key.certificates),
    )


def _request_of(key: SigningKey) -> KeyRequest:
    return KeyRequest(key.purpose, key.authority, key.licence_types)
