"""`python -m tests.bench [--only NAME]… [--seconds N] [--json PATH] [--few N] [--many N]`."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tests.bench.benches import SUITE
from tests.bench.measuring import measure
from tests.bench.report import as_json, show
from tests.bench.rows import SIZES
from wallet_api.garbage import collect_rarely

SECONDS = 40.0  # a dozen rounds of everything, and the whole run stays under 90 s
TELL_EVERY_S = 10  # where no progress bar can be drawn
WIDTH = 160  # of the tables in a file


def main() -> None:
    """Measure, print, keep."""
    collect_rarely()  # as the platform's processes do
    arguments = _arguments()
    SIZES.few, SIZES.many = arguments.few, arguments.many
    told = Console(stderr=True)
    with _progress(told, arguments.seconds) as progress:
        results = measure(SUITE.chosen(arguments.only), arguments.seconds, progress=progress)
    printed = Console()
    show(results, printed if printed.is_terminal else Console(width=WIDTH))
    path: Path = arguments.json or Path("bench-results") / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(as_json(results, arguments.seconds), option=orjson.OPT_INDENT_2))
    told.print(f"kept in {path}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Ratios against raw cryptography.")
    parser.add_argument("--only", action="append", default=[], choices=SUITE.names(), help="may be repeated")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"for the rounds; {SECONDS:g} by default")
    parser.add_argument("--json", type=Path, help="instead of bench-results/<time>.json")
    parser.add_argument("--few", type=int, default=SIZES.few, help=f"licences to look up among; {SIZES.few} by default")
    parser.add_argument("--many", type=int, default=SIZES.many, help=f"and these; {SIZES.many} by default")
    return parser.parse_args()


@contextmanager
def _progress(console: Console, seconds: float) -> Iterator[Callable[[str, float], None]]:
    """A bar on a terminal, now and then a line elsewhere."""
    columns = BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task, next_s = bar.add_task("", total=seconds), 0.0

        def tell(doing: str, spent_s: float) -> None:
            nonlocal next_s
            bar.update(task, description=doing, completed=spent_s)
            if not console.is_terminal and spent_s >= next_s:
                next_s = spent_s + TELL_EVERY_S if spent_s else 0.0  # every set-up is told
                console.print(f"{spent_s:3.0f} s of {seconds:g}: {doing}")

        yield tell


if __name__ == "__main__":
    main()
