"""The token endpoint (RFC 6749 §3.2)."""

from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from wallet_api.dependencies import AppPlatform
from wallet_api.oauth import OAuthError
from wallet_api.problems import NO_STORE

MAX_PARAMETERS = 32  # a token request has five or six

router = APIRouter(tags=["wallets", "departments"])


@router.post("/oauth/token")
async def token(request: Request, platform: AppPlatform) -> JSONResponse:
    """Exchange a pre-authorized code (wallets) or a client assertion (departments) for an access token."""
    form = _form(request.headers.get("Content-Type", ""), await request.body())
    answer = await platform.oauth.token(form, request.headers.getlist("DPoP"))
    return JSONResponse(answer, headers=NO_STORE)


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
