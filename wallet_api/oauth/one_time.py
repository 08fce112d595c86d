"""Values that count once: c_nonces, `jti`s of DPoP proofs and client assertions."""

import hashlib
from datetime import datetime

from sqlalchemy import Table, delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from wallet_api.oauth.tables import OneTimeValueRow

_VALUES: Table = OneTimeValueRow.__table__  # type: ignore[attr-defined]


def value_hash(purpose: str, value: str) -> bytes:
    """What a value is remembered by: 32 bytes."""
    return hashlib.sha256(f"{purpose}\x00{value}".encode(errors="surrogatepass")).digest()


class OneTimeValues:
    """Burns values in the database: of any number of processes at once, one is first."""

    async def burn(self, session: AsyncSession, purpose: str, value: str, expires_at: datetime) -> bool:
        """True for the first caller with (purpose, value), False ever after; one atomic statement.

        Args:
            value: any text, also such as JSON escapes can smuggle in.
            expires_at: until when the value must be remembered.
        """
        statement = insert(_VALUES).values(value_hash=value_hash(purpose, value), expires_at=expires_at)
        first = statement.on_conflict_do_nothing(index_elements=["value_hash"]).returning(_VALUES.c.value_hash)
        return (await session.execute(first)).first() is not None

    async def prune(self, session: AsyncSession, now: datetime) -> None:
        """Forget what would be refused for its age anyway."""
        await session.execute(delete(_VALUES).where(_VALUES.c.expires_at < now))
