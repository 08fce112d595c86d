"""What routes ask for: the platform, and who is calling."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request

from wallet_api.oauth import DEPARTMENT_SCOPE, VERIFIER_SCOPE, Access
from wallet_api.wiring import Platform


def get_platform(request: Request) -> Platform:
    """The platform that this application serves."""
    platform: Platform = request.app.state.platform
    return platform


def _caller(scope: str | None) -> Callable[[Request], Awaitable[Access]]:
    async def caller(request: Request) -> Access:
        platform = get_platform(request)
        return await platform.oauth.access(
            request.headers.getlist("Authorization"),
            request.headers.getlist("DPoP"),
            method=request.method,
            url=platform.settings.url_origin + request.scope["path"],  # `request.url` takes the caller's Host
            scope=scope,
        )

    return caller


AppPlatform = Annotated[Platform, Depends(get_platform)]
Wallet = Annotated[Access, Depends(_caller(None))]
Department = Annotated[Access, Depends(_caller(DEPARTMENT_SCOPE))]
Verifier = Annotated[Access, Depends(_caller(VERIFIER_SCOPE))]
