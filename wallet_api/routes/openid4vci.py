"""Offers, nonces, credentials and what follows them (OpenID4VCI 1.0 §4, §7 to §11)."""

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response

from credentials.issuance import (
    CredentialRequestRefused,
    CredentialResponse,
    WireMessage,
    response_object,
)
from credentials.keys.formats.jws import json_bytes
from wallet_api.dependencies import AppPlatform, Wallet, WalletGrant
from wallet_api.offers import QR_MEDIA_TYPES, offer_qr
from wallet_api.problems import NO_STORE

PATH, CREDENTIAL = "/openid4vci", "/credential"
MAX_REQUEST_BYTES = 2**20  # 32 proofs, each with a key attestation of 32 keys and its certificates

router = APIRouter(prefix=PATH, tags=["wallets"])


@router.get("/offers/{offer_id}")
async def credential_offer(offer_id: str, platform: AppPlatform) -> JSONResponse:
    """The offer behind a `credential_offer_uri`."""
    async with platform.database.transaction() as session:
        return JSONResponse(await platform.issuance.offer_by_reference(session, offer_id), headers=NO_STORE)


@router.get("/offers/{offer_id}/qr.{image}")
async def credential_offer_qr(offer_id: str, image: str, platform: AppPlatform) -> Response:
    """The offer's link as a QR code, `png` or `svg`."""
    if image not in QR_MEDIA_TYPES:
        raise HTTPException(404, "the picture is png or svg")
    async with platform.database.snapshot() as session:
        await platform.issuance.offer_state(session, offer_id)
    drawn = offer_qr(offer_id, platform.settings.public_url, image)
    return Response(drawn, media_type=QR_MEDIA_TYPES[image], headers=NO_STORE)


@router.post("/nonce")
async def nonce(platform: AppPlatform) -> JSONResponse:
    """A fresh `c_nonce` for key proofs."""
    return JSONResponse({"c_nonce": platform.credential_issuer.nonce()}, headers=NO_STORE)


@router.post(CREDENTIAL)
async def credential(request: Request, platform: AppPlatform, wallet: Wallet, grant: WalletGrant) -> Response:
    """Issue credentials that the token is for, each bound to a proven key; 202 when a clerk must release them."""
    message = await _message(request)
    async with platform.database.transaction() as session:
        response = await platform.credential_issuer.issue(session, grant, message, wallet.jkt)
    return _answer(response)


@router.post("/deferred-credential")
async def deferred_credential(request: Request, platform: AppPlatform, wallet: Wallet, grant: WalletGrant) -> Response:
    """Give out what a clerk has released since; 202 while it waits."""
    message = await _message(request)
    async with platform.database.transaction() as session:
        response = await platform.credential_issuer.deliver(session, grant, message, wallet.jkt)
    return _answer(response)


@router.post("/notification", status_code=204)
async def notification(request: Request, platform: AppPlatform, grant: WalletGrant) -> Response:
    """Take down what became of credentials in the wallet."""
    if _media_type(request) != "application/json":
        raise CredentialRequestRefused("invalid_notification_request", "send application/json")
    body = await request.body()
    async with platform.database.transaction() as session:
        await platform.credential_issuer.note(session, grant, body)
    return Response(status_code=204, headers=NO_STORE)


async def _message(request: Request) -> WireMessage:
    media_type = _media_type(request)
    if media_type not in ("application/json", "application/jwt"):
        raise CredentialRequestRefused("invalid_credential_request", "send application/json or application/jwt")
    return WireMessage(await request.body(), encrypted=media_type == "application/jwt")


def _media_type(request: Request) -> str:
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _answer(response: CredentialResponse) -> Response:
    status = 200 if response.transaction_id is None else 202
    content = response_object(response)
    if response.encryption is None:
        return JSONResponse(content, status, headers=NO_STORE)
    return Response(response.encryption.seal(json_bytes(content)), status, NO_STORE, media_type="application/jwt")
