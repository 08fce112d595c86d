"""Liveness and readiness for whoever runs the platform."""

from asyncpg import PostgresError
from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError

from credentials.errors import CredentialsError
from wallet_api.dependencies import AppPlatform
from wallet_api.problems import NO_STORE

router = APIRouter(prefix="/health", tags=["operations"])


@router.get("/live")
async def live() -> JSONResponse:
    """The process answers."""
    return JSONResponse({"status": "ok"}, headers=NO_STORE)


@router.get("/ready")
async def ready(platform: AppPlatform) -> JSONResponse:
    """The database answers and the keys are loaded; 503 with the part that is missing otherwise."""
    parts = {"database": "ok", "keys": "ok", "trust_list": "ok"}
    try:
        await platform.database.ping()
        async with platform.database.snapshot() as session:
            await platform.trust_list.current(session)
    except (SQLAlchemyError, PostgresError, OSError):
        parts["database"] = parts["trust_list"] = "unavailable"
    except CredentialsError:
        parts["trust_list"] = "not published yet"
    try:
        _ = platform.key_ring.ring
    except CredentialsError:
        parts["keys"] = "not loaded"
    ok = all(part == "ok" for part in parts.values())
    return JSONResponse({"status": "ok" if ok else "not ready", **parts}, 200 if ok else 503, NO_STORE)
