"""What this folder needs from outside."""

from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""


class References(Protocol):
    """Knows which tokens point to a list."""

    async def refers_to(self, session: AsyncSession, status_uri: str, since: datetime) -> bool:
        """Whether any token that points to the list was still good at `since`, or later."""


class FieldCipher(Protocol):
    """Seals secrets that stay in the database."""

    def seal(self, plaintext: bytes, context: str) -> bytes:
        """Encrypt, bound to the place `table.column:row id`."""

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypt what `seal` gave for the same place, or raise."""
