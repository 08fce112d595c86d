"""Offers, nonces and credentials (OpenID4VCI 1.0 §4, §7, §8)."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from credentials.issuance import CredentialRequestRefused
from wallet_api.dependencies import AppPlatform, Wallet
from wallet_api.oauth import AccessRefused
from wallet_api.problems import NO_STORE

router = APIRouter(prefix="/openid4vci", tags=["wallets"])


@router.get("/offers/{offer_id}")
async def credential_offer(offer_id: str, platform: AppPlatform) -> JSONResponse:
    """The offer behind a `credential_offer_uri`."""
    async with platform.database.snapshot() as session:
        return JSONResponse(await platform.issuance.offer_by_reference(session, offer_id), headers=NO_STORE)


@router.post("/nonce")
async def nonce(platform: AppPlatform) -> JSONResponse:
    """A fresh `c_nonce` for key proofs."""
    return JSONResponse({"c_nonce": platform.issuance.nonce()}, headers=NO_STORE)


@router.post("/credential")
async def credential(request: Request, platform: AppPlatform, wallet: Wallet) -> JSONResponse:
    """Issue the credential that the token is for, bound to the proof's key."""
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if content_type == "application/jwt":
        raise CredentialRequestRefused("invalid_encryption_parameters", "encrypted requests are not offered")
    if content_type != "application/json":
        raise CredentialRequestRefused("invalid_credential_request", "send application/json")
    if wallet.grant is None:
        raise AccessRefused("Bearer", "insufficient_scope", "the token names no licence")
    body = await request.body()
    async with platform.database.transaction() as session:
        issued: Any = await platform.issuance.issue(session, wallet.grant, body)
    return JSONResponse({"credentials": [{"credential": issued}]}, headers=NO_STORE)
