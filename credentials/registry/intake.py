"""Taking in what departments send: one path for a single licence, a batch over HTTP and a file.

A chunk of rows is one transaction: licences, holders, events, the batch's counts and its rejections are written
together or not at all, so a process killed in the middle has taken whole chunks, and sending the same rows again
changes nothing.
"""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.catalogue import Catalogue
from credentials.registry import repository
from credentials.registry.errors import IntakeConflict, RowError, UnknownBatch
from credentials.registry.formats.gbt36903 import row_from_line
from credentials.registry.formats.ndjson import LineSplitter
from credentials.registry.models import BatchReport, IntakeRow, IntakeSource, Rejection
from credentials.registry.planning import ID_FORM, ChunkPlan, Planner, new_id
from credentials.registry.ports import Clock, Protector, StateFollower, UnitOfWork

CHUNK_ROWS = 500  # one transaction: long enough to spread its cost, short enough to repeat and to let others write
MAX_REJECTIONS = 1000  # named in one report: some 150 kB; the pages after it name the others
ATTEMPTS = 5  # of a chunk that met another writer on the same records


class Intake:
    """Takes rows into the store.

    Args:
        followers: told of every change of state, inside the transaction that makes it.
    """

    def __init__(
        self, catalogue: Catalogue, protector: Protector, clock: Clock, followers: Sequence[StateFollower] = ()
    ) -> None:
        self._planner = Planner(catalogue, protector)
        self._clock = clock
        self._followers = followers

    async def take_all(self, uow: UnitOfWork, source: IntakeSource, rows: Iterable[bytes]) -> BatchReport:
        """Take rows that are at hand, each a JSON object in bytes, and report row by row. Raises as `take_stream`."""

        async def one_by_one() -> AsyncIterator[bytes]:
            for row in rows:
                yield row

        return await self._take_rows(uow, source, one_by_one(), lambda rows: None)

    async def take_stream(
        self,
        uow: UnitOfWork,
        source: IntakeSource,
        pieces: AsyncIterable[bytes],
        progress: Callable[[int], None] = lambda rows: None,
    ) -> BatchReport:
        """Take an NDJSON stream of any length in bounded memory, and report row by row.

        Args:
            pieces: the bytes as they arrive; empty lines are passed over (they count as lines, not as rows).
            progress: called with the number of rows of each chunk once it is committed.

        Raises:
            IntakeConflict: a chunk met other writers on its records again and again; what came before it is kept.
        """
        return await self._take_rows(uow, source, _lines(pieces), progress)

    async def _take_rows(
        self, uow: UnitOfWork, source: IntakeSource, rows: AsyncIterable[bytes], progress: Callable[[int], None]
    ) -> BatchReport:
        async with uow.transaction() as session:
            batch_id = await self.open_batch(session, source)
        async with aclosing(_chunks(rows)) as chunks:
            async for chunk in chunks:
                await self.take_chunk(uow, source, batch_id, chunk)
                progress(len(chunk))
        async with uow.transaction() as session:
            await repository.finish_batch(session, batch_id, self._clock.now())
            return await self.report(session, batch_id)

    async def open_batch(self, session: AsyncSession, source: IntakeSource) -> str:
        """Start a batch; its id is what the report is read by."""
        batch_id = new_id(self._clock.now())
        await repository.insert_batch(session, batch_id, source.system, self._clock.now())
        return batch_id

    async def take_chunk(
        self, uow: UnitOfWork, source: IntakeSource, batch_id: str, lines: Sequence[tuple[int, bytes]]
    ) -> None:
        """Take (line number, row) pairs in one transaction, again from the start when another writer was faster."""
        for _ in range(ATTEMPTS):
            try:
                async with uow.transaction() as session:
                    return await self._take(session, source, batch_id, lines)
            except DBAPIError as error:
                if not _another_writer(error):
                    raise
            except _Overtaken:
                continue
        raise IntakeConflict("other writers kept changing the same records; send the rows again")

    async def report(
        self,
        session: AsyncSession,
        batch_id: str,
        system: str | None = None,
        *,
        after_line: int = 0,
        limit: int = MAX_REJECTIONS,
    ) -> BatchReport:
        """What became of a batch, readable at any later time.

        Args:
            after_line, limit: which refused lines to name; the counts tell of all.

        Raises:
            UnknownBatch: it is not there, or not of `system`.
        """
        well_formed = ID_FORM.fullmatch(batch_id)
        report = await repository.batch_report(session, batch_id, system, after_line, limit) if well_formed else None
        if report is None:
            raise UnknownBatch("there is no such batch")
        return report

    async def batches(
        self, session: AsyncSession, system: str, before: str | None, limit: int
    ) -> Sequence[BatchReport]:
        """The batches of a system without their rejections, the newest first: those before an id."""
        return await repository.batches_page(session, system, before, limit)

    async def _take(
        self, session: AsyncSession, source: IntakeSource, batch_id: str, lines: Sequence[tuple[int, bytes]]
    ) -> None:
        rows = [(number, _parsed(line)) for number, line in lines]
        good = [row for _, row in rows if isinstance(row, IntakeRow)]
        records = {row.source_record_id for row in good}
        identifiers = [row.content.identifier for row in good if row.content and row.content.identifier]
        chunk = ChunkPlan(
            now=self._clock.now(),
            batch_id=batch_id,
            source=source,
            # In this order: a row that another writer commits in between is then known, and not taken for a clash.
            current=await repository.lock_current(session, source.system, records),
            taken=await repository.taken_identifiers(session, identifiers),
            known=await repository.known_versions(session, source.system, records),
        )
        chunk.stored_states = {held.id: held.state for held in chunk.current.values()}
        for number, row in rows:
            try:
                if isinstance(row, RowError):
                    raise row
                chunk.counts["accepted" if self._planner.plan(chunk, row) else "unchanged"] += 1
            except RowError as error:
                chunk.rejections.append(Rejection(number, error.code, error.field, error.detail))
                chunk.counts["rejected"] += 1
        await self._write(session, chunk)

    async def _write(self, session: AsyncSession, chunk: ChunkPlan) -> None:
        for licence in sorted(chunk.moved.values(), key=lambda moved: moved.id):
            was = chunk.stored_states[licence.id]
            if not await repository.update_licence(session, licence, was=was, updated_at=chunk.now):
                raise _Overtaken
        if chunk.fresh:
            holder_ids = await repository.save_holders(session, list(chunk.holders.values()))
            await repository.insert_rows(session, repository.LICENCE, list(chunk.fresh.values()))
            links = [
                {"licence_id": licence_id, "holder_id": holder_ids[index], "position": position}
                for licence_id, index, position in chunk.licence_holders
            ]
            await repository.insert_rows(session, repository.LICENCE_HOLDER, links)
            links = [
                {"licence_id": licence_id, "holder_id": holder_ids[index], "position": position}
                for licence_id, index, position in chunk.licence_representatives
            ]
            await repository.insert_rows(session, repository.LICENCE_REPRESENTATIVE, links)
        await repository.insert_rows(session, repository.EVENT, chunk.events)
        for follower in self._followers if chunk.changes else ():
            await follower.follow(session, chunk.changes)
        refused = [
            {"batch_id": chunk.batch_id, "line": no.line, "code": no.code, "field": no.field, "detail": no.detail}
            for no in chunk.rejections
        ]
        await repository.insert_rows(session, repository.REJECTION, refused)
        await repository.add_to_batch(session, chunk.batch_id, chunk.counts)


class _Overtaken(Exception):
    """Another writer moved a licence of this chunk; take the chunk again."""


def _parsed(line: bytes) -> IntakeRow | RowError:
    try:
        return row_from_line(line)
    except RowError as error:
        return error


async def _chunks(rows: AsyncIterable[bytes]) -> AsyncGenerator[list[tuple[int, bytes]], None]:
    """Numbered rows, `CHUNK_ROWS` at a time."""
    chunk: list[tuple[int, bytes]] = []
    number = 0
    async for row in rows:
        number += 1
        if row.strip():
            chunk.append((number, row))
        if len(chunk) == CHUNK_ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


async def _lines(pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    splitter = LineSplitter()
    async for piece in pieces:
        for line in splitter.feed(piece):
            yield line
    if last := splitter.end():
        yield last


def _another_writer(error: DBAPIError) -> bool:
    """Whether the database refused because of a concurrent writer: a taken unique key, a deadlock, a busy file."""
    state = getattr(error.orig, "sqlstate", None)  # asyncpg
    return state in {"23505", "40P01", "40001"} or "UNIQUE constraint" in str(error.orig)
