"""Publishing the trust list."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from credentials.keys.errors import TrustListMissing
from credentials.keys.formats.jws import json_bytes, sign_compact, x5c
from credentials.keys.formats.trust_list import TYP, content_digest, trust_list_claims, trust_list_content
from credentials.keys.key_ring import KeyRing
from credentials.keys.models import KeyPurpose, PublishedTrustList, TrustListType
from credentials.keys.ports import Clock
from credentials.keys.repository import KeyRepository, TrustListRepository
from credentials.keys.service import published_keys, trusted_key
from credentials.keys.tables import TrustListRow

LIFETIME = timedelta(days=7)  # an inspector's device works that long without a network
RESIGN_BELOW = timedelta(days=6)  # so that whoever fetches it has at least six days
KEPT = 30  # a month of daily lists, to answer what a reader had been told


class TrustListService:
    """The trust list: signed when something changed, else once a day.

    Args:
        clock: dates the lists.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def publish(
        self,
        session: AsyncSession,
        key_ring: KeyRing,
        types: Sequence[TrustListType],
        public_url: str,
        scenes: Sequence[Mapping[str, object]] = (),
    ) -> bool:
        """Sign the next list, if the content changed or the last one has less than six days left.

        The keys are read from the database, not from the ring: a process that loaded its ring before a rotation
        does not take the new key out of the list again. The ring signs.

        Args:
            types: every licence type that readers must be able to label, in any order.
            public_url: `iss`; the status lists are expected under `<public_url>/s`.
            scenes: as the list writes them (TRUST_LIST.md), by id.

        Returns:
            Whether this call published; False when nothing was due or another process was faster.

        Raises:
            SigningKeyMissing: the ring has no key for the trust list.
        """
        now = self._clock.now()
        keys = map(trusted_key, published_keys(await KeyRepository(session).unretired(), now))
        content = trust_list_content(public_url, f"{public_url}/s", tuple(keys), types, scenes)
        digest = content_digest(content)
        lists = TrustListRepository(session)
        latest = await lists.latest()
        if latest and latest.content_digest == digest and latest.expires_at - now >= RESIGN_BELOW:
            return False
        iat = int(now.timestamp())
        expires_at = now.replace(microsecond=0) + LIFETIME
        sequence = latest.sequence + 1 if latest else 1
        claims = trust_list_claims(content, iat=iat, exp=int(expires_at.timestamp()), sequence=sequence)
        signer = key_ring.signer(KeyPurpose.TRUST_LIST)
        token = sign_compact({"typ": TYP, "x5c": x5c(signer)}, json_bytes(claims), signer)
        row = TrustListRow(sequence=sequence, token=token, content_digest=digest, expires_at=expires_at)
        return await lists.add(row, keep=KEPT)

    async def current(self, session: AsyncSession) -> PublishedTrustList:
        """The list to serve.

        Raises:
            TrustListMissing: none was published yet.
        """
        row = await TrustListRepository(session).latest()
        if row is None:
            raise TrustListMissing("no trust list was published yet")
        etag = f'"{hashlib.sha256(row.token.encode()).hexdigest()[:32]}"'
        return PublishedTrustList(row.token, etag, row.sequence, row.expires_at)
