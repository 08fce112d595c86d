"""All benches there are. A new module of benches is imported here."""

from tests.bench import checks, credential, intake, issuer, live_code, lookup, outbox, raw, reminders, status
from tests.bench.registered import SUITE

MODULES = (checks, credential, intake, issuer, live_code, lookup, outbox, raw, reminders, status)

__all__ = ["MODULES", "SUITE"]
