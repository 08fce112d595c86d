"""What `notifications` needs of the store: what changed, what the type packs say, where holders are reached."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain

from sqlalchemy.ext.asyncio import AsyncSession

from credentials.catalogue import Catalogue, UnknownType
from credentials.catalogue.models import HolderCategory, LeadTime, LeadUnit, ReminderStage, RenewalWindow, StageBase
from credentials.registry import CertState, Holder, Licence, Registry
from notifications import (
    Bilingual,
    Contact,
    Devices,
    Language,
    Lead,
    LicenceChange,
    Preferences,
    RegisteredDevice,
    Stage,
    Wording,
)
from notifications import LeadUnit as NoticeUnit

RENEWED_AT = Bilingual("“一网通办”", "the city's one-stop portal")

_UNITS = {
    LeadUnit.DAYS: Bilingual("日", "days"),
    LeadUnit.WORKING_DAYS: Bilingual("个工作日", "working days"),
    LeadUnit.MONTHS: Bilingual("个月", "months"),
}


class StoredChanges:
    """`notifications.ports.LicenceChanges` over the registry's feeds: of licences, and of holders who have ended.

    Holders who have ended are not among those to be told, and nobody is told for an organisation that has ended.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def pull(self, session: AsyncSession, consumer: str, limit: int) -> Sequence[LicenceChange]:
        """What changed since the last call, and what is held by whom a register spoke of, each as it stands now."""
        events = await self._registry.pull_events(session, consumer, limit)
        licence_ids = list(dict.fromkeys(event.licence_id for event in events))
        # A licence that names who acts for its holder changes who is told of the holder's other licences.
        others = await self._registry.beside_representing(session, licence_ids)
        ends = await self._registry.pull_ends(session, consumer, limit)
        theirs = await self._registry.ids_naming(session, {end.holder_id for end in ends}) if ends else ()
        return await self._as_they_stand(session, dict.fromkeys([*licence_ids, *others, *theirs]))

    async def of_type(
        self, session: AsyncSession, consumer: str, type_code: str, after: str | None, limit: int
    ) -> Sequence[LicenceChange]:
        """See `notifications.ports.LicenceChanges`."""
        await self._registry.hold_events(session, consumer)
        licence_ids = await self._registry.ids_of_type(session, type_code, after, limit)
        return await self._as_they_stand(session, licence_ids)

    async def _as_they_stand(self, session: AsyncSession, licence_ids: Iterable[str]) -> Sequence[LicenceChange]:
        licences = await self._registry.licences(session, list(licence_ids))
        holders = {holder_id for licence in licences for holder_id in licence.holder_ids}
        holders -= await self._registry.ended_among(session, holders)
        acting = await self._registry.representatives(session, holders)

        def told_of(licence: Licence) -> tuple[str, ...]:
            own = [holder_id for holder_id in licence.holder_ids if holder_id in holders]
            return tuple(dict.fromkeys(chain(own, *(acting.get(holder_id, ()) for holder_id in own))))

        return [
            LicenceChange(
                licence_id=licence.id,
                licence_version=licence.version,
                type_code=licence.type_code,
                holder_ids=told_of(licence),
                in_force=licence.state is CertState.VALID,
                valid_until=licence.valid_until,
                replaces_licence_id=licence.predecessor_id,
            )
            for licence in licences
        ]


class PackRules:
    """`notifications.ports.ReminderRules` over the type packs."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def stages(self, type_code: str) -> Sequence[Stage]:
        """The pack's reminder stages."""
        try:
            kind = self._catalogue.get(type_code)
        except UnknownType:
            return ()
        return [Stage(one.stage, _leads(one, kind.renewal)) for one in kind.reminders]

    def type_codes(self) -> Collection[str]:
        """Every type of the catalogue."""
        return [kind.code for kind in self._catalogue.types()]

    def wording(self, type_code: str) -> Wording | None:
        """The type's names, its renewal window in one sentence, and the rule behind it."""
        try:
            kind = self._catalogue.get(type_code)
        except UnknownType:
            return None
        source = Bilingual(kind.renewal.source.zh, kind.renewal.source.en) if kind.renewal else Bilingual("", "")
        of_organisations = kind.holder_category is HolderCategory.ORGANISATION
        return Wording(Bilingual(kind.name.zh, kind.name.en), _window(kind.renewal), source, of_organisations)


class HolderContacts:
    """`notifications.ports.Contacts` over the registry, the devices that wallets registered, and holders' choices."""

    def __init__(self, registry: Registry, devices: Devices, preferences: Preferences) -> None:
        self._registry = registry
        self._devices = devices
        self._preferences = preferences

    async def find(self, session: AsyncSession, holder_ids: Collection[str]) -> Mapping[str, Contact]:
        """The number that a department gave, and the devices with push, asked for at send time only."""
        holders = await self._registry.holders_by_id(session, holder_ids)
        registered = await self._devices.of_holders(session, holder_ids)
        choices = await self._preferences.of(session, holder_ids)
        return {
            holder_id: _contact(holder, registered.get(holder_id, ()), choices[holder_id].language)
            for holder_id, holder in holders.items()
            if not holder.ended
        }


def _contact(holder: Holder, registered: Sequence[RegisteredDevice], chosen: Language | None) -> Contact:
    language = chosen or (registered[0].language if registered else "zh")  # of the wallet that was seen last
    return Contact(tuple(one.device for one in registered), holder.mobile, language)


def _leads(stage: ReminderStage, renewal: RenewalWindow | None) -> tuple[Lead, ...]:
    """What a stage is counted from, then how far before that."""
    base: LeadTime | None = None
    if renewal is not None and stage.counted_from is StageBase.OPENS:
        base = renewal.opens
    if renewal is not None and stage.counted_from is StageBase.CLOSES:
        base = renewal.closes
    return tuple(Lead(one.amount, NoticeUnit(one.unit.value)) for one in (base, stage.before) if one and one.amount)


def _window(renewal: RenewalWindow | None) -> Bilingual:
    if renewal is None:
        return Bilingual("请留意有效期。", "Mind the last day.")
    opens = renewal.opens and _amount(renewal.opens)
    closes = _amount(renewal.closes) if renewal.closes.amount else None
    if opens and closes:
        zh, en = (
            f"请在届满前{opens.zh}至{closes.zh}之间申请。",
            f"Apply between {opens.en} and {closes.en} before it ends.",
        )
    elif opens:
        zh, en = f"请在届满前{opens.zh}内申请。", f"Apply within the last {opens.en}."
    elif closes:
        zh, en = f"请在届满{closes.zh}前申请。", f"Apply at least {closes.en} before it ends."
    else:
        zh, en = "请在届满前申请。", "Apply before it ends."
    return Bilingual(zh, en)


def _amount(lead: LeadTime) -> Bilingual:
    unit = _UNITS[lead.unit]
    return Bilingual(f"{lead.amount}{unit.zh}", f"{lead.amount} {unit.en}")
