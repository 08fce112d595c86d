"""Speed, measured in one run beside raw cryptography and bare inserts: `python -m tests.bench`.

    @bench("live_code_check_cold", unit="check", raw={"es256_verify": 2})
    def check_cold(stack: ExitStack) -> Prepare:
        verifier, codes = ...                         # once; `stack` closes what was opened
        def prepare(count: int) -> Callable[[], None]:
            texts = [codes.fresh() for _ in range(count)]          # not timed
            return lambda: deque(map(verifier.check, texts), 0)    # timed
        return prepare

The slices of a bench and of what it is compared with lie beside each other, round after round, so that a machine that
slows down slows both. Nothing here fails for being slow; what a run means is in README.md.
"""

from tests.bench.measuring import Result, Spread, measure
from tests.bench.suite import Bench, Prepare, Suite, Unavailable, repeat

__all__ = ["Bench", "Prepare", "Result", "Spread", "Suite", "Unavailable", "measure", "repeat"]
