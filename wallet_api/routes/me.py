"""For a holder's wallet: what it needs to show a licence without a network."""

from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from credentials.keys.formats.jwk import KeyMalformed, PublicJwk
from credentials.keys.formats.jws import b64u_decode, b64u_encode
from presentation.shows import DeviceKey, PassRequestInvalid, Profile
from wallet_api.dependencies import AppPlatform, Wallet, WalletGrant
from wallet_api.oauth import AccessRefused
from wallet_api.problems import NO_STORE

router = APIRouter(prefix="/api/v1/me", tags=["holders"])


class PassRequest(BaseModel):
    """Which passes to make.

    `jwk` is the device key that a credential of the licence was issued to; `days` is how far ahead;
    `licence` the certificate_identifier, needed only where the key has credentials of several licences.
    """

    model_config = ConfigDict(strict=True, extra="forbid")

    jwk: dict[str, Any]
    profile: Literal["minimal", "face"] = "minimal"
    days: int = Field(default=3, ge=1, le=7)
    licence: str | None = Field(default=None, max_length=128, pattern=r"^[0-9A-Z.]+$")


@router.post("/passes", status_code=201)
async def issue_passes(wanted: PassRequest, platform: AppPlatform, wallet: Wallet, grant: WalletGrant) -> JSONResponse:
    """Show passes (`presentation/FORMAT.md`) for one of the holder's licences. The token must be DPoP-bound."""
    if wallet.jkt is None:
        raise AccessRefused("DPoP", "invalid_token", "passes are given to DPoP-bound wallet tokens only")
    key = _device_key(wanted.jwk)
    async with platform.database.transaction() as session:
        passes = await platform.shows.issue_passes(
            session,
            await platform.showable.chosen(session, grant, wanted.licence, key.thumbprint),
            grant.holder_id,
            key,
            Profile[wanted.profile.upper()],
            wanted.days,
        )
    issued = [
        {"pass": b64u_encode(one.token), "not_before": one.not_before_s, "expires_at": one.expires_at_s}
        for one in passes
    ]
    return JSONResponse({"profile": wanted.profile, "passes": issued}, 201, NO_STORE)


def _device_key(jwk: dict[str, Any]) -> DeviceKey:
    try:
        key = PublicJwk.from_object(jwk)
    except KeyMalformed as error:
        raise PassRequestInvalid(error.detail) from error
    return DeviceKey(x=b64u_decode(key.x), y_is_odd=bool(b64u_decode(key.y)[-1] & 1), thumbprint=key.thumbprint())
