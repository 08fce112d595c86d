"""The sample city is deterministic, believable to the intake, and has something to remind of."""

from datetime import date, timedelta

from sqlalchemy import func, select

from credentials.catalogue import Catalogue
from credentials.registry import CertState, Intake, IntakeSource
from credentials.registry import repository as store
from tests.credentials.rows import lines
from tests.fakes import FakeClock
from wallet_api.database import Database
from wallet_api.protection import DataProtector
from wallet_api.sample import City

TODAY = date(2026, 11, 23)


def test_the_same_seed_and_day_give_the_same_rows() -> None:
    catalogue = Catalogue.default()
    once, again, other = (list(City(catalogue, seed, TODAY).rows(40, wrong=3)) for seed in (1, 1, 2))
    assert once == again
    assert once != other


def test_every_type_is_there_and_some_licences_end_within_a_month() -> None:
    catalogue = Catalogue.default()
    rows = list(City(catalogue, 1, TODAY).rows(120))
    assert {row["certificate_type_code"] for row in rows} == {kind.certificate_type_code for kind in catalogue.types()}
    last_days = [date.fromisoformat(row["certificate_validate_end"]) for row in rows if row["certificate_validate_end"]]
    assert sum(TODAY <= day <= TODAY + timedelta(days=30) for day in last_days) >= 5
    assert any(row["certificate_validate_end"] is None for row in rows), "some are long-term"


async def test_good_rows_are_taken_and_each_wrong_one_is_refused(
    database: Database, protector: DataProtector, clock: FakeClock
) -> None:
    catalogue = Catalogue.default()
    rows = City(catalogue, 3, TODAY).rows(200, wrong=17)
    report = await Intake(catalogue, protector, clock).take_all(database, IntakeSource("city", None), lines(*rows))
    assert (report.accepted, report.rejected) == (200, 17)
    assert {no.code for no in report.rejections} <= {
        "holder_code_invalid",
        "type_unknown",
        "date_invalid",
        "item_missing",
        "licence_unknown",
    }


async def test_a_city_has_lived_and_is_taken_in_as_it_is(
    database: Database, protector: DataProtector, clock: FakeClock
) -> None:
    catalogue = Catalogue.default()
    rows = [row for life in City(catalogue, 1, TODAY).lives(300, wrong=4) for row in life]
    assert rows == [row for life in City(catalogue, 1, TODAY).lives(300, wrong=4) for row in life]
    report = await Intake(catalogue, protector, clock).take_all(database, IntakeSource("city", None), lines(*rows))
    assert (report.accepted, report.rejected) == (len(rows) - 4, 4)
    async with database.snapshot() as session:
        states = set((await session.execute(select(store.LICENCE.c.state))).scalars())
        joint = select(func.count()).select_from(store.LICENCE_HOLDER).where(store.LICENCE_HOLDER.c.position == 1)
        assert (await session.execute(joint)).scalar_one() > 5
    assert states == set(CertState) - {CertState.TRANSFERRING_OUT, CertState.OTHER}


def test_a_registered_organisation_is_represented_by_somebody_who_holds_a_licence() -> None:
    rows = list(City(Catalogue.default(), 1, TODAY).rows(400))
    registered = [row for row in rows if "certificate_representatives" in row]
    holders = {holder["certificate_holder_code"] for row in rows for holder in row["certificate_holders"]}
    people = [row["certificate_representatives"][0] for row in registered]
    assert len(registered) >= 10
    assert all(person["certificate_representative_code"] in holders for person in people)
    printed = [row["business_information"]["legal_representative"] for row in registered]
    assert printed == [person["certificate_representative_name"] for person in people]
