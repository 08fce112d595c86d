"""What showing needs of the credentials domain; wallet_api connects them."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from presentation.shows.models import Profile, ShowableLicence, StatusPlace


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present instant, aware."""
        ...


class PassSigner(Protocol):
    """The active pass key."""

    @property
    def kid(self) -> bytes:
        """8 bytes (`FORMAT.md` §3)."""
        ...

    def sign(self, message: bytes) -> bytes:
        """ES256 over the message: 64 bytes r‖s."""
        ...


Signers = Callable[[], PassSigner]  # the active pass key at the time of asking


class Protector(Protocol):
    """Seals secrets for one place."""

    def seal(self, plaintext: bytes, context: str) -> bytes:
        """Encrypt for `context`."""
        ...

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypt what was sealed for the same context."""
        ...


class Licences(Protocol):
    """The licences that passes are made for."""

    async def showable(
        self, session: AsyncSession, licence_id: str, holder_id: str, key_thumbprint: str | None
    ) -> ShowableLicence:
        """A licence in force, its row locked.

        Args:
            key_thumbprint: of a key that a credential of the licence must have been issued to; None for a key that
                the server holds itself.

        Raises:
            NotShowable: it is not in force.
            DeviceKeyUnknown: no credential of it was issued to this holder's key.
        """
        ...

    async def reserve_status(
        self,
        session: AsyncSession,
        licence: ShowableLicence,
        profile: Profile,
        key_thumbprint: str,
        signing_kid: bytes,
        expiries: Sequence[datetime],
    ) -> Sequence[StatusPlace]:
        """Record one pass per expiry before it is signed; each gets a status index of its own."""
        ...
