"""A platform that runs for one test, and callers whose every part can be bent."""

import asyncio
import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from fastapi import FastAPI
from jwcrypto.jwa import JWA
from jwcrypto.jwk import JWK
from sqlalchemy import func, select, text
from sqlmodel import SQLModel

from credentials.catalogue import Catalogue
from credentials.issuance import PRE_AUTHORIZED_CODE
from credentials.keys.formats.jwk import PublicJwk
from credentials.registry import IntakeSource
from notifications import TickReport
from tests.credentials.rows import TRAFFIC_POLICE, driving_row, lines, resident_id
from tests.fakes import FakeClock
from wallet_api.app import create_app
from wallet_api.database import Database
from wallet_api.settings import Settings
from wallet_api.wiring import Platform

PUBLIC_URL = "https://wallet.example/city"
FEW_TYPES = Catalogue(map(Catalogue.default().get, ("driving-licence", "road-transport-certificate")))
ABSENT = object()  # as a member's value: leave the member out
CLIENT_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

Json = dict[str, Any]


@dataclass
class Running:
    """One process of the platform. What it listens on is not what PUBLIC_URL says."""

    platform: Platform
    app: FastAPI
    http: httpx.AsyncClient
    clock: FakeClock

    @classmethod
    async def start(
        cls,
        data_dir: Path,
        clock: FakeClock,
        database: Database,
        public_url: str = PUBLIC_URL,
        *,
        catalogue: Catalogue = FEW_TYPES,
        **more: Any,
    ) -> "Running":
        settings = Settings(_env_file=None, data_dir=data_dir, public_url=public_url, embedded_worker=False, **more)
        platform = Platform.of(settings, clock=clock, database=database, catalogue=catalogue)
        await platform.start()
        app = create_app(settings, platform=platform)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        return cls(platform, app, httpx.AsyncClient(transport=transport, base_url="http://10.1.2.3:8000"), clock)

    @property
    def url(self) -> str:
        return self.platform.settings.public_url

    async def remind(self) -> TickReport:
        """One run of the platform's, once every transaction that writes now has ended: until then PostgreSQL holds the
        feeds back, also for the transactions of other tests."""
        if not self.platform.database.is_sqlite:
            next_transaction = await self._number("pg_snapshot_xmax")
            async with asyncio.timeout(60):
                while await self._number("pg_snapshot_xmin") < next_transaction:  # noqa: ASYNC110  (no event tells it)
                    await asyncio.sleep(0.01)
        return await self.platform.remind()

    async def _number(self, end_of_snapshot: str) -> int:
        statement = text(f"SELECT CAST(CAST({end_of_snapshot}(pg_current_snapshot()) AS text) AS bigint)")
        async with self.platform.database.snapshot() as session:
            number: int = (await session.execute(statement)).scalar_one()
        return number

    def path(self, url: str) -> str:
        """The path of an emitted URL, which must be under PUBLIC_URL's origin."""
        parts = urlsplit(url)
        assert f"{parts.scheme}://{parts.netloc}" == self.platform.settings.url_origin
        return parts.path

    async def get(self, path: str, **more: Any) -> httpx.Response:
        """GET a path under PUBLIC_URL."""
        return await self.http.get(self.platform.settings.url_path + path, **more)

    async def post(self, path: str, **more: Any) -> httpx.Response:
        """POST to a path under PUBLIC_URL."""
        return await self.http.post(self.platform.settings.url_path + path, **more)

    async def take(self, *rows: object) -> None:
        """Take rows in as the operator would; all of them are good."""
        report = await self.platform.intake.take_all(
            self.platform.database, IntakeSource("console", None), lines(*rows)
        )
        assert not report.rejected, report.rejections

    async def licence_id(self, number: int = 1) -> str:
        """The newest licence of `driving_row(number)`."""
        async with self.platform.database.snapshot() as session:
            found = await self.platform.registry.by_number(session, "driving-licence", resident_id(number % 1000))
        return found[-1].id

    async def offer(self, number: int = 1, *, tx_code: bool = False) -> "Offered":
        """Offer the licence of `driving_row(number)`, taken in first when it is not there."""
        async with self.platform.database.snapshot() as session:
            known = await self.platform.registry.by_number(session, "driving-licence", resident_id(number % 1000))
        if not known:
            await self.take(driving_row(number))
        licence_id = await self.licence_id(number)
        async with self.platform.database.transaction() as session:
            offer = await self.platform.issuance.offer_licence(session, licence_id, with_tx_code=tx_code)
        return Offered(offer.id, offer.pre_authorized_code, offer.tx_code)

    async def redeem(self, code: str, *, dpop: bool = True, **form: str) -> "Wallet":
        """A wallet that redeemed a code."""
        wallet = Wallet(self)
        answer = await wallet.ask_token(code, dpop=dpop, **form)
        assert answer.status_code == 200, answer.text
        wallet.token = answer.json()["access_token"]
        return wallet

    async def wallet(self, number: int = 1, *, dpop: bool = True) -> "Wallet":
        """A wallet with a token for the licence of `driving_row(number)`."""
        return await self.redeem((await self.offer(number)).code, dpop=dpop)

    async def department(self, client_id: str = "traffic-police", *authorities: str) -> "Department":
        """A department's system, registered."""
        department = Department(self, client_id)
        key = PublicJwk.from_object(department.key.export_public(as_dict=True))
        async with self.platform.database.transaction() as session:
            await self.platform.oauth.register_client(session, client_id, "Test", authorities or (TRAFFIC_POLICE,), key)
        return department

    async def nonce(self) -> str:
        answer = await self.post("/openid4vci/nonce")
        assert answer.status_code == 200
        return str(answer.json()["c_nonce"])

    async def count(self, table: str, **where: Any) -> int:
        """How many rows of a table there are."""
        rows = SQLModel.metadata.tables[table]
        statement = select(func.count()).select_from(rows)
        for column, value in where.items():
            statement = statement.where(rows.c[column] == value)
        async with self.platform.database.snapshot() as session:
            return int((await session.execute(statement)).scalar_one())


@dataclass(frozen=True)
class Offered:
    id: str
    code: str
    tx_code: str | None


@dataclass
class Wallet:
    """A holder's device."""

    running: Running
    token: str = ""
    key: JWK = field(default_factory=lambda: new_key())

    async def ask_token(self, code: str, *, dpop: bool = True, **form: str) -> httpx.Response:
        url = f"{self.running.url}/oauth/token"
        headers = {"DPoP": self.dpop("POST", url, token=None)} if dpop else {}
        data = {"grant_type": PRE_AUTHORIZED_CODE, "pre-authorized_code": code, **form}
        return await self.running.post("/oauth/token", data=data, headers=headers)

    def dpop(
        self,
        method: str,
        url: str,
        *,
        token: object = ABSENT,
        header: Mapping[str, Any] | None = None,
        key: JWK | None = None,
        **claims: Any,
    ) -> str:
        """A DPoP proof; `token` defaults to the wallet's own, None makes one for the token endpoint."""
        key = key or self.key
        bound = self.token if token is ABSENT else token
        content = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": url,
            "iat": self.now_s,
            "ath": access_token_hash(str(bound)) if bound else ABSENT,
        }
        protected = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.export_public(as_dict=True)}
        return jwt(key, bent(protected, header or {}), bent(content, claims))

    async def proof(self, *, key: JWK | None = None, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A key proof; a fresh nonce is fetched unless one is given."""
        key = key or self.key
        content = {
            "aud": self.running.url,
            "iat": self.now_s,
            "nonce": claims["nonce"] if "nonce" in claims else await self.running.nonce(),
        }
        protected = {"typ": "openid4vci-proof+jwt", "alg": "ES256", "jwk": key.export_public(as_dict=True)}
        return jwt(key, bent(protected, header or {}), bent(content, claims))

    async def request(self, **members: Any) -> Json:
        """The body of a credential request."""
        body = {"credential_configuration_id": "driving-licence"}
        if "proofs" not in members:
            members["proofs"] = {"jwt": [await self.proof()]}
        return bent(body, members)

    async def ask_credential(self, body: object = None, **more: Any) -> httpx.Response:
        """POST a credential request; `body` may be bytes."""
        if body is None:
            body = await self.request()
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        return await self.post("/openid4vci/credential", content=body, **more)

    async def post(self, path: str, *, headers: Any = None, **more: Any) -> httpx.Response:
        """POST with the wallet's token."""
        given = {"Content-Type": "application/json", **self.authorization(path), **(headers or {})}
        return await self.running.post(path, headers={k: v for k, v in given.items() if v is not ABSENT}, **more)

    def authorization(self, path: str, method: str = "POST") -> dict[str, str]:
        return {
            "Authorization": f"DPoP {self.token}",
            "DPoP": self.dpop(method, f"{self.running.url}{path}"),
        }

    async def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Any request with the wallet's token; the proof speaks of the path without its query."""
        url = f"{self.running.platform.settings.url_path}{path}"
        headers = self.authorization(path.partition("?")[0], method)
        return await self.running.http.request(method, url, headers=headers, **more)

    async def credential(self) -> str:
        """A credential, issued."""
        answer = await self.ask_credential()
        assert answer.status_code == 200, answer.text
        return str(answer.json()["credentials"][0]["credential"])

    @property
    def now_s(self) -> int:
        return int(self.running.clock.now().timestamp())


@dataclass
class Department:
    """A department's system."""

    running: Running
    client_id: str
    key: JWK = field(default_factory=lambda: new_key())

    def assertion(self, *, key: JWK | None = None, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        now_s = int(self.running.clock.now().timestamp())
        content = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.running.url,
            "jti": secrets.token_urlsafe(16),
            "iat": now_s,
            "exp": now_s + 60,
        }
        return jwt(key or self.key, bent({"alg": "ES256"}, header or {}), bent(content, claims))

    async def ask_token(self, assertion: str | None = None, *, headers: Any = None, **form: Any) -> httpx.Response:
        data = {
            "grant_type": "client_credentials",
            "client_assertion_type": CLIENT_ASSERTION_TYPE,
            "client_assertion": assertion or self.assertion(),
        }
        return await self.running.post("/oauth/token", data=bent(data, form), headers=headers)

    async def token(self) -> str:
        answer = await self.ask_token()
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    async def get(self, path: str, **params: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {await self.token()}"}
        return await self.running.get(path, headers=headers, params=params)

    async def post(self, path: str, body: object) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {await self.token()}", "Content-Type": "application/json"}
        return await self.running.post(path, content=content, headers=headers)


def new_key(curve: str = "P-256") -> JWK:
    return JWK.generate(kty="EC", crv=curve)


def bent(members: Mapping[str, Any], changes: Mapping[str, Any]) -> Json:
    """The members with changes; ABSENT takes one away."""
    return {name: value for name, value in {**members, **changes}.items() if value is not ABSENT}


def jwt(key: JWK, header: Mapping[str, Any], claims: object) -> str:
    """A compact JWT that says whatever it is told to, signed with ES256 (or what `alg` says, where the key can)."""
    signed_as = header.get("alg")
    alg = signed_as if signed_as in ("ES256", "ES384", "HS256") else "ES256"
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    signing_input = f"{b64u(json.dumps(header).encode())}.{b64u(payload)}"
    if signed_as == "none":
        return f"{signing_input}."
    # Not by JWS.add_signature: it refuses headers that are wrong on purpose.
    return f"{signing_input}.{b64u(JWA.signing_alg(alg).sign(key, signing_input.encode()))}"


def b64u(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def b64d(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")


def access_token_hash(token: str) -> str:
    return b64u(hashlib.sha256(token.encode()).digest())


def unverified(compact: str) -> tuple[Json, Json]:
    """Header and claims of a compact JWT."""
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in compact.split(".")[:2])
    return header, claims
