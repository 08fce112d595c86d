"""What there is to measure: a bench is a name, a unit, what it is compared with, and how its work is prepared."""

import itertools
from collections import deque
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from time import process_time

Prepare = Callable[[int], Callable[[], object]]
"""Makes the inputs of so many operations, and gives what does them all; only the latter is timed."""

Timer = Callable[[], float]
SetUp = Callable[[ExitStack], Prepare]


class Unavailable(Exception):
    """A bench cannot run on this machine; says why."""


@dataclass(frozen=True)
class Bench:
    """Something to measure.

    Attributes:
        unit: what one operation is.
        raw: name of another bench → how many of its operations the ratio compares one of ours with. A bench
            without is a reference.
        batch: operations a slice, fixed; None takes as many as fill it.
        timer: gives seconds.
        set_up: run once; puts what must be closed on the stack.
    """

    name: str
    unit: str
    raw: Mapping[str, int]
    batch: int | None
    timer: Timer
    set_up: SetUp


class Suite:
    """Benches by name, in the order in which they were registered.

    Args:
        timer: what computing is timed by. The processor's time by default: what other programs do meanwhile is no
            property of ours. A bench that waits for a disk or a server takes `perf_counter` instead.
    """

    def __init__(self, timer: Timer = process_time) -> None:
        self._timer = timer
        self._benches: dict[str, Bench] = {}

    def bench(
        self,
        name: str,
        *,
        unit: str,
        raw: Mapping[str, int] | None = None,
        batch: int | None = None,
        timer: Timer | None = None,
    ) -> Callable[[SetUp], SetUp]:
        """Register a set-up function.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._benches:
            raise ValueError(f"{name} is registered twice")

        def register(set_up: SetUp) -> SetUp:
            self._benches[name] = Bench(name, unit, dict(raw or {}), batch, timer or self._timer, set_up)
            return set_up

        return register

    def names(self) -> list[str]:
        """All names."""
        return list(self._benches)

    def chosen(self, names: Collection[str] = ()) -> list[Bench]:
        """The named benches, all there are without names, and before each of them what it is compared with.

        Raises:
            KeyError: there is no bench of this name.
        """
        ordered: dict[str, Bench] = {}

        def add(name: str) -> None:
            for reference in self._benches[name].raw:
                add(reference)
            ordered.setdefault(name, self._benches[name])

        for name in names or self._benches:
            add(name)
        return list(ordered.values())


def repeat(operation: Callable[[], object]) -> Prepare:
    """The work of a bench whose operation needs no input of its own."""

    def prepare(count: int) -> Callable[[], object]:
        return lambda: deque((operation() for _ in itertools.repeat(None, count)), maxlen=0)

    return prepare
