import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Column, DateTime, Integer, MetaData, Table, insert, select, text
from sqlalchemy.exc import IntegrityError

from wallet_api.database import Database
from wallet_api.protection import DataProtector, ProtectionError

metadata = MetaData()
moments = Table("moments", metadata, Column("id", Integer, primary_key=True), Column("at", DateTime(timezone=True)))


async def test_an_instant_comes_back_aware_and_in_utc(database: Database) -> None:
    shanghai = datetime(2026, 11, 23, 9, 0, tzinfo=timezone(timedelta(hours=8)))
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.execute(insert(moments).values(id=1, at=shanghai))
        stored = (await connection.execute(select(moments.c.at))).scalar_one()
        await connection.run_sync(metadata.drop_all)
    assert stored == datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
    assert stored.utcoffset() == timedelta(0)


def test_a_value_sealed_for_one_row_does_not_open_in_another(protector: DataProtector) -> None:
    sealed = protector.seal("张三".encode(), "holder.name:1")
    assert protector.open(sealed, "holder.name:1").decode() == "张三"
    with pytest.raises(ProtectionError):
        protector.open(sealed, "holder.name:2")
    with pytest.raises(ProtectionError):
        protector.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), "holder.name:1")
    for broken in (b"", b"\x05", b"\xff" * 40, sealed[:10]):
        with pytest.raises(ProtectionError):
            protector.open(broken, "holder.name:1")


async def test_an_error_of_the_database_does_not_carry_what_was_written(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.execute(insert(moments).values(id=4711, at=None))
    with pytest.raises(IntegrityError) as refused:
        async with database.engine.begin() as connection:
            await connection.execute(insert(moments).values(id=4711, at=datetime(1999, 12, 31, tzinfo=UTC)))
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
    assert "1999" not in str(refused.value)


async def test_the_writers_of_a_process_come_to_sqlite_in_their_order(sqlite_database: Database) -> None:
    done: list[int] = []

    async def write(number: int) -> None:
        async with sqlite_database.transaction() as session:
            await session.execute(text("SELECT 1"))
            done.append(number)

    await asyncio.gather(*(write(number) for number in range(30)))
    assert done == list(range(30))


async def test_a_writer_of_sqlite_whose_turn_does_not_come_is_told_so(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wallet_api.database.BUSY_TIMEOUT_MS", 10)
    async with sqlite_database.transaction():
        with pytest.raises(TimeoutError):
            async with sqlite_database.transaction():
                pass
    async with sqlite_database.transaction() as session:
        await session.execute(text("SELECT 1"))
