"""What does not look like checking people who stand before an inspector, and is stopped (lessons 26, 27).

* `refusals`: more refused checks in ten minutes than the verifier's setting: somebody tries codes.
* `holders`: more distinct holders in a minute than its setting: somebody collects.
* `sequence`: numbers one after another within an hour: somebody walks through a register.

A module beside the vocabulary: the rules are one thing, and each is one bounded look at an index.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from presentation.checks import repository
from presentation.checks.errors import PatternStopped
from presentation.checks.models import ShownLicence
from presentation.checks.ports import Marks
from presentation.verifiers import Verifier

REFUSALS_WITHIN = timedelta(minutes=10)
HOLDERS_WITHIN = timedelta(minutes=1)
SEQUENCE_WITHIN = timedelta(hours=1)
LONGEST_RUN = 5  # families and fleets have neighbouring numbers, seldom six of them
REPORT_EVERY_S = 900  # one row for operators a quarter of an hour, however often it is stopped
MOST_COUNTED = 120  # rows looked at in one check; a higher setting is held to over a shorter time
KEPT = timedelta(hours=2)  # longer than any pattern looks back

_NUMBER = re.compile(r"(.*?)([0-9]{1,18})", re.DOTALL | re.ASCII)


async def expect_usual(session: AsyncSession, verifier: Verifier, now: datetime) -> None:
    """Look at a verifier's last checks, and refuse it when they are unusual.

    Raises:
        PatternStopped: there are too many refusals or holders among them.
    """
    refusals, holders = await counts(session, verifier, now)
    judge(verifier, refusals, holders)


async def counts(session: AsyncSession, verifier: Verifier, now: datetime) -> tuple[int, int]:
    """Refusals and distinct holders among a verifier's last checks; each is counted up to what is too many."""
    within, most = scaled(REFUSALS_WITHIN, verifier.refusals_per_10_minutes)
    refusals = await repository.recent_refusals(session, verifier.client_id, now - within, most)
    within, most = scaled(HOLDERS_WITHIN, verifier.holders_per_minute)
    return refusals, await repository.recent_holders(session, verifier.client_id, now - within, most)


def judge(verifier: Verifier, refusals: int, holders: int) -> None:
    """Refuse a verifier whose last checks are unusual.

    Raises:
        PatternStopped: too many refusals or holders.
    """
    if refusals >= scaled(REFUSALS_WITHIN, verifier.refusals_per_10_minutes)[1]:
        raise PatternStopped("refusals", "too many refused checks within ten minutes; wait, and check the devices")
    if holders >= scaled(HOLDERS_WITHIN, verifier.holders_per_minute)[1]:
        raise PatternStopped("holders", "more holders within a minute than this verifier is registered for")


def number_marks(marks: Marks, licence: ShownLicence) -> Sequence[bytes]:
    """Blind marks of a licence's number and of those next to it, 16 bytes each."""
    purpose = f"check_trace.number:{licence.type_code}"
    return [marks.blind_index(purpose, near)[:16] for near in neighbouring(licence.number)]


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


def scaled(within: timedelta, most: int) -> tuple[timedelta, int]:
    """The same rate over a time in which at most MOST_COUNTED rows count: one check must not read thousands."""
    return (within, most) if most <= MOST_COUNTED else (within * MOST_COUNTED / most, MOST_COUNTED)
