"""The endpoints that clients call: pushed requests (RFC 9126), tokens (RFC 6749 §3.2), challenges."""

from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from wallet_api.dependencies import AppPlatform
from wallet_api.oauth import ClientHeaders, OAuthError
from wallet_api.problems import NO_STORE

MAX_PARAMETERS = 32  # a pushed request has about a dozen

router = APIRouter(tags=["wallets", "departments"])


@router.post("/oauth/par", status_code=201)
async def pushed_authorization_request(request: Request, platform: AppPlatform) -> JSONResponse:
    """Take an authorization request from a wallet (RFC 9126): the only way to the authorization endpoint."""
    if not platform.settings.signs_in:
        raise OAuthError("unauthorized_client", "nobody can sign in here: no OpenID Connect provider is configured")
    answer = await platform.oauth.push(await sent_form(request), _client_headers(request))
    return JSONResponse(answer, 201, {"Cache-Control": "no-cache, no-store"})


@router.post("/oauth/token")
async def token(request: Request, platform: AppPlatform) -> JSONResponse:
    """Exchange a code or refresh token (wallets) or a client assertion (machines) for an access token."""
    answer = await platform.oauth.token(await sent_form(request), _client_headers(request))
    return JSONResponse(answer, headers=NO_STORE)


@router.post("/oauth/challenge")
async def challenge(platform: AppPlatform) -> JSONResponse:
    """A fresh challenge for the proof of possession of a client attestation (draft-10 §9.1)."""
    return JSONResponse({"attestation_challenge": platform.oauth.challenges.make()}, headers=NO_STORE)


async def sent_form(request: Request) -> dict[str, str]:
    """The parameters in a request's body."""
    return _form(request.headers.get("Content-Type", ""), await request.body())


def _client_headers(request: Request) -> ClientHeaders:
    fields = request.headers.getlist
    return ClientHeaders(fields("DPoP"), fields("OAuth-Client-Attestation"), fields("OAuth-Client-Attestation-PoP"))


def _form(content_type: str, body: bytes) -> dict[str, str]:
    """The parameters (RFC 6749 §3.2): each given once, those without a value left out, unknown ones ignored later."""
    if content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "send application/x-www-form-urlencoded")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            max_num_fields=MAX_PARAMETERS,
            errors="strict",
        )
    except ValueError as error:
        raise OAuthError("invalid_request", "the body is not a form") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        raise OAuthError("invalid_request", "a parameter is given twice")
    return {name: value for name, value in form.items() if value}
