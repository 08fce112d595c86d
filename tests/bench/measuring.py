"""Rounds of slices: each bench right after what it is compared with, until the time is spent."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from time import perf_counter

from tests.bench.profiling import Profile, profile
from tests.bench.suite import Bench, Prepare, Timer, Unavailable

SLICE_S = 0.05  # long against the timer and one garbage collection, short enough for many rounds
LEAST_ROUNDS = 3  # a median of fewer says nothing, however little time was granted


@dataclass(frozen=True)
class Spread:
    """The median, least and greatest of what the rounds gave."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Result:
    """What one bench gave.

    Attributes:
        count: operations a slice.
        seconds: of one operation.
        ratio: one operation in times of its reference, round by round; None for a reference.
        profile: where the time goes; None for a reference.
        skipped: why there are no numbers.
    """

    name: str
    unit: str
    raw: Mapping[str, int]
    count: int = 0
    seconds: Spread | None = None
    ratio: Spread | None = None
    profile: Profile | None = None
    skipped: str | None = None


@dataclass
class _Running:
    bench: Bench
    prepare: Prepare
    count: int
    seconds: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)

    def result(self) -> Result:
        bench, seconds = self.bench, Spread.of(self.seconds)
        if not bench.raw:
            return Result(bench.name, bench.unit, bench.raw, self.count, seconds)
        where = profile(self.prepare, self.count)
        return Result(bench.name, bench.unit, bench.raw, self.count, seconds, Spread.of(self.ratios), where)


def measure(
    benches: Iterable[Bench],
    seconds: float,
    *,
    timer: Timer = perf_counter,
    progress: Callable[[str, float], None] = lambda doing, spent_s: None,
) -> list[Result]:
    """Measure benches side by side.

    Args:
        benches: with their references, these first, as `Suite.chosen` gives them.
        seconds: for the rounds, preparations included; set-up and profiles come on top.
        timer: what `seconds` are told by.
        progress: told what is being done, and how many of the seconds are spent.
    """
    benches = list(benches)
    running: dict[str, _Running] = {}
    skipped: dict[str, str] = {}
    with ExitStack() as stack:
        for bench in benches:
            progress(f"set up {bench.name}", 0)
            try:
                running[bench.name] = _started(bench, stack, skipped)
            except Unavailable as reason:
                skipped[bench.name] = str(reason)
        _run_rounds(running, seconds, timer, progress)
        progress("profiles", seconds)
        return [
            running[name].result() if name in running else Result(name, bench.unit, bench.raw, skipped=skipped[name])
            for bench in benches
            for name in (bench.name,)
        ]


def _started(bench: Bench, stack: ExitStack, skipped: Mapping[str, str]) -> _Running:
    for name in bench.raw.keys() & skipped.keys():
        raise Unavailable(skipped[name])
    prepare = bench.set_up(stack)
    return _Running(bench, prepare, _fitting(prepare, bench.batch, bench.timer))


def _fitting(prepare: Prepare, batch: int | None, timer: Timer) -> int:
    """How many operations fill a slice; finding out is the warm-up."""
    count = batch or 1
    while (spent := _time(prepare(count), timer)) < SLICE_S / 4 and batch is None:
        count *= 2
    return batch or max(1, round(count * SLICE_S / spent))


def _run_rounds(
    running: Mapping[str, _Running],
    seconds: float,
    timer: Timer,
    progress: Callable[[str, float], None],
) -> None:
    start, rounds = timer(), 0
    compared_with = {name for each in running.values() for name in each.bench.raw}  # they run beside what asks for them
    own = [each for name, each in running.items() if each.bench.raw or name not in compared_with]
    while rounds < LEAST_ROUNDS or timer() - start < seconds:
        rounds += 1
        for each in own:
            progress(f"round {rounds}, {each.bench.name}", min(timer() - start, seconds))
            raw_s = sum(times * _slice(running[name]) for name, times in each.bench.raw.items())
            own_s = _slice(each)
            if each.bench.raw:
                each.ratios.append(own_s / raw_s)


def _slice(running: _Running) -> float:
    """Run one slice and note it; seconds of one operation."""
    seconds = _time(running.prepare(running.count), running.bench.timer) / running.count
    running.seconds.append(seconds)
    return seconds


def _time(work: Callable[[], object], timer: Timer) -> float:
    start = timer()
    work()
    return timer() - start
