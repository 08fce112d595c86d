"""The rows that are imported: the sample city's, the same in every slice."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from credentials.catalogue import Catalogue
from tests.verifier_sdk.issuer import NOW
from wallet_api.sample import City

BATCH = 2000  # four chunks of an intake: opening and closing the batch is spread over them


@cache
def rows(count: int) -> Sequence[Mapping[str, Any]]:
    """Good rows of three types in the proportions of `City`."""
    return tuple(City(Catalogue.default(), 1, NOW.date()).rows(count))
