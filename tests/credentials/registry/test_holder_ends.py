"""What registers say of holders' ends: which rows are taken, in which order, and by how many at once."""

import asyncio
import json
from contextlib import suppress
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, select, text, update

from credentials.catalogue import Catalogue
from credentials.registry import (
    HolderEnd,
    HolderEnds,
    Intake,
    IntakeSource,
    LicenceFilter,
    Registry,
    RowError,
    end_from_line,
    ends_from_body,
)
from credentials.registry import repository as store
from credentials.registry.feeds import CURSOR
from credentials.registry.lifecycle import ALIVE
from credentials.registry.tables import OF_ENDED_HOLDER
from tests.credentials.issuance.test_parsers import ANY_JSON, ANY_TEXT
from tests.credentials.rows import (
    TRAFFIC_POLICE,
    business_row,
    driving_row,
    lines,
    organisation_code,
    resident_id,
    step_row,
)
from tests.fakes import FakeClock
from wallet_api.database import Database
from wallet_api.protection import DataProtector

CONSOLE = IntakeSource("console", None)
ENDED = "2026-11-20"


def end_row(number: int = 1, ended_on: object = ENDED, version: object = 1, **changes: Any) -> dict[str, Any]:
    """The end of the resident of `driving_row(number)`."""
    return {
        "certificate_holder_type": "111",
        "certificate_holder_code": resident_id(number),
        "ended_on": ended_on,
        "source_version": version,
    } | changes


class Town:
    """A store with a register that speaks."""

    def __init__(self, database: Database, protector: DataProtector, clock: FakeClock) -> None:
        self.database = database
        self.registry = Registry(protector, clock)
        self.ends = HolderEnds(protector, clock)
        self.intake = Intake(Catalogue.default(), protector, clock)

    async def take(self, *rows: object) -> None:
        report = await self.intake.take_all(self.database, CONSOLE, lines(*rows))
        assert not report.rejected, report.rejections

    async def report(self, *rows: object, system: str = "population") -> list[str]:
        """What became of each row: its outcome, or the code of its refusal."""
        report = await self.ends.take_all(self.database, system, ends_from_body(json.dumps(rows).encode()))
        assert sum(report.counts.values()) == len(rows)
        return [one.refused.code if one.refused else one.outcome.value for one in report.verdicts]

    async def ended(self, number: int = 1) -> bool:
        async with self.database.snapshot() as session:
            return (await self.registry.holder_by_code(session, "111", resident_id(number))).ended

    async def alive_of_the_ended(self) -> list[str]:
        wanted = LicenceFilter(frozenset({TRAFFIC_POLICE, "11310000000000318Y"}), holder_ended=True)
        async with self.database.snapshot() as session:
            found = await self.registry.list_licences(session, wanted, None, 100)
        return sorted(one.source_record_id for one in found)

    async def pull(self, consumer: str, least: int, limit: int = 10) -> list[tuple[str, bool]]:
        """Pull until `least` came: on PostgreSQL writers of other databases on the server hold the feed back."""
        seen: list[tuple[str, bool]] = []
        for _ in range(600):
            async with self.database.transaction() as session:
                ends = await self.registry.pull_ends(session, consumer, limit)
            seen += [(end.holder_id, end.ended) for end in ends]
            if len(seen) >= least:
                return seen
            await asyncio.sleep(0.05)
        raise AssertionError("the feed gave less")


@pytest.fixture
def town(database: Database, protector: DataProtector, clock: FakeClock) -> Town:
    return Town(database, protector, clock)


async def test_an_end_is_taken_once_and_taken_back_as_easily(town: Town) -> None:
    await town.take(driving_row(1))
    assert await town.report(end_row(1), end_row(2)) == ["accepted", "unknown_holder"]
    assert await town.ended()
    assert await town.report(end_row(1)) == ["unchanged"]
    assert await town.report(end_row(1, None, 2)) == ["accepted"]
    assert not await town.ended()
    assert await town.report(end_row(1), end_row(1, None, 2), end_row(1, "20261121", 3)) == [
        "unchanged", "unchanged", "accepted",
    ]  # fmt: skip
    assert await town.ended()
    assert await town.pull("a", 3) == [(one, ended) for one, ended in await town.pull("b", 3, limit=1)]


async def test_a_version_is_one_content_and_none_comes_after_a_newer_one(town: Town) -> None:
    await town.take(driving_row(1))
    assert await town.report(end_row(1, version=5)) == ["accepted"]
    assert await town.report(end_row(1, "2026-11-19", 5)) == ["source_version_conflict"]
    assert await town.report(end_row(1, None, 5)) == ["source_version_conflict"]
    assert await town.report(end_row(1, None, 4)) == ["source_version_outdated"]
    assert await town.ended()
    assert await town.report(end_row(1, None, 6), end_row(1, None, 7), end_row(1, ENDED, 6)) == [
        "accepted", "accepted", "source_version_conflict",
    ]  # fmt: skip
    assert not await town.ended()


async def test_who_was_unknown_is_taken_when_the_register_says_it_again(town: Town) -> None:
    assert await town.report(end_row(1)) == ["unknown_holder"]
    await town.take(driving_row(1))
    assert not await town.ended()
    assert await town.report(end_row(1)) == ["accepted"]


async def test_each_register_takes_back_only_what_it_said_itself(town: Town) -> None:
    await town.take(driving_row(1))
    assert await town.report(end_row(1, version=9), system="population") == ["accepted"]
    assert await town.report(end_row(1, None, 1), system="immigration") == ["accepted"]
    assert await town.ended(), "the other register's word stands"
    assert await town.report(end_row(1, None, 10), system="population") == ["accepted"]
    assert not await town.ended()


async def test_a_day_that_has_not_come_in_shanghai_is_refused(town: Town, clock: FakeClock) -> None:
    await town.take(driving_row(1))
    clock.forward(hours=14, minutes=59)  # 23:59 in Shanghai
    assert await town.report(end_row(1, "2026-11-24")) == ["date_in_future"]
    clock.forward(minutes=1)
    assert await town.report(end_row(1, "2026-11-24")) == ["accepted"]


async def test_neither_day_nor_number_is_readable_in_the_database(town: Town, protector: DataProtector) -> None:
    await town.take(driving_row(1))
    await town.report(end_row(1))
    async with town.database.snapshot() as session:
        row = (await session.execute(select(store.HOLDER_END))).one()
    assert b"2026" not in row.ended_on_sealed
    place = f"holder_end.ended_on:{row.holder_id}:population:1"
    assert protector.open(row.ended_on_sealed, place) == b"2026-11-20"
    assert resident_id(1) not in str(row)


async def test_licences_still_alive_of_ended_holders_are_listed_until_they_end(town: Town) -> None:
    await town.take(driving_row(1), driving_row(2), driving_row(3), business_row(1))
    await town.report(end_row(1), end_row(2))
    assert await town.alive_of_the_ended() == ["GA-000001", "GA-000002"], "who merely acts for a company is no holder"
    await town.take(step_row(1, 2, "05", cert_state="04"))
    await town.report(end_row(2, None, 2))
    assert await town.alive_of_the_ended() == []
    company = {"certificate_holder_type": "001", "certificate_holder_code": organisation_code(1)}
    assert await town.report(end_row(ended_on=ENDED) | company, system="market") == ["accepted"]
    assert await town.alive_of_the_ended() == ["SJ-000001"]


async def test_a_licence_that_comes_in_after_its_holders_end_is_listed(town: Town) -> None:
    await town.take(driving_row(1))
    await town.report(end_row(1))
    await town.take(driving_row(1, source_record_id="GA-LATE", certificate_number="310101-late"))
    renewed = driving_row(1, source_version=2, operate_type="02")
    await town.take(renewed)
    assert await town.alive_of_the_ended() == ["GA-000001", "GA-LATE"]


async def test_who_has_ended_acts_for_nobody(town: Town) -> None:
    await town.take(business_row(1))
    async with town.database.snapshot() as session:
        person = await town.registry.holder_by_code(session, "111", resident_id(1))
        company = await town.registry.holder_by_code(session, "001", organisation_code(1))
    for row, acts in ((end_row(1), False), (end_row(1, None, 2), True)):
        await town.report(row)
        async with town.database.snapshot() as session:
            assert bool(await town.registry.represented_by(session, person.id)) is acts
            assert bool(await town.registry.representatives(session, [company.id])) is acts


def test_the_index_of_the_list_has_the_states_that_are_alive(town: Town) -> None:
    assert str(OF_ENDED_HOLDER).count("'") == 2 * len(ALIVE)
    assert all(f"'{state.value}'" in str(OF_ENDED_HOLDER) for state in ALIVE)


async def test_the_list_is_read_off_its_own_index(town: Town) -> None:
    await town.take(*map(driving_row, range(60)))
    await town.report(end_row(1))
    ran: list[tuple[str, Any]] = []

    def note(_c: object, _k: object, statement: str, parameters: Any, *_more: object) -> None:
        ran.append((statement, parameters))

    engine = town.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        assert await town.alive_of_the_ended() == ["GA-000001"]
    finally:
        event.remove(engine, "before_cursor_execute", note)
    ((statement, parameters),) = [one for one in ran if "holder_ended" in one[0]]
    async with town.database.transaction() as session:
        if not town.database.is_sqlite:
            await session.execute(text("ANALYZE licence"))
            await session.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN QUERY PLAN" if town.database.is_sqlite else "EXPLAIN"
        plan = str((await (await session.connection()).exec_driver_sql(f"{explain} {statement}", parameters)).all())
    assert "ix_licence_ended_holder" in plan, plan
    assert "ix_licence_authority" not in plan, plan


@pytest.mark.postgresql
async def test_of_two_registers_calls_at_once_the_version_has_one_content(
    postgresql_database: Database, protector: DataProtector, clock: FakeClock
) -> None:
    town = Town(postgresql_database, protector, clock)
    numbers = range(8)
    await town.take(*map(driving_row, numbers))
    rows = [end_row(number) for number in numbers]
    others = [end_row(number, None) for number in reversed(numbers)]
    for _ in range(5):
        told = await asyncio.gather(*(town.report(*part) for part in (rows, others, rows, others)))
        assert all(len(set(one)) == 1 for one in told), "each call is taken whole"
    first = told[0][0] == "unchanged"
    assert [one[0] for one in told] == (["unchanged", "source_version_conflict"] * 2 if first else
                                        ["source_version_conflict", "unchanged"] * 2)  # fmt: skip
    assert [await town.ended(number) for number in numbers] == [first] * 8
    async with postgresql_database.snapshot() as session:
        assert len((await session.execute(select(store.HOLDER_END))).all()) == 8


async def _meet(database: Database, work: "asyncio.Task[Any]") -> None:
    """Wait until another writer waits for this transaction, or is done without having waited."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    while not work.done():
        async with database.snapshot() as session:
            if (await session.execute(waiting)).scalar_one():
                return
        await asyncio.sleep(0.01)


@pytest.mark.postgresql
async def test_who_is_no_holder_themselves_has_one_newest_version_too(
    postgresql_database: Database, protector: DataProtector, clock: FakeClock
) -> None:
    town = Town(postgresql_database, protector, clock)
    await town.take(business_row(1))  # its representative holds nothing
    others: list[asyncio.Task[list[str]]] = []

    async def meanwhile(_session: object, _report: object) -> None:
        others.append(asyncio.create_task(town.report(end_row(1, None, 2))))
        await _meet(postgresql_database, others[0])

    rows = ends_from_body(json.dumps([end_row(1)]).encode())
    first = await town.ends.take_all(postgresql_database, "population", rows, meanwhile)
    assert first.counts["accepted"] == 1
    assert await others[0] == ["accepted"]
    assert not await town.ended(), "the newer version takes it back"


@pytest.mark.postgresql
async def test_a_licence_that_comes_in_during_a_report_knows_of_it(
    postgresql_database: Database, protector: DataProtector, clock: FakeClock
) -> None:
    town = Town(postgresql_database, protector, clock)
    await town.take(driving_row(1))
    others: list[asyncio.Task[None]] = []

    async def meanwhile(_session: object, _report: object) -> None:
        late = driving_row(1, source_record_id="GA-LATE", certificate_number="late")
        others.append(asyncio.create_task(town.take(late)))
        await _meet(postgresql_database, others[0])

    rows = ends_from_body(json.dumps([end_row(1)]).encode())
    await town.ends.take_all(postgresql_database, "population", rows, meanwhile)
    await others[0]
    assert await town.alive_of_the_ended() == ["GA-000001", "GA-LATE"]


@pytest.mark.postgresql
async def test_an_end_reported_while_licences_come_in_is_on_each_of_them(
    postgresql_database: Database, protector: DataProtector, clock: FakeClock
) -> None:
    town = Town(postgresql_database, protector, clock)
    numbers = range(20)
    await town.take(*map(driving_row, numbers))

    def more(version: int) -> list[dict[str, Any]]:
        renewed = [driving_row(number, source_version=version, operate_type="02") for number in numbers]
        others = [
            driving_row(number, source_record_id=f"X-{version}-{number}", certificate_number=f"X{version}-{number}")
            for number in numbers
        ]
        return [*renewed, *reversed(others)]

    for version in range(2, 6):
        ended_on = None if version % 2 else ENDED
        rows = [end_row(number, ended_on, version) for number in numbers]
        halves = rows[::2], rows[1::2]
        await asyncio.gather(town.take(*more(version)), *(town.report(*half) for half in halves))
        found = await town.alive_of_the_ended()
        assert len(found) == (0 if ended_on is None else 20 * version), version


@pytest.mark.postgresql
async def test_a_feed_of_ends_restored_from_another_server_is_read_again(
    postgresql_database: Database, protector: DataProtector, clock: FakeClock
) -> None:
    town = Town(postgresql_database, protector, clock)
    await town.take(driving_row(1), driving_row(2))
    await town.report(end_row(1))
    assert len(await town.pull("reminders", 1)) == 1
    elsewhere = 2**40
    async with postgresql_database.transaction() as session:
        for feed in (store.HOLDER_END, CURSOR):
            await session.execute(update(feed).values(written_in=feed.c.written_in + elsewhere))
    await town.report(end_row(2))
    assert len({holder_id for holder_id, _ in await town.pull("reminders", 2)}) == 2


WRONG: dict[str, tuple[object, str, str]] = {
    "no object": ([], "row_not_object", ""),
    "nothing": (None, "row_not_object", ""),
    "an unknown member": (end_row(x=1), "member_unknown", "x"),
    "a member that is a number": (end_row(**{resident_id(1): 1}), "member_unknown", "?"),
    "no type": (end_row(certificate_holder_type=None), "member_missing", "certificate_holder_type"),
    "a type that is a number": (end_row(certificate_holder_type=111), "member_invalid", "certificate_holder_type"),
    "no such type": (end_row(certificate_holder_type="x"), "member_invalid", "certificate_holder_code"),
    "no number": (end_row(certificate_holder_code=None), "member_missing", "certificate_holder_code"),
    "a wrong check character": (
        end_row(certificate_holder_code="310101199001010011"), "holder_code_invalid", "certificate_holder_code",
    ),
    "a number for a text": (end_row(certificate_holder_code=1), "member_invalid", "certificate_holder_code"),
    "a credit code that is none": (
        end_row(certificate_holder_type="001"), "holder_code_invalid", "certificate_holder_code",
    ),
    "no 30 February": (end_row(ended_on="2026-02-30"), "date_invalid", "ended_on"),
    "a time": (end_row(ended_on="2026-11-20T00:00:00"), "member_invalid", "ended_on"),
    "a day of long ago": (end_row(ended_on="1849-12-31"), "date_invalid", "ended_on"),
    "before the day of birth": (end_row(ended_on="1989-12-31"), "date_invalid", "ended_on"),
    "an empty day": (end_row(ended_on=""), "member_invalid", "ended_on"),
    "no for null": (end_row(ended_on=False), "member_invalid", "ended_on"),
    "a day as a number": (end_row(ended_on=20261120), "member_invalid", "ended_on"),
    "version true": (end_row(version=True), "member_invalid", "source_version"),
    "version 1.0": (end_row(version=1.0), "member_invalid", "source_version"),
    "version 0": (end_row(version=0), "member_invalid", "source_version"),
    "version none": (end_row(version=None), "member_invalid", "source_version"),
    "a huge version": (end_row(version=2**53), "member_invalid", "source_version"),
    "a version beyond every integer": (end_row(version=10**30), "member_invalid", "source_version"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_row_is_refused_with_its_member_and_without_its_number(name: str) -> None:
    value, code, field = WRONG[name]
    (refused,) = ends_from_body(json.dumps([value]).encode())
    assert isinstance(refused, RowError)
    assert (refused.code, refused.field) == (code, field)
    assert "310101" not in refused.detail


def test_a_forgotten_day_is_not_taken_for_null() -> None:
    row = end_row()
    del row["ended_on"]
    (refused,) = ends_from_body(json.dumps([row]).encode())
    assert isinstance(refused, RowError)
    assert (refused.code, refused.field) == ("member_missing", "ended_on")


def test_a_good_row_is_read_in_its_normal_form() -> None:
    spelled = end_row(certificate_holder_code=f" {resident_id(1).lower()} ", ended_on="20261120")
    wanted = HolderEnd("111", resident_id(1), date(2026, 11, 20), 1)
    assert list(ends_from_body(json.dumps([spelled, end_row(ended_on=None)]).encode())) == [
        wanted, HolderEnd("111", resident_id(1), None, 1),
    ]  # fmt: skip
    assert end_from_line(b"\xef\xbb\xbf" + json.dumps(spelled).encode()) == wanted


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "row_not_json"),
        (b"\xff", "row_not_json"),
        (b"[NaN]", "row_not_json"),
        (b"[" * 100_000, "row_not_json"),
        (b"[" * 1000 + b"]" * 1000, "row_not_json"),
        (b"{}", "rows_invalid"),
        (b"[]", "rows_invalid"),
        (b"null", "rows_invalid"),
        (b"[" + b"0," * 1000 + b"0]", "rows_invalid"),
        (b'[{"ended_on": null, "ended_on": "2026-11-20"}]', "member_repeated"),
    ],
)
def test_a_body_that_is_no_array_of_rows_is_refused_as_a_whole(body: bytes, code: str) -> None:
    with pytest.raises(RowError) as refused:
        ends_from_body(body)
    assert refused.value.code == code


ROWS = st.fixed_dictionaries(
    {
        "certificate_holder_type": st.sampled_from(["111", "001", "414", "999", "１１１"]) | ANY_JSON,
        "certificate_holder_code": st.integers(0, 999).map(resident_id) | ANY_TEXT | ANY_JSON,
        "ended_on": st.dates().map(str) | st.none() | ANY_JSON,
        "source_version": st.integers(-1, 2**65) | ANY_JSON,
    },
    optional={"x": ANY_JSON},
)


@given(st.lists(ROWS | ANY_JSON, max_size=4))
def test_any_rows_are_read_or_refused_one_by_one(value: list[object]) -> None:
    with suppress(RowError):  # the body as a whole: empty, or NaN in it
        rows = ends_from_body(json.dumps(value).encode())
        assert len(rows) == len(value)
        assert all(isinstance(row, HolderEnd | RowError) for row in rows)


@given(st.binary(max_size=200))
def test_any_line_is_a_row_or_refused(line: bytes) -> None:
    assert isinstance(end_from_line(line), HolderEnd | RowError)
