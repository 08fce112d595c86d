"""What ours is compared with: ES256 of the `cryptography` package alone, and rows into one plain table."""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import asyncpg
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.bench.registered import bench
from tests.bench.rows import BATCH, rows
from tests.bench.server import own_database
from tests.bench.suite import Prepare, repeat

MESSAGE = bytes(500)  # a live code's proof has about as many
COLUMNS = ("record", "type", "number", "authority", "issued", "start", "last", "name", "code", "mobile", "items")
CREATE = f"CREATE TABLE bare ({', '.join(f'{column}_ text' for column in COLUMNS)})"


@bench("es256_sign", unit="signature")
def sign(_: ExitStack) -> Prepare:
    key, algorithm = ec.generate_private_key(ec.SECP256R1()), ec.ECDSA(hashes.SHA256())
    return repeat(lambda: key.sign(MESSAGE, algorithm))


@bench("es256_verify", unit="signature")
def verify(_: ExitStack) -> Prepare:
    private_key, algorithm = ec.generate_private_key(ec.SECP256R1()), ec.ECDSA(hashes.SHA256())
    signature, key = private_key.sign(MESSAGE, algorithm), private_key.public_key()
    return repeat(lambda: key.verify(signature, MESSAGE, algorithm))


@bench("bare_insert_sqlite", unit="row", batch=BATCH, timer=perf_counter)
def insert(stack: ExitStack) -> Prepare:
    """One executemany in one transaction, as durable as the store's own."""
    file = Path(stack.enter_context(TemporaryDirectory())) / "bare.db"
    connection = sqlite3.connect(file, isolation_level=None)
    stack.callback(connection.close)
    for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", CREATE):
        connection.execute(statement)

    def prepare(count: int) -> Callable[[], object]:
        connection.execute("DELETE FROM bare")
        values = [_flat(row) for row in rows(count)]

        def work() -> None:
            connection.execute("BEGIN")
            connection.executemany(f"INSERT INTO bare VALUES ({', '.join('?' * len(COLUMNS))})", values)
            connection.execute("COMMIT")

        return work

    return prepare


@bench("bare_copy_postgresql", unit="row", batch=BATCH, timer=perf_counter)
def copy(stack: ExitStack) -> Prepare:
    """One COPY in one transaction."""
    runner = stack.enter_context(asyncio.Runner())
    connection = runner.run(asyncpg.connect(own_database(stack, runner)))
    stack.callback(lambda: runner.run(connection.close()))
    runner.run(connection.execute(CREATE))

    def prepare(count: int) -> Callable[[], object]:
        runner.run(connection.execute("TRUNCATE bare"))
        values = [_flat(row) for row in rows(count)]
        return lambda: runner.run(connection.copy_records_to_table("bare", records=values))

    return prepare


def _flat(row: Mapping[str, Any]) -> tuple[str | None, ...]:
    holder = row["certificate_holders"][0]
    return (
        row["source_record_id"],
        row["certificate_type_code"],
        row["certificate_number"],
        row["certificate_issuing_authority_code"],
        row["certificate_issued_date"],
        row["certificate_validate_start"],
        row["certificate_validate_end"],
        holder["certificate_holder_name"],
        holder["certificate_holder_code"],
        holder["mobile"],
        json.dumps(row["business_information"], ensure_ascii=False),
    )
