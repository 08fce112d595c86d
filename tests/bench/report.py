"""What is kept of a run, and what is printed of it."""

import os
import platform
import sqlite3
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version

from cryptography.hazmat.backends.openssl import backend
from rich.console import Console
from rich.table import Table

from tests.bench.measuring import Result, Spread
from tests.bench.server import server_version

LIBRARIES = ("cryptography", "sqlalchemy", "sqlmodel", "asyncpg", "aiosqlite", "orjson", "cbor2", "python-stdnum")
PLACES_SHOWN = 6  # the rest is in the JSON


def machine() -> Mapping[str, object]:
    """What the numbers depend on; `load` tells whether others were at work too. No name of the machine."""
    return {
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "openssl": backend.openssl_version_text(),
        "sqlite": sqlite3.sqlite_version,
        "postgresql": server_version(),
        "load": os.getloadavg()[0],
        **{name: version(name) for name in LIBRARIES},
    }


def as_json(results: Sequence[Result], seconds: float) -> Mapping[str, object]:
    """The whole run; every time in seconds, every share a part of 1."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "seconds": seconds,
        "machine": machine(),
        "benches": [asdict(result) for result in results],
    }


def show(results: Sequence[Result], console: Console) -> None:
    """Print the ratios, and where the time goes."""
    table = Table("bench", "a second", "µs", "compared with", "ratio", "ES256 done", box=None)
    for result in results:
        if result.seconds is not None:
            table.add_row(
                result.name,
                f"{1 / result.seconds.median:,.0f}",
                _spread(result.seconds, 1e6),
                " + ".join(f"{times} {name}" for name, times in result.raw.items()),
                _spread(result.ratio) if result.ratio else "",
                _signatures(result),
            )
    console.print(table)
    where = Table("bench", "where the time goes (cProfile)", box=None)
    for result in results:
        if result.profile is not None:
            places = list(result.profile.places.items())[:PLACES_SHOWN]
            where.add_row(result.name, ", ".join(f"{place} {share:.0%}" for place, share in places))
    console.print()
    console.print(where)
    for result in results:
        if result.skipped is not None:
            console.print(f"[yellow]skipped[/] {result.name}: {result.skipped}")


def _spread(spread: Spread, scale: float = 1) -> str:
    median, least, greatest = (_number(value * scale) for value in (spread.median, spread.least, spread.greatest))
    return f"{median} ({least}–{greatest})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _signatures(result: Result) -> str:
    counted = result.profile.signatures if result.profile else {}
    return ", ".join(f"{times:g} {name.removeprefix('es256_')}" for name, times in sorted(counted.items()))


def _commit() -> str | None:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None
