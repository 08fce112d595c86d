"""How the pure parsers say no, without knowing in which document they stand."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from .errors import VerifierError


class Fault(Exception):
    """What is wrong with a piece of input. The caller that knows the document turns it into a code.

    Args:
        reason: What is wrong, without any of the input in it.
        rule: Which rule was broken: `form`, `typ`, `alg`, `crit`, `x5c`, `chain` or `signature`.
    """

    def __init__(self, reason: str, rule: str = "form") -> None:
        super().__init__(reason)
        self.reason = reason
        self.rule = rule


@contextmanager
def told_as(error: Callable[[str, str], VerifierError], codes: Mapping[str, str]) -> Iterator[None]:
    """Turn a `Fault` into `error(code, reason)`; a rule without an entry counts as `form`."""
    try:
        yield
    except Fault as fault:
        raise error(codes.get(fault.rule, codes["form"]), fault.reason) from fault
