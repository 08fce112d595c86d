"""Key rotation on a filled database: after it the old key can go, and everything opens."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import LargeBinary, func, select, update
from sqlmodel import SQLModel

from credentials.registry import SHANGHAI, HolderEnds, Intake, IntakeSource, ends_from_body
from notifications import Bilingual, Device, DeviceKind, Digest, Entry
from presentation.accesslog import Release
from presentation.shows.models import Profile
from tests.credentials.rows import driving_row, lines, resident_id, step_row
from tests.fakes import FakeClock
from tests.wallet_api.running import FEW_TYPES, Running
from wallet_api.database import Database
from wallet_api.deployment_secrets import Secrets
from wallet_api.edge import Claim, StoredAnswer
from wallet_api.protection import DataProtector
from wallet_api.upkeep import ColumnReport, count_by_key, reseal
from wallet_api.upkeep.sealed_columns import SEALED_COLUMNS

#: Columns of bytes that are no secret: hashes, blind indexes, public tokens and ids.
PLAIN = ("_hash", "_index", "_digest", "_kid")
PLAIN_COLUMNS = {"check_trace.number_mark", "signing_key.kid", "status_token.token", "trust_list.content_digest"}
OLD_PREFIX = b"\x0aembedded-1"
NEW_KEY = "new:" + "bmV3" * 10 + "bmU="  # 32 bytes


def _columns_of_bytes() -> set[str]:
    return {
        f"{table.name}.{column.name}"
        for table in SQLModel.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }


def test_no_sealed_column_is_forgotten() -> None:
    known = {str(sealed) for sealed in SEALED_COLUMNS}
    unknown = {name for name in _columns_of_bytes() - known - PLAIN_COLUMNS if not name.endswith(PLAIN)}
    assert not unknown, "add it to wallet_api/upkeep/sealed_columns.py, or say here that it is no secret"
    assert not {name for name in _columns_of_bytes() - known if "sealed" in name}
    assert known <= _columns_of_bytes()


async def fill(running: Running) -> str:
    """A value in every sealed column, each written by those who own it. Gives the holder's id."""
    platform, database = running.platform, running.platform.database
    await running.take(driving_row(1), driving_row(2), step_row(2, 2, "03"))
    await (await running.wallet(1)).credential()
    licence_id = await running.licence_id(1)
    end = {"certificate_holder_type": "111", "certificate_holder_code": resident_id(2), "ended_on": "2026-11-20"}
    rows = ends_from_body(json.dumps([end | {"source_version": 1}]).encode())
    await HolderEnds(Secrets.of(platform.settings).protector, platform.clock).take_all(database, "register", rows)
    text = Bilingual("提醒", "Reminder")
    await platform.request_keys.public_jwk(database)
    async with database.transaction() as session:
        (holder_id,) = (await platform.registry.licence(session, licence_id)).holder_ids
        await platform.issuance.offer_licence(session, licence_id, with_sign_in=True)
        await platform.held_keys.live_code(session, "session", licence_id, holder_id, Profile.MINIMAL)
        await platform.access_log.append(session, _release(running, holder_id, licence_id))
        today = platform.clock.now().astimezone(SHANGHAI).date()
        for day in range(2):
            digest = Digest(holder_id, today + timedelta(days=day), "test", *[text] * 3, (Entry(f"s{day}", text),))
            await platform.outbox.post(session, [digest])
    await platform.outbox.deliver(database)
    async with database.transaction() as session:
        await platform.devices.register(session, holder_id, Device(DeviceKind.FCM, "a" * 22), "zh")
    claim = await platform.idempotency.claim("client", "key", b"request")
    assert isinstance(claim, Claim)
    async with database.transaction() as session:
        await platform.idempotency.keep(session, claim, StoredAnswer(201, '{"name": "张三丰"}'))
    return holder_id


def _release(running: Running, holder_id: str, licence_id: str) -> Release:
    return Release(
        check_id="0" * 32,
        holder_id=holder_id,
        at=running.clock.now(),
        client_id="verifier",
        organisation="交警",
        system_name="handheld",
        licence_id=licence_id,
        type_code="driving-licence",
        type_version=1,
        number_masked="31****11",
        items=["vehicle_class"],
        scene_id=None,
        scene_version=None,
        offline=False,
        reason="路检",
    )


def _old_key(data_dir: Path) -> str:
    return str(json.loads((data_dir / "secrets.json").read_text())["encryption_keys"])


def _rotated(running: Running, encryption_keys: str) -> DataProtector:
    """As a process with these ENCRYPTION_KEYS has it."""
    settings = running.platform.settings.model_copy(update={"encryption_keys": SecretStr(encryption_keys)})
    return Secrets.of(settings).protector


async def test_after_resealing_the_old_key_can_be_dropped_and_everything_opens(
    running: Running, tmp_path: Path, clock: FakeClock
) -> None:
    holder_id, database = await fill(running), running.platform.database
    both = _rotated(running, f"{NEW_KEY},{_old_key(tmp_path)}")
    before = await count_by_key(database, both)
    assert {name for name, keys in before.items() if keys.keys() == {"embedded-1"}} == set(map(str, SEALED_COLUMNS))

    reports = await reseal(database, both)
    assert [report.column for report in reports if report.left or report.unreadable or not report.resealed] == []
    assert await reseal(database, both) == tuple(ColumnReport(report.column, 0, 0, 0) for report in reports)
    assert await _values_under_the_old_key(database) == []

    alone = await Running.start(tmp_path, clock, database, encryption_keys=SecretStr(NEW_KEY))
    after = await count_by_key(database, _rotated(running, NEW_KEY))
    assert all(keys.keys() == {"new"} for keys in after.values())
    platform = alone.platform
    async with database.snapshot() as session:
        holder = await platform.registry.holder_by_code(session, "111", resident_id(1))
        (suspended,) = await platform.registry.by_number(session, "driving-licence", resident_id(2))
        history = await platform.registry.history(session, suspended.id, 0, 9)
        inbox = await platform.inbox.list(session, holder_id)
        released = await platform.access_log.page(session, holder_id, None, 9)
    assert (holder.id, holder.mobile, history[-1].reason) == (holder_id, "+8613800000000", "依法处理")
    assert inbox.messages[0].title == "提醒"
    assert released.entries[0].reason == "路检"
    assert await platform.idempotency.claim("client", "key", b"request") == StoredAnswer(201, '{"name": "张三丰"}')
    await (await alone.wallet(1)).credential()
    await alone.http.aclose()


async def _values_under_the_old_key(database: Database) -> list[str]:
    """In any column of bytes of any table, whether it is known as sealed or not."""
    found = []
    async with database.snapshot() as session:
        for table in SQLModel.metadata.tables.values():
            for column in table.columns:
                if isinstance(column.type, LargeBinary):
                    values = (await session.execute(select(column))).scalars()
                    found += [f"{table}.{column.name}" for value in values if (value or b"").startswith(OLD_PREFIX)]
    return found


OLD, NEW = {"old": b"o" * 32}, {"new": b"n" * 32}


class Killed(BaseException):
    """The process dies here."""


@pytest.fixture
def protectors() -> tuple[DataProtector, DataProtector]:
    """Before the rotation, and with both keys."""
    index = b"i" * 32
    return (
        DataProtector(OLD, active="old", blind_index_key=index),
        DataProtector(NEW | OLD, active="new", blind_index_key=index),
    )


async def _take(database: Database, protector: DataProtector, clock: FakeClock, numbers: range) -> None:
    rows = [driving_row(number, certificate_number=f"N{number}") for number in numbers]
    report = await Intake(FEW_TYPES, protector, clock).take_all(database, IntakeSource("test", None), lines(*rows))
    assert not report.rejected


async def test_killed_in_the_middle_it_goes_on_where_it_was(
    database: Database, clock: FakeClock, protectors: tuple[DataProtector, DataProtector]
) -> None:
    old, both = protectors
    await _take(database, old, clock, range(520))

    def die(values: int) -> None:
        assert values == 500
        raise Killed

    with pytest.raises(Killed):
        await reseal(database, both, die)
    counts = await count_by_key(database, both)
    assert counts["holder.code_sealed"] == {"new": 500, "old": 20}
    reports = {report.column: report for report in await reseal(database, both)}
    assert reports["holder.code_sealed"] == ColumnReport("holder.code_sealed", 20, 0, 0)
    assert reports["licence.content_sealed"] == ColumnReport("licence.content_sealed", 520, 0, 0)


async def test_two_at_once_beside_writers_under_either_key_lose_nothing(
    database: Database, clock: FakeClock, protectors: tuple[DataProtector, DataProtector]
) -> None:
    old, both = protectors
    await _take(database, old, clock, range(300))
    await asyncio.gather(
        reseal(database, both),
        reseal(database, both),
        _take(database, old, clock, range(200, 400)),
        _take(database, both, clock, range(300, 500)),
    )
    reports = await reseal(database, both)  # what an old process sealed while it ran
    assert sum(report.left + report.unreadable for report in reports) == 0
    alone = DataProtector(NEW, active="new", blind_index_key=b"i" * 32)
    async with database.snapshot() as session:
        for sealed in SEALED_COLUMNS:
            for row in await session.execute(sealed.select().where(sealed.column.is_not(None))):
                alone.open(row._mapping[sealed.name], sealed.context_of(row))
        (licences,) = (await session.execute(select(func.count()).select_from(SEALED_COLUMNS[3].table))).scalars()
    assert licences == 500


async def test_what_does_not_open_is_counted_left_alone_and_holds_nothing_up(
    database: Database, clock: FakeClock, protectors: tuple[DataProtector, DataProtector]
) -> None:
    old, both = protectors
    await _take(database, old, clock, range(3))
    holder = SEALED_COLUMNS[0].table
    damaged = old.prefix("old") + b"damaged"
    async with database.transaction() as session:
        one = (await session.execute(select(holder.c.id).limit(1))).scalar_one()
        await session.execute(update(holder).where(holder.c.id == one).values(name_sealed=damaged))
        await session.execute(update(holder).where(holder.c.id == one).values(code_sealed=b"\x04gone" + bytes(40)))
    reports = {report.column: report for report in await reseal(database, both)}
    assert reports["holder.name_sealed"] == ColumnReport("holder.name_sealed", 2, 1, 1)
    assert reports["holder.code_sealed"] == ColumnReport("holder.code_sealed", 2, 1, 1)
    counts = await count_by_key(database, both)
    assert counts["holder.code_sealed"] == {"new": 2, "?": 1}
