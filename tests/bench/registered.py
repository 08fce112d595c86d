"""The suite that `python -m tests.bench` runs; a module of benches registers with `bench`."""

from tests.bench.suite import Suite

SUITE = Suite()
bench = SUITE.bench
