"""Making, loading and rotating keys."""

from asyncio import to_thread
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.keys.errors import KeyRotationLost, SigningKeyMissing
from credentials.keys.formats import x509 as certificates
from credentials.keys.formats.x509 import Validity, build_leaf, build_root, names_url, to_pem
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
from credentials.keys.ports import Clock, KeyStore, Signer
from credentials.keys.repository import AnchorRepository, KeyRepository
from credentials.keys.signers import KeySigner, prove

ROOT_LIFETIME = timedelta(days=20 * 365)
LEAF_LIFETIME = timedelta(days=3 * 365)
BACKDATED_BY = timedelta(minutes=5)  # a reader whose clock is a little slow accepts a fresh certificate
RENEWAL_LEAD = timedelta(days=400)  # a credential lives a year at most and must not outlive its certificate
ANNOUNCED_FOR = timedelta(days=14)  # twice the life of a trust list: by then every reader holds the next key

_Place = tuple[KeyPurpose, str | None, KeyState]  # where there is at most one key


class KeyService:
    """The platform's keys.

    Args:
        store: where the private keys are; all processes of a platform share it.
        clock: dates the certificates.
        url: the platform's, in ASCII; its certificates name it.
    """

    def __init__(self, store: KeyStore, clock: Clock, url: str) -> None:
        self._store = store
        self._clock = clock
        self._url = url

    async def ensure(self, session: AsyncSession, wanted: Sequence[KeyRequest]) -> None:
        """Make what is missing, and move on what is due; run it at the start and daily.

        The first call makes the root. A key with less than 400 days left, or whose certificate names another URL, gets
        a successor, which stands in the trust list for 14 days before it signs. A changed list of licence types is
        taken over; a changed name of an authority takes a new key, because the certificate speaks it. Keys that are no
        longer wanted stay. Keys that an outside authority certified are left alone until they are over: only that
        authority can renew them.

        Raises:
            KeysError: the root is needed and cannot sign, or the store cannot keep a key.
        """
        keys = KeyRepository(session)
        await keys.retire_expired(self._clock.now())
        await self._root(keys)
        held = {(key.purpose, key.authority_code, key.state): key for key in await keys.unretired()}
        certifier = _Certifier(self._store, held[KeyPurpose.ROOT, None, KeyState.ACTIVE], self._url)
        # One order for everyone: two processes that insert the same keys wait for each other only in one direction.
        for request in sorted(wanted, key=lambda request: (request.purpose, request.authority_code or "")):
            await self._ensure_leaf(keys, request, held, certifier)

    async def load(self, session: AsyncSession, known: KeyRing | None = None) -> KeyRing:
        """Read the keys and prove that each active one belongs to its certificate.

        The root's private key is not touched: it may be kept elsewhere between rotations.

        Args:
            known: loaded before; what it proved already is neither read nor proved again.

        Raises:
            SigningKeyMissing: there is no root; `ensure` was never run.
            KeysError: an active key cannot sign.
        """
        unretired = await KeyRepository(session).unretired()
        roots = [key for key in unretired if key.purpose is KeyPurpose.ROOT]
        if not roots:
            raise SigningKeyMissing("there are no keys yet")
        now = self._clock.now()
        leaves = [key for key in unretired if key.purpose is not KeyPurpose.ROOT and key.not_after > now]
        active = [key for key in leaves if key.state is KeyState.ACTIVE]
        proven = {signer.kid: signer for signer in known.signers.values()} if known else {}
        signers = await to_thread(lambda: [proven.get(key.kid) or self._proven_signer(key) for key in active])
        return KeyRing(
            anchor_pem=to_pem(roots[-1].certificates),
            signers={(key.purpose, key.authority_code): signer for key, signer in zip(active, signers, strict=True)},
            trusted_keys=tuple(map(trusted_key, published_keys(leaves, now))),
            outside_anchors_pem=await AnchorRepository(session).of({key.anchor_sha256 for key in leaves}),
        )

    async def all(self, session: AsyncSession) -> list[SigningKey]:
        """Every key there ever was, the oldest first, the retired ones too."""
        return await KeyRepository(session).all()

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
        upcoming = await keys.find(purpose, authority_code, KeyState.NEXT)
        certifier = _Certifier(self._store, await self._root(keys), self._url)
        successor = await self._succeed(keys, active, upcoming, _request_of(active), certifier)
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

    async def _ensure_leaf(
        self, keys: KeyRepository, request: KeyRequest, held: Mapping[_Place, SigningKey], certifier: "_Certifier"
    ) -> None:
        active = held.get((request.purpose, request.authority_code, KeyState.ACTIVE))
        upcoming = held.get((request.purpose, request.authority_code, KeyState.NEXT))
        for key in (active, upcoming):
            if key is not None and set(key.licence_types) != set(request.licence_types):
                await keys.set_licence_types(key.kid, request.licence_types)
        now = self._clock.now()
        if active is None:
            if upcoming is None or not await keys.move(upcoming.kid, KeyState.NEXT, KeyState.ACTIVE):
                await self._make(keys, request, KeyState.ACTIVE, certifier)
        elif active.outside:
            return
        elif active.authority != request.authority:
            await self._succeed(keys, active, upcoming, request, certifier)
        elif active.not_after - now < RENEWAL_LEAD or not names_url(active.certificates[0], self._url):
            if upcoming is None:
                await self._make(keys, request, KeyState.NEXT, certifier)
            elif now - upcoming.created_at >= ANNOUNCED_FOR:
                await self._succeed(keys, active, upcoming, request, certifier)

    async def _succeed(
        self,
        keys: KeyRepository,
        active: SigningKey,
        upcoming: SigningKey | None,
        request: KeyRequest,
        certifier: "_Certifier",
    ) -> bytes | None:
        """Move the active key back and its successor in; None when another process was faster."""
        if not await keys.move(active.kid, KeyState.ACTIVE, KeyState.PREVIOUS):
            return None
        if upcoming is not None:
            fits = upcoming.authority == request.authority
            after = KeyState.ACTIVE if fits else KeyState.RETIRED
            if await keys.move(upcoming.kid, KeyState.NEXT, after) and fits:
                return upcoming.kid
        return await self._make(keys, request, KeyState.ACTIVE, certifier)

    async def _make(
        self, keys: KeyRepository, request: KeyRequest, state: KeyState, certifier: "_Certifier"
    ) -> bytes | None:
        """Make a leaf; None when another process made it first."""
        await to_thread(certifier.open)
        reference, private_key = await to_thread(self._store.generate, request.purpose)
        validity = self._validity(LEAF_LIFETIME)
        certificate = await to_thread(certifier.leaf, private_key.public_key(), request, validity)
        key = _signing_key(certificate, reference, state, self._clock.now(), request)
        return key.kid if await self._add(keys, key) else None

    async def _root(self, keys: KeyRepository) -> SigningKey:
        root = await keys.find(KeyPurpose.ROOT, None, KeyState.ACTIVE)
        if root is None:
            reference, private_key = await to_thread(self._store.generate, KeyPurpose.ROOT)
            certificate = await to_thread(build_root, private_key, self._validity(ROOT_LIFETIME))
            await self._add(keys, _signing_key(certificate, reference, KeyState.ACTIVE, self._clock.now(), None))
            root = await keys.find(KeyPurpose.ROOT, None, KeyState.ACTIVE)
        if root is None:
            raise KeyRotationLost("the root went away while it was made")
        return root

    async def _add(self, keys: KeyRepository, key: SigningKey) -> bool:
        """Private key first, row second: a row never points at nothing. The loser of a race takes its key away.

        A transaction that is rolled back later leaves a key behind that no row names; it does no harm.
        """
        added = False
        try:
            added = await keys.add(key)
        finally:
            if not added:
                await to_thread(self._store.remove, key.key_reference)
        return added

    def _validity(self, lifetime: timedelta) -> Validity:
        now = self._clock.now().replace(microsecond=0)
        return Validity(now - BACKDATED_BY, now + lifetime)

    def _proven_signer(self, key: SigningKey) -> Signer:
        signer = KeySigner(self._store.read(key.key_reference), key.certificates)
        prove(signer)
        return signer


class _Certifier:
    """The root, its private key read and proved when it is first needed."""

    def __init__(self, store: KeyStore, root: SigningKey, url: str) -> None:
        self._store = store
        self._root = root
        self._url = url
        self._private_key: ec.EllipticCurvePrivateKey | None = None

    def open(self) -> ec.EllipticCurvePrivateKey:
        """The root's private key."""
        if self._private_key is None:
            private_key = self._store.read(self._root.key_reference)
            prove(KeySigner(private_key, self._root.certificates))
            self._private_key = private_key
        return self._private_key

    def leaf(self, public_key: ec.EllipticCurvePublicKey, request: KeyRequest, validity: Validity) -> x509.Certificate:
        """A certificate after the request."""
        issuer = self._root.certificates[0]
        return build_leaf(public_key, request.purpose, request.authority, validity, issuer, self.open(), self._url)


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


def _signing_key(
    certificate: x509.Certificate, reference: str, state: KeyState, now: datetime, request: KeyRequest | None
) -> SigningKey:
    return SigningKey(
        kid=certificates.kid(certificate),
        purpose=request.purpose if request else KeyPurpose.ROOT,
        authority=request.authority if request else None,
        licence_types=request.licence_types if request else ALL_LICENCE_TYPES,
        certificates=(certificate,),
        key_reference=reference,
        state=state,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        created_at=now,
    )


def _request_of(key: SigningKey) -> KeyRequest:
    return KeyRequest(key.purpose, key.authority, key.licence_types)
