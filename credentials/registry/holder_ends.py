"""What registers of persons and organisations say of holders' ends: taken in, kept, and told to whoever follows."""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from credentials.registry import repository
from credentials.registry.errors import IntakeConflict, Overtaken, RowError
from credentials.registry.models import SHANGHAI, EndOutcome, EndVerdict, HolderEnd
from credentials.registry.ports import Clock, Protector, UnitOfWork

ATTEMPTS = 10  # of rows that met other writers on the same holders; each time one of them has got further


@dataclass(frozen=True)
class EndReport:
    """What became of each row, in their order."""

    verdicts: Sequence[EndVerdict]

    @property
    def counts(self) -> Mapping[str, int]:
        """How many rows had which outcome; together they are all rows."""
        found = Counter(verdict.outcome for verdict in self.verdicts)
        return {outcome.value: found[outcome] for outcome in EndOutcome}


Note = Callable[[AsyncSession, EndReport], Awaitable[None]]


class HolderEnds:
    """Takes what registers report.

    Each register speaks for itself: a holder has ended while the newest version of some register's record says so, and
    only that register takes it back.
    """

    def __init__(self, protector: Protector, clock: Clock) -> None:
        self._protector = protector
        self._clock = clock

    async def take_all(
        self, uow: UnitOfWork, system: str, rows: Sequence[HolderEnd | RowError], note: Note | None = None
    ) -> EndReport:
        """Take rows in one transaction, and say what became of each. The same again changes nothing.

        Rows of holders whom the store does not know are not kept: the register sends them again.

        Args:
            system: the register that speaks; versions count within it.
            rows: a row that is refused already goes in as the reason.
            note: told of the report within the transaction, when something was accepted.

        Raises:
            IntakeConflict: other writers kept taking the same holders; nothing was written.
        """
        for _ in range(ATTEMPTS):
            try:
                with repository.told_of_other_writers():
                    async with uow.transaction() as session:
                        report = await self._take(session, system, rows)
                        if note is not None and report.counts[EndOutcome.ACCEPTED]:
                            await note(session, report)
                return report
            except Overtaken:
                continue
        raise IntakeConflict("other writers kept changing the same holders; send the rows again")

    async def _take(self, session: AsyncSession, system: str, rows: Sequence[HolderEnd | RowError]) -> EndReport:
        indexes = {self._index(row) for row in rows if isinstance(row, HolderEnd)}
        # Licences before holders, as intake does: neither waits for the other in a circle.
        await repository.lock_licences_held(session, indexes)
        holders = await repository.lock_holders(session, indexes)
        said = _Said.of(await repository.ends_of(session, [holder.id for holder in holders.values()]))
        today = self._clock.now().astimezone(SHANGHAI).date()
        events: list[dict[str, Any]] = []
        verdicts = list(
            self._judged(system, rows, {index: row.id for index, row in holders.items()}, said, today, events)
        )
        await repository.insert_ends(session, events)
        told = {event["holder_id"] for event in events}
        moved = {
            row.id: not row.ended for row in holders.values() if row.id in told and said.ended(row.id) != row.ended
        }
        if moved:
            # Whoever brought in a licence of theirs meanwhile has committed: its flag is set below as well.
            await repository.lock_licences_held(session, indexes)
        for ended in (True, False):
            ids = [holder_id for holder_id, now_ended in moved.items() if now_ended is ended]
            await repository.mark_ended(session, ids, ended=ended)
        return EndReport(verdicts)

    def _judged(
        self,
        system: str,
        rows: Sequence[HolderEnd | RowError],
        holder_ids: Mapping[bytes, str],
        said: "_Said",
        today: date,
        events: list[dict[str, Any]],
    ) -> Iterator[EndVerdict]:
        """Row by row; a later row of a holder sees what an earlier one said."""
        for row in rows:
            try:
                if isinstance(row, RowError):
                    raise row
                if row.ended_on is not None and row.ended_on > today:
                    raise RowError("date_in_future", "ended_on", "an end is reported once it has come")
                holder_id = holder_ids.get(self._index(row))
                if holder_id is None:
                    yield EndVerdict(EndOutcome.UNKNOWN_HOLDER)
                elif said.add(holder_id, system, row, digest := self._digest(row)):
                    events.append(self._event(holder_id, system, row, digest))
                    yield EndVerdict(EndOutcome.ACCEPTED)
                else:
                    yield EndVerdict(EndOutcome.UNCHANGED)
            except RowError as error:
                yield EndVerdict(EndOutcome.REJECTED, error)

    def _event(self, holder_id: str, system: str, row: HolderEnd, digest: bytes) -> dict[str, Any]:
        place = f"holder_end.ended_on:{holder_id}:{system}:{row.source_version}"
        day = row.ended_on and row.ended_on.isoformat().encode()
        return {
            "holder_id": holder_id,
            "source_system": system,
            "source_version": row.source_version,
            "ended_on_sealed": day and self._protector.seal(day, place),
            "row_digest": digest,
            "occurred_at": self._clock.now(),
        }

    def _index(self, row: HolderEnd) -> bytes:
        return self._protector.blind_index("holder", f"{row.code_type}:{row.code}")

    def _digest(self, row: HolderEnd) -> bytes:
        content = f"{row.code_type}:{row.code}:{row.source_version}:{row.ended_on or ''}"
        return self._protector.blind_index("holder-end", content)


@dataclass
class _Said:
    """Holder → register → version of its record → (digest of the row, whether it says that they have ended)."""

    of_holder: defaultdict[str, defaultdict[str, dict[int, tuple[bytes, bool]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(dict))
    )

    @classmethod
    def of(cls, rows: Sequence[Any]) -> "_Said":
        said = cls()
        for row in rows:
            known = (row.row_digest, row.ended_on_sealed is not None)
            said.of_holder[row.holder_id][row.source_system][row.source_version] = known
        return said

    def add(self, holder_id: str, system: str, row: HolderEnd, digest: bytes) -> bool:
        """Take a row; False when it is known already.

        Raises:
            RowError: `source_version_conflict` or `source_version_outdated`.
        """
        versions = self.of_holder[holder_id][system]
        known = versions.get(row.source_version)
        if known is not None:
            if known[0] != digest:
                raise RowError("source_version_conflict", "source_version", "this version was sent with other content")
            return False
        if versions and row.source_version < max(versions):
            raise RowError("source_version_outdated", "source_version", "the store holds a newer version")
        versions[row.source_version] = (digest, row.ended_on is not None)
        return True

    def ended(self, holder_id: str) -> bool:
        """Whether the newest version of some register's record says that a holder has ended."""
        return any(versions[max(versions)][1] for versions in self.of_holder[holder_id].values())
