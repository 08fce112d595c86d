"""For a signed-in holder's wallet: the licences there are, their faces, and offers that departments pushed."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from credentials.catalogue import LicenceType, face_values, render_face
from credentials.issuance import HeldLicence, IssuanceGrant, licence_claims
from credentials.registry import UnknownLicence
from wallet_api.dependencies import AppPlatform, WalletGrant
from wallet_api.offers import offer_links
from wallet_api.problems import NO_STORE
from wallet_api.wiring import Platform

FACE_POLICY = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}

router = APIRouter(prefix="/api/v1/me", tags=["holders"])


@router.get("/licences")
async def my_licences(platform: AppPlatform, grant: WalletGrant) -> JSONResponse:
    """The holder's licences in their newest versions, in whatever state.

    `reissue_available`: the wallet's credential is of an older version; a new request gives the newest.
    """
    held = await _held(platform, grant)
    url = f"{platform.settings.public_url}/api/v1/me/licences"
    catalogue = platform.catalogue
    licences = [_summary(one, catalogue.get(one.licence.type_code, one.licence.type_version), url) for one in held]
    return JSONResponse({"licences": licences}, headers=NO_STORE)


@router.get("/licences/{licence_id}/face.svg")
async def my_licence_face(licence_id: str, platform: AppPlatform, grant: WalletGrant) -> Response:
    """A licence's face with its values drawn in. A picture proves nothing."""
    held = await _held(platform, grant)
    licence = next((one.licence for one in held if one.licence.id == licence_id), None)
    if licence is None:
        raise UnknownLicence("there is no such licence")
    kind = platform.catalogue.get(licence.type_code, licence.type_version)
    face = render_face(kind, face_values(kind, licence_claims(licence)))
    return Response(face, media_type="image/svg+xml", headers={**NO_STORE, **FACE_POLICY})


@router.get("/offers")
async def my_offers(platform: AppPlatform, grant: WalletGrant) -> JSONResponse:
    """What departments offer to the holder and no wallet has taken up yet."""
    async with platform.database.snapshot() as session:
        offers = await platform.issuance.pushed_offers(session, grant.holder_id)
    waiting = [
        {
            "credential_configuration_ids": [offer.configuration_id],
            "licence": offer.licence_id,
            "expires_at": offer.expires_at.isoformat(),
            **offer_links(offer, platform.settings.public_url),
        }
        for offer in offers
        if grant.licence_id in (None, offer.licence_id)
    ]
    return JSONResponse({"offers": waiting}, headers=NO_STORE)


async def _held(platform: Platform, grant: IssuanceGrant) -> Sequence[HeldLicence]:
    """All that a holder has who signed in; the one licence of a token that came with an offer."""
    async with platform.database.snapshot() as session:
        return await platform.issuance.held(session, grant.holder_id, grant.licence_id)


def _summary(held: HeldLicence, kind: LicenceType, url: str) -> dict[str, Any]:
    licence = held.licence
    return {
        "id": licence.id,
        "type": licence.type_code,
        "type_version": licence.type_version,
        "name": {"zh-CN": kind.name.zh, "en": kind.name.en},
        "version": licence.version,
        "certificate_identifier": licence.identifier,
        "certificate_number": licence.number,
        "issuing_authority_name": licence.authority_name,
        "cert_state": licence.state.value,
        "in_force": held.in_force,
        "issued_on": licence.issued_on.isoformat(),
        "valid_from": licence.valid_from.isoformat(),
        "valid_until": licence.valid_until and licence.valid_until.isoformat(),
        "credential_configuration_ids": [licence.type_code],
        "reissue_available": held.reissue_available,
        "face": f"{url}/{licence.id}/face.svg",
    }
