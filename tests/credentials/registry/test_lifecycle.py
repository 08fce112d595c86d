"""The life cycle: which step leads where, what follows what, and that no sequence of steps leaves the store askew."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.catalogue import Catalogue
from credentials.registry import (
    CertState,
    Intake,
    IntakeConflict,
    IntakeSource,
    Licence,
    OperateType,
    Registry,
    RowError,
    StateChange,
)
from credentials.registry import repository as store
from credentials.registry.formats.gbt36904 import Identifier
from credentials.registry.lifecycle import STEPS, check_step
from tests.credentials.rows import DRIVING, TRAFFIC_POLICE, driving_row, lines, resident_id, step_row
from tests.fakes import FakeClock
from wallet_api.database import Database
from wallet_api.protection import DataProtector

POLICE = IntakeSource("traffic-police", frozenset({TRAFFIC_POLICE}))
STATES = [None, *CertState]
#   step>to   none 01 02 03 04 05 06 07 99
MATRIX = """
    01>01     x    .  .  .  .  .  .  .  .
    02>01     .    x  .  .  .  x  .  .  .
    03>02     .    x  .  .  .  .  .  .  .
    04>05     .    x  x  .  .  .  x  .  x
    05>03     .    x  x  .  .  x  x  .  x
    05>04     .    x  x  .  .  x  x  .  x
    05>06     .    x  .  .  .  .  .  .  .
    05>07     .    x  x  .  .  .  x  .  x
    06>01     .    .  x  .  .  .  .  .  .
    07>99     .    x  x  .  .  .  .  .  .
    07>01     .    .  .  .  .  .  .  .  x
    08>01     x    .  .  .  .  .  .  .  .
    09>01     .    x  .  .  .  .  .  .  .
    10>01     .    .  .  .  .  .  x  .  .
"""


def _matrix() -> dict[tuple[OperateType, CertState], set[CertState | None]]:
    table = {}
    for line in MATRIX.split("\n")[1:-1]:
        step, *marks = line.split()
        operate_type, target = step.split(">")
        table[OperateType(operate_type), CertState(target)] = {
            state for state, mark in zip(STATES, marks, strict=True) if mark == "x"
        }
    return table


ALLOWED = _matrix()


def test_the_table_of_steps_is_the_one_written_here() -> None:
    assert {step: set(states) for step, states in STEPS.items()} == ALLOWED
    assert {step for step, _ in STEPS} == set(OperateType)


@pytest.mark.parametrize(("step", "target"), ALLOWED, ids=lambda value: value.value)
def test_a_step_out_of_the_table_is_refused_with_its_reason(step: OperateType, target: CertState) -> None:
    for state in STATES:
        if state in ALLOWED[step, target]:
            check_step(step, target, state)
            continue
        with pytest.raises(RowError) as refused:
            check_step(step, target, state)
        expected = "licence_unknown" if state is None else "step_not_allowed"
        assert refused.value.code == ("licence_exists" if ALLOWED[step, target] == {None} else expected)


@dataclass
class Follower:
    """Notes what it is told."""

    told: list[StateChange] = field(default_factory=list)

    async def follow(self, session: AsyncSession, changes: Sequence[StateChange]) -> None:
        self.told += changes


class World:
    """A store, and the way in."""

    def __init__(self, database: Database, protector: DataProtector) -> None:
        clock = FakeClock()
        self.database = database
        self.follower = Follower()
        self.registry = Registry(protector, clock)
        self._intake = Intake(Catalogue.default(), protector, clock, [self.follower])

    async def take(self, *rows: object, source: IntakeSource = POLICE) -> dict[int, str]:
        """Line → code of the rows that were refused."""
        report = await self._intake.take_all(self.database, source, lines(*rows))
        assert report.accepted + report.unchanged + report.rejected == len(rows)
        return {refused.line: refused.code for refused in report.rejections}

    async def licences(self, number: int = 1) -> list[Licence]:
        async with self.database.snapshot() as session:
            return list(await self.registry.by_number(session, "driving-licence", resident_id(number)))


@pytest.fixture
def world(database: Database, protector: DataProtector) -> World:
    return World(database, protector)


def identifier(serial: str, version: int = 1, authority: str = TRAFFIC_POLICE) -> str:
    return str(Identifier.issue(DRIVING, authority, serial, version))


def let_go(number: int = 1, version: int = 2) -> dict[str, Any]:
    return step_row(number, version, "05", cert_state="06")


def transfer_in(number: int, named: str | None, **changes: Any) -> dict[str, Any]:
    named_row = {"operate_type": "08", "associated_certificate_identifier": named, "certificate_number": resident_id(1)}
    return driving_row(number, **(named_row | changes))


async def test_a_licence_that_was_let_go_is_transferred_in_by_another_record(world: World) -> None:
    mine = identifier("A1")
    assert not await world.take(driving_row(1, certificate_identifier=mine), let_go())
    ministry = IntakeSource("other-system", frozenset({TRAFFIC_POLICE}))
    assert not await world.take(transfer_in(2, mine), source=ministry)
    gone, arrived = sorted(await world.licences(), key=lambda licence: licence.source_record_id)
    assert (gone.state, gone.source_version, arrived.state) == (CertState.CANCELLED, 2, CertState.VALID)
    assert (arrived.version, arrived.predecessor_id, arrived.predecessor_identifier) == (1, gone.id, mine)
    assert world.follower.told == [
        StateChange(gone.id, CertState.TRANSFERRING_OUT),
        StateChange(gone.id, CertState.CANCELLED),
    ]
    assert await world.take(driving_row(1, operate_type="02", source_version=3)) == {1: "step_not_allowed"}
    again = {"operate_type": "08", "associated_certificate_identifier": mine, "source_version": 1}
    assert await world.take(driving_row(3, **again)) == {1: "predecessor_not_transferring"}


async def test_letting_go_and_transferring_in_may_come_in_one_chunk(world: World) -> None:
    mine = identifier("A1")
    rows = [driving_row(1, certificate_identifier=mine), let_go(), transfer_in(2, mine)]
    assert not await world.take(*rows)
    assert {licence.state for licence in await world.licences()} == {CertState.CANCELLED, CertState.VALID}
    assert not await world.take(*rows), "and again: unchanged"


async def test_a_licence_from_another_city_names_where_it_came_from(world: World) -> None:
    elsewhere = f"1.2.156.3005.2.{DRIVING}.340100.000000016.001.9"
    assert not await world.take(transfer_in(1, elsewhere))
    (arrived,) = await world.licences()
    assert (arrived.predecessor_id, arrived.predecessor_identifier) == (None, elsewhere)


async def test_a_transfer_that_is_called_off_leaves_the_licence_as_it_was(world: World) -> None:
    assert not await world.take(driving_row(), let_go(), step_row(1, 3, "10"))
    (licence,) = await world.licences()
    assert licence.state is CertState.VALID


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (transfer_in(2, identifier("A1")), "predecessor_not_transferring"),
        (transfer_in(2, None), "member_missing"),
        (transfer_in(2, "1.2.3"), "identifier_malformed"),
        (transfer_in(1, identifier("B1"), source_version=2), "licence_exists"),
        (driving_row(2, associated_certificate_identifier=identifier("A1")), "member_unknown"),
        (
            driving_row(
                1, operate_type="02", source_version=2, associated_certificate_identifier=identifier("A1", version=2)
            ),
            "predecessor_mismatch",
        ),
        (step_row(1, 2, "05", cert_state="01"), "member_invalid"),
        (step_row(1, 2, "07"), "member_missing"),
        (step_row(1, 2, "07", cert_state="99", reason=None), "member_missing"),
        (step_row(1, 2, "10"), "step_not_allowed"),
    ],
)
async def test_a_row_that_breaks_the_lineage_is_refused_and_changes_nothing(
    row: dict[str, Any], code: str, world: World
) -> None:
    assert not await world.take(driving_row(1, certificate_identifier=identifier("A1")))
    assert await world.take(row) == {1: code}
    (licence,) = await world.licences()
    assert licence.state is CertState.VALID


async def test_a_renewal_may_name_the_licence_that_it_renews(world: World) -> None:
    first, second = identifier("A1"), identifier("A1", 2)
    renewal = {"operate_type": "02", "source_version": 2, "certificate_identifier": second}
    rows = [driving_row(1, certificate_identifier=first)]
    rows.append(driving_row(1, associated_certificate_identifier=first, **renewal))
    assert not await world.take(*rows)
    assert [licence.predecessor_identifier for licence in await world.licences()] == [None, first]


async def test_a_state_that_the_type_does_not_have_is_refused(world: World) -> None:
    book = Catalogue.default().get("vocational-qualification")
    authority = book.issuing_authorities[0]
    row = driving_row(
        1,
        certificate_type_code=book.certificate_type_code,
        certificate_issuing_authority_code=authority.code,
        certificate_number=book.example_number,
        business_information={
            item.name: list(item.example) if isinstance(item.example, tuple) else item.example for item in book.items
        },
    )
    everybody = IntakeSource("console", None)
    suspended, cancelled = step_row(1, 2, "03"), step_row(1, 3, "05", cert_state="04")
    assert await world.take(row, suspended, cancelled, source=everybody) == {2: "state_not_allowed"}


async def test_the_lineage_of_a_licence_is_read_from_any_of_its_versions(world: World) -> None:
    mine = identifier("A3", 2)
    renewed = driving_row(1, operate_type="02", source_version=2, certificate_identifier=mine)
    rows = [driving_row(1), renewed, let_go(1, 3), transfer_in(2, mine), driving_row(5)]
    assert not await world.take(*rows)
    licences = await world.licences()
    async with world.database.snapshot() as session:
        lines_of = [await world.registry.lineage(session, licence.id) for licence in licences]
        histories = [await world.registry.history(session, licence.id, 0, 9) for licence in lines_of[0]]
    assert len(lines_of) == 3
    assert lines_of[0] == lines_of[1] == lines_of[2]
    steps = [[entry.operate_type.value for entry in history] for history in histories]
    assert steps == [["01", "02"], ["02", "05", "08"], ["08"]]


# --- Any sequence of steps ---------------------------------------------------------------------------------------

WALKS = count(1)
A_STEP = st.tuples(st.integers(1, 3), st.sampled_from(sorted(ALLOWED)), st.integers(0, 3))


@dataclass
class Model:
    """What the records of one walk should be: states of every version, the newest last."""

    walk: int
    records: dict[int, list[CertState]] = field(default_factory=dict)

    def row(self, at: int, record: int, step: OperateType, target: CertState, other: int) -> dict[str, Any]:
        name = {"source_record_id": f"W{self.walk}-{record}", "source_version": at}
        if step.value not in ("01", "02", "08", "09"):
            return step_row(record, at, step.value, cert_state=target.value) | name
        row = driving_row(record, operate_type=step.value, certificate_identifier=self.identifier(record, at)) | name
        if step is OperateType.TRANSFER_IN:
            row["associated_certificate_identifier"] = self.newest_of(other)
        return row

    def identifier(self, record: int, at: int) -> str:
        return identifier(f"W{self.walk}R{record}V{at}")

    def __post_init__(self) -> None:
        self._newest: dict[int, str] = {}

    def newest_of(self, record: int) -> str:
        return self._newest.get(record, identifier(f"W{self.walk}R{record}", authority=TRAFFIC_POLICE))

    def take(self, at: int, record: int, step: OperateType, target: CertState, other: int) -> str | None:
        """The code that the row is refused with, or None."""
        versions = self.records.get(record, [])
        state = versions[-1] if versions else None
        if state not in ALLOWED[step, target]:
            if ALLOWED[step, target] == {None}:
                return "licence_exists"
            return "licence_unknown" if state is None else "step_not_allowed"
        if step is OperateType.TRANSFER_IN and other in self.records:
            if self.records[other][-1] is not CertState.TRANSFERRING_OUT:
                return "predecessor_not_transferring"
            self.records[other][-1] = CertState.CANCELLED
        if step.value in ("01", "02", "08", "09"):
            if versions:
                versions[-1] = CertState.LAPSED
            self.records[record] = [*versions, CertState.VALID]
            self._newest[record] = self.identifier(record, at)
        else:
            versions[-1] = target
        return None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(A_STEP, min_size=1, max_size=25), cuts=st.sets(st.integers(1, 24)))
def test_any_sequence_of_steps_leaves_one_newest_version_and_a_history_without_gaps(
    steps: list[tuple[int, tuple[OperateType, CertState], int]],
    cuts: set[int],
    runner: asyncio.Runner,
    database: Database,
    protector: DataProtector,
) -> None:
    world, model = World(database, protector), Model(next(WALKS))
    rows, expected = [], {}
    for at, (record, (step, target), other) in enumerate(steps, start=1):
        rows.append(model.row(at, record, step, target, other))
        if code := model.take(at, record, step, target, other):
            expected[at] = code
    refused: dict[int, str] = {}
    for start, end in pairwise([0, *sorted(cut for cut in cuts if cut < len(rows)), len(rows)]):
        got = runner.run(world.take(*rows[start:end]))
        refused |= {start + line: code for line, code in got.items()}
    assert refused == expected
    runner.run(_check(world, model))


async def _events(session: AsyncSession) -> list[Any]:
    return list(await session.execute(select(store.EVENT).order_by(store.EVENT.c.licence_id, store.EVENT.c.sequence)))


async def _check(world: World, model: Model) -> None:
    async with world.database.snapshot() as session:
        prefix = f"W{model.walk}-"
        found = await session.execute(
            select(store.LICENCE).where(store.LICENCE.c.source_record_id.startswith(prefix, autoescape=True))
        )
        stored: dict[int, list[Any]] = {}
        for row in sorted(found, key=lambda row: int(row.version)):
            stored.setdefault(int(row.source_record_id.removeprefix(prefix)), []).append(row)
        every = [row for versions in stored.values() for row in versions]
        events = await _events(session)
    assert {record: [row.state for row in versions] for record, versions in stored.items()} == model.records
    for versions in stored.values():
        assert [row.version for row in versions] == list(range(1, len(versions) + 1))
        for older, newer in pairwise(versions):
            assert (older.state, newer.predecessor_id) == (CertState.LAPSED, older.id)
            assert newer.predecessor_identifier == older.identifier
    for row in every:
        own = [event for event in events if event.licence_id == row.id]
        assert [event.sequence for event in own] == list(range(1, row.event_count + 1)), "no gap, none twice"
        assert (own[0].state, own[-1].state) == (CertState.VALID, row.state)
        told = [change.state for change in world.follower.told if change.licence_id == row.id]
        assert told == [event.state for event in own[1:]], "followers are told of each change, in order"


@pytest.mark.postgresql
async def test_fifty_writers_of_one_record_leave_a_history_without_gaps(
    postgresql_database: Database, protector: DataProtector
) -> None:
    world = World(postgresql_database, protector)
    mine = identifier("A1")
    await world.take(driving_row(1, certificate_identifier=mine))
    kinds = [
        lambda at: step_row(1, at, "03"),
        lambda at: step_row(1, at, "06"),
        lambda at: driving_row(1, operate_type="02", source_version=at),
        lambda at: let_go(1, at),
        lambda at: transfer_in(1000 + at, mine, source_version=at),
    ]
    rows = [kinds[at % 5](at) for at in range(2, 52)]
    codes: list[str | None] = []

    async def send(row: object) -> None:
        try:
            codes.append((await world.take(row)).get(1))
        except IntakeConflict as error:  # others were faster five times: the sender is told to send again
            codes.append(error.code)

    await asyncio.gather(*(send(row) for row in rows))
    refusals = {"step_not_allowed", "source_version_outdated", "predecessor_not_transferring", "intake_conflict"}
    assert set(codes) <= {None, *refusals}
    async with postgresql_database.snapshot() as session:
        stored = list(await session.execute(select(store.LICENCE)))
        events = await _events(session)
    assert len(events) >= 1 + codes.count(None), "each accepted step is in the history"
    assert None in codes
    assert sum(row.state == CertState.VALID for row in stored if row.source_record_id == "GA-000001") <= 1
    assert sum(row.predecessor_identifier == mine for row in stored) <= 1, "one licence has one successor"
    for row in stored:
        own = [event for event in events if event.licence_id == row.id]
        assert [event.sequence for event in own] == list(range(1, row.event_count + 1))
        assert own[-1].state == row.state
