"""The signing keys that this process holds, renewed when another process rotates them."""

from sqlalchemy.ext.asyncio import AsyncSession

from credentials.keys import KeyPurpose, KeyRing, KeyService, Signer
from credentials.keys.errors import SigningKeyMissing


class LiveKeyRing:
    """A key ring that can be loaded again while it is in use."""

    def __init__(self, keys: KeyService) -> None:
        self._keys = keys
        self._ring: KeyRing | None = None

    @property
    def ring(self) -> KeyRing:
        """The keys as last loaded.

        Raises:
            SigningKeyMissing: they were not loaded yet.
        """
        if self._ring is None:
            raise SigningKeyMissing("the keys are not loaded yet")
        return self._ring

    def signer(self, purpose: KeyPurpose, authority_code: str | None = None) -> Signer:
        """The active key of a purpose; for credentials that of the issuing authority."""
        return self.ring.signer(purpose, authority_code)

    async def reload(self, session: AsyncSession) -> None:
        """Load the keys as the database names them now, each new one proven by a test signature."""
        self._ring = await self._keys.load(session, self._ring)
