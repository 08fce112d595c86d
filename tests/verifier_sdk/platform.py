"""The platform's side of checks on line, as far as a verifier sees it: tokens, signed results, journals."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tests.verifier_sdk.issuer import NOW_S, Certified, b64u, jws, new_key, override, to_json
from tests.verifier_sdk.server import Answer, Server

METADATA, TOKEN = "/.well-known/oauth-authorization-server", "/oauth/token"
CHECKS, JOURNALS = "/api/v1/checks", "/api/v1/check-journals"
CLIENT_ID = "traffic-police-3"


def problem(status: int, code: str, **members: object) -> Answer:
    return Answer(to_json({"status": status, "code": code, **members}), "application/problem+json", status)


def as_json(value: object) -> Answer:
    return Answer(to_json(value), "application/json")


@dataclass
class Platform:
    """Puts itself onto a server. `answer` may be changed; `told` is what journals brought, by id."""

    server: Server
    verifier_key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    requests: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    told: dict[str, dict[str, Any]] = field(default_factory=dict)
    devices: set[str] = field(default_factory=set)
    answer: Callable[[dict[str, Any]], Answer | None] | None = None

    def __post_init__(self) -> None:
        self.check_key = self.server.issuer.leaf("check")
        self.server.answers[METADATA] = as_json(
            {"issuer": self.server.base, "token_endpoint": self.server.base + TOKEN}
        )
        self.server.takers |= {TOKEN: self._token, CHECKS: self._check, JOURNALS: self._journal}
        self.list_keys(self.check_key)

    def list_keys(self, *check_keys: Certified) -> None:
        issuer = self.server.issuer
        keys = [*issuer.trust_list_claims()["keys"], *(issuer.listed("check", key) for key in check_keys)]  # type: ignore[misc]
        self.server.offer_trust_list(self.server.trust_list(keys=keys))

    def result(
        self,
        request: Mapping[str, Any],
        *,
        signer: Certified | None = None,
        header: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        signer = signer or self.check_key
        claims = {
            "iss": self.server.base,
            "aud": CLIENT_ID,
            "iat": NOW_S,
            "exp": NOW_S + 300,
            "jti": "check-1",
            "code_hash": b64u(sha256(request["code"].encode()).digest()),
            "scene": request["scene"],
            "scene_version": 3,
            "outcome": "valid",
            "licence": {
                "type": "driving-licence",
                "type_version": 1,
                "state": "valid",
                "valid_until": "2027-03-03",
            },
            "items": {
                "holder_name": "张三丰",
                "vehicle_class": ["C1", "D"],
                "issued_on": "2017-03-04",
                "valid_until": "2027-03-03",
                "other": 1,
            },
            "portrait": "data:image/jpeg;base64,AAAA",
            "shown_at": NOW_S - 5,
        }
        base = {"alg": "ES256", "typ": "lz-check+jwt", "x5c": signer.x5c}
        return jws(signer.key, override(base, header), override(claims, changes))

    def _token(self, body: bytes, _: str | None) -> Answer:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        claims = self._verified(form["client_assertion"])
        assert form.keys() == {"grant_type", "scope", "client_id", "client_assertion_type", "client_assertion"}
        assert (claims["iss"], claims["sub"], claims["aud"]) == (CLIENT_ID, CLIENT_ID, self.server.base)
        assert claims["exp"] - claims["iat"] == 60
        self.tokens.append(f"token-{len(self.tokens)}")
        return as_json({"access_token": self.tokens[-1], "token_type": "Bearer", "expires_in": 300})

    def _verified(self, token: str) -> dict[str, Any]:
        signing_input, _, signature = token.rpartition(".")
        raw = base64.urlsafe_b64decode(signature + "==")
        der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        self.verifier_key.public_key().verify(der, signing_input.encode(), ec.ECDSA(hashes.SHA256()))
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(signing_input.partition(".")[2] + "=="))
        return claims

    def _check(self, body: bytes, authorization: str | None) -> Answer | None:
        if authorization != f"Bearer {self.tokens[-1]}":
            return Answer(b"", "text/plain", 401)
        self.requests.append(json.loads(body))
        if self.answer is not None:
            return self.answer(self.requests[-1])
        return as_json({"result": self.result(self.requests[-1])})

    def _journal(self, body: bytes, authorization: str | None) -> Answer | None:
        assert authorization == f"Bearer {self.tokens[-1]}"
        request = json.loads(body)
        self.requests.append(request)
        self.devices.add(request["device"])
        outcomes = []
        for entry in request["entries"]:
            known = entry["id"] in self.told
            assert self.told.setdefault(entry["id"], entry) == entry
            outcomes.append({"id": entry["id"], "outcome": "unchanged" if known else "accepted"})
        if self.answer is not None:
            return self.answer({"entries": outcomes})
        return as_json({"entries": outcomes})
