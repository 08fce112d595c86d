"""What `presentation.shows` needs of the store: licences in force, and status places for passes."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from credentials.catalogue import Catalogue
from credentials.issuance import Issuance, IssuanceGrant
from credentials.registry import Registry, UnknownLicence
from credentials.registry.ports import Clock
from presentation.shows import DeviceKeyUnknown, NotShowable, PassRequestInvalid, Profile, ShowableLicence, StatusPlace

PASS_FORMATS = {Profile.MINIMAL: "lz-pass-min+cwt", Profile.FACE: "lz-pass-face+cwt"}
ORGANISATION_CODES = "0"  # GB/T 36903 appendix A: 0xx are organisations, all others natural persons


class StoredLicences:
    """`presentation.shows.ports.Licences` over the registry and the record of issuances."""

    def __init__(self, registry: Registry, issuance: Issuance, catalogue: Catalogue, clock: Clock) -> None:
        self._registry = registry
        self._issuance = issuance
        self._catalogue = catalogue
        self._clock = clock

    async def showable(
        self, session: AsyncSession, licence_id: str, holder_id: str, key_thumbprint: str | None
    ) -> ShowableLicence:
        """See `presentation.shows.ports.Licences`."""
        licence = await self._registry.licence(session, licence_id, lock=True)
        if holder_id not in licence.holder_ids:
            raise UnknownLicence("there is no such licence")
        if not licence.in_force(self._clock.now()):
            raise NotShowable("the licence is not in force today")
        known = key_thumbprint is None or await self._issuance.was_issued_to(
            session, licence_id, holder_id, key_thumbprint
        )
        if not known:
            raise DeviceKeyUnknown("no credential of this licence was issued to this key; fetch the credential first")
        items = self._catalogue.get(licence.type_code, licence.type_version).items
        return ShowableLicence(
            id=licence.id,
            holder_id=holder_id,
            type_code=licence.type_code,
            type_version=licence.type_version,
            holder_name="、".join(holder.name for holder in licence.holders),
            number=licence.number,
            held_by_persons=not licence.holders[0].code_type.startswith(ORGANISATION_CODES),
            valid_until=licence.valid_until,
            face_items={
                item.face_key: licence.items[item.name]
                for item in items
                if item.face_key is not None and item.name in licence.items
            },
        )

    async def chosen(
        self, session: AsyncSession, grant: IssuanceGrant, identifier: str | None, key_thumbprint: str | None
    ) -> str:
        """Which licence a wallet means: the one it names, that of its grant, or the one its key has a credential of.

        Raises:
            UnknownLicence: the named one is none of the holder's, or not of what was granted.
            PassRequestInvalid: several are possible, or none.
        """
        granted_id = grant.licence_id
        if granted_id is not None:  # a renewal may have followed
            granted_id = (await self._registry.newest_version(session, granted_id)).id
        if identifier is not None:
            licence = await self._registry.by_identifier(session, identifier)
            granted = licence.type_code in grant.configuration_ids and granted_id in (None, licence.id)
            if grant.holder_id not in licence.holder_ids or not granted:
                raise UnknownLicence("no licence carries this identifier")
            return licence.id
        if granted_id is not None:
            return granted_id
        found = (
            []
            if key_thumbprint is None
            else await self._issuance.licences_of_key(session, grant.holder_id, key_thumbprint)
        )
        if len(found) != 1:
            raise PassRequestInvalid("say which licence: give its certificate_identifier as licence")
        return found[0]

    async def reserve_status(
        self,
        session: AsyncSession,
        licence: ShowableLicence,
        profile: Profile,
        key_thumbprint: str,
        signing_kid: bytes,
        expiries: Sequence[datetime],
    ) -> Sequence[StatusPlace]:
        """See `presentation.shows.ports.Licences`."""
        references = await self._issuance.record(
            session,
            licence.id,
            licence.holder_id,
            PASS_FORMATS[profile],
            [key_thumbprint] * len(expiries),
            signing_kid,
            expiries,
        )
        return [StatusPlace(reference.uri, reference.idx) for reference in references]
