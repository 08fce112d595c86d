"""For operators' systems: the register of verifiers, the scenes, and who changed what."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from credentials.keys.formats.jwk import KeyMalformed, PublicJwk
from presentation.scenes import Scene, read_scene
from presentation.verifiers import Registration, Verifier, VerifierInvalid, VerifierUnknown
from presentation.verifiers.models import HOLDERS_PER_MINUTE, REFUSALS_PER_10_MINUTES
from wallet_api.dependencies import AppPlatform, Operator
from wallet_api.oauth import OAuthError
from wallet_api.openapi import answers
from wallet_api.problems import NO_STORE, problem
from wallet_api.routes.checks import printable

router = APIRouter(prefix="/api/v1/operators", tags=["operators"])

ClientId = Annotated[str, Path(pattern=r"^[a-z0-9._-]{1,64}$")]
SceneId = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class RegistrationBody(_Strict):
    """What is said of a verifier. A new one brings its public key; left out, a known one keeps its own."""

    organisation: str = Field(min_length=1, max_length=200)
    system_name: str = Field(min_length=1, max_length=200)
    scenes: list[str] = Field(max_length=200)
    holders_per_minute: int = HOLDERS_PER_MINUTE
    refusals_per_10_minutes: int = REFUSALS_PER_10_MINUTES
    jwk: dict[str, Any] | None = None


class ReasonBody(_Strict):
    """Why; other operators read it. Name nobody."""

    reason: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")

    _is_printable = field_validator("reason")(printable)


class SceneBody(_Strict):
    """A scene's next version. `replaces_version` is the one that the operator has before them, 0 for a new scene."""

    replaces_version: int = Field(ge=0)
    name: dict[str, str]
    offline: bool
    legal_basis: str
    items: dict[str, list[str]]


class VerifierAnswer(BaseModel):
    """A verifier as it stands in the register."""

    client_id: str
    organisation: str
    system_name: str
    scenes: list[str]
    holders_per_minute: int
    refusals_per_10_minutes: int
    registered_at: AwareDatetime
    suspended_at: AwareDatetime | None


class VerifiersAnswer(BaseModel):
    """The register, by client id."""

    verifiers: list[VerifierAnswer]


class SceneAnswer(BaseModel):
    """The newest version of a scene."""

    id: str
    version: int
    name: dict[str, str]
    licence_types: list[str]
    items: dict[str, list[str]]
    offline: bool
    legal_basis: str
    by_operator: bool
    retired: bool


class ScenesAnswer(BaseModel):
    """All scenes, retired ones too."""

    scenes: list[SceneAnswer]


class PatternAnswer(BaseModel):
    """Checks of one verifier that were stopped for what they look like: `refusals`, `holders` or `sequence`."""

    client_id: str
    kind: str
    window_start: AwareDatetime
    last_at: AwareDatetime
    stopped: int


class PatternsAnswer(BaseModel):
    """The newest hundred."""

    patterns: list[PatternAnswer]


class ActionAnswer(BaseModel):
    """One step of one operator."""

    at: AwareDatetime
    operator: str
    action: str
    subject: str
    reason: str | None


class ActionsPage(BaseModel):
    """Steps, the newest first."""

    actions: list[ActionAnswer]
    next_cursor: str | None


@router.get("/verifiers", responses=answers({200: VerifiersAnswer}))
async def list_verifiers(platform: AppPlatform, operator: Operator) -> JSONResponse:
    """All verifiers, suspended ones too."""
    async with platform.database.snapshot() as session:
        verifiers = await platform.verifiers.all(session)
    return JSONResponse({"verifiers": [_verifier(one) for one in verifiers]}, headers=NO_STORE)


@router.get("/verifiers/{client_id}", responses=answers({200: VerifierAnswer}, 404))
async def get_verifier(client_id: ClientId, platform: AppPlatform, operator: Operator) -> JSONResponse:
    """One verifier."""
    try:
        async with platform.database.snapshot() as session:
            return JSONResponse(_verifier(await platform.verifiers.find(session, client_id)), headers=NO_STORE)
    except VerifierUnknown as error:
        return problem(404, error.code, error.detail)


@router.put(
    "/verifiers/{client_id}",
    responses=answers(
        {200: VerifierAnswer, 201: {"model": VerifierAnswer, "description": "Registered"}}, 404, 409, 422
    ),
)
async def put_verifier(
    client_id: ClientId, wanted: RegistrationBody, platform: AppPlatform, operator: Operator
) -> JSONResponse:
    """Register a verifier, or replace what is said of it, and its key if one is given. A suspended one stays so."""
    registration = Registration(
        client_id,
        wanted.organisation,
        wanted.system_name,
        tuple(wanted.scenes),
        wanted.holders_per_minute,
        wanted.refusals_per_10_minutes,
    )
    try:
        key = None if wanted.jwk is None else PublicJwk.from_object(wanted.jwk)
        async with platform.database.transaction() as session:
            is_new = await platform.operators.register(session, registration, key, by=operator.client_id or "")
            verifier = await platform.verifiers.find(session, client_id)
    except KeyMalformed as error:
        raise VerifierInvalid(f"jwk: {error.detail}") from error
    except VerifierUnknown:
        return problem(422, "verifier_invalid", "a new verifier brings its public key", field="jwk")
    except OAuthError as error:
        return problem(409, "client_id_taken", error.description)
    return JSONResponse(_verifier(verifier), 201 if is_new else 200, NO_STORE)


@router.post("/verifiers/{client_id}/suspend", responses=answers({200: VerifierAnswer}, 404, 422))
async def suspend_verifier(
    client_id: ClientId, body: ReasonBody, platform: AppPlatform, operator: Operator
) -> JSONResponse:
    """Refuse a verifier from its next request on, whatever tokens it holds."""
    return await _move(platform.operators.suspend, client_id, body, platform, operator)


@router.post("/verifiers/{client_id}/resume", responses=answers({200: VerifierAnswer}, 404, 422))
async def resume_verifier(
    client_id: ClientId, body: ReasonBody, platform: AppPlatform, operator: Operator
) -> JSONResponse:
    """Let a suspended verifier check again."""
    return await _move(platform.operators.resume, client_id, body, platform, operator)


async def _move(step: Any, client_id: str, body: ReasonBody, platform: AppPlatform, operator: Operator) -> JSONResponse:
    try:
        async with platform.database.transaction() as session:
            await step(session, client_id, by=operator.client_id or "", reason=body.reason)
            verifier = await platform.verifiers.find(session, client_id)
    except VerifierUnknown as error:
        return problem(404, error.code, error.detail)
    return JSONResponse(_verifier(verifier), headers=NO_STORE)


@router.get("/scenes", responses=answers({200: ScenesAnswer}))
async def list_scenes(platform: AppPlatform, operator: Operator) -> JSONResponse:
    """The newest version of every scene, retired ones too."""
    async with platform.database.snapshot() as session:
        scenes = await platform.scenes.every(session)
    return JSONResponse({"scenes": [_scene(one) for one in scenes]}, headers=NO_STORE)


@router.put("/scenes/{scene_id}", responses=answers({200: SceneAnswer}, 409, 422))
async def put_scene(scene_id: SceneId, wanted: SceneBody, platform: AppPlatform, operator: Operator) -> JSONResponse:
    """Make this the newest version of a scene; one that says the same already stands. The trust list follows."""
    draft = read_scene({"id": scene_id, **wanted.model_dump(exclude={"replaces_version"})})
    async with platform.database.transaction() as session:
        scene = await platform.operators.put_scene(session, draft, wanted.replaces_version, by=operator.client_id or "")
    await platform.publish_trust()
    return JSONResponse(_scene(scene), headers=NO_STORE)


@router.post("/scenes/{scene_id}/retire", status_code=204, responses=answers({}, 404, 409, 422))
async def retire_scene(scene_id: SceneId, body: ReasonBody, platform: AppPlatform, operator: Operator) -> None:
    """End a scene: no check is made for it any more."""
    async with platform.database.transaction() as session:
        await platform.operators.retire_scene(session, scene_id, by=operator.client_id or "", reason=body.reason)
    await platform.publish_trust()


@router.get("/patterns", responses=answers({200: PatternsAnswer}))
async def list_patterns(platform: AppPlatform, operator: Operator) -> JSONResponse:
    """Whose checks were stopped lately for what they look like, the newest first."""
    async with platform.database.snapshot() as session:
        reports = await platform.checks.reports(session)
    patterns = [
        {
            "client_id": one.client_id,
            "kind": one.kind,
            "window_start": one.window_start.isoformat(),
            "last_at": one.last_at.isoformat(),
            "stopped": one.stopped,
        }
        for one in reports
    ]
    return JSONResponse({"patterns": patterns}, headers=NO_STORE)


@router.get("/actions", responses=answers({200: ActionsPage}))
async def list_actions(
    platform: AppPlatform,
    operator: Operator,
    cursor: Annotated[str | None, Query(max_length=1024)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> JSONResponse:
    """What operators did, by API and by command, the newest first."""
    before = int(platform.cursors.open("operator-actions", cursor)[0]) if cursor else None
    async with platform.database.snapshot() as session:
        found = await platform.operators.actions(session, before, limit + 1)
    actions = [
        {
            "at": one.at.isoformat(),
            "operator": one.operator,
            "action": one.action,
            "subject": one.subject,
            "reason": one.reason,
        }
        for one in found[:limit]
    ]
    more = platform.cursors.seal("operator-actions", [found[limit - 1].id]) if len(found) > limit else None
    return JSONResponse({"actions": actions, "next_cursor": more}, headers=NO_STORE)


def _verifier(one: Verifier) -> Mapping[str, object]:
    return {
        "client_id": one.client_id,
        "organisation": one.organisation,
        "system_name": one.system_name,
        "scenes": list(one.scenes),
        "holders_per_minute": one.holders_per_minute,
        "refusals_per_10_minutes": one.refusals_per_10_minutes,
        "registered_at": one.registered_at and one.registered_at.isoformat(),
        "suspended_at": one.suspended_at and one.suspended_at.isoformat(),
    }


def _scene(one: Scene) -> Mapping[str, object]:
    return {**one.published(), "by_operator": one.by_operator, "retired": one.retired}
