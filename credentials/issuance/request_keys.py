"""The keys that wallets encrypt requests to: one a period, in the database, the same in every process."""

import json
from datetime import timedelta
from typing import Any

from jwcrypto.jwk import JWK
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.issuance import repository
from credentials.issuance.errors import CredentialRequestRefused
from credentials.issuance.formats.message_encryption import ALG, open_request, request_kid
from credentials.issuance.ports import Clock, Protector
from credentials.registry.ports import UnitOfWork

PERIOD = timedelta(days=30)
KEPT_PERIODS = 2  # a wallet may hold metadata for a whole period after its key was replaced


class RequestKeys:
    """Makes, publishes and uses the keys of requests (OpenID4VCI 1.0 §10). Made once, a key never changes."""

    def __init__(self, protector: Protector, clock: Clock) -> None:
        self._protector = protector
        self._clock = clock
        self._known: dict[int, dict[str, Any]] = {}

    async def public_jwk(self, uow: UnitOfWork) -> dict[str, Any]:
        """The key to encrypt to now, as the metadata publish it; the first caller of a period makes it."""
        period = self._period()
        if period not in self._known:
            async with uow.transaction() as session:
                await self._make(session, period)
                await self._read(session)
        return {name: value for name, value in self._known[period].items() if name != "d"}

    async def open(self, session: AsyncSession, compact: bytes) -> bytes:
        """Decipher a request.

        Raises:
            CredentialRequestRefused: `invalid_encryption_parameters`.
        """
        kid = request_kid(compact)
        if self._find(kid) is None:
            await self._read(session)
        private = self._find(kid)
        if private is None:
            raise CredentialRequestRefused("invalid_encryption_parameters", "kid is none of our keys")
        return open_request(compact, private)

    async def prune(self, session: AsyncSession) -> None:
        """Forget keys that nobody encrypts to any more."""
        await repository.prune_encryption_keys(session, self._period() - KEPT_PERIODS + 1)

    def _find(self, kid: str) -> dict[str, Any] | None:
        now = self._period()
        live = (self._known.get(period) for period in range(now, now - KEPT_PERIODS, -1))
        return next((key for key in live if key is not None and key["kid"] == kid), None)

    async def _read(self, session: AsyncSession) -> None:
        now = self._period()
        for row in await repository.encryption_keys(session, range(now - KEPT_PERIODS + 1, now + 1)):
            self._known[row.period] = json.loads(self._protector.open(row.private_sealed, _context(row.period)))

    async def _make(self, session: AsyncSession, period: int) -> None:
        key = JWK.generate(kty="EC", crv="P-256")
        kid = key.thumbprint()
        jwk = {**key.export(as_dict=True), "kid": kid, "use": "enc", "alg": ALG}
        sealed = self._protector.seal(json.dumps(jwk).encode(), _context(period))
        now = self._clock.now()
        await repository.add_encryption_key(
            session, {"period": period, "kid": kid, "private_sealed": sealed, "created_at": now}
        )

    def _period(self) -> int:
        return int(self._clock.now().timestamp() // PERIOD.total_seconds())


def _context(period: int) -> str:
    return f"request_encryption_key.private_sealed:{period}"
