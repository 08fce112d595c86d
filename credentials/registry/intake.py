"""Taking in what departments send: one path for a single licence, a batch over HTTP and a file.

A chunk of rows is one transaction: licences, holders, events, the batch's counts and its rejections are written
together or not at all, so a process killed in the middle has taken whole chunks, and sending the same rows again
changes nothing.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing

from sqlalchemy.ext.asyncio import AsyncSession

from credentials.catalogue import Catalogue, UnknownType
from credentials.catalogue.models import ItemType
from credentials.registry import repository
from credentials.registry.errors import IntakeConflict, Overtaken, RowError, UnknownBatch
from credentials.registry.formats.gbt36903 import row_from_line, row_from_object
from credentials.registry.formats.ndjson import LineSplitter
from credentials.registry.formats.rfc4180 import CsvTable
from credentials.registry.models import BatchReport, IntakeRow, IntakeSource, OperateType, Quality, Rejection
from credentials.registry.planning import ID_FORM, ChunkPlan, Planner, new_id
from credentials.registry.ports import Clock, Protector, StateFollower, UnitOfWork

CHUNK_ROWS = 2000  # one transaction: long enough to spread its cost, short enough to repeat and to let others write
CHUNK_BYTES = 4_000_000  # three chunks are held at a time: one being read, one planned, one written
ROWS_AT_A_STRETCH = 50  # then the loop serves others, the database above all: about 5 ms
ATTEMPTS = 10  # of a chunk that met other writers on the same records; each time one of them has got further
MAX_REJECTIONS = 1000  # named in one report: some 150 kB; the pages after it name the others


class Intake:
    """Takes rows into the store.

    Args:
        followers: told of every change of state, inside the transaction that makes it.
    """

    def __init__(
        self, catalogue: Catalogue, protector: Protector, clock: Clock, followers: Sequence[StateFollower] = ()
    ) -> None:
        self._catalogue = catalogue
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

    async def take_csv(
        self,
        uow: UnitOfWork,
        source: IntakeSource,
        pieces: AsyncIterable[bytes],
        encoding: str = "utf-8",
        progress: Callable[[int], None] = lambda rows: None,
    ) -> BatchReport:
        """Take a CSV stream (`formats/rfc4180.py`) as `take_stream` takes NDJSON; the header is line 1.

        Raises:
            FileError: the header cannot be understood; no batch was begun.
            IntakeConflict: as for `take_stream`.
        """
        async with aclosing(_lines(pieces)) as lines:
            table = CsvTable.from_header(await anext(lines, b""), encoding, self._item_types)

            def row_of(line: bytes) -> IntakeRow:
                return row_from_object(table.object_from_line(line))

            return await self._take_rows(uow, source, lines, progress, row_of, lines_before=1)

    def _item_types(self, certificate_type_code: str) -> Mapping[str, ItemType]:
        try:
            kind = self._catalogue.by_certificate_type_code(certificate_type_code)
        except UnknownType:
            return {}
        return {item.name: item.type for item in kind.items}

    async def _take_rows(
        self,
        uow: UnitOfWork,
        source: IntakeSource,
        lines: AsyncIterable[bytes],
        progress: Callable[[int], None],
        row_of: Callable[[bytes], IntakeRow] = row_from_line,
        lines_before: int = 0,
    ) -> BatchReport:
        async with uow.transaction() as session:
            batch_id = new_id(self._clock.now())
            await repository.insert_batch(session, batch_id, source.system, self._clock.now())
        last = before_last = _Chunk([])
        try:
            async with aclosing(_chunks(lines, row_of, lines_before)) as chunks:
                async for chunk in chunks:
                    await before_last.written()
                    if chunk.transfers or not chunk.records.isdisjoint(last.records):
                        await last.written()
                    chunk.task = asyncio.create_task(self._take_chunk(uow, source, batch_id, chunk, last, progress))
                    before_last, last = last, chunk
        finally:
            await last.written()
        async with uow.transaction() as session:
            await repository.finish_batch(session, batch_id, self._clock.now())
            return await self.report(session, batch_id)

    async def _take_chunk(
        self,
        uow: UnitOfWork,
        source: IntakeSource,
        batch_id: str,
        chunk: "_Chunk",
        before: "_Chunk",
        progress: Callable[[int], None],
    ) -> None:
        """Plan a chunk while the one before it is written, then write it in one transaction.

        Planned on what was seen without a lock, it may find itself overtaken by another writer. Then it is planned and
        written again under locks.
        """
        async with uow.snapshot() as session:
            plan: ChunkPlan | None = await self._plan(session, source, batch_id, chunk)
        await before.written()
        for _ in range(ATTEMPTS):
            try:
                with repository.told_of_other_writers():
                    async with uow.transaction() as session:
                        plan = plan or await self._plan(session, source, batch_id, chunk, lock=True)
                        await self._write(session, plan)
                return progress(len(chunk.rows))
            except Overtaken:
                plan = None
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

    async def quality(self, session: AsyncSession, batch_id: str) -> Quality:
        """What a batch says of the source's data; the first `MAX_REJECTIONS` flagged rows are named."""
        counts = await repository.rejections_by_code(session, batch_id)
        return Quality(counts, await self.flags(session, batch_id))

    async def flags(
        self, session: AsyncSession, batch_id: str, *, after_line: int = 0, limit: int = MAX_REJECTIONS
    ) -> Sequence[Rejection]:
        """What is wrong with accepted rows of a batch, by line: those after a line."""
        return await repository.flags(session, batch_id, after_line, limit)

    async def batches(
        self, session: AsyncSession, system: str, before: str | None, limit: int
    ) -> Sequence[BatchReport]:
        """The batches of a system without their rejections, the newest first: those before an id."""
        return await repository.batches_page(session, system, before, limit)

    async def _plan(
        self, session: AsyncSession, source: IntakeSource, batch_id: str, chunk: "_Chunk", *, lock: bool = False
    ) -> ChunkPlan:
        good = [row for _, row in chunk.rows if isinstance(row, IntakeRow)]
        identifiers = [row.content.identifier for row in good if row.content and row.content.identifier]
        elsewhere = [content.predecessor_identifier for content in chunk.transfers if content.predecessor_identifier]
        current = await repository.current_licences(session, source.system, chunk.records, lock=lock)
        plan = ChunkPlan(
            now=self._clock.now(),
            batch_id=batch_id,
            source=source,
            # In this order: a row that another writer commits in between is then known, and not taken for a clash.
            current=current,
            named=await repository.named_licences(session, elsewhere, current.values(), lock=lock),
            taken=await repository.taken_identifiers(session, identifiers),
            known=await repository.known_versions(session, source.system, chunk.records),
        )
        plan.stored_counts = {held.id: held.event_count for held in (*current.values(), *plan.named.values())}
        for at, (number, row) in enumerate(chunk.rows):
            if at % ROWS_AT_A_STRETCH == 0:
                await asyncio.sleep(0)
            plan.line = number
            try:
                if isinstance(row, RowError):
                    raise row
                plan.counts["accepted" if self._planner.plan(plan, row) else "unchanged"] += 1
            except RowError as error:
                plan.rejections.append(Rejection(number, error.code, error.field, error.detail))
                plan.counts["rejected"] += 1
        return plan

    async def _write(self, session: AsyncSession, chunk: ChunkPlan) -> None:
        moved = list(chunk.moved.values())
        if not await repository.move_licences(session, moved, chunk.stored_counts, chunk.now):
            raise Overtaken
        if chunk.fresh:
            holder_ids = await repository.save_holders(session, chunk.holders.values())
            ended = await repository.ended_among(session, holder_ids.values())
            for licence_id, index, _ in chunk.licence_holders:
                if holder_ids[index] in ended:
                    chunk.fresh[licence_id]["holder_ended"] = True
            # In one order for all writers, so that they wait for each other in turn.
            fresh = sorted(chunk.fresh.values(), key=lambda licence: (licence["source_record_id"], licence["version"]))
            await repository.insert_rows(session, repository.LICENCE, fresh)
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
        await repository.insert_events(session, chunk.events)
        for follower in self._followers if chunk.changes else ():
            await follower.follow(session, chunk.changes)
        for table, remarks in ((repository.REJECTION, chunk.rejections), (repository.FLAG, chunk.flags)):
            await repository.insert_rows(session, table, [{"batch_id": chunk.batch_id, **vars(no)} for no in remarks])
        await repository.add_to_batch(session, chunk.batch_id, chunk.counts)


class _Chunk:
    """Numbered rows that are one transaction."""

    def __init__(self, rows: Sequence[tuple[int, IntakeRow | RowError]]) -> None:
        self.rows = rows
        good = [row for _, row in rows if isinstance(row, IntakeRow)]
        self.records = {row.source_record_id for row in good}
        self.transfers = [row.content for row in good if row.content and row.operate_type is OperateType.TRANSFER_IN]
        self.task: asyncio.Task[None] | None = None

    async def written(self) -> None:
        """Wait until it is written. Raises what writing it raised."""
        if self.task is not None:
            await self.task


async def _chunks(
    lines: AsyncIterable[bytes], row_of: Callable[[bytes], IntakeRow], number: int
) -> AsyncGenerator[_Chunk, None]:
    """Rows, checked for form and numbered, `CHUNK_ROWS` at a time or fewer when they are long."""
    rows: list[tuple[int, IntakeRow | RowError]] = []
    size = 0
    async for line in lines:
        number += 1
        if number % ROWS_AT_A_STRETCH == 0:
            await asyncio.sleep(0)
        if line.strip():
            rows.append((number, _parsed(line, row_of)))
            size += len(line)
        if len(rows) == CHUNK_ROWS or size > CHUNK_BYTES:
            yield _Chunk(rows)
            rows, size = [], 0
    if rows:
        yield _Chunk(rows)


def _parsed(line: bytes, row_of: Callable[[bytes], IntakeRow]) -> IntakeRow | RowError:
    try:
        return row_of(line)
    except RowError as error:
        return error


async def _lines(pieces: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    splitter = LineSplitter()
    async for piece in pieces:
        for line in splitter.feed(piece):
            yield line
    if last := splitter.end():
        yield last
