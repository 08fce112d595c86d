"""CSV files: the same rows as NDJSON says them, and what is wrong with a line costs that line only."""

import csv
import io
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from credentials.catalogue import Catalogue
from credentials.catalogue.models import ItemType
from credentials.registry import BatchReport, CertState, FileError, Intake, IntakeSource, Registry, RowError
from credentials.registry.formats.rfc4180 import CsvTable
from tests.credentials.rows import driving_row, resident_id, step_row
from tests.fakes import FakeClock
from wallet_api.database import Database
from wallet_api.protection import DataProtector

POLICE = IntakeSource("traffic-police", None)
HEADER = (
    "source_record_id,source_version,operate_type,reason,certificate_type_code,certificate_number,"
    "certificate_issuing_authority_code,certificate_issued_date,certificate_validate_start,certificate_validate_end,"
    "certificate_holder_name,certificate_holder_code,certificate_holder_type,mobile,sex,nationality,address,birth_date,"
    "first_issue_date,vehicle_class,business_information.file_number"
)


def _cells(row: dict[str, Any]) -> str:
    """A row of `tests.credentials.rows` under HEADER."""
    flat = {**row, **row.get("certificate_holders", [{}])[0], **row.get("business_information", {})}
    written = io.StringIO()
    csv.writer(written, lineterminator="").writerow(
        [flat.get(name.removeprefix("business_information."), "") for name in HEADER.split(",")]
    )
    return written.getvalue()


async def _take(
    intake: Intake, database: Database, *lines: str | bytes, encoding: str = "utf-8", end: bytes = b"\n"
) -> BatchReport:
    async def pieces() -> AsyncIterator[bytes]:
        for line in lines:
            yield (line if isinstance(line, bytes) else line.encode(encoding)) + end

    return await intake.take_csv(database, POLICE, pieces(), encoding)


@pytest.fixture
def intake(protector: DataProtector, clock: FakeClock) -> Intake:
    return Intake(Catalogue.default(), protector, clock)


async def test_a_line_of_a_table_is_the_row_that_ndjson_would_be(
    intake: Intake, database: Database, protector: DataProtector, clock: FakeClock
) -> None:
    report = await _take(intake, database, HEADER, _cells(driving_row()), _cells(step_row(1, 2, "03")))
    assert (report.accepted, report.rejected) == (2, 0)
    async with database.snapshot() as session:
        (licence,) = await Registry(protector, clock).by_number(session, "driving-licence", resident_id(1))
    assert (licence.state, licence.holders[0].name) == (CertState.SUSPENDED, "张三丰")
    assert licence.items == driving_row()["business_information"]


async def test_what_is_wrong_with_a_line_costs_that_line_only(intake: Intake, database: Database) -> None:
    good = [_cells(driving_row(number)) for number in range(1, 4)]
    report = await _take(
        intake,
        database,
        HEADER,
        good[0],
        '"' + _cells(driving_row(7)),  # never closed
        good[1],
        _cells(driving_row(8)) + ",more",
        "GA-000009,1,01",
        "",
        _cells(driving_row(10)).encode("gb18030"),
        _cells(driving_row(11, source_version="one")),
        good[2],
        _cells(driving_row(12)).replace("2030-02-28", "x" * 70_000),
        _cells(driving_row(13)).replace("张三丰", "张\0丰"),
    )
    assert (report.accepted, report.unchanged, report.rejected) == (3, 0, 7)
    assert [(no.line, no.code) for no in report.rejections] == [
        (3, "row_not_csv"),
        (5, "row_ragged"),
        (6, "row_ragged"),
        (8, "row_not_text"),
        (9, "member_invalid"),
        (11, "row_too_large"),
        (12, "member_invalid"),
    ]


@pytest.mark.parametrize(("encoding", "mark"), [("utf-8", b"\xef\xbb\xbf"), ("utf-8", b""), ("gb18030", b"")])
async def test_a_byte_order_mark_windows_line_ends_and_gb18030_are_read(
    encoding: str, mark: bytes, intake: Intake, database: Database
) -> None:
    header = mark + HEADER.encode()
    report = await _take(intake, database, header, _cells(driving_row()), encoding=encoding, end=b"\r\n")
    assert (report.accepted, report.rejected) == (1, 0)


async def test_several_holders_have_numbered_columns_and_an_array_has_semicolons(
    intake: Intake, database: Database
) -> None:
    kinds = {"classes": ItemType.STRING_ARRAY, "count": ItemType.INTEGER, "open": ItemType.BOOLEAN}
    header = "source_record_id,source_version,operate_type,certificate_holder_name,certificate_holder_name_2,"
    header += "certificate_representative_name,mobile_2,classes,count,open,other"
    table = CsvTable.from_header(header.encode(), "utf-8", lambda code: kinds)
    row = table.object_from_line(b"A,7,01,Zhang,Li,Wang,+8613800000000,C1; D,12,true,x")
    assert row == {
        "source_record_id": "A",
        "source_version": 7,
        "operate_type": "01",
        "certificate_holders": [
            {"certificate_holder_name": "Zhang"},
            {"certificate_holder_name": "Li", "mobile": "+8613800000000"},
        ],
        "certificate_representatives": [{"certificate_representative_name": "Wang"}],
        "business_information": {"classes": ["C1", "D"], "count": 12, "open": True, "other": "x"},
    }


WRONG_HEADERS = {
    "nothing": "",
    "other names": "id,version",
    "no record id": HEADER.replace("source_record_id", "record"),
    "semicolons between": HEADER.replace(",", ";"),
    "a column twice": HEADER + ",sex",
    "a holder's first name column counted and not": HEADER + ",certificate_holder_name_1",
    "too many holders": HEADER + ",certificate_holder_name_33",
    "an unknown member of the standard": HEADER + ",certificate_colour",
    "a name that no item can have": HEADER + ",File Number",
    "the list that columns stand for": HEADER + ",certificate_holders",
    "not closed": HEADER + ',"sex',
    "not text": b"\xff\xfe" + HEADER.encode("utf-16-le"),
}


@pytest.mark.parametrize("name", WRONG_HEADERS)
async def test_a_wrong_header_is_said_at_once_and_nothing_is_taken(
    name: str, intake: Intake, database: Database
) -> None:
    with pytest.raises(FileError) as refused:
        await _take(intake, database, WRONG_HEADERS[name], _cells(driving_row()))
    assert refused.value.detail
    async with database.snapshot() as session:
        assert await intake.batches(session, POLICE.system, None, 5) == []


TEXT = st.one_of(st.binary(max_size=80), st.text('",;\r\n\0aZ1_.张', max_size=40).map(str.encode))


@given(header=st.just(HEADER.encode()) | TEXT, line=TEXT, encoding=st.sampled_from(["utf-8", "gb18030"]))
@example(header=HEADER.encode(), line=b",".join([b"1"] * 21), encoding="utf-8")
def test_any_table_gives_rows_or_our_error(header: bytes, line: bytes, encoding: str) -> None:
    with suppress(FileError, RowError):
        assert isinstance(CsvTable.from_header(header, encoding, lambda code: {}).object_from_line(line), dict)
