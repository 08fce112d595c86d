"""What a holder wants to hear, and where.

    preferences = Preferences(clock)
    muted = await preferences.muted(session, ["holder-1"], "licence_expiry", "driving-licence")

A reminder that the law or a department owes the holder (`STATUTORY`) always goes to the inbox; whether it also rings is
the holder's choice. Codes for a transaction are no matter of choice.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, DateTime, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel

from notifications.errors import NotificationsError
from notifications.models import Language
from notifications.outbox.models import EVERY_CHANNEL
from notifications.ports import Clock

EXPIRY = "licence_expiry"
NEWS = "licence_news"
OFFER = "credential_offer"
SHOWN = "licence_shown"
CODE = "transaction_code"

STATUTORY = frozenset({EXPIRY, NEWS})
KINDS = (EXPIRY, NEWS, OFFER, SHOWN)
_RINGING = frozenset({"push", "sms"})
_QUIET_AT_FIRST: Mapping[str, frozenset[str]] = {SHOWN: _RINGING}  # each showing would ring
MAX_TYPES = 500


class PreferenceRow(SQLModel, table=True):
    """A holder's choices; without a row everything is as at first."""

    __tablename__ = "notification_preference"

    holder_id: str = Field(primary_key=True, max_length=32)
    muted: dict[str, list[str]] = Field(sa_type=JSON)  # kind → channels
    silent_types: list[str] = Field(sa_type=JSON)
    language: str | None = Field(default=None, max_length=2)
    changed_at: datetime = Field(sa_type=DateTime(timezone=True))


_rows = PreferenceRow.metadata.tables["notification_preference"]


@dataclass(frozen=True)
class Choices:
    """A holder's choices.

    Args:
        muted: kind → channels on which it is not told; a kind that is left out is as at first.
        silent_types: licence types whose reminders do not ring.
        language: what messages are written in; None: as the device seen last has it.
    """

    muted: Mapping[str, frozenset[str]] = field(default_factory=dict)
    silent_types: frozenset[str] = frozenset()
    language: Language | None = None

    def muted_for(self, kind: str, type_code: str | None) -> frozenset[str]:
        """The channels that are off for a kind and type."""
        off = self.muted.get(kind, _QUIET_AT_FIRST.get(kind, frozenset()))
        return off | _RINGING if kind == EXPIRY and type_code in self.silent_types else off


class Preferences:
    """Keeps and answers choices, in the caller's transaction."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def of(self, session: AsyncSession, holder_ids: Collection[str]) -> Mapping[str, Choices]:
        """The choices of holders; who never chose has those of the beginning."""
        statement = select(_rows).where(_rows.c.holder_id.in_(holder_ids))
        rows = await (await session.connection()).execute(statement)
        chosen = {row.holder_id: _choices(row) for row in rows}
        return {holder_id: chosen.get(holder_id, Choices()) for holder_id in holder_ids}

    async def choose(self, session: AsyncSession, holder_id: str, choices: Choices) -> None:
        """Replace a holder's choices.

        Raises:
            NotificationsError: `preference_unknown` for a kind or channel that is not there;
                `statutory_notice_needs_a_channel` when a statutory notice would not even reach the inbox.
        """
        for kind, channels in choices.muted.items():
            if kind not in KINDS or not channels <= set(EVERY_CHANNEL):
                raise NotificationsError("preference_unknown", "there is no such kind of message or channel")
            if kind in STATUTORY and "inbox" in channels:
                detail = f"{kind} must reach the inbox; push and SMS can be switched off"
                raise NotificationsError("statutory_notice_needs_a_channel", detail)
        if len(choices.silent_types) > MAX_TYPES:
            raise NotificationsError("preference_unknown", f"at most {MAX_TYPES} licence types")
        values = {
            "holder_id": holder_id,
            "muted": {kind: sorted(channels) for kind, channels in choices.muted.items()},
            "silent_types": sorted(choices.silent_types),
            "language": choices.language,
            "changed_at": self._clock.now(),
        }
        statement = insert(_rows).values(values)
        changed = {name: statement.excluded[name] for name in values if name != "holder_id"}
        statement = statement.on_conflict_do_update(index_elements=["holder_id"], set_=changed)
        await (await session.connection()).execute(statement)


def _choices(row: Any) -> Choices:
    muted = {kind: frozenset(channels) for kind, channels in row.muted.items()}
    return Choices(muted, frozenset(row.silent_types), row.language)
