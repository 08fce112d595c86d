"""What does not look like checking people who stand before an inspector, and is stopped (lessons 26, 27).

* `refusals`: more refused checks in ten minutes than the verifier's setting: somebody tries codes.
* `holders`: more distinct holders in a minute than its setting: somebody collects.
* `sequence`: numbers one after another within an hour: somebody walks through a register.

A module beside the vocabulary: the rules are one thing, and each is one bounded look at an index.
"""

import re
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from presentation.checks import repository
from presentation.checks.errors import PatternStopped
from presentation.checks.models import ShownLicence
from presentation.checks.ports import Marks
from presentation.verifiers import Verifier

REFUSALS_WITHIN = timedelta(minutes=10)
SEQUENCE_WITHIN = timedelta(hours=1)
LONGEST_RUN = 5  # families and fleets have neighbouring numbers, seldom six of them
REPORT_EVERY_S = 900  # one row for operators a quarter of an hour, however often it is stopped
MOST_COUNTED = 120  # rows looked at in one check; a higher setting is held to over a shorter time
KEPT = timedelta(hours=2)  # longer than any pattern looks back

_NUMBER = re.compile(r"(.*?)([0-9]{1,18})", re.DOTALL | re.ASCII)


async def expect_usual(session: AsyncSession, verifier: Verifier, now: datetime) -> None:
    """Look at a verifier's last checks.

    Raises:
        PatternStopped: there are too many refusals or holders among them.
    """
    most = verifier.refusals_per_10_minutes
    if await repository.recent_refusals(session, verifier.client_id, now - REFUSALS_WITHIN, most) >= most:
        raise PatternStopped("refusals", "too many refused checks within ten minutes; wait, and check the devices")
    within, most = _scaled(timedelta(minutes=1), verifier.holders_per_minute)
    if await repository.recent_holders(session, verifier.client_id, now - within, most) >= most:
        raise PatternStopped("holders", "more holders within a minute than this verifier is registered for")


async def trace_release(
    session: AsyncSession, marks: Marks, verifier: Verifier, licence: ShownLicence, now: datetime
) -> None:
    """Note a release.

    Raises:
        PatternStopped: its number is one more in a long row.
    """
    own, *neighbours = [_mark(marks, licence.type_code, near) for near in neighbouring(licence.number)]
    run = await repository.trace_release(
        session, verifier.client_id, now, licence.holder_id, own, neighbours, now - SEQUENCE_WITHIN
    )
    if run > LONGEST_RUN:
        raise PatternStopped("sequence", "licence numbers one after another are not checked this way")


def neighbouring(number: str) -> list[str]:
    """A number as it is compared, and those next to it, when it ends in digits.

    The last character of numbers of 18 is a check character (GB 11643, GB 32100) and left away.
    """
    compared = number[:-1] if len(number) == 18 else number
    found = _NUMBER.fullmatch(compared)
    if found is None:
        return [compared]
    head, digits = found.groups()
    value, width = int(digits), len(digits)
    return [compared, *(f"{head}{near:0{width}}" for near in (value - 1, value + 1) if near >= 0)]


def report_window(now: datetime) -> datetime:
    """The quarter of an hour that a report belongs to."""
    return now - timedelta(seconds=now.timestamp() % REPORT_EVERY_S)


def _scaled(within: timedelta, most: int) -> tuple[timedelta, int]:
    """The same rate over a time in which at most MOST_COUNTED rows count: one check must not read thousands."""
    return (within, most) if most <= MOST_COUNTED else (within * MOST_COUNTED / most, MOST_COUNTED)


def _mark(marks: Marks, type_code: str, number: str) -> bytes:
    return marks.blind_index(f"check_trace.number:{type_code}", number)[:16]
