"""Writing, reading and proving the access log."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from presentation.accesslog import repository
from presentation.accesslog.formats.entry_hash import GENESIS, chained, entry_digest
from presentation.accesslog.models import AccessEntry, AccessPage, ChainFault, Release
from presentation.accesslog.ports import Clock, Protector

MAX_PAGE = 100
_CHUNK = 500  # rows read at a time when a chain is proven


class AccessLog:
    """The log. Every method works in the caller's session."""

    def __init__(self, clock: Clock, protector: Protector) -> None:
        self._clock = clock
        self._protector = protector

    async def append(self, session: AsyncSession, release: Release) -> None:
        """Write that something is released, at the end of the holder's chain.

        To be called in the transaction that releases. Others who append for the same holder wait until it ends.
        """
        sequence, previous = await repository.take_place(session, release.holder_id, GENESIS)
        recorded_at = self._clock.now()
        entry = AccessEntry(**_members(release), sequence=sequence, recorded_at=recorded_at)
        digest = entry_digest(release, recorded_at)
        values = _members(entry) | {"items": list(entry.items), "entry_hash": chained(previous, sequence, digest)}
        del values["reason"], values["operator"]
        values["note_sealed"] = sealed_note(release, self._protector)
        await repository.add(session, values)

    async def page(self, session: AsyncSession, holder_id: str, before: int | None, limit: int) -> AccessPage:
        """A holder's releases, newest first.

        Args:
            before: the sequence of the last entry of the page before, None for the first page.
            limit: 1 to 100.
        """
        limit = max(1, min(limit, MAX_PAGE))
        rows = await repository.newest(session, holder_id, before, limit + 1)
        entries = tuple(self._opened(row) for row in rows[:limit])
        return AccessPage(entries, more=len(rows) > limit)

    async def holders_since(self, session: AsyncSession, since: datetime) -> Mapping[str, datetime]:
        """Whose licences were checked on line, or whose offline checks arrived, since an instant; and when last."""
        return await repository.holders_since(session, since)

    async def holders(self, session: AsyncSession) -> AsyncIterator[str]:
        """Every holder that has a chain."""
        after = ""
        while found := await repository.holder_ids(session, after, _CHUNK):
            for holder_id in found:
                yield holder_id
            after = found[-1]

    async def verify(self, session: AsyncSession, holder_id: str) -> Sequence[ChainFault]:
        """Prove a holder's chain; the first fault found, or none.

        A row that was changed, removed, inserted or put elsewhere breaks the hashes or the numbering; rows cut off at
        the end do not reach the head. Who can write both rows and head and knows this format can make a new chain:
        compare heads that were noted elsewhere.
        """
        previous, at, size = GENESIS, 0, _CHUNK
        while True:
            try:
                rows = await repository.oldest(session, holder_id, at, size)
            except ValueError as error:  # a column of SQLite holds whatever was put there
                if size == 1:
                    return [ChainFault(holder_id, at + 1, f"the row cannot be read ({type(error).__name__})")]
                size = 1  # to find out which one
                continue
            if not rows:
                break
            for row in rows:
                if row.sequence != at + 1:
                    return [ChainFault(holder_id, at + 1, "the row is missing")]
                at += 1
                try:
                    expected = chained(previous, at, entry_digest(self._opened(row), row.recorded_at))
                except Exception as error:  # noqa: BLE001  (whatever a tampered row does to its reader is the finding)
                    return [ChainFault(holder_id, at, f"the row cannot be read ({type(error).__name__})")]
                if expected != row.entry_hash:
                    return [ChainFault(holder_id, at, "the row does not follow from the one before, or was changed")]
                previous = row.entry_hash
        head = await repository.head(session, holder_id)
        if head is None or (head.sequence, bytes(head.entry_hash)) != (at, bytes(previous)):
            return [ChainFault(holder_id, at + 1, "the chain does not end where its head says")]
        return []

    def _opened(self, row: Row[Any]) -> AccessEntry:
        members = dict(row._mapping)
        sealed = members.pop("note_sealed")
        members.pop("entry_hash")
        note: dict[str, Any] = {}
        if sealed is not None:
            note = json.loads(self._protector.open(sealed, f"access_log.note:{row.holder_id}:{row.check_id}"))
        return AccessEntry(**members | {"items": tuple(members["items"])}, **note)


def _members(release: Release) -> dict[str, Any]:
    return dict(vars(release))


def sealed_note(release: Release, protector: Protector) -> bytes | None:
    """Reason and operator, sealed for their row; None where neither was given."""
    if release.reason is None and release.operator is None:
        return None
    note = json.dumps({"reason": release.reason, "operator": release.operator}, ensure_ascii=False)
    return protector.seal(note.encode(), f"access_log.note:{release.holder_id}:{release.check_id}")
