"""What routes ask for: the platform, who is calling, and that a creating request is done once."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.issuance import IssuanceGrant
from wallet_api.edge import Claim, IdempotencyRefused, LimitExceeded, StoredAnswer, address_block
from wallet_api.oauth import (
    DEPARTMENT_SCOPE,
    OPERATOR_SCOPE,
    REGISTER_SCOPE,
    VERIFIER_SCOPE,
    Access,
    AccessRefused,
)
from wallet_api.wiring import Platform


def get_platform(request: Request) -> Platform:
    """The platform that this application serves."""
    platform: Platform = request.app.state.platform
    return platform


async def _platform(request: Request) -> Platform:
    return get_platform(request)  # what is not `async` FastAPI runs in a thread, which costs more than a query


async def limit_address(request: Request) -> None:
    """Count a call of somebody who need not say who they are."""
    await _count(request, "address", address_block(request.client.host if request.client else ""))


async def _count(request: Request, policy: str, caller: str) -> None:
    platform = get_platform(request)
    try:
        request.scope["rate_usage"] = await platform.limits.hit(policy, caller)  # `RequestContext` writes it down
    except LimitExceeded as error:
        platform.metrics.limited(policy)
        request.scope["rate_usage"] = error.usage
        raise


class _Caller(SecurityBase):
    """Checks the token of a request, and counts its call. FastAPI notes the name in the OpenAPI document.

    Args:
        scope: what the token must be good for; None: any wallet's.
    """

    def __init__(self, scheme_name: str, scope: str | None) -> None:
        self.scheme_name = scheme_name
        self.model = HTTPBearer()
        self._scope = scope

    async def __call__(self, request: Request) -> Access:
        platform = get_platform(request)
        try:
            if "access_token" in request.query_params:  # it would stand in logs and histories (RFC 6750 §5.3)
                raise AccessRefused("Bearer", "invalid_request", "an access token has no place in a URL")
            access = await platform.oauth.access(
                request.headers.getlist("Authorization"),
                request.headers.getlist("DPoP"),
                method=request.scope.get("asked_method", request.method),
                url=platform.settings.url_origin + request.scope["path"],  # `request.url` takes the caller's Host
                scope=self._scope,
            )
        except AccessRefused:
            await limit_address(request)  # guessing tokens is a stranger's call
            raise
        if access.client_id is not None:
            await _count(request, "client", access.client_id)
        elif access.grant is not None:
            await _count(request, "wallet", access.grant.id)
        return access


AppPlatform = Annotated[Platform, Depends(_platform)]
Wallet = Annotated[Access, Depends(_Caller("wallet", None))]
Department = Annotated[Access, Depends(_Caller("department", DEPARTMENT_SCOPE))]
Verifier = Annotated[Access, Depends(_Caller("verifier", VERIFIER_SCOPE))]
Operator = Annotated[Access, Depends(_Caller("operator", OPERATOR_SCOPE))]
Register = Annotated[Access, Depends(_Caller("register", REGISTER_SCOPE))]


async def _wallet_grant(wallet: Wallet) -> IssuanceGrant:
    assert wallet.grant is not None, "a wallet's token belongs to a grant"
    if not wallet.grant.configuration_ids:
        raise AccessRefused("DPoP", "insufficient_scope", "the token is good for the inbox only")
    return wallet.grant


WalletGrant = Annotated[IssuanceGrant, Depends(_wallet_grant)]


async def _signed_in_holder(wallet: Wallet) -> str:
    grant = wallet.grant
    assert grant is not None, "a wallet's token belongs to a grant"
    if grant.licence_id is not None:  # a pre-authorized code is good for its licence only
        raise AccessRefused("DPoP", "insufficient_scope", "the holder has to sign in for this")
    if wallet.jkt is None:
        raise AccessRefused("DPoP", "invalid_token", "this is given to DPoP-bound tokens only")
    return grant.holder_id


SignedInHolder = Annotated[str, Depends(_signed_in_holder)]


class Replayed(Exception):
    """The request was answered before; this is the answer."""

    def __init__(self, answer: StoredAnswer) -> None:
        self.answer = answer
        super().__init__("answered before")


class Once:
    """A creating request of a department, done once under its `Idempotency-Key`; without a key every time."""

    def __init__(self, platform: Platform, claim: Claim | None) -> None:
        self._platform = platform
        self._claim = claim

    async def keep(self, session: AsyncSession, status: int, body: object) -> None:
        """Keep the answer in the transaction that does the work."""
        if self._claim is not None:
            await self._platform.idempotency.keep(session, self._claim, StoredAnswer(status, body))


async def _once(request: Request, platform: AppPlatform, department: Department) -> AsyncIterator[Once]:
    keys = request.headers.getlist("Idempotency-Key")
    if not keys:
        yield Once(platform, None)
        return
    if len(keys) > 1:
        raise IdempotencyRefused(422, "idempotency_key_malformed", "Idempotency-Key is sent once")
    target = f"{request.method} {request.scope['path']}\n".encode()
    claim = await platform.idempotency.claim(department.client_id or "", keys[0], target + await request.body())
    if isinstance(claim, StoredAnswer):
        platform.metrics.replayed()
        raise Replayed(claim)
    try:
        yield Once(platform, claim)
    except BaseException:
        await platform.idempotency.release(claim)  # refused or broken off: nothing was written
        raise


OnceOnly = Annotated[Once, Depends(_once)]
