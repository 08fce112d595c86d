"""How the pure parsers say no, without knowing in which document they stand."""

from collections.abc import Callable, Mapping

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


class told_as:
    """Turn a `Fault` into `error(code, reason)`; a rule without an entry counts as `form`."""

    __slots__ = ("_codes", "_error")

    def __init__(self, error: Callable[[str, str], VerifierError], codes: Mapping[str, str]) -> None:
        self._error = error
        self._codes = codes

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, fault: BaseException | None, trace: object) -> None:
        if isinstance(fault, Fault):
            raise self._error(self._codes.get(fault.rule, self._codes["form"]), fault.reason) from fault
