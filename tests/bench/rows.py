"""The rows that are imported: the sample city's, the same in every slice; and as many drivers as one wants."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any

from credentials.catalogue import Catalogue
from tests.credentials.rows import driving_row, resident_id
from tests.verifier_sdk.issuer import NOW
from wallet_api.sample import City

BATCH = 6000  # three chunks of an intake: one is read while another is planned and a third is written


@dataclass
class Sizes:
    """How many licences a store holds; small by default, so that a run stays short."""

    few: int = 500
    many: int = 5_000


SIZES = Sizes()


@cache
def rows(count: int) -> Sequence[Mapping[str, Any]]:
    """Good rows of all types in the proportions of `City`."""
    return tuple(City(Catalogue.default(), 1, NOW.date()).rows(count))


def residents(count: int) -> Iterator[bytes]:
    """NDJSON lines of driving licences, each of a holder of its own (up to 20 million), quickly made."""
    template = (
        json.dumps(driving_row(1), ensure_ascii=False).replace(resident_id(1), "@code").replace("GA-000001", "@id")
    )
    first = date(1950, 1, 1)
    for number in range(count):
        day, nth = divmod(number, 1000)
        code = resident_id(nth, f"{first + timedelta(days=day):%Y%m%d}")
        yield (template.replace("@code", code).replace("@id", f"GA-{number}") + "\n").encode()
