"""The harness itself, with a timer that only the benches move; and that every bench still runs. Nothing is timed."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from io import StringIO
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from tests.bench import Prepare, Suite, Unavailable, measure, repeat
from tests.bench.benches import SUITE
from tests.bench.profiling import profile
from tests.bench.report import as_json, show


class Timer:
    """Stands still until an operation says how long it took."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def taking(self, seconds: float) -> Callable[[ExitStack], Prepare]:
        def operation() -> None:
            self.now_s += seconds

        return lambda stack: repeat(operation)


@pytest.fixture
def timer() -> Timer:
    return Timer()


@pytest.fixture
def suite(timer: Timer) -> Suite:
    suite = Suite(timer)
    suite.bench("whole", unit="thing", raw={"verify": 2, "sign": 1})(timer.taking(0.014))
    suite.bench("part", unit="thing", raw={"whole": 1})(timer.taking(0.007))
    suite.bench("sign", unit="signature")(timer.taking(0.001))
    suite.bench("verify", unit="signature")(timer.taking(0.003))
    return suite


def test_a_ratio_is_one_operation_in_times_of_what_it_is_compared_with(suite: Suite, timer: Timer) -> None:
    by_name = {result.name: result for result in measure(suite.chosen(), 5, timer=timer)}
    whole, part = by_name["whole"], by_name["part"]
    assert whole.seconds is not None
    assert whole.seconds.median == pytest.approx(0.014)
    assert whole.ratio is not None
    assert [whole.ratio.least, whole.ratio.median, whole.ratio.greatest] == pytest.approx([2, 2, 2])
    assert part.ratio is not None
    assert part.ratio.median == pytest.approx(0.5)
    assert by_name["sign"].ratio is None


def test_what_is_compared_with_nothing_is_measured_beside_what_is(suite: Suite, timer: Timer) -> None:
    suite.bench("alone", unit="thing")(timer.taking(0.002))
    (alone,) = [result for result in measure(suite.chosen(), 5, timer=timer) if result.name == "alone"]
    assert alone.seconds is not None
    assert (alone.seconds.median, alone.ratio) == (pytest.approx(0.002), None)


def test_the_median_is_that_of_the_rounds_and_the_spread_shows_the_worst(timer: Timer) -> None:
    suite, durations = Suite(timer), iter([1.0, 2.0, 9.0, 4.0])

    def set_up(stack: ExitStack) -> Prepare:
        def operation() -> None:
            timer.now_s += next(durations)

        return repeat(operation)

    suite.bench("uneven", unit="thing", batch=1)(set_up)
    (result,) = measure(suite.chosen(), 0, timer=timer)
    assert result.seconds is not None, "the first is the warm-up"
    assert (result.seconds.median, result.seconds.least, result.seconds.greatest) == (4, 2, 9)


def test_what_is_chosen_brings_what_it_is_compared_with_first(suite: Suite) -> None:
    assert [bench.name for bench in suite.chosen(["part"])] == ["verify", "sign", "whole", "part"]
    assert [bench.name for bench in suite.chosen(["sign"])] == ["sign"]
    with pytest.raises(ValueError, match="twice"):
        suite.bench("sign", unit="signature")


def test_what_cannot_run_is_skipped_with_all_that_is_compared_with_it(suite: Suite, timer: Timer) -> None:
    @suite.bench("server", unit="row")
    def server(stack: ExitStack) -> Prepare:
        raise Unavailable("no server")

    suite.bench("import", unit="row", raw={"server": 1})(timer.taking(1))
    results = measure(suite.chosen(["import", "sign"]), 1, timer=timer)
    assert [(result.name, result.skipped) for result in results] == [
        ("server", "no server"),
        ("import", "no server"),
        ("sign", None),
    ]


def test_what_was_opened_is_closed_when_a_bench_breaks(suite: Suite, timer: Timer) -> None:
    closed: list[bool] = []

    @suite.bench("broken", unit="thing")
    def broken(stack: ExitStack) -> Prepare:
        stack.callback(closed.append, True)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        measure(suite.chosen(["broken"]), 1, timer=timer)
    assert closed


def test_the_json_holds_machine_times_ratios_and_profiles(suite: Suite, timer: Timer) -> None:
    results = measure(suite.chosen(), 1, timer=timer)
    kept = orjson.loads(orjson.dumps(as_json(results, 1)))
    assert kept["machine"].keys() >= {"python", "cpus", "cryptography", "openssl"}
    whole = next(bench for bench in kept["benches"] if bench["name"] == "whole")
    assert whole["raw"] == {"verify": 2, "sign": 1}
    assert whole["ratio"].keys() == {"median", "least", "greatest"}
    assert sum(whole["profile"]["places"].values()) == pytest.approx(1, abs=0.01)
    assert whole["profile"]["top"][0].keys() == {"function", "calls", "share"}


def test_the_table_names_every_bench_and_why_one_was_skipped(suite: Suite, timer: Timer) -> None:
    @suite.bench("server", unit="row")
    def server(stack: ExitStack) -> Prepare:
        raise Unavailable("no server")

    printed = StringIO()
    show(measure(suite.chosen(), 1, timer=timer), Console(file=printed, width=200))
    assert all(name in printed.getvalue() for name in suite.names())
    assert "no server" in printed.getvalue()


def needs_server(name: str) -> bool:
    return "postgresql" in name or name.startswith("status_")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.postgresql if needs_server(name) else ()) for name in SUITE.names()]
)
def test_every_bench_runs(name: str) -> None:
    (*_, bench) = SUITE.chosen([name])
    with ExitStack() as stack:
        try:
            prepare = bench.set_up(stack)
        except Unavailable as reason:
            if os.environ.get("CI"):
                pytest.fail(str(reason))
            pytest.skip(str(reason))
        prepare(2)()


@pytest.mark.parametrize(
    ("name", "signatures"),
    [
        ("credential_sign", {"es256_sign": 1}),
        ("credential_sign_openvc", {"es256_sign": 1}),
        ("credential_sign_sd_jwt", {"es256_sign": 1}),
        ("sd_jwt_vc_issue", {"es256_sign": 1, "es256_verify": 1}),
        ("live_code_check_cold", {"es256_verify": 2}),
        ("live_code_check_seen", {"es256_verify": 1}),
        ("live_code_make", {"es256_sign": 1}),
    ],
)
def test_the_profile_counts_the_signatures_of_one_operation(name: str, signatures: dict[str, float]) -> None:
    (*_, bench) = SUITE.chosen([name])
    with ExitStack() as stack:
        assert profile(bench.set_up(stack), 3).signatures == signatures


def test_results_are_kept_out_of_the_repository() -> None:
    assert "/bench-results/" in (Path(__file__).parents[2] / ".gitignore").read_text().splitlines()
