"""Verifiers as values."""

from dataclasses import dataclass
from datetime import datetime

HOLDERS_PER_MINUTE = 30  # an inspector with one device sees fewer; a gate is given more
REFUSALS_PER_10_MINUTES = 60  # a queue of people with worn screens stays below it


@dataclass(frozen=True)
class Registration:
    """What an operator says of a verifier.

    Attributes:
        client_id: of its OAuth client, whose scope is `checks:write`.
        organisation: full name; holders read it in their access log.
        system_name: which of the organisation's systems; holders read it too.
        scenes: ids of the scenes it may check for; whether they exist is seen at each check.
        holders_per_minute: how many distinct holders it may check within a minute.
    """

    client_id: str
    organisation: str
    system_name: str
    scenes: tuple[str, ...]
    holders_per_minute: int = HOLDERS_PER_MINUTE
    refusals_per_10_minutes: int = REFUSALS_PER_10_MINUTES


@dataclass(frozen=True)
class Verifier(Registration):
    """A registered verifier; `suspended_at` is None while it may check."""

    registered_at: datetime | None = None
    suspended_at: datetime | None = None

    def may_check_for(self, scene_id: str) -> bool:
        """Whether the scene is among its own."""
        return scene_id in self.scenes
