"""The access log (用证记录): what was released of a holder's licences, when, to whom and why; never the values.

    await access_log.append(session, release)                  # in the transaction that releases
    page = await access_log.page(session, holder_id, before=None, limit=50)
    faults = await access_log.verify(session, holder_id)

Rows of one holder are chained: each hash covers the one before (`formats/entry_hash.py`), and the head of the chain is
kept apart, so that a row that was changed, removed, put elsewhere or cut off at the end is found.
"""

from presentation.accesslog.models import AccessEntry, AccessPage, ChainFault, Release
from presentation.accesslog.service import AccessLog

__all__ = ["AccessEntry", "AccessLog", "AccessPage", "ChainFault", "Release"]
