"""The holder's log of who was told what: complete, in order, and proven."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import delete, text, update

from presentation.accesslog import AccessLog, Release
from presentation.accesslog.repository import ENTRY, HEAD
from tests.fakes import FakeClock
from tests.wallet_api.running import Running
from tests.wallet_api.showing import Device, inspector
from tests.wallet_api.signing_in import SigningWallet
from wallet_api.database import Database
from wallet_api.protection import DataProtector

HOLDER = "h" * 32


def _release(clock: FakeClock, number: int, holder: str = HOLDER, **changes: Any) -> Release:
    values: dict[str, Any] = {
        "check_id": f"{number:032x}",
        "holder_id": holder,
        "at": clock.now(),
        "client_id": "police",
        "organisation": "某市公安局",
        "system_name": "终端",
        "licence_id": "l" * 32,
        "type_code": "driving-licence",
        "type_version": 1,
        "number_masked": "31****34",
        "items": ("holder_name",),
        "scene_id": "traffic-police-check",
        "scene_version": 1,
        "offline": False,
        "reason": "例行检查",
    }
    return Release(**values | changes)


@pytest.fixture
def log(clock: FakeClock, protector: DataProtector) -> AccessLog:
    return AccessLog(clock, protector)


async def _append(database: Database, log: AccessLog, release: Release) -> None:
    async with database.transaction() as session:
        await log.append(session, release)


async def _faults(database: Database, log: AccessLog) -> list[tuple[int, str]]:
    async with database.snapshot() as session:
        holders = [holder async for holder in log.holders(session)]
        return [(fault.sequence, fault.what) for each in holders for fault in await log.verify(session, each)]


async def test_a_tampered_removed_or_reordered_row_is_found(
    database: Database, log: AccessLog, clock: FakeClock
) -> None:
    for number in range(1, 6):
        clock.forward(seconds=1)
        await _append(database, log, _release(clock, number, reason="查" if number % 2 else None))
    assert await _faults(database, log) == []
    changed, missing = "the row does not follow from the one before, or was changed", "the row is missing"
    cut, unreadable = "the chain does not end where its head says", "the row cannot be read (ProtectionError)"

    def row(sequence: int) -> Any:
        return (ENTRY.c.holder_id == HOLDER) & (ENTRY.c.sequence == sequence)

    tampering: list[tuple[list[Any], tuple[int, str]]] = [
        ([update(ENTRY).where(row(2)).values(organisation="另一个单位")], (2, changed)),
        ([update(ENTRY).where(row(2)).values(items=["holder_name", "address"])], (2, changed)),
        ([update(ENTRY).where(row(2)).values(offline=True)], (2, changed)),
        ([update(ENTRY).where(row(1)).values(note_sealed=None)], (1, changed)),
        ([update(ENTRY).where(row(1)).values(note_sealed=b"damaged")], (1, unreadable)),
        ([delete(ENTRY).where(row(3))], (3, missing)),
        ([delete(ENTRY).where(row(1))], (1, missing)),
        ([delete(ENTRY).where(row(5))], (5, cut)),
        ([delete(ENTRY)], (1, cut)),
        ([delete(HEAD)], (6, cut)),
        (
            [
                update(ENTRY).where(row(2)).values(sequence=99),
                update(ENTRY).where(row(4)).values(sequence=2),
                update(ENTRY).where(row(99)).values(sequence=4),
            ],
            (2, changed),
        ),
        (
            [
                delete(ENTRY).where(row(3)),
                update(ENTRY).where(row(4)).values(sequence=3),
                update(ENTRY).where(row(5)).values(sequence=4),
            ],
            (3, changed),
        ),
    ]
    if database.is_sqlite:  # whose columns hold what is put there
        for column in ("at", "items"):
            statement = text(f"UPDATE access_log SET {column} = '{{' WHERE sequence = 4")
            error = "ValueError" if column == "at" else "JSONDecodeError"
            tampering.append(([statement], (4, f"the row cannot be read ({error})")))
    for statements, fault in tampering:
        async with database.engine.connect() as connection, connection.begin() as transaction:
            for statement in statements:
                await connection.execute(statement)
            found = []
            async with type(database).snapshot(_Over(connection)) as session:  # type: ignore[arg-type]
                found = [(one.sequence, one.what) for one in await log.verify(session, HOLDER)]
            await transaction.rollback()
        assert found == [fault], statements


class _Over:
    """A database whose sessions stand in a transaction that will not be kept."""

    def __init__(self, connection: Any) -> None:
        self.engine = connection


async def test_releases_at_once_make_one_chain_each(database: Database, log: AccessLog, clock: FakeClock) -> None:
    await asyncio.gather(
        *(_append(database, log, _release(clock, number, "ab"[number % 2] * 32)) for number in range(50))
    )
    assert await _faults(database, log) == []
    async with database.snapshot() as session:
        page = await log.page(session, "a" * 32, None, 100)
    assert [entry.sequence for entry in page.entries] == list(range(25, 0, -1))


async def test_a_release_that_is_rolled_back_leaves_nothing(
    database: Database, log: AccessLog, clock: FakeClock
) -> None:
    await _append(database, log, _release(clock, 1))
    async with database.transaction() as session:
        await log.append(session, _release(clock, 2))
        await session.rollback()
    await _append(database, log, _release(clock, 3))
    assert await _faults(database, log) == []
    async with database.snapshot() as session:
        page = await log.page(session, HOLDER, None, 100)
    assert [entry.check_id[-1] for entry in page.entries] == ["3", "1"]


async def test_pages_come_newest_first_and_only_to_their_holder(running: Running) -> None:
    police = await inspector(running)
    device, other = await Device.of(running), await Device.of(running, 3)
    for _ in range(3):
        running.clock.forward(seconds=15)
        await police.released(device.code())
    await police.released(other.code())
    first = await device.access_log("?limit=2")
    assert [entry["id"] for entry in first["entries"]] == ["3", "2"]
    second = await device.access_log(f"?limit=2&cursor={first['next_cursor']}")
    assert ([entry["id"] for entry in second["entries"]], second["next_cursor"]) == (["1"], None)
    path = "/api/v1/me/access-log"
    stranger = await SigningWallet(running).signed_in(3)
    for query in (f"?cursor={first['next_cursor']}", "?cursor=2", "?limit=0", "?limit=101", "?limit=x"):
        assert (await stranger.call("GET", path + query)).status_code == 422, query
    assert (await device.wallet.call("GET", path)).status_code == 403, "a code for one licence opens no log"
    assert (await running.get(path)).status_code == 401
    police_answer = await running.get(path, headers={"Authorization": f"Bearer {police.bearer}"})
    assert police_answer.status_code == 403
