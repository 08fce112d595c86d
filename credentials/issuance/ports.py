"""What issuance needs of others."""

from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from credentials.issuance.models import OfferNotice
from credentials.keys import KeyPurpose, Signer


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present instant, aware."""
        ...


class Signers(Protocol):
    """The signing keys that are active now."""

    def signer(self, purpose: KeyPurpose, authority_code: str | None = None) -> Signer:
        """The active key of a purpose, for credentials that of the issuing authority."""
        ...


class OneTimeValues(Protocol):
    """Values that count once."""

    async def burn(self, session: AsyncSession, purpose: str, value: str, expires_at: datetime) -> bool:
        """True for the first caller with this value, False for everybody after; one atomic statement."""
        ...


class Protector(Protocol):
    """Seals secrets for one place, and indexes them blindly."""

    def seal(self, plaintext: bytes, context: str) -> bytes:
        """Encrypt for `context`."""
        ...

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypt what was sealed for the same context."""
        ...

    def blind_index(self, purpose: str, value: str) -> bytes:
        """32 bytes, equal for equal input, that say nothing without the key."""
        ...


class OfferNotices(Protocol):
    """Tells holders of offers that departments push to them."""

    async def offered(self, session: AsyncSession, notice: OfferNotice) -> None:
        """Write the notice down in the caller's transaction; it is delivered after the commit."""
        ...
