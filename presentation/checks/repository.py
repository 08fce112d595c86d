"""All SQL of checks."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Table, delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from presentation.checks.models import JournalEntry, PatternReport
from presentation.checks.tables import CheckJournalEntryRow, CheckTraceRow, PatternReportRow

TRACE: Table = CheckTraceRow.__table__  # type: ignore[attr-defined]
REPORT: Table = PatternReportRow.__table__  # type: ignore[attr-defined]
JOURNAL: Table = CheckJournalEntryRow.__table__  # type: ignore[attr-defined]


async def recent_refusals(session: AsyncSession, client_id: str, since: datetime, at_most: int) -> int:
    """How many of a verifier's checks were refused since then; counting ends at `at_most`."""
    recent = (
        select(TRACE.c.position)
        .where(TRACE.c.client_id == client_id, TRACE.c.at > since, TRACE.c.refusal.is_not(None))
        .limit(at_most)
        .subquery()
    )
    return int((await session.execute(select(func.count()).select_from(recent))).scalar_one())


async def recent_holders(session: AsyncSession, client_id: str, since: datetime, at_most: int) -> int:
    """How many distinct holders stand in a verifier's newest `at_most` releases since then."""
    recent = (
        select(TRACE.c.holder_id)
        .where(TRACE.c.client_id == client_id, TRACE.c.at > since, TRACE.c.holder_id.is_not(None))
        .order_by(TRACE.c.at.desc())
        .limit(at_most)
        .subquery()
    )
    statement = select(func.count(recent.c.holder_id.distinct()))
    return int((await session.execute(statement)).scalar_one())


async def trace_release(
    session: AsyncSession,
    client_id: str,
    at: datetime,
    holder_id: str,
    number_mark: bytes,
    neighbours: Collection[bytes],
    since: datetime,
) -> int:
    """Note a release; how many numbers in a row this makes, the neighbours seen since then counted."""
    before = (
        select(func.coalesce(func.max(TRACE.c.number_run), 0) + 1)
        .where(TRACE.c.client_id == client_id, TRACE.c.number_mark.in_(list(neighbours)), TRACE.c.at > since)
        .scalar_subquery()
    )
    statement = insert(TRACE).values(
        client_id=client_id, at=at, holder_id=holder_id, number_mark=number_mark, number_run=before
    )
    return int((await session.execute(statement.returning(TRACE.c.number_run))).scalar_one())


async def trace_refusals(session: AsyncSession, client_id: str, at: datetime, codes: Sequence[str]) -> None:
    """Note refusals."""
    rows = [{"client_id": client_id, "at": at, "refusal": code, "number_run": 0} for code in codes]
    if rows:
        await session.execute(insert(TRACE), rows)


async def report(session: AsyncSession, client_id: str, kind: str, window_start: datetime, now: datetime) -> bool:
    """Report a stopped pattern; True when it is the first of its window."""
    statement = upsert(REPORT).values(client_id=client_id, kind=kind, window_start=window_start, last_at=now, stopped=1)
    statement = statement.on_conflict_do_update(
        index_elements=["client_id", "kind", "window_start"],
        set_={"stopped": REPORT.c.stopped + 1, "last_at": now},
    )
    return int((await session.execute(statement.returning(REPORT.c.stopped))).scalar_one()) == 1


async def reports(session: AsyncSession, limit: int) -> Sequence[PatternReport]:
    """The newest reports."""
    rows = await session.execute(select(REPORT).order_by(REPORT.c.last_at.desc(), REPORT.c.position).limit(limit))
    return [PatternReport(row.client_id, row.kind, row.window_start, row.last_at, row.stopped) for row in rows]


async def known_entries(session: AsyncSession, client_id: str, ids: Collection[str]) -> Mapping[str, bytes]:
    """Id → digest of the entries that came in before."""
    statement = select(JOURNAL.c.entry_id, JOURNAL.c.content_digest).where(
        JOURNAL.c.client_id == client_id, JOURNAL.c.entry_id.in_(list(ids))
    )
    return {entry_id: bytes(digest) for entry_id, digest in await session.execute(statement)}


async def take_entries(
    session: AsyncSession, client_id: str, device: str, entries: Sequence[JournalEntry], now: datetime
) -> set[str]:
    """Insert entries; the ids of those that nobody was faster with. In id order: no deadlocks."""
    rows = [
        {
            "client_id": client_id,
            "entry_id": entry.id,
            "device": device,
            "checked_at": entry.checked_at,
            "content_digest": entry.digest,
            "received_at": now,
        }
        for entry in sorted(entries, key=lambda entry: entry.id)
    ]
    if not rows:
        return set()
    statement = upsert(JOURNAL).values(rows).on_conflict_do_nothing(index_elements=["client_id", "entry_id"])
    return set((await session.execute(statement.returning(JOURNAL.c.entry_id))).scalars())


async def prune(session: AsyncSession, before: datetime) -> None:
    """Forget traces that no pattern looks at any more."""
    await session.execute(delete(TRACE).where(TRACE.c.at < before))
