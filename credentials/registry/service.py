"""Reading the store: licences with their personal data opened, holders, and the feed of what changed."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

import orjson
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.registry import feeds, repository
from credentials.registry.errors import RowError, UnknownHolder, UnknownLicence
from credentials.registry.formats.gbt36903 import holder_code
from credentials.registry.models import (
    SHANGHAI,
    CertState,
    HistoryEntry,
    HolderEndEvent,
    HolderEntry,
    Licence,
    LicenceEvent,
    LicenceFilter,
    LicenceSummary,
    OperateType,
)
from credentials.registry.ports import Clock, Protector

_SUMMARY = [member.name for member in fields(LicenceSummary) if member.name != "state"]


@dataclass(frozen=True)
class Holder:
    """A holder with the personal data opened.

    Attributes:
        mobile: E.164, or None when no department gave one.
        ended: a register says that they died or were dissolved (`HolderEnds`).
    """

    id: str
    code_type: str
    name: str
    mobile: str | None
    ended: bool


class Registry:
    """The store as others read it. Every method works in the caller's session."""

    def __init__(self, protector: Protector, clock: Clock) -> None:
        self._protector = protector
        self._clock = clock

    async def licence(self, session: AsyncSession, licence_id: str, *, lock: bool = False) -> Licence:
        """One licence by its id.

        Args:
            lock: hold its row until the transaction ends, so that its state cannot change meanwhile.

        Raises:
            UnknownLicence: there is none.
        """
        row = await repository.licence_row(session, licence_id, lock=lock)
        if row is None:
            raise UnknownLicence("there is no such licence")
        holders = await repository.holders_of(session, [licence_id])
        return self.opened(row, holders.get(licence_id, ()))

    async def newest_version(self, session: AsyncSession, licence_id: str) -> Licence:
        """A licence, or the newest version that followed it; the row is locked until the transaction ends.

        Each version is locked before its successor is looked for: a renewal that is under way is waited for.

        Raises:
            UnknownLicence: there is no licence with this id.
        """
        licence = await self.licence(session, licence_id, lock=True)
        if licence.state is CertState.LAPSED:  # a renewal leaves what it replaces lapsed
            successor_id = await repository.successor_id(session, licence_id)
            if successor_id is not None:
                return await self.newest_version(session, successor_id)
        return licence

    async def in_force(
        self, session: AsyncSession, holder_id: str, type_codes: Iterable[str], now: datetime
    ) -> Mapping[str, Sequence[str]]:
        """Type code → ids of the holder's licences of that type that are valid on the day of `now`, newest first."""
        today = now.astimezone(SHANGHAI).date()
        found: dict[str, list[str]] = {}
        for type_code, licence_id in await repository.licences_in_force(session, holder_id, type_codes, today):
            found.setdefault(type_code, []).append(licence_id)
        return found

    async def by_identifier(self, session: AsyncSession, identifier: str) -> Licence:
        """One licence by its GB/T 36904 identifier.

        Raises:
            UnknownLicence: no licence carries it.
        """
        licence_id = await repository.licence_id_by_identifier(session, identifier)
        if licence_id is None:
            raise UnknownLicence("no licence carries this identifier")
        return await self.licence(session, licence_id)

    async def by_number(self, session: AsyncSession, type_code: str, number: str) -> Sequence[Licence]:
        """Every version of the licences of a type that carry this number, oldest first."""
        index = self._protector.blind_index(f"number:{type_code}", number)
        return await self.licences(session, await repository.licence_ids_by_number(session, index))

    async def lineage(self, session: AsyncSession, licence_id: str) -> Sequence[Licence]:
        """A licence with all that it took the place of and all that took its place, the oldest first.

        Raises:
            UnknownLicence: there is no licence with this id.
        """
        ids = await repository.lineage_ids(session, licence_id)
        if not ids:
            raise UnknownLicence("there is no such licence")
        return await self.licences(session, ids)

    async def of_holder(self, session: AsyncSession, holder_id: str) -> Sequence[Licence]:
        """All licences that name a holder, in whatever state, the newest first."""
        return await self.licences(session, await repository.licence_ids_of_holder(session, holder_id))

    async def valid_licences(
        self,
        session: AsyncSession,
        *,
        type_code: str | None = None,
        last_day_from: date | None = None,
        last_day_until: date | None = None,
        limit: int = 20,
    ) -> Sequence[Licence]:
        """Licences in state 01, the one that ends first first. `last_day_until` leaves long-term licences out."""
        ids = await repository.licence_ids_where(
            session, type_code=type_code, last_day_from=last_day_from, last_day_until=last_day_until, limit=limit
        )
        return await self.licences(session, ids)

    async def list_licences(
        self, session: AsyncSession, wanted: LicenceFilter, after: tuple[datetime, str] | None, limit: int
    ) -> Sequence[LicenceSummary]:
        """Licences of some authorities, the one that changed longest ago first.

        Args:
            after: (updated_at, id) of the last one of the page before.
        """
        rows = await repository.licences_page(session, wanted, after, limit)
        return [
            LicenceSummary(**{name: getattr(row, name) for name in _SUMMARY}, state=CertState(row.state))
            for row in rows
        ]

    async def history(self, session: AsyncSession, licence_id: str, after: int, limit: int) -> Sequence[HistoryEntry]:
        """The history of one licence, oldest first, with reasons opened: those after a sequence number."""
        return [
            HistoryEntry(
                sequence=row.sequence,
                operate_type=OperateType(row.operate_type),
                state=CertState(row.state),
                reason=self._reason(row),
                source_system=row.source_system,
                source_version=row.source_version,
                batch_id=row.batch_id,
                occurred_at=row.occurred_at,
            )
            for row in await repository.history_page(session, licence_id, after, limit)
        ]

    def _reason(self, row: Row[Any]) -> str | None:
        place = f"licence_event.reason:{row.licence_id}:{row.sequence}"
        return self._protector.open(row.reason_sealed, place).decode() if row.reason_sealed else None

    async def holder(self, session: AsyncSession, holder_id: str) -> Holder:
        """One holder.

        Raises:
            UnknownHolder: there is none.
        """
        row = await repository.holder_row(session, holder_id)
        if row is None:
            raise UnknownHolder("the store holds nobody by this reference")
        return self._opened_holder(row)

    async def holders_by_id(self, session: AsyncSession, holder_ids: Collection[str]) -> Mapping[str, Holder]:
        """Those of these holders whom the store has, with one statement."""
        rows = await repository.holder_rows_by_id(session, holder_ids)
        return {row.id: self._opened_holder(row) for row in rows}

    async def holders(self, session: AsyncSession, limit: int) -> Sequence[Holder]:
        """Up to so many holders, the first that came first."""
        return [self._opened_holder(row) for row in await repository.holder_rows(session, limit)]

    async def holder_by_code(self, session: AsyncSession, code_type: str, code: str) -> Holder:
        """The holder with an identity number, in whatever spelling the number has a normal form for.

        Args:
            code_type: GB/T 36903 appendix A, e.g. `111`.

        Raises:
            UnknownHolder: the store holds nobody by this number, or it is no such number.
        """
        try:
            normal = holder_code(code_type, code)
        except RowError:
            raise UnknownHolder("the store holds nobody by this number") from None  # the cause's place is the number's
        index = self._protector.blind_index("holder", f"{code_type}:{normal}")
        row = await repository.holder_row_by_code(session, index)
        if row is None:
            raise UnknownHolder("the store holds nobody by this number")
        return self._opened_holder(row)

    async def represented_by(self, session: AsyncSession, person_holder_id: str) -> Sequence[Holder]:
        """The organisations that a person may act for today: licences in force name the person as representative.

        Who has ended acts for nobody.
        """
        today = self._clock.now().astimezone(SHANGHAI).date()
        rows = await repository.holder_rows_represented_by(session, person_holder_id, today)
        return [self._opened_holder(row) for row in rows]

    async def representatives(self, session: AsyncSession, holder_ids: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Holder → the persons whom its licences name to act for it today or from a later day on.

        Who has none is left out; persons who have ended are not among them. Whom somebody may act for today:
        `represented_by`.
        """
        today = self._clock.now().astimezone(SHANGHAI).date()
        return await repository.representatives_of(session, holder_ids, today)

    async def beside_representing(self, session: AsyncSession, licence_ids: Collection[str]) -> Sequence[str]:
        """The other licences of holders for whom one of these licences names who may act."""
        return await repository.ids_beside_representing(session, licence_ids)

    async def ids_naming(self, session: AsyncSession, holder_ids: Collection[str]) -> Sequence[str]:
        """The licences of these holders, and of everybody for whom some licence names one of them to act."""
        return await repository.ids_naming(session, holder_ids)

    async def ended_among(self, session: AsyncSession, holder_ids: Collection[str]) -> frozenset[str]:
        """Which of these holders have ended."""
        return await repository.ended_among(session, holder_ids)

    async def ids_of_type(self, session: AsyncSession, type_code: str, after: str | None, limit: int) -> Sequence[str]:
        """Licences of a type in the order of their ids, from after `after`."""
        return await repository.ids_of_type(session, type_code, after, limit)

    async def count(self, session: AsyncSession) -> int:
        """How many licence records there are, every version counted."""
        return await repository.count_licences(session)

    async def pull_events(self, session: AsyncSession, consumer: str, limit: int) -> Sequence[LicenceEvent]:
        """The next events for a follower, oldest first; its cursor moves when the caller commits."""
        return [
            LicenceEvent(
                licence_id=row.licence_id,
                sequence=row.sequence,
                operate_type=OperateType(row.operate_type),
                state=CertState(row.state),
                occurred_at=row.occurred_at,
            )
            for row in await feeds.pull(session, repository.EVENT, consumer, limit)
        ]

    async def hold_events(self, session: AsyncSession, consumer: str) -> None:
        """Wait until a follower has finished with its events, and keep it from the next until the caller commits."""
        await feeds.hold(session, consumer)

    async def pull_ends(self, session: AsyncSession, consumer: str, limit: int) -> Sequence[HolderEndEvent]:
        """The next that registers said of holders' ends, as `pull_events` gives events of licences."""
        rows = await feeds.pull(session, repository.HOLDER_END, f"{consumer}.ends", limit)
        return [HolderEndEvent(row.holder_id, row.ended_on_sealed is not None, row.occurred_at) for row in rows]

    async def licences(self, session: AsyncSession, licence_ids: Sequence[str]) -> Sequence[Licence]:
        """These licences in this order, with two statements however many they are; those not there are left out."""
        if not licence_ids:
            return []
        rows = await repository.licence_rows(session, licence_ids)
        holders = await repository.holders_of(session, licence_ids)
        return [self.opened(row, holders.get(row.id, ())) for row in rows]

    def _opened_holder(self, row: Row[Any]) -> Holder:
        place = row.code_index.hex()
        sealed = row.mobile_sealed
        return Holder(
            id=row.id,
            code_type=row.code_type,
            name=self._protector.open(row.name_sealed, f"holder.name:{place}").decode(),
            mobile=self._protector.open(sealed, f"holder.mobile:{place}").decode() if sealed else None,
            ended=row.ended,
        )

    def opened(self, row: Any, holder_ids: tuple[str, ...]) -> Licence:
        """A stored licence with its personal data opened; `row` has the columns of `licence` as attributes."""
        content = orjson.loads(self._protector.open(row.content_sealed, f"licence.content:{row.id}"))
        return Licence(
            id=row.id,
            identifier=row.identifier,
            type_code=row.type_code,
            type_version=row.type_version,
            version=row.version,
            number=content["number"],
            authority_code=row.authority_code,
            authority_name=row.authority_name,
            area_code=row.area_code,
            holder_ids=holder_ids,
            holders=tuple(HolderEntry(**holder) for holder in content["holders"]),
            issued_on=row.issued_on,
            valid_from=row.valid_from,
            valid_until=row.valid_until,
            state=CertState(row.state),
            predecessor_id=row.predecessor_id,
            predecessor_identifier=row.predecessor_identifier,
            source_system=row.source_system,
            source_record_id=row.source_record_id,
            source_version=row.source_version,
            items=content["items"],
            representatives=tuple(HolderEntry(**person) for person in content.get("representatives", ())),
        )
