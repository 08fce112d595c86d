"""Who the store knows: by identity number, and for whom a person may act."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event

from credentials.catalogue import Catalogue
from credentials.registry import Intake, IntakeSource, Registry, UnknownHolder, row_of
from tests.credentials.rows import (
    BUSINESS,
    business_row,
    driving_row,
    lines,
    organisation_code,
    representative,
    resident_id,
    step_row,
)
from tests.fakes import FakeClock
from wallet_api.database import Database
from wallet_api.protection import DataProtector

CONSOLE = IntakeSource("console", None)


class Store:
    """Takes rows in and asks for holders."""

    def __init__(self, database: Database, protector: DataProtector, clock: FakeClock) -> None:
        self.database = database
        self.registry = Registry(protector, clock)
        self._intake = Intake(Catalogue.default(), protector, clock)

    async def take(self, *rows: object) -> list[tuple[str, str]]:
        report = await self._intake.take_all(self.database, CONSOLE, lines(*rows))
        return [(refused.code, refused.field) for refused in report.rejections]

    async def represented_by(self, number: int) -> list[str]:
        async with self.database.snapshot() as session:
            person = await self.registry.holder_by_code(session, "111", resident_id(number))
            return [holder.name for holder in await self.registry.represented_by(session, person.id)]


@pytest.fixture
def store(database: Database, protector: DataProtector, clock: FakeClock) -> Store:
    return Store(database, protector, clock)


async def test_a_holder_is_found_by_identity_number_in_any_spelling(store: Store) -> None:
    ends_in_x = next(number for number in range(1000) if resident_id(number).endswith("X"))
    await store.take(driving_row(ends_in_x), business_row(2))
    async with store.database.snapshot() as session:
        person = await store.registry.holder_by_code(session, "111", f" {resident_id(ends_in_x).lower()} ")
        company = await store.registry.holder_by_code(session, "001", organisation_code(2))
    assert (person.code_type, person.name) == ("111", "张三丰")
    assert (company.code_type, company.name) == ("001", "上海申禾贸易有限公司")


@pytest.mark.parametrize(
    ("code_type", "code"),
    [
        ("111", resident_id(77)),
        ("001", resident_id(1)),
        ("414", resident_id(1)),
        ("111", resident_id(1)[:-1] + "?"),
        ("111", ""),
        ("1", "1"),
        ("111", "\x00" * 18),
        ("999", "9" * 10_000),
    ],
)
async def test_who_is_not_in_the_store_is_unknown_whatever_the_number(code_type: str, code: str, store: Store) -> None:
    await store.take(driving_row(1))
    async with store.database.snapshot() as session:
        with pytest.raises(UnknownHolder) as refused:
            await store.registry.holder_by_code(session, code_type, code)
    assert not code or code not in str(refused.value)


async def test_a_person_acts_for_the_organisations_whose_registration_names_them(store: Store) -> None:
    assert not await store.take(business_row(1), business_row(2, certificate_representatives=None))
    assert await store.represented_by(1) == ["上海申禾贸易有限公司"]
    async with store.database.snapshot() as session:
        with pytest.raises(UnknownHolder):
            await store.registry.holder_by_code(session, "111", resident_id(2))
        company = await store.registry.holder_by_code(session, "001", organisation_code(1))
        assert await store.registry.represented_by(session, company.id) == []


async def test_a_second_representative_acts_as_the_first_does(store: Store) -> None:
    other = representative(8, certificate_representative_name="李四", certificate_representative_type="999")
    assert not await store.take(
        business_row(1, certificate_representatives=[representative(1), representative(9), other])
    )
    assert await store.represented_by(1) == await store.represented_by(9) == ["上海申禾贸易有限公司"]


@pytest.mark.parametrize(
    "step",
    [
        {"operate_type": "05", "cert_state": "04", "reason": "注销"},
        business_row(1, operate_type="09", certificate_representatives=[representative(3)]),
        business_row(1, operate_type="09", certificate_representatives=None),
    ],
    ids=["cancelled", "changed to another", "changed to nobody"],
)
async def test_the_power_ends_with_the_licence_that_gave_it(step: dict[str, Any], store: Store) -> None:
    await store.take(business_row(1), driving_row(3))
    assert not await store.take(step | {"source_record_id": "SJ-000001", "source_version": 2})
    assert await store.represented_by(1) == []
    named = bool(step.get("certificate_representatives"))
    assert await store.represented_by(3) == ["上海申禾贸易有限公司"] * named


async def test_the_power_lasts_from_the_first_to_the_last_shanghai_day(store: Store, clock: FakeClock) -> None:
    days = {"certificate_validate_start": "2026-11-24", "certificate_validate_end": "2026-11-25"}
    assert not await store.take(business_row(1, **days))
    counts = []
    for instant in (
        datetime(2026, 11, 23, 15, 59, 59, tzinfo=UTC),
        datetime(2026, 11, 23, 16, 0, tzinfo=UTC),
        datetime(2026, 11, 25, 15, 59, 59, tzinfo=UTC),
        datetime(2026, 11, 25, 16, 0, tzinfo=UTC),
    ):
        clock.forward(seconds=(instant - clock.now()).total_seconds())
        counts.append(len(await store.represented_by(1)))
    assert counts == [0, 1, 1, 0]


_WRONG: dict[str, tuple[dict[str, Any], tuple[str, str]]] = {
    "a type that names nobody": (
        driving_row(1, certificate_representatives=[representative(1)]),
        ("representatives_not_allowed", "certificate_representatives"),
    ),
    "an organisation": (
        business_row(
            1,
            certificate_representatives=[
                representative(
                    1,
                    certificate_representative_type="001",
                    certificate_representative_code=organisation_code(1),
                )
            ],
        ),
        ("representatives_not_allowed", "certificate_representatives[0].certificate_representative_type"),
    ),
    "a code type that does not exist": (
        business_row(1, certificate_representatives=[representative(1, certificate_representative_type="777")]),
        ("representatives_not_allowed", "certificate_representatives[0].certificate_representative_type"),
    ),
    "a name that the licence does not print": (
        business_row(1, certificate_representatives=[representative(1, certificate_representative_name="李四")]),
        ("representative_mismatch", "certificate_representatives[0].certificate_representative_name"),
    ),
    "a wrong check digit": (
        business_row(
            1,
            certificate_representatives=[representative(1, certificate_representative_code=resident_id(1)[:-1] + "?")],
        ),
        ("holder_code_invalid", "certificate_representatives[0].certificate_representative_code"),
    ),
    "twice the same": (
        business_row(1, certificate_representatives=[representative(1), representative(1)]),
        ("member_invalid", "certificate_representatives"),
    ),
    "an empty list": (
        business_row(1, certificate_representatives=[]),
        ("member_invalid", "certificate_representatives"),
    ),
    "a member of a holder": (
        business_row(1, certificate_representatives=[representative(1, certificate_holder_name="张三丰")]),
        ("member_unknown", "certificate_representatives[0].certificate_holder_name"),
    ),
}


@pytest.mark.parametrize("name", _WRONG)
async def test_a_wrong_representative_is_refused_with_its_place(name: str, store: Store) -> None:
    row, expected = _WRONG[name]
    assert await store.take(row) == [expected]


async def test_representatives_are_sealed_and_come_back_in_the_row(store: Store) -> None:
    sent = business_row(1)
    await store.take(sent)
    async with store.database.snapshot() as session:
        (licence,) = await store.registry.by_number(session, "business-licence", organisation_code(1))
        assert row_of(licence, BUSINESS) == sent | {"certificate_identifier": licence.identifier}
        for table in ("licence", "holder", "licence_representative"):
            raw = (await session.connection()).exec_driver_sql(f"SELECT * FROM {table}")
            assert resident_id(1).encode() not in repr((await raw).all()).encode()


@pytest.mark.postgresql
async def test_the_licences_of_a_holder_are_read_with_as_many_statements_as_one(
    postgresql_database: Database, protector: DataProtector, clock: FakeClock
) -> None:
    store = Store(postgresql_database, protector, clock)
    rows = [driving_row(5, source_record_id=f"GA-many-{at}", certificate_number=f"N{at}") for at in range(9)]
    await store.take(driving_row(1), *rows, step_row(1, 2, "03"))
    statements: list[str] = []
    async with postgresql_database.snapshot() as session:
        holders = [await store.registry.holder_by_code(session, "111", resident_id(number)) for number in (1, 5)]
        engine = postgresql_database.engine.sync_engine

        def note(*call: Any) -> None:
            statements.append(call[2])

        event.listen(engine, "before_cursor_execute", note)
        counts = []
        for holder in holders:
            statements.clear()
            counts.append((len(await store.registry.of_holder(session, holder.id)), len(statements)))
        event.remove(engine, "before_cursor_execute", note)
    assert counts == [(1, 3), (9, 3)]
