"""Whether a credential still holds: Token Status Lists, given out, changed and published.

    statuses = StatusService(protector, clock, "https://wallet.example")
    async with database.transaction() as session:
        references = await statuses.allocate(session, 3)      # three unguessable places in one list
        await statuses.set_status(session, references[:1], StatusValue.INVALID)

    async with database.transaction() as session:             # on a timer, well below the lists' ttl of 300 s
        await statuses.publish(session, key_ring.signer(KeyPurpose.STATUS))
        token = await statuses.token(session, 1)              # what GET /s/1 answers

Only entries that are not VALID have a row. A list is signed when something in it changed and before its token ends;
giving out indexes changes nothing.
"""

from credentials.status.models import PublishedStatusToken, StatusListFormat, StatusReference, StatusValue
from credentials.status.service import StatusService

__all__ = [
    "PublishedStatusToken",
    "StatusListFormat",
    "StatusReference",
    "StatusService",
    "StatusValue",
]
