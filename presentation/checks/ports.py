"""What checks need of others; wallet_api connects them."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from presentation.accesslog import Release
from presentation.checks.models import Ground, LicenceState, ShownLicence, StatusPlaceKey, Written


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present instant, aware."""
        ...


class Licences(Protocol):
    """The store behind the passes."""

    async def shown(
        self, session: AsyncSession, places: Sequence[StatusPlaceKey]
    ) -> Mapping[StatusPlaceKey, ShownLicence]:
        """The licences whose passes have their status at these places, in their present state."""
        ...

    async def state(self, session: AsyncSession, licence_id: str) -> LicenceState:
        """What a licence is at this moment."""
        ...


class OneTimeValues(Protocol):
    """Values that count once."""

    async def burn(self, session: AsyncSession, purpose: str, value: str, expires_at: datetime) -> bool:
        """True for the first caller with this value, False for everybody after; one atomic statement."""
        ...


class UnitOfWork(Protocol):
    """The database."""

    def transaction(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session to write in, committed at the end of the block."""
        ...

    def snapshot(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session to read in."""
        ...


class CheckRecords(Protocol):
    """What a check reads, and what it writes: each one transaction of its own."""

    async def look_up(self, client_id: str, scene_id: str, place: StatusPlaceKey | None, now: datetime) -> Ground:
        """Everything that a check is decided on.

        Args:
            place: of the pass that is shown, None when the code does not hold.
        """
        ...

    async def write(self, release: Release, burned: bytes, burned_until: datetime, marks: Sequence[bytes]) -> Written:
        """Burn the code, trace the release and append it to the holder's log: all of it or nothing.

        Args:
            burned: 32 bytes that stand for the code.
            marks: of the licence's number, then of the numbers next to it.
        """
        ...


class TrustList(Protocol):
    """The platform's own trust list."""

    async def current(self, session: AsyncSession) -> tuple[str, tuple[str, ...]]:
        """The newest list as a compact JWS, and the anchors' certificates as PEM, one each."""
        ...


class ResultSigner(Protocol):
    """The active key for results of checks."""

    def sign(self, claims: Mapping[str, object]) -> str:
        """A compact JWS over the claims, header with `x5c`."""
        ...


class Marks(Protocol):
    """Blind marks: equal for equal input, meaningless without the key."""

    def blind_index(self, purpose: str, value: str) -> bytes:
        """32 bytes."""
        ...
