"""What the registry needs of others."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from credentials.registry.models import StateChange


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present instant, aware."""
        ...


class Protector(Protocol):
    """Seals personal data for one place, and indexes it blindly."""

    def seal(self, plaintext: bytes, context: str) -> bytes:
        """Encrypt for `context` (`table.column:row id`)."""
        ...

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypt what was sealed for the same context."""
        ...

    def blind_index(self, purpose: str, value: str) -> bytes:
        """32 bytes, equal for equal input, that say nothing without the key."""
        ...


class StateFollower(Protocol):
    """Told of every change of state inside the transaction that makes it."""

    async def follow(self, session: AsyncSession, changes: Sequence[StateChange]) -> None:
        """Bring what was issued for these licences to their new state. The licence rows are locked already."""
        ...


class UnitOfWork(Protocol):
    """Gives transactions; `wallet_api.database.Database` does."""

    def transaction(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session that commits when the block ends and rolls back when it raises."""
        ...

    def snapshot(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session for reading, which waits for no writer."""
        ...
