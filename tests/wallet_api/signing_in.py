"""A wallet whose holder signs in: pushes a request, has it approved in a browser, exchanges the code."""

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from tests.wallet_api.running import Json, Wallet, b64u, bent

REDIRECT_URI = "https://wallet.example.net/callback?app=1"
BROWSER = "browser-secret"


@dataclass
class SigningWallet(Wallet):
    """`client_headers` go with every request to the authorization server."""

    client_id: str = "https://wallet.example.net"
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    refresh_token: str = ""
    last: Json = field(default_factory=dict)

    @property
    def challenge(self) -> str:
        return b64u(hashlib.sha256(self.verifier.encode()).digest())

    def request_form(self, **changes: Any) -> Json:
        good = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": REDIRECT_URI,
            "state": "a state & more",
            "scope": "driving-licence",
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
        }
        return bent(good, changes)

    async def push(self, *, headers: Any = None, dpop: bool = False, **changes: Any) -> httpx.Response:
        """POST a pushed authorization request."""
        sent = {**self.client_headers(), **(headers or {})}
        if dpop:
            sent["DPoP"] = self.dpop("POST", f"{self.running.url}/oauth/par", token=None)
        return await self.running.post("/oauth/par", data=self.request_form(**changes), headers=sent)

    async def request_uri(self, **more: Any) -> str:
        answer = await self.push(**more)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["request_uri"])

    async def holder_id(self, number: int = 1) -> str:
        licence_id = await self.running.licence_id(number)
        async with self.running.platform.database.snapshot() as session:
            return (await self.running.platform.registry.licence(session, licence_id)).holder_ids[0]

    async def approved(self, number: int = 1, **more: Any) -> dict[str, str]:
        """The parameters of a response that the holder of `driving_row(number)` approved of."""
        sign_ins, holder_id = self.running.platform.sign_ins, await self.holder_id(number)
        request_id = await sign_ins.open(await self.request_uri(**more), self.client_id, BROWSER)
        await sign_ins.sign_in(request_id, BROWSER, holder_id)
        return answer_in(await sign_ins.approve(request_id, BROWSER, holder_id))

    async def code(self, number: int = 1, **more: Any) -> str:
        return (await self.approved(number, **more))["code"]

    async def exchange(self, code: str, *, dpop: bool = True, headers: Any = None, **changes: Any) -> httpx.Response:
        """POST a token request with a code."""
        good = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": self.client_id,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": self.verifier,
        }
        return await self._ask(bent(good, changes), dpop, headers)

    async def refresh(
        self, token: str | None = None, *, dpop: bool = True, headers: Any = None, **changes: Any
    ) -> httpx.Response:
        good = {"grant_type": "refresh_token", "refresh_token": token or self.refresh_token}
        return await self._ask(bent(good, changes), dpop, headers)

    async def signed_in(self, number: int = 1, **more: Any) -> "SigningWallet":
        """With tokens."""
        answer = await self.exchange(await self.code(number, **more))
        assert answer.status_code == 200, answer.text
        self.take(answer)
        return self

    def take(self, answer: httpx.Response) -> None:
        self.last = answer.json()
        self.token, self.refresh_token = self.last["access_token"], self.last.get("refresh_token", "")

    def client_headers(self) -> dict[str, str]:
        return {}

    async def _ask(self, form: Json, dpop: bool, headers: Any) -> httpx.Response:
        sent = dict(self.client_headers())
        if dpop:
            sent["DPoP"] = self.dpop("POST", f"{self.running.url}/oauth/token", token=None)
        sent = bent(sent, headers or {})
        return await self.running.post("/oauth/token", data=form, headers=sent)


def answer_in(location: str) -> dict[str, str]:
    """The parameters that were added to the redirect URI, which is otherwise untouched."""
    assert location.startswith(REDIRECT_URI + "&")
    pairs = parse_qsl(urlsplit(location).query, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    answer = dict(pairs)
    assert answer.pop("app") == "1"
    return answer
