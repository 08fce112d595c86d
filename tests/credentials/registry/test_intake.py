"""Taking rows in: row by row, once, in order, and under concurrency."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import func, select, update

from credentials.catalogue.service import Catalogue
from credentials.registry import BatchReport, CertState, Intake, IntakeSource, Licence, LicenceEvent, Registry, row_of
from credentials.registry import intake as intake_module
from credentials.registry import repository as store
from credentials.registry.feeds import CURSOR
from tests.credentials.rows import TRAFFIC_POLICE, driving_row, lines, resident_id, step_row
from tests.fakes import FakeClock
from wallet_api.database import Database
from wallet_api.protection import DataProtector

POLICE = IntakeSource("traffic-police", frozenset({TRAFFIC_POLICE}))
RENEWAL = {"operate_type": "02", "source_version": 2, "certificate_validate_end": "2036-02-28"}


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return Catalogue.default()


@pytest.fixture
def intake(catalogue: Catalogue, protector: DataProtector, clock: FakeClock) -> Intake:
    return Intake(catalogue, protector, clock)


async def _take(intake: Intake, database: Database, *rows: object) -> BatchReport:
    return await intake.take_all(database, POLICE, lines(*rows))


async def _licences(database: Database, protector: DataProtector, number: int = 1) -> list[Licence]:
    async with database.snapshot() as session:
        return list(await Registry(protector, FakeClock()).by_number(session, "driving-licence", resident_id(number)))


async def test_a_good_row_becomes_a_licence_with_its_holder_and_event(
    intake: Intake, database: Database, protector: DataProtector
) -> None:
    report = await _take(intake, database, driving_row())
    assert (report.accepted, report.unchanged, report.rejected) == (1, 0, 0)
    (licence,) = await _licences(database, protector)
    assert licence.state is CertState.VALID
    assert licence.version == 1
    assert licence.holders[0].name == "张三丰"
    assert licence.items["vehicle_class"] == "C1"
    assert licence.identifier.startswith(f"1.2.156.3005.2.11100000000013127DX01.{TRAFFIC_POLICE}.")
    async with database.snapshot() as session:
        holder = await Registry(protector, FakeClock()).holder(session, licence.holder_ids[0])
        assert holder.mobile == "+8613800000000"
        stored = (await session.execute(select(store.LICENCE))).one()
    for column in stored:
        assert resident_id(1) not in str(column), "identity numbers are sealed at rest"
        assert not isinstance(column, bytes) or resident_id(1).encode() not in column


async def test_the_same_batch_twice_changes_nothing(
    intake: Intake, database: Database, protector: DataProtector
) -> None:
    rows = [driving_row(), driving_row(2), step_row(1, 2, "03"), step_row(1, 3, "06")]
    await _take(intake, database, *rows)
    before = await _licences(database, protector)
    again = await _take(intake, database, *rows)
    assert (again.accepted, again.unchanged, again.rejected) == (0, 4, 0)
    assert await _licences(database, protector) == before


async def test_a_row_taken_by_the_first_version_of_this_software_is_still_the_same_row(
    intake: Intake, database: Database, protector: DataProtector
) -> None:
    first_form = (
        '{"source_record_id":"GA-000001","source_version":1,"operate_type":"01","cert_state":"01","reason":null,"content":'
        '{"type_code":"11100000000013127DX01","identifier":null,"number":"310101199001010012","authority_code":'
        '"11310000000000211K","area_code":null,"issued_on":"2024-03-01","valid_from":"2024-03-01","valid_until":'
        '"2030-02-28","holders":[{"name":"张三丰","code_type":"111","code":"310101199001010012","mobile":"+8613800000000"}],'
        '"items":{"address":"上海市黄浦区人民大道200号","birth_date":"1990-01-01","file_number":"310012345678",'
        '"first_issue_date":"2012-06-05","nationality":"中国","sex":"男","vehicle_class":"C1"}}}'
    )
    await _take(intake, database, driving_row())
    async with database.snapshot() as session:
        digest = (await session.execute(select(store.EVENT.c.row_digest))).scalar_one()
    assert digest == protector.blind_index("intake-row", first_form)


def _bent(**changes: Any) -> dict[str, Any]:
    return driving_row(9, **changes)


def _holder(**changes: Any) -> list[dict[str, Any]]:
    return [driving_row(9)["certificate_holders"][0] | changes]


WRONG: dict[str, tuple[object, str]] = {
    "not an object": ([1, 2], "row_not_object"),
    "no record id": (_bent(source_record_id=None), "member_missing"),
    "record id with a slash": (_bent(source_record_id="a/b"), "member_invalid"),
    "version zero": (_bent(source_version=0), "member_invalid"),
    "version as boolean": (_bent(source_version=True), "member_invalid"),
    "unknown operation": (_bent(operate_type="42"), "operation_not_supported"),
    "unknown member": (_bent(colour="red"), "member_unknown"),
    "unknown type": (_bent(certificate_type_code="11100000000013127D999"), "type_unknown"),
    "foreign authority": (_bent(certificate_issuing_authority_code="11310000000000000X"), "authority_unknown"),
    "wrong check digit": (
        _bent(certificate_holders=_holder(certificate_holder_code="310101199001010011")),
        "holder_code_invalid",
    ),
    "organisation as driver": (
        _bent(certificate_holders=_holder(certificate_holder_type="001", certificate_holder_code="91310000MA1FL0AB0G")),
        "holder_code_invalid",
    ),
    "30 February": (_bent(certificate_validate_end="2030-02-30"), "date_invalid"),
    "ends before it begins": (_bent(certificate_validate_end="2020-01-01"), "dates_out_of_order"),
    "two holders of one driving licence": (
        _bent(certificate_holders=[*_holder(), *_holder(certificate_holder_code=resident_id(8))]),
        "holder_type_not_allowed",
    ),
    "no vehicle class": (_bent(business_information={}), "item_missing"),
    "control character in the name": (
        _bent(certificate_holders=_holder(certificate_holder_name="张\u0000三")),
        "member_invalid",
    ),
    "identifier of another form": (_bent(certificate_identifier="1.2.3"), "identifier_malformed"),
    "renewal of nothing": (_bent(operate_type="02"), "licence_unknown"),
    "revocation of nothing": (step_row(9, 1, "05", cert_state="07"), "licence_unknown"),
    "end without saying which": (step_row(9, 1, "05"), "member_missing"),
    "suspension without a reason": (step_row(9, 1, "03", reason=None), "member_missing"),
    "nested without end": (_bent(business_information={"a": [[[[[[[[[[[[1]]]]]]]]]]]]}), "member_invalid"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_row_is_refused_with_a_reason_and_the_others_go_on(
    name: str, intake: Intake, database: Database, protector: DataProtector
) -> None:
    row, code = WRONG[name]
    report = await _take(intake, database, driving_row(1), row, driving_row(2))
    assert (report.accepted, report.unchanged, report.rejected) == (2, 0, 1)
    (refused,) = report.rejections
    assert (refused.line, refused.code) == (2, code)
    assert refused.detail
    assert "3101011990" not in refused.detail + refused.field, "no identity number in a reason"


async def test_lines_that_are_no_json_are_refused_and_empty_lines_passed_over(
    intake: Intake, database: Database
) -> None:
    raw = [b"{", b"", b"\xff\xfe", b"  \n", *lines(driving_row()), b'{"a":' * 2000, b"x" * 70_000]
    report = await intake.take_all(database, POLICE, raw)
    assert (report.accepted, report.rejected) == (1, 4)
    assert [(no.line, no.code) for no in report.rejections] == [
        (1, "row_not_json"),
        (3, "row_not_json"),
        (6, "row_not_json"),
        (7, "row_too_large"),
    ]


async def test_an_older_version_never_replaces_a_newer_one(
    intake: Intake, database: Database, protector: DataProtector
) -> None:
    await _take(intake, database, driving_row(source_version=5))
    report = await _take(intake, database, step_row(1, 4, "05", cert_state="07"))
    assert report.rejections[0].code == "source_version_outdated"
    conflict = await _take(intake, database, driving_row(source_version=5, certificate_validate_end="2031-01-01"))
    assert conflict.rejections[0].code == "source_version_conflict"
    assert (await _licences(database, protector))[0].state is CertState.VALID


async def test_a_renewal_makes_the_next_version_and_leaves_the_old_one_lapsed(
    intake: Intake, database: Database, protector: DataProtector
) -> None:
    await _take(intake, database, driving_row(), driving_row(**RENEWAL))
    old, new = await _licences(database, protector)
    assert (old.state, old.version) == (CertState.LAPSED, 1)
    assert (new.state, new.version, new.predecessor_id) == (CertState.VALID, 2, old.id)
    async with database.snapshot() as session:
        counts = select(store.EVENT.c.licence_id, func.count(), func.max(store.EVENT.c.sequence))
        for _, count, last in await session.execute(counts.group_by(store.EVENT.c.licence_id)):
            assert count == last, "sequences have no gap"


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        (["03"], CertState.SUSPENDED),
        (["03", "06"], CertState.VALID),
        (["04"], CertState.LAPSED),
        (["05"], CertState.REVOKED),
        (["03", "05"], CertState.REVOKED),
        (["06"], None),
        (["03", "03"], None),
        (["05", "06"], None),
        (["05", "03"], None),
        (["04", "05"], None),
    ],
)
async def test_only_legal_steps_move_a_licence(
    steps: list[str], state: CertState | None, intake: Intake, database: Database, protector: DataProtector
) -> None:
    rows = [step_row(1, at, step) for at, step in enumerate(steps, start=2)]
    for row in rows:
        if row["operate_type"] == "05":
            row["cert_state"] = "07"
    report = await _take(intake, database, driving_row(), *rows)
    if state is None:
        assert [no.code for no in report.rejections] == ["step_not_allowed"]
    else:
        assert report.rejected == 0
        assert (await _licences(database, protector))[0].state is state


async def test_a_wrong_check_character_is_flagged_and_a_taken_identifier_refused(
    intake: Intake, database: Database
) -> None:
    wrong = f"1.2.156.3005.2.11100000000013127DX01.{TRAFFIC_POLICE}.2024000001.001.0"
    report = await _take(
        intake,
        database,
        driving_row(1, certificate_identifier=wrong),
        driving_row(2, certificate_identifier=wrong),
    )
    assert (report.accepted, report.flagged, report.rejected) == (1, 1, 1)
    assert report.rejections[0].code == "identifier_taken"


async def test_a_department_writes_for_its_own_authorities_only(intake: Intake, database: Database) -> None:
    other = IntakeSource("health", frozenset({"11310000425006790C"}))
    report = await intake.take_all(database, other, lines(driving_row()))
    assert report.rejections[0].code == "authority_not_yours"


@pytest.mark.parametrize("writers", [6])
async def test_writers_on_the_same_records_make_each_licence_once(
    writers: int, intake: Intake, database: Database, protector: DataProtector
) -> None:
    rows = [driving_row(number) for number in range(40)]
    reports = await asyncio.gather(*(_take(intake, database, *rows) for _ in range(writers)))
    assert sum(report.accepted for report in reports) == 40
    assert sum(report.unchanged for report in reports) == 40 * (writers - 1)
    async with database.snapshot() as session:
        assert await Registry(protector, FakeClock()).count(session) == 40


async def test_overlapping_files_sent_at_once_lose_and_double_nothing(
    intake: Intake, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "CHUNK_ROWS", 25)  # so that many chunks meet
    people = [driving_row(number) for number in range(200)]
    steps = [step_row(number, 2, "03") for number in range(0, 200, 2)]
    files = [people + steps, people[::-1] + steps, people[100:] + people[:100] + steps[::-1], people + steps] * 2
    reports = await asyncio.gather(*(_take(intake, database, *rows) for rows in files))
    assert [report.rejected for report in reports] == [0] * len(files)
    assert sum(report.accepted for report in reports) == 300
    assert all(report.accepted + report.unchanged == 300 for report in reports)
    async with database.snapshot() as session:
        assert (await session.execute(select(func.count()).select_from(store.LICENCE))).scalar_one() == 200
        assert (await session.execute(select(func.count()).select_from(store.EVENT))).scalar_one() == 300
        names = select(func.count()).select_from(store.LICENCE_HOLDER)
        assert (await session.execute(names)).scalar_one() == 200


async def test_rows_of_one_record_are_taken_in_order_across_chunks(
    intake: Intake, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "CHUNK_ROWS", 1)
    operations = ["03", "06"] * 6
    steps = [step_row(1, version, operation) for version, operation in enumerate(operations, start=2)]
    report = await _take(intake, database, driving_row(), *steps)
    assert (report.accepted, report.rejected) == (13, 0)


async def test_the_last_mobile_number_of_a_file_is_the_one_that_stays(
    intake: Intake, database: Database, protector: DataProtector, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "CHUNK_ROWS", 3)
    rows = [driving_row(1, source_record_id=f"GA-{number}", source_version=1) for number in range(12)]
    for number, row in enumerate(rows):
        (holder,) = row["certificate_holders"]
        row["certificate_holders"] = [holder | {"mobile": f"+86138000000{number:02}"}]
    del rows[-1]["certificate_holders"][0]["mobile"]
    await _take(intake, database, *rows)
    registry = Registry(protector, clock)
    async with database.snapshot() as session:
        holder_id = (await session.execute(select(store.HOLDER.c.id))).scalar_one()
        assert (await registry.holder(session, holder_id)).mobile == "+8613800000010"


async def test_a_report_tells_duplicates_flags_and_what_rows_were_refused_for(
    intake: Intake, database: Database
) -> None:
    wrong = f"1.2.156.3005.2.11100000000013127DX01.{TRAFFIC_POLICE}.2024000001.001.0"
    rows = [driving_row(1), {}, driving_row(1), driving_row(2, certificate_identifier=wrong), [], driving_row(1)]
    report = await _take(intake, database, *rows)
    assert (report.accepted, report.unchanged, report.duplicates, report.flagged) == (2, 2, 2, 1)
    async with database.snapshot() as session:
        quality = await intake.quality(session, report.id)
    assert quality.rejected_by_code == {"member_missing": 1, "row_not_object": 1}
    assert [(flag.line, flag.code) for flag in quality.flags] == [(4, "identifier_check_failed")]
    again = await _take(intake, database, *rows[:1])
    assert (again.unchanged, again.duplicates) == (1, 0), "known from another batch is no duplicate"


async def test_a_rehearsal_takes_and_reports_everything_and_keeps_nothing(
    intake: Intake, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "CHUNK_ROWS", 2)
    rows = lines(*(driving_row(number) for number in range(5)), step_row(1, 2, "03"), {})
    async with database.rehearsal() as rehearsal:
        report = await intake.take_all(rehearsal, POLICE, rows)
    assert (report.accepted, report.rejected) == (6, 1)
    async with database.snapshot() as session:
        assert (await session.execute(select(func.count()).select_from(store.BATCH))).scalar_one() == 0
    assert (await intake.take_all(database, POLICE, rows)).accepted == 6


async def test_a_stream_that_fails_keeps_the_whole_chunks_before_it(
    intake: Intake, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "CHUNK_ROWS", 4)

    async def breaks_off() -> AsyncIterator[bytes]:
        for row in lines(*(driving_row(number) for number in range(10))):
            yield row + b"\n"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await intake.take_stream(database, POLICE, breaks_off())
    async with database.snapshot() as session:
        assert (await session.execute(select(func.count()).select_from(store.LICENCE))).scalar_one() == 8


async def test_two_departments_cannot_both_move_one_licence(
    intake: Intake, database: Database, protector: DataProtector
) -> None:
    await _take(intake, database, driving_row())
    steps = [step_row(1, 2, "03"), step_row(1, 3, "05", cert_state="07"), step_row(1, 4, "04")]
    reports = await asyncio.gather(*(_take(intake, database, step) for step in steps))
    (licence,) = await _licences(database, protector)
    assert sum(report.accepted for report in reports) >= 1
    async with database.snapshot() as session:
        row = await store.licence_row(session, licence.id)
        events = (await session.execute(select(func.count()).select_from(store.EVENT))).scalar_one()
    assert row is not None
    assert row.event_count == events == 1 + sum(report.accepted for report in reports)


async def _pull(database: Database, registry: Registry, consumer: str, least: int, limit: int) -> list[LicenceEvent]:
    """Pull until `least` events came: on PostgreSQL writers of other databases on the server hold the feed back."""
    seen: list[LicenceEvent] = []
    deadline = time.monotonic() + 30
    while len(seen) < least and time.monotonic() < deadline:
        async with database.transaction() as session:
            seen += await registry.pull_events(session, consumer, limit)
    return seen


async def test_the_feed_gives_every_event_once_and_in_order(
    intake: Intake, database: Database, protector: DataProtector
) -> None:
    registry = Registry(protector, FakeClock())
    await _take(intake, database, *(driving_row(number) for number in range(7)), step_row(3, 2, "03"))
    seen = await _pull(database, registry, "reminders", 8, limit=3)
    assert len({(event.licence_id, event.sequence) for event in seen}) == len(seen) == 8
    assert seen[-1].state is CertState.SUSPENDED
    async with database.transaction() as session:
        assert await registry.pull_events(session, "reminders", 3) == []
    assert len(await _pull(database, registry, "exchange", 8, limit=100)) == 8, "each follower has its own cursor"


async def test_a_rolled_back_follower_reads_the_same_events_again(
    intake: Intake, database: Database, protector: DataProtector
) -> None:
    registry = Registry(protector, FakeClock())
    await _take(intake, database, driving_row(1))
    assert len(await _pull(database, registry, "another", 1, limit=3)) == 1, "the event is settled"

    async def die_half_way() -> None:
        async with database.transaction() as session:
            assert len(await registry.pull_events(session, "reminders", 3)) == 1
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await die_half_way()
    async with database.transaction() as session:
        assert len(await registry.pull_events(session, "reminders", 3)) == 1


@pytest.mark.postgresql
async def test_a_feed_restored_from_another_server_is_read_again_and_not_silent(
    postgresql_database: Database, intake: Intake, protector: DataProtector
) -> None:
    database = postgresql_database
    registry = Registry(protector, FakeClock())
    await _take(intake, database, *(driving_row(number) for number in range(3)))
    assert len(await _pull(database, registry, "reminders", 3, limit=10)) == 3
    elsewhere = 2**40  # numbers that this server will not reach
    async with database.transaction() as session:
        await session.execute(update(store.EVENT).values(written_in=store.EVENT.c.written_in + elsewhere))
        await session.execute(update(CURSOR).values(written_in=CURSOR.c.written_in + elsewhere))
    await _take(intake, database, driving_row(7))
    seen = await _pull(database, registry, "reminders", 4, limit=2)
    assert len({event.licence_id for event in seen}) == 4, "the restored three again, and the new one"


async def test_the_row_of_a_licence_is_the_row_that_brought_it_but_for_mobiles(
    intake: Intake, database: Database, protector: DataProtector
) -> None:
    sent = driving_row(certificate_area_code="310101")
    await _take(intake, database, sent)
    (licence,) = await _licences(database, protector)
    row = row_of(licence, sent["certificate_type_code"])
    del sent["certificate_holders"][0]["mobile"]
    assert row == sent | {"certificate_identifier": licence.identifier}
