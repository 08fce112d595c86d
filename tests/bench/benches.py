"""All benches there are. A new module of benches is imported here."""

from tests.bench import credential, intake, live_code, raw
from tests.bench.registered import SUITE

MODULES = (credential, intake, live_code, raw)

__all__ = ["MODULES", "SUITE"]
