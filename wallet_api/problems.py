"""Domain errors as answers: RFC 9457 problems for our own API, the standards' own forms for theirs."""

import re
from socket import gaierror
from typing import Any

import structlog
from asyncpg import PostgresError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from credentials.catalogue import UnknownType
from credentials.errors import CredentialsError
from credentials.issuance import CredentialRequestRefused, NotIssuable, OfferUnknown, ReleaseDecided, ReleaseUnknown
from credentials.keys.errors import TokenUnavailable
from credentials.registry import IntakeConflict, RowError, UnknownBatch, UnknownHolder, UnknownLicence
from credentials.status.errors import StatusListRetired, UnknownStatusList
from notifications import NotificationsError
from presentation.checks import (
    AlreadyUsed,
    CheckRefused,
    CodeRefused,
    JournalInvalid,
    LicenceNotValid,
    PatternStopped,
    SceneNotAllowed,
)
from presentation.errors import PresentationError
from presentation.scenes import SceneChanged, SceneInvalid, SceneUnknown
from presentation.shows import DeviceKeyUnknown, NotShowable, PassRequestInvalid
from presentation.verifiers import VerifierInvalid, VerifierSuspended, VerifierUnknown
from wallet_api.dependencies import Replayed
from wallet_api.edge import CursorInvalid, IdempotencyRefused, LimitExceeded
from wallet_api.noticing import HolderEnded, NoPhone, SmsUnavailable
from wallet_api.oauth import AccessRefused, OAuthError

NO_STORE = {"Cache-Control": "no-store"}

_STATUS: dict[type[Exception], int] = {
    UnknownLicence: 404,
    UnknownHolder: 404,
    UnknownBatch: 404,
    UnknownType: 404,
    UnknownStatusList: 404,
    StatusListRetired: 410,
    OfferUnknown: 404,
    ReleaseUnknown: 404,
    ReleaseDecided: 409,
    TokenUnavailable: 503,
    NotIssuable: 409,
    NotShowable: 409,
    IntakeConflict: 409,
    DeviceKeyUnknown: 409,
    PassRequestInvalid: 422,
    VerifierUnknown: 403,
    VerifierSuspended: 403,
    VerifierInvalid: 422,
    SceneUnknown: 404,
    SceneInvalid: 422,
    SceneChanged: 409,
    SceneNotAllowed: 403,
    CodeRefused: 422,
    LicenceNotValid: 409,
    AlreadyUsed: 409,
    PatternStopped: 429,
    JournalInvalid: 422,
    RowError: 422,
    NoPhone: 409,
    SmsUnavailable: 409,
    HolderEnded: 409,
}

_NOTIFICATION_STATUS = {
    "message_not_found": 404,
    "device_not_found": 404,
    "device_malformed": 422,
    "preference_unknown": 422,
    "reports_malformed": 422,
    "type_unknown": 422,
    "statutory_notice_needs_a_channel": 422,
}

_MEMBER = re.compile(r"\w{1,64}", re.ASCII)
#: A refused connection is an OSError or asyncpg's own error; SQLAlchemy wraps what comes later.
DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeout, ConnectionError, TimeoutError, gaierror)
#: Classes of SQLSTATE after which the same request may succeed: connection, transaction rolled back for another one,
#: insufficient resources (too many clients), operator intervention (shutting down, starting up).
_PASSING = ("08", "40", "53", "57")

_log = structlog.get_logger()


def problem(status: int, code: str, detail: str, **members: Any) -> JSONResponse:
    """An RFC 9457 answer with our stable `code`."""
    body = {"type": "about:blank", "status": status, "code": code, "detail": detail, **members}
    return JSONResponse(body, status, headers=NO_STORE, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Register the handlers. What no handler knows is logged with its request id and answered 500."""
    app.add_exception_handler(CredentialsError, _domain)
    app.add_exception_handler(PresentationError, _domain)
    app.add_exception_handler(NotificationsError, _notifications)
    app.add_exception_handler(CredentialRequestRefused, _credential_request)
    app.add_exception_handler(OAuthError, _oauth)
    app.add_exception_handler(AccessRefused, _access)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _broken_off)
    app.add_exception_handler(Replayed, _replayed)
    app.add_exception_handler(IdempotencyRefused, _idempotency)
    app.add_exception_handler(CursorInvalid, _cursor)
    app.add_exception_handler(LimitExceeded, _limit)
    for failed in (DBAPIError, PostgresError):
        app.add_exception_handler(failed, _database_failed)
    for kind in DATABASE_AWAY:
        app.add_exception_handler(kind, _database_away)
    app.add_exception_handler(Exception, _unexpected)


async def _domain(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, CredentialsError | PresentationError)
    status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), None)
    if status is None:
        return await _unexpected(request, error)
    members = {"field": error.field} if isinstance(error, RowError) else {}
    if isinstance(error, CheckRefused) and error.outcome is not None:
        members["outcome"] = error.outcome
    answer = problem(status, error.code, error.detail, **members)
    if status == 429:
        answer.headers["Retry-After"] = "60"
    return answer


async def _notifications(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, NotificationsError)
    status = _NOTIFICATION_STATUS.get(error.code)
    return await _unexpected(request, error) if status is None else problem(status, error.code, error.detail)


async def _credential_request(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, CredentialRequestRefused)
    return JSONResponse({"error": error.code, "error_description": error.detail}, 400, headers=NO_STORE)


async def _oauth(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OAuthError)
    answer = JSONResponse({"error": error.error, "error_description": error.description}, 400, headers=NO_STORE)
    if error.error == "invalid_client" and "Authorization" in request.headers:
        answer.status_code = 401  # RFC 6749 §5.2: only then, and with a challenge
        answer.headers["WWW-Authenticate"] = 'Basic realm="no client passwords: use private_key_jwt"'
    return answer


async def _access(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AccessRefused)
    answer = problem(error.status, error.error or "token_missing", error.description or "send an access token")
    answer.headers["WWW-Authenticate"] = error.challenge
    return answer


async def _validation(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    parts = map(str, first["loc"][1:])
    field = ".".join(part if _MEMBER.fullmatch(part) else "?" for part in parts)  # never the input itself
    return problem(422, "request_invalid", str(first["msg"]), field=field)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    codes = {
        404: "not_found",
        405: "method_not_allowed",
        406: "not_acceptable",
        413: "body_too_large",
        415: "media_type_unsupported",
    }
    answer = problem(error.status_code, codes.get(error.status_code, "request_refused"), str(error.detail))
    answer.headers.update(error.headers or {})
    if error.status_code == 405:
        answer.headers["Allow"] = ", ".join(_allowed(request))
    return answer


def _allowed(request: Request) -> list[str]:
    """Every method that the path has (RFC 9110 §10.2.1); the framework names those of the first route alone."""

    def has(method: str) -> bool:
        asked = {"type": "http", "path": request.scope["path"], "root_path": "", "method": method, "headers": []}
        return any(route.matches(asked)[0] is Match.FULL for route in request.app.routes)

    return [method for method in ("GET", "POST", "PUT", "PATCH", "DELETE") if has(method)]


async def _broken_off(_request: Request, _error: Exception) -> JSONResponse:
    """The sender is gone; the answer reaches the log only."""
    return problem(400, "delivery_broken_off", "the body ended before it was whole; send it again")


async def _replayed(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Replayed)
    return JSONResponse(error.answer.body, error.answer.status, NO_STORE | {"Idempotent-Replayed": "true"})


async def _idempotency(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, IdempotencyRefused)
    answer = problem(error.status, error.code, error.detail)
    if error.status == 409:
        answer.headers["Retry-After"] = "1"
    return answer


async def _cursor(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, CursorInvalid)
    return problem(422, error.code, error.detail, field="cursor")


async def _limit(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, LimitExceeded)
    usage = error.usage
    answer = problem(429, "rate_limited", f"more than {usage.quota} calls in {usage.window_s} s; wait and go on")
    answer.headers["Retry-After"] = str(usage.resets_in_s)
    return answer


async def _database_failed(request: Request, error: Exception) -> JSONResponse:
    """An error that PostgreSQL names: passing, or a defect of ours."""
    state = getattr(getattr(error, "orig", error), "sqlstate", None) or ""
    passing = state.startswith(_PASSING) or getattr(error, "connection_invalidated", False)
    return await (_database_away if passing else _unexpected)(request, error)


async def _database_away(_request: Request, error: Exception) -> JSONResponse:
    """The database does not answer, or has no connection to spare: nothing was written; the caller may try again."""
    _log.error("database_unavailable", error=type(error).__name__)
    answer = problem(503, "database_unavailable", "the store does not answer; nothing was written, try again")
    answer.headers["Retry-After"] = "5"
    return answer


async def _unexpected(_request: Request, error: Exception) -> JSONResponse:
    _log.error("unexpected_error", error=type(error).__name__, exc_info=error)
    return problem(500, "internal_error", "something went wrong on our side; it was logged")
