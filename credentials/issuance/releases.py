"""What waits for a clerk of the issuing authority (发证确认): types whose pack says so are released by hand."""

import re
from collections.abc import Collection, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from credentials.issuance import repository
from credentials.issuance.errors import ReleaseDecided, ReleaseUnknown
from credentials.issuance.models import WaitingRelease
from credentials.issuance.ports import Clock

MAX_PAGE = 100
_ID = re.compile(r"[0-9A-Za-z]{1,32}")


class Releases:
    """Lists what waits, and takes a clerk's decisions. Wallets come for the outcome by themselves."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def waiting(
        self, session: AsyncSession, authority_codes: Collection[str], after: str = "", limit: int = 20
    ) -> Sequence[WaitingRelease]:
        """What waits for these authorities, the oldest first.

        Args:
            after: the id to go on after; `""` from the start.
        """
        now = self._clock.now()
        rows = await repository.waiting_releases(session, authority_codes, after, min(limit, MAX_PAGE), now)
        return [WaitingRelease(row.id, row.licence_id, len(row.keys), row.created_at) for row in rows]

    async def decide(
        self, session: AsyncSession, release_id: str, authority_codes: Collection[str], by: str, *, release: bool
    ) -> None:
        """Release or deny; of two clerks at once one decides. The same decision once more changes nothing.

        Args:
            by: who decides, for the record: the department's client id.

        Raises:
            ReleaseUnknown: nothing of these authorities is under this id.
            ReleaseDecided: it was decided otherwise before.
        """
        known = _ID.fullmatch(release_id)  # PostgreSQL takes no NUL in a text
        row = await repository.release(session, release_id, authority_codes) if known else None
        if row is None or row.expires_at <= self._clock.now():
            raise ReleaseUnknown("nothing waits under this id")
        state = "released" if release else "denied"
        values = {"state": state, "decided_by": by, "decided_at": self._clock.now()}
        if await repository.move_deferred(session, release_id, "waiting", **values):
            return
        row = await repository.release(session, release_id, authority_codes)
        decided = {"released", "delivered"} if release else {"denied"}
        if row is None or row.state not in decided:
            raise ReleaseDecided("it was decided otherwise before")
