"""What checks need of others; wallet_api connects them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from presentation.checks.models import ShownLicence, StatusPlaceKey


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


class OneTimeValues(Protocol):
    """Values that count once."""

    async def burn(self, session: AsyncSession, purpose: str, value: str, expires_at: datetime) -> bool:
        """True for the first caller with this value, False for everybody after; one atomic statement."""
        ...


class TrustList(Protocol):
    """The platform's own trust list."""

    async def current(self, session: AsyncSession) -> tuple[str, str]:
        """The newest list as a compact JWS, and the anchor's certificate as PEM."""
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
