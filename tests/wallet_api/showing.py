"""A holder's device that shows, and a verifier that checks: over HTTP, every part of it can be bent."""

import base64
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from jwcrypto.jwk import JWK

from credentials.keys.formats.jwk import PublicJwk
from presentation.shows import encode_proof, qr_text
from presentation.verifiers import Registration
from tests.wallet_api.running import Department, Running, Wallet, unverified
from tests.wallet_api.signing_in import SigningWallet
from wallet_api.oauth import OPERATOR_SCOPE, VERIFIER_SCOPE

SCENE = "traffic-police-check"
Json = dict[str, Any]


@dataclass
class Device:
    """A wallet with passes for one licence."""

    wallet: Wallet
    number: int = 1
    passes: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    async def of(cls, running: Running, number: int = 1, *profiles: str) -> "Device":
        """A device that holds the credential and passes of `driving_row(number)`."""
        wallet = await running.wallet(number)
        await wallet.credential()
        device = cls(wallet, number)
        for profile in profiles or ("face",):
            device.passes[profile] = await device.fetch_pass(profile)
        return device

    async def access_log(self, query: str = "") -> Json:
        """The access log of the holder, who signs in for it."""
        holder = await SigningWallet(self.wallet.running).signed_in(self.number)
        answer = await holder.call("GET", f"/api/v1/me/access-log{query}")
        assert answer.status_code == 200, answer.text
        page: Json = answer.json()
        return page

    async def fetch_pass(self, profile: str, **members: Any) -> bytes:
        answer = await self.ask_passes(profile, **members)
        assert answer.status_code == 201, answer.text
        return base64.urlsafe_b64decode(answer.json()["passes"][0]["pass"] + "==")

    async def ask_passes(self, profile: str = "face", **members: Any) -> httpx.Response:
        body = {"jwk": self.wallet.key.export_public(as_dict=True), "profile": profile, "days": 1, **members}
        return await self.wallet.post("/api/v1/me/passes", content=json.dumps(body).encode())

    def code(
        self,
        profile: str = "face",
        *,
        cti: bytes | None = None,
        challenge: bytes | None = None,
        key: JWK | None = None,
        ahead_s: int = 0,
    ) -> str:
        """A fresh live code."""
        private = (key or self.wallet.key).get_op_key("sign")
        proof = encode_proof(
            self.passes[profile],
            self.wallet.now_s + ahead_s,
            cti or secrets.token_bytes(16),
            lambda message: es256(private, message),
            challenge,
        )
        return qr_text(self.wallet.running.url, proof)


def es256(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@dataclass
class Inspector(Department):
    """A registered verifier's system."""

    bearer: str = ""

    async def check(self, code: object, scene: object = SCENE, **members: object) -> httpx.Response:
        return await self.send("/api/v1/checks", {"code": code, "scene": scene, **members})

    async def upload(self, *entries: object, device: object = "phone-1", **members: object) -> httpx.Response:
        return await self.send("/api/v1/check-journals", {"device": device, "entries": list(entries), **members})

    async def send(self, path: str, body: object, running: Running | None = None) -> httpx.Response:
        self.bearer = self.bearer or await self.token()
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.bearer}", "Content-Type": "application/json"}
        return await (running or self.running).post(path, content=content, headers=headers)

    async def released(self, code: str, **members: object) -> Json:
        """The claims of a check that must succeed."""
        answer = await self.check(code, **members)
        assert answer.status_code == 200, answer.text
        return unverified(answer.json()["result"])[1]


async def inspector(running: Running, client_id: str = "police-terminal", **registered: Any) -> Inspector:
    """A verifier's system, registered for the scene."""
    verifier = Inspector(running, client_id)
    key = PublicJwk.from_object(verifier.key.export_public(as_dict=True))
    registration = {"organisation": "某市公安局交通警察总队", "system_name": "路面查验终端", "scenes": (SCENE,)}
    platform = running.platform
    async with platform.database.transaction() as session:
        await platform.oauth.register_client(session, client_id, "Test", (), key, scope=VERIFIER_SCOPE)
        await platform.verifiers.register(session, Registration(client_id, **registration | registered))
    return verifier


async def operator(running: Running, client_id: str = "city-desk") -> Department:
    """An operator's system."""
    system = Department(running, client_id)
    key = PublicJwk.from_object(system.key.export_public(as_dict=True))
    async with running.platform.database.transaction() as session:
        await running.platform.oauth.register_client(session, client_id, "Desk", (), key, scope=OPERATOR_SCOPE)
    return system


def refusal(answer: httpx.Response) -> tuple[int, str, str | None]:
    """Status, code and outcome of a refused request."""
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, body["code"], body.get("outcome")
