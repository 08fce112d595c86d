"""`ports.CheckRecords` in the database's common language: what SQLite runs.

A module beside the vocabulary: PostgreSQL has another one, in two statements (`wallet_api/check_statements.py`).
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from presentation.accesslog import AccessLog, Release
from presentation.checks import patterns, repository
from presentation.checks.models import Ground, LicenceState, StatusPlaceKey, Written
from presentation.checks.ports import Licences, OneTimeValues, UnitOfWork
from presentation.scenes import repository as scenes
from presentation.verifiers import repository as verifiers

BURN_PURPOSE = "live_code"


class StoredRecords:
    """Reads and writes statement by statement, in one transaction each."""

    def __init__(
        self, database: UnitOfWork, licences: Licences, one_time: OneTimeValues, access_log: AccessLog
    ) -> None:
        self._database = database
        self._licences = licences
        self._one_time = one_time
        self._access_log = access_log

    async def look_up(self, client_id: str, scene_id: str, place: StatusPlaceKey | None, now: datetime) -> Ground:
        """See `ports.CheckRecords`."""
        async with self._database.snapshot() as session:
            verifier = await verifiers.find(session, client_id)
            newest = await scenes.newest(session, scene_id)
            licences = await self._licences.shown(session, [place] if place else [])
            refusals = holders = 0
            if verifier is not None:
                refusals, holders = await patterns.counts(session, verifier, now)
        return Ground(
            verifier=verifier,
            scene=newest[0] if newest else None,
            licence=licences.get(place) if place else None,
            refusals=refusals,
            holders=holders,
        )

    async def write(self, release: Release, burned: bytes, burned_until: datetime, marks: Sequence[bytes]) -> Written:
        """See `ports.CheckRecords`."""
        async with self._database.transaction() as session:
            written = await self._written(session, release, burned, burned_until, marks)
            if written is not Written.DONE:
                await session.rollback()
        return written

    async def _written(
        self,
        session: AsyncSession,
        release: Release,
        burned: bytes,
        burned_until: datetime,
        marks: Sequence[bytes],
    ) -> Written:
        verifier = await verifiers.find(session, release.client_id)
        state = await self._licences.state(session, release.licence_id)
        if verifier is None or verifier.suspended_at is not None or state is not LicenceState.VALID:
            return Written.CHANGED
        if not await self._one_time.burn(session, BURN_PURPOSE, burned.hex(), burned_until):
            return Written.ALREADY_USED
        run = await repository.trace_release(
            session,
            release.client_id,
            release.at,
            release.holder_id,
            marks[0],
            marks[1:],
            release.at - patterns.SEQUENCE_WITHIN,
        )
        if run > patterns.LONGEST_RUN:
            return Written.SEQUENCE
        await self._access_log.append(session, release)
        return Written.DONE
