"""For departments' counters: offers to holders, and how far they have come."""

from typing import Any, Literal, Self

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, model_validator
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.issuance import CredentialOffer, OfferUnknown
from wallet_api.dependencies import AppPlatform, Department, OnceOnly
from wallet_api.offers import offer_links
from wallet_api.problems import NO_STORE
from wallet_api.routes.departments import Lookup, own_licence
from wallet_api.wiring import Platform

router = APIRouter(prefix="/api/v1/credential-offers", tags=["departments"])


class OfferRequest(Lookup):
    """Which licence to offer, and to whom it goes.

    Without more it is an offer for a holder at the counter: a pre-authorized code, with a transaction code. `sign_in`
    lets the holder sign in instead. `push` sends it to a holder who is elsewhere, and who must sign in.
    `tx_code_delivery: sms` sends the transaction code to the holder's own phone, and the answer does not hold it.
    """

    tx_code: bool = True
    tx_code_delivery: Literal["answer", "sms"] = "answer"
    sign_in: bool = False
    push: bool = False

    @model_validator(mode="after")
    def _an_sms_carries_a_code(self) -> Self:
        if self.tx_code_delivery == "sms" and (self.push or not self.tx_code):
            raise ValueError("an SMS carries a transaction code, and this offer has none")
        return self


class OfferAnswer(BaseModel):
    """An offer as link and by reference; the transaction code goes to the holder by another channel."""

    model_config = ConfigDict(extra="allow")

    id: str
    credential_offer_uri: str
    tx_code: str | None
    expires_at: AwareDatetime


@router.post("", status_code=201, responses={201: {"model": OfferAnswer}})
async def offer_licence(
    wanted: OfferRequest, platform: AppPlatform, department: Department, once: OnceOnly
) -> JSONResponse:
    """Offer a licence to its holder's wallet; the transaction code is for the holder alone, by another channel."""
    async with platform.database.transaction() as session:
        licence = await own_licence(session, platform, department, wanted.certificate_identifier)
        offer = await _offer(session, platform, licence.id, wanted)
        answer = offer_answer(offer, platform)
        if wanted.tx_code_delivery == "sms" and offer.tx_code is not None:
            await platform.notices.send_code(session, licence.holder_ids[0], offer)
            answer["tx_code"] = None
        await once.keep(session, 201, answer)
    return JSONResponse(answer, 201, NO_STORE)


@router.get("/{offer_id}")
async def offer_progress(offer_id: str, platform: AppPlatform, department: Department) -> JSONResponse:
    """How far an offer of the department's own has come: `waiting`, `opened`, `redeemed` or `over`."""
    async with platform.database.snapshot() as session:
        state = await platform.issuance.offer_state(session, offer_id)
        licence = await platform.registry.licence(session, state.licence_id)
    if licence.authority_code not in department.authority_codes:
        raise OfferUnknown("there is no such offer")
    answer = {"id": offer_id, "progress": state.progress.value, "expires_at": state.expires_at.isoformat()}
    return JSONResponse(answer, headers=NO_STORE)


def offer_answer(offer: CredentialOffer, platform: Platform) -> dict[str, Any]:
    """An offer for whoever made it."""
    links = offer_links(offer, platform.settings.public_url)
    return {"id": offer.id, **links, "tx_code": offer.tx_code, "expires_at": offer.expires_at.isoformat()}


async def _offer(session: AsyncSession, platform: Platform, licence_id: str, wanted: OfferRequest) -> CredentialOffer:
    if wanted.push:
        return await platform.issuance.push_offer(session, licence_id)
    return await platform.issuance.offer_licence(
        session, licence_id, with_tx_code=wanted.tx_code, with_sign_in=wanted.sign_in
    )
