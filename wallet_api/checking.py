"""What `presentation`'s scenes and checks need of the credentials domain."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from credentials.catalogue import Catalogue, LicenceType, UnknownType
from credentials.catalogue.models import COMMON_CLAIMS, ItemType
from credentials.issuance import Issuance, IssuedToken, licence_claims
from credentials.keys import Signer, TrustListService
from credentials.keys.formats.jws import json_bytes, sign_compact, x5c
from credentials.registry import CertState, Licence, Registry
from credentials.registry.ports import Clock
from credentials.status import StatusReference
from presentation.checks import LicenceState, ShownLicence, StatusPlaceKey
from presentation.checks.formats.check_result import TYP
from presentation.scenes import PORTRAIT, SceneDraft
from wallet_api.showable import ORGANISATION_CODES, PASS_FORMATS

_PROFILES = {token_format: profile for profile, token_format in PASS_FORMATS.items()}
_STATES = {
    CertState.SUSPENDED: LicenceState.SUSPENDED,
    CertState.WITHDRAWN: LicenceState.REVOKED,
    CertState.CANCELLED: LicenceState.REVOKED,
    CertState.REVOKED: LicenceState.REVOKED,
    CertState.LAPSED: LicenceState.LAPSED,
}


class ShownLicences:
    """`presentation.checks.ports.Licences` over the record of issuances and the registry."""

    def __init__(self, registry: Registry, issuance: Issuance, catalogue: Catalogue, clock: Clock) -> None:
        self._registry = registry
        self._issuance = issuance
        self._catalogue = catalogue
        self._clock = clock

    async def shown(
        self, session: AsyncSession, places: Sequence[StatusPlaceKey]
    ) -> Mapping[StatusPlaceKey, ShownLicence]:
        """See `presentation.checks.ports.Licences`."""
        if not places:
            return {}
        references = [StatusReference(place.uri, place.idx) for place in places]
        issued = await self._issuance.at_status_places(session, references)
        licences: dict[str, Licence] = {}
        for token in issued.values():
            if token.format in _PROFILES and token.licence_id not in licences:
                licences[token.licence_id] = await self._registry.licence(session, token.licence_id)
        return {
            StatusPlaceKey(reference.uri, reference.idx): self._shown(token, licences[token.licence_id])
            for reference, token in issued.items()
            if token.format in _PROFILES  # a credential's place is none of a pass
        }

    def is_pass(self, token_format: str) -> bool:
        """Whether an issued token is a pass: a credential's status place is none of a pass."""
        return token_format in _PROFILES

    async def state(self, session: AsyncSession, licence_id: str) -> LicenceState:
        """See `presentation.checks.ports.Licences`."""
        return self._state(await self._registry.licence(session, licence_id))

    def shown_by(self, token: IssuedToken, licence: Licence) -> ShownLicence:
        """The licence behind one issued pass."""
        return self._shown(token, licence)

    def _shown(self, token: IssuedToken, licence: Licence) -> ShownLicence:
        kind = self._catalogue.get(licence.type_code, licence.type_version)
        return ShownLicence(
            licence_id=licence.id,
            holder_id=token.holder_id,
            type_code=licence.type_code,
            type_version=licence.type_version,
            state=self._state(licence),
            number=licence.number,
            held_by_persons=not licence.holders[0].code_type.startswith(ORGANISATION_CODES),
            valid_until=licence.valid_until,
            profile=_PROFILES[token.format],
            claims=licence_claims(licence),
            face_items=frozenset(item.name for item in kind.items if item.face_key is not None),
            portrait=_portrait(kind, licence),
            issued_at=token.issued_at,
            expires_at=token.expires_at,
        )

    def _state(self, licence: Licence) -> LicenceState:
        if licence.in_force(self._clock.now()):
            return LicenceState.VALID
        if licence.state is CertState.VALID:  # not begun, or its last day is over
            return LicenceState.LAPSED
        return _STATES.get(licence.state, LicenceState.UNKNOWN)


def _portrait(kind: LicenceType, licence: Licence) -> str | None:
    """The first picture of the licence: the holder's photo."""
    pictures = (licence.items.get(item.name) for item in kind.items if item.type is ItemType.IMAGE)
    return next((picture for picture in pictures if isinstance(picture, str)), None)


class PackTypes:
    """`presentation.scenes.ports.LicenceTypes` over the catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def item_names(self, type_code: str) -> Collection[str] | None:
        """See `presentation.scenes.ports.LicenceTypes`."""
        try:
            kind = self._catalogue.get(type_code)
        except UnknownType:
            return None
        photo = [PORTRAIT] if kind.photo else []
        return {*(claim.name for claim in COMMON_CLAIMS), *(item.name for item in kind.items), *photo}


def pack_scenes(catalogue: Catalogue) -> Sequence[SceneDraft]:
    """The scenes that the type packs name. Several types of one scene are joined; it is for checks without a network
    when it is for every one of them."""
    found: dict[str, list[tuple[LicenceType, int]]] = {}
    for kind in catalogue.types():
        for at, scene in enumerate(kind.scenes):
            found.setdefault(scene.code, []).append((kind, at))
    drafts = []
    for code, places in sorted(found.items()):
        scenes = {kind.code: kind.scenes[at] for kind, at in places}
        first = next(iter(scenes.values()))
        drafts.append(
            SceneDraft(
                id=code,
                name_zh=first.name.zh,
                name_en=first.name.en,
                items={
                    kind: tuple(dict.fromkeys([*scene.items, *([PORTRAIT] if scene.photo else [])]))
                    for kind, scene in scenes.items()
                },
                offline=all(scene.offline for scene in scenes.values()),
                legal_basis="；".join(dict.fromkeys(scene.legal_basis.zh for scene in scenes.values())),
            )
        )
    return drafts


class Anchored(Protocol):
    """The anchors of the platform's keys."""

    @property
    def anchors_pem(self) -> tuple[str, ...]:
        """Their certificates, those of outside authorities too."""
        ...


class OwnTrustList:
    """`presentation.checks.ports.TrustList`: the list that this platform publishes."""

    def __init__(self, trust_list: TrustListService, ring: Callable[[], Anchored]) -> None:
        self._trust_list = trust_list
        self._ring = ring

    async def current(self, session: AsyncSession) -> tuple[str, tuple[str, ...]]:
        """See `presentation.checks.ports.TrustList`."""
        published = await self._trust_list.current(session)
        return published.token, self._ring().anchors_pem


class CheckSigner:
    """`presentation.checks.ports.ResultSigner` with the active key of purpose `check`."""

    def __init__(self, signer: Callable[[], Signer]) -> None:
        self._signer = signer

    def sign(self, claims: Mapping[str, object]) -> str:
        """See `presentation.checks.ports.ResultSigner`."""
        signer = self._signer()
        return sign_compact({"typ": TYP, "x5c": x5c(signer)}, json_bytes(claims), signer)
