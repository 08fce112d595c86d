"""What scenes need of the credentials domain; wallet_api connects it."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present instant, aware."""
        ...


class LicenceTypes(Protocol):
    """The catalogue of licence types."""

    def item_names(self, type_code: str) -> Collection[str] | None:
        """What a scene may name of a type: common claims, data items, `portrait`; None for an unknown type."""
        ...
