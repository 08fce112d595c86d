"""The OpenAPI document: what the routes say of themselves, what the edge adds to each, and what no code can tell.

Rules here add what holds for many operations: who may call, which refusals the edge gives. `web/openapi.yaml` has what
the framework cannot read off a route: bodies in the standards' own forms, media types, examples.
"""

from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import yaml
from fastapi import FastAPI
from pydantic import BaseModel

METHODS = ("get", "post", "put", "patch", "delete")
PROBLEM = "application/problem+json"
LIMITED_FOR_STRANGERS = ("/oauth/", "/openid4vci/")
WITHOUT_DATABASE = ("/health/live", "/metrics")
#: What a dependency names → the ways to prove it; any one of them will do.
SECURITY: Mapping[str, list[dict[str, list[str]]]] = {
    "department": [{"privateKeyJwt": ["licences:write"]}, {"dpop": []}],
    "verifier": [{"privateKeyJwt": ["checks:write"]}, {"dpop": []}],
    "operator": [{"privateKeyJwt": ["platform:operate"]}, {"dpop": []}],
    "register": [{"privateKeyJwt": ["holders:write"]}, {"dpop": []}],
    "wallet": [{"dpop": []}, {"bearer": []}],
}
_REASONS = {
    400: "The request is not what the standard says",
    401: "No token, or one that is not good",
    403: "The token is not good for this",
    404: "Not there, or not for this caller to know of",
    409: "Not in this state",
    413: "The body is larger than any that is taken here",
    415: "Not the media type that is taken here",
    422: "Out of form; `field` says which member",
    429: "More calls than the quota; come back after `Retry-After`",
    503: "The store does not answer; nothing was written, try again after `Retry-After`",
}
_RETRY = {
    "Retry-After": {"description": "Seconds", "schema": {"type": "integer", "minimum": 1}, "required": True},
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body again within 24 hours: the stored answer, with `Idempotent-Replayed: true`. "
    "Another request under it: 422 `idempotency_key_reused`; while the first is at work: 409.",
    "schema": {"type": "string", "pattern": r"^[!#-\[\]-~]{1,255}$"},
    "example": "7d0ce4a2-8d2b-4d0c-9f3d-2f3a1b6a0c55",
}


def install(app: FastAPI, url_path: str) -> None:
    """Let the application's document be the complete one.

    Args:
        url_path: the path part of the public URL, which its paths start with.
    """
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:  # read when somebody asks: it takes longer than all else in making the app
            overlay = yaml.safe_load((resources.files("wallet_api") / "web" / "openapi.yaml").read_text("utf-8"))
            _complete(generate(), overlay, url_path)
        return app.openapi_schema or {}

    # FastAPI's own way to extend its document
    app.openapi = openapi  # type: ignore[method-assign]


def answers(given: Mapping[int, type[BaseModel] | dict[str, Any]], *refused: int) -> dict[int | str, dict[str, Any]]:
    """A route's `responses`.

    Args:
        given: status → the model of the answer, or its OpenAPI object.
        refused: the statuses of its own refusals; those of the edge are added to every route.
    """
    told: dict[int | str, dict[str, Any]] = {
        status: answer if isinstance(answer, dict) else {"model": answer} for status, answer in given.items()
    }
    return told | {status: _refusal(status) for status in refused}


def _refusal(status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": _REASONS[status],
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    return answer | {"headers": _RETRY} if status in (429, 503) else answer


def _complete(document: dict[str, Any], overlay: Mapping[str, Any], url_path: str) -> None:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas.update(overlay["components"]["schemas"])
    components["securitySchemes"] = {
        name: _located(scheme, url_path) for name, scheme in overlay["components"]["securitySchemes"].items()
    }
    for path, method, operation in _operations(document):
        local = _without(url_path, path)
        _add_refusals(operation, local, method)
        _overlay(operation, overlay["paths"].get(local, {}).get(method, {}))


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                yield path, method, methods[method]


def _without(url_path: str, path: str) -> str:
    """The path as it is without a path in the public URL; that of metadata ends with it, all others begin."""
    if path.startswith("/.well-known/"):
        return path.removesuffix(url_path)
    return path.removeprefix(url_path)


def _add_refusals(operation: dict[str, Any], path: str, method: str) -> None:
    answers = operation["responses"]
    statuses: set[int] = set()
    named = [name for requirement in operation.get("security", ()) for name in requirement]
    if named:
        operation["security"] = SECURITY[named[0]]
        statuses |= {400, 401, 403, 429}  # 400: a token in the URL
    if path.startswith(LIMITED_FOR_STRANGERS):
        statuses |= {429}
    if "422" in answers:
        answers["422"] = _refusal(422)
    if method == "post":
        statuses |= {413}
    if "{" in path:
        statuses |= {404}
    if not path.startswith(WITHOUT_DATABASE):
        statuses |= {503}
    for status in sorted(statuses):
        answers.setdefault(str(status), _refusal(status))


def _overlay(operation: dict[str, Any], fragment: Mapping[str, Any]) -> None:
    for name, value in fragment.items():
        match name:
            case "responses":
                operation["responses"] |= {str(status): answer for status, answer in value.items()}
            case "parameters":
                operation.setdefault("parameters", []).extend(value)
            case "idempotent":
                operation.setdefault("parameters", []).append(_KEY)
                for status in (409, 422):
                    operation["responses"].setdefault(str(status), _refusal(status))
            case "body_example":
                (content,) = operation["requestBody"]["content"].values()
                content["example"] = value
            case _:
                operation[name] = value


def _located(scheme: Mapping[str, Any], url_path: str) -> dict[str, Any]:
    flow = scheme.get("flows", {}).get("clientCredentials")
    if flow is None:
        return dict(scheme)
    return {**scheme, "flows": {"clientCredentials": {**flow, "tokenUrl": url_path + flow["tokenUrl"]}}}
