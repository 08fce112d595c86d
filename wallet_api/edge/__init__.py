"""What stands between the network and the services: repeats, pages, limits and what is measured.

replay = await once.claim(client_id, "…key…", request)           # the stored answer, or a claim of our own
cursor = cursors.seal("licences:traffic-police", ["2026-…", "019a…"])
usage = await limits.hit("client", "traffic-police")             # or LimitExceeded
"""

from wallet_api.edge.cursors import CursorInvalid, Cursors
from wallet_api.edge.idempotency import Claim, IdempotencyRefused, IdempotentRequests, StoredAnswer
from wallet_api.edge.metrics import Metrics
from wallet_api.edge.rate_limits import LimitExceeded, RateLimits, Usage, address_block

__all__ = [
    "Claim",
    "CursorInvalid",
    "Cursors",
    "IdempotencyRefused",
    "IdempotentRequests",
    "LimitExceeded",
    "Metrics",
    "RateLimits",
    "StoredAnswer",
    "Usage",
    "address_block",
]
