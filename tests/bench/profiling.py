"""Where the time of a slice goes, by cProfile. It slows Python code more than C code: shares are a map, not a scale."""

import cProfile
import pstats
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.suite import Prepare

SLICES = 3
TOP = 15  # functions kept; what comes after them takes a hundredth each, or less

# How the profiler names what computes signatures, and which of the raw references each of them is.
_OPENSSL = "of 'cryptography.hazmat.bindings._rust"
SIGNATURES = {
    f"<method 'sign' {_OPENSSL}.openssl.ec.ECPrivateKey' objects>": "es256_sign",
    f"<method 'verify' {_OPENSSL}.openssl.ec.ECPublicKey' objects>": "es256_verify",
    f"<method 'verify_directly_issued_by' {_OPENSSL}.x509.Certificate' objects>": "es256_verify",
}

_ROOT = Path(__file__).parents[2].parts
_METHOD = re.compile(r"<(?:built-in )?method '?([\w.]+)'?(?: of '([\w.]+)' objects)?>")
_BUILT_IN = "built-in"
_NAMED_BY_RUST = dict.fromkeys(("rust", "ec", "asn1"), "cryptography")

Function = tuple[str, int, str]  # file, line, name; the file is "~" for what is written in C
Stats = Mapping[Function, Any]


@dataclass(frozen=True)
class Entry:
    """A function and the share of all time that was spent in it, without what it called."""

    function: str
    calls: float
    share: float


@dataclass(frozen=True)
class Profile:
    """Where the time of one bench goes.

    Attributes:
        signatures: raw reference → how many of its operations were done for one of ours.
        places: package or module → share of all time; what Python has built in is counted for its callers.
        top: the functions in which most time was spent.
    """

    signatures: Mapping[str, float]
    places: Mapping[str, float]
    top: tuple[Entry, ...]


def profile(prepare: Prepare, count: int) -> Profile:
    """Run slices of `count` operations under the profiler, and look at the quickest: the one least disturbed.

    Only the calling thread is seen. A profiler slows what it watches, so nothing is timed here.
    """
    stats = min((_stats(prepare(count)) for _ in range(SLICES)), key=_total_s)
    own_s = {function: own for function, (_, _, own, _, _) in stats.items()}
    total_s = _total_s(stats)
    signatures: Counter[str] = Counter()
    for (_, _, name), (_, calls, _, _, _) in stats.items():
        if name in SIGNATURES:
            signatures[SIGNATURES[name]] += calls
    return Profile(
        signatures={name: round(calls / count, 3) for name, calls in signatures.items()},
        places={place: round(seconds / total_s, 4) for place, seconds in _places(stats).most_common()},
        top=tuple(
            Entry(_readable(each), round(stats[each][1] / count, 3), round(own_s[each] / total_s, 4))
            for each in sorted(own_s, key=own_s.__getitem__, reverse=True)[:TOP]
        ),
    )


def _stats(work: Callable[[], object]) -> Stats:
    profiler = cProfile.Profile()
    profiler.runcall(work)
    stats: Stats = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    return stats


def _total_s(stats: Stats) -> float:
    return float(sum(own for _, _, own, _, _ in stats.values()))


def _places(stats: Stats) -> Counter[str]:
    seconds: Counter[str] = Counter()
    for function, (_, _, own, _, callers) in stats.items():
        place = _place(function)
        if place is not None:
            seconds[place] += own
            continue
        for caller, (_, _, own_for_caller, _) in callers.items():
            seconds[_place(caller) or _BUILT_IN] += own_for_caller
    return seconds


def _place(function: Function) -> str | None:
    """The package or module of a function; None for one that belongs to whoever calls it."""
    file, _, name = function
    if file == "~":
        return _place_in_c(name)
    parts = Path(file.removesuffix(".py")).parts
    if parts[: len(_ROOT)] == _ROOT and "site-packages" not in parts:
        return ".".join(parts[len(_ROOT) : len(_ROOT) + 2])
    for libraries in ("site-packages", "asyncio", "json"):
        if libraries in parts:
            at = parts.index(libraries)
            return parts[at + 1] if libraries == "site-packages" else parts[at]
    return None if file.startswith("<") else parts[-1]  # "<string>" is what dataclasses generate


def _place_in_c(name: str) -> str | None:
    if "select.epoll" in name:
        return "waiting for the database"
    match = _METHOD.fullmatch(name)
    module = (match[2] or match[1]).rpartition(".")[0].partition(".")[0].lstrip("_") if match else ""
    return None if module in ("", "builtins") else _NAMED_BY_RUST.get(module, module)


def _readable(function: Function) -> str:
    file, _, name = function
    if file != "~":
        return f"{Path(file).parent.name}/{Path(file).stem}.{name}"
    match = _METHOD.fullmatch(name)
    if match is None:
        return name
    return f"{match[2].rpartition('.')[2]}.{match[1]}" if match[2] else match[1]
