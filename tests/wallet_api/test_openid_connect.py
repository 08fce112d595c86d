"""Signing in at a real OpenID provider (`oidc-provider`), and what a hostile one gets away with: nothing."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jwcrypto.jwk import JWK

from tests.credentials.issuance.test_parsers import ANY_JSON as JSON
from tests.credentials.rows import driving_row, resident_id
from tests.fakes import FakeClock
from tests.wallet_api.running import ABSENT, Json, Running, access_token_hash, bent, jwt, new_key
from tests.wallet_api.sign_in_site import PlainBrowser
from tests.wallet_api.signing_in import SigningWallet, answer_in
from tests.wallet_api.test_sign_in import code_of
from wallet_api.clock import SystemClock
from wallet_api.database import Database
from wallet_api.oauth.openid_connect import OpenIdProvider, Registration, SignInFailed
from wallet_api.settings import Settings

FOLDER = Path(__file__).parents[1] / "openid_provider"
PUBLIC_URL = "http://127.0.0.1:1/city"  # never listened on: the platform is called within the process
SECRET = "a secret / with+signs"
KEY = new_key()


@dataclass(frozen=True)
class City:
    """A city's identity provider with two residents, one of whom the store does not know."""

    issuer: str

    def settings(self, tmp_path: Path, client_id: str = "secret") -> Json:
        more: Json = {"oidc_client_secret": SECRET}
        if client_id == "key":
            (tmp_path / "client.pem").write_bytes(KEY.export_to_pem(private_key=True, password=None))
            more = {"oidc_client_key": tmp_path / "client.pem"}
        return {"oidc_issuer": self.issuer, "oidc_client_id": client_id, "oidc_scope": "openid identity", **more}


def city(in_userinfo: bool) -> Iterator[City]:
    node = shutil.which("node")
    if node is None or not (FOLDER / "node_modules").is_dir():
        reason = "the OpenID provider needs Node.js, and once: npm ci --prefix tests/openid_provider"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    client = {"redirect_uris": [f"{PUBLIC_URL}/oauth/callback"]}
    configuration = {
        "redirect_uri": f"{PUBLIC_URL}/oauth/callback",
        "in_userinfo": in_userinfo,
        "accounts": {"known": resident_id(1), "unknown": resident_id(77), "nameless": None},
        "clients": [
            {
                **client,
                "client_id": "secret",
                "client_secret": SECRET,
                "token_endpoint_auth_method": "client_secret_basic",
            },
            {
                **client,
                "client_id": "key",
                "token_endpoint_auth_method": "private_key_jwt",
                "token_endpoint_auth_signing_alg": "ES256",
                "jwks": {"keys": [KEY.export_public(as_dict=True)]},
            },
        ],
    }  # fmt: skip
    command = [node, "provider.mjs", json.dumps(configuration)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=FOLDER, text=True, **pipes) as process:  # type: ignore[call-overload]
        issuer = process.stdout.readline().strip()
        assert issuer.startswith("http://127.0.0.1:")
        yield City(issuer)
        process.stdin.close()


@pytest.fixture(scope="module")
def provider() -> Iterator[City]:
    yield from city(in_userinfo=False)


@pytest.fixture(autouse=True)
def _browsers_are_closed(runner: asyncio.Runner) -> Iterator[None]:
    yield
    while Person.everybody:
        runner.run(Person.everybody.pop().there.aclose())


@pytest.fixture
def database(runner: asyncio.Runner, tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'openid.db'}")
    runner.run(database.create_all())
    yield database
    runner.run(database.close())


@pytest.fixture(params=["secret", "key"])
def wallet(
    request: pytest.FixtureRequest, runner: asyncio.Runner, tmp_path: Path, database: Database, provider: City
) -> Iterator[SigningWallet]:
    """A wallet at a platform whose people sign in with the provider, which knows the time of day."""
    clock = FakeClock(SystemClock().now())
    more = provider.settings(tmp_path, request.param)
    running = runner.run(Running.start(tmp_path, clock, database, PUBLIC_URL, **more))
    runner.run(running.take(driving_row()))
    yield SigningWallet(running)
    runner.run(running.platform.close())
    runner.run(running.http.aclose())


@dataclass
class Person:
    """Somebody with a browser, which keeps the cookies of provider and platform apart."""

    wallet: SigningWallet
    here: PlainBrowser = field(init=False)
    there: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(follow_redirects=False))
    everybody: ClassVar[list["Person"]] = []

    def __post_init__(self) -> None:
        self.here = PlainBrowser.of(self.wallet.running)
        self.everybody.append(self)

    async def sent_to_provider(self) -> str:
        query = {"client_id": self.wallet.client_id, "request_uri": await self.wallet.request_uri()}
        answer = await self.here.open(f"{self.wallet.running.url}/oauth/authorize?{urlencode(query)}")
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    async def signed_in_there(self, url: str, login: str = "known") -> str:
        """Sign in at the provider: the address on our side that it leads back to."""
        answer = await self.there.get(url)
        answer = await self.there.get(f"{httpx.URL(url).join(answer.headers['location'])}?login={login}")
        answer = await self.there.get(answer.headers["location"])
        return str(answer.headers["location"])

    async def back(self, login: str = "known") -> httpx.Response:
        callback = await self.signed_in_there(await self.sent_to_provider(), login)
        return await self.here.open(callback)


async def test_a_person_known_to_the_city_s_provider_gets_their_licence(wallet: SigningWallet) -> None:
    person = Person(wallet)
    page = await person.here.follow(await person.back())
    assert page.status_code == 200
    back = await person.here.send(page, decision="approve", holder=await wallet.holder_id())
    wallet.take(await wallet.exchange(answer_in(back.headers["location"])["code"]))
    assert (await wallet.credential()).count("~") > 5


async def test_a_person_of_whom_the_store_holds_nothing_is_told_so(wallet: SigningWallet) -> None:
    person = Person(wallet)
    page = await person.back("unknown")
    assert (page.status_code, 'id="nothing"' in page.text) == (200, True)
    assert resident_id(77) not in page.text
    back = await person.here.http.post(
        f"{wallet.running.url}/oauth/consent/{page.text.split('/oauth/consent/')[1][:32]}",
        data={"csrf": page.text.split('name="csrf" value="')[1][:64], "decision": "decline"},
    )
    assert answer_in(back.headers["location"])["error"] == "access_denied"


async def test_a_sign_in_that_was_cancelled_or_tells_no_number_can_be_tried_again(wallet: SigningWallet) -> None:
    for login in ("-", "nameless"):
        person = Person(wallet)
        failed = await person.back(login)
        assert code_of(failed) == (400, "sign_in_failed")
        assert 'value="again"' in failed.text


async def test_a_state_counts_once_and_in_its_own_browser_only(wallet: SigningWallet) -> None:
    victim, attacker = Person(wallet), Person(wallet)
    theirs = await attacker.signed_in_there(await attacker.sent_to_provider())
    await victim.sent_to_provider()
    assert code_of(await victim.here.open(theirs)) == (400, "sign_in_unknown")  # login CSRF: another session's callback
    assert code_of(await PlainBrowser.of(wallet.running).open(theirs)) == (400, "request_unknown")
    assert (await attacker.here.open(theirs)).status_code == 303
    assert code_of(await attacker.here.open(theirs)) == (400, "sign_in_unknown")  # replayed
    for query in ("", "state=x&code=y", "state=%00", "state=x&state=y", "state=%FF"):
        assert code_of(await attacker.here.open(f"{wallet.running.url}/oauth/callback?{query}"))[0] == 400


async def test_a_code_of_another_sign_in_is_refused_by_the_verifier_and_the_nonce(wallet: SigningWallet) -> None:
    """Code injection: the attacker's code under the victim's state."""
    victim, attacker = Person(wallet), Person(wallet)
    theirs = parse_qs(urlsplit(await attacker.signed_in_there(await attacker.sent_to_provider())).query)
    own = parse_qs(urlsplit(await victim.signed_in_there(await victim.sent_to_provider())).query)
    query = urlencode({"state": own["state"][0], "code": theirs["code"][0], "iss": own["iss"][0]})
    answer = await victim.here.open(f"{wallet.running.url}/oauth/callback?{query}")
    assert code_of(answer) == (400, "sign_in_failed")


async def test_the_number_may_stand_in_userinfo(tmp_path: Path, database: Database, provider: City) -> None:
    for elsewhere in city(in_userinfo=True):
        clock = FakeClock(SystemClock().now())
        running = await Running.start(tmp_path, clock, database, PUBLIC_URL, **elsewhere.settings(tmp_path))
        await running.take(driving_row())
        assert (await Person(SigningWallet(running)).back()).headers["location"].startswith(PUBLIC_URL)
        await running.platform.close()
        await running.http.aclose()


async def test_a_provider_that_is_away_is_said_to_be_and_may_be_tried_again(
    tmp_path: Path, clock: FakeClock, database: Database
) -> None:
    nobody = City("http://127.0.0.1:9")  # the discard port: nothing listens there
    running = await Running.start(tmp_path, clock, database, PUBLIC_URL, **nobody.settings(tmp_path))
    wallet = SigningWallet(running)
    query = {"client_id": wallet.client_id, "request_uri": await wallet.request_uri()}
    answer = await PlainBrowser.of(running).open(f"{running.url}/oauth/authorize?{urlencode(query)}")
    assert code_of(answer) == (502, "provider_away")
    assert 'value="again"' in answer.text
    await running.platform.close()
    await running.http.aclose()


# ---- a provider that lies

ISSUER = "https://id.example"


@dataclass
class LyingProvider:
    """Answers over HTTP with whatever it is told to."""

    claims: Json = field(default_factory=dict)
    header: Json = field(default_factory=dict)
    metadata: Json = field(default_factory=dict)
    userinfo: Json = field(default_factory=dict)
    tokens: Json = field(default_factory=dict)
    signed_by: JWK = KEY
    status: int = 200
    key_fetches: int = 0

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/.well-known/openid-configuration":
            ends = {f"{name}_endpoint": f"{ISSUER}/{name}" for name in ("authorization", "token", "userinfo")}
            return httpx.Response(
                200, json=bent({"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks", **ends}, self.metadata)
            )
        if path == "/jwks":
            self.key_fetches += 1
            return httpx.Response(200, json={"keys": [{**KEY.export_public(as_dict=True), "kid": "1", "alg": "ES256"}]})
        if path == "/userinfo":
            return httpx.Response(200, json={"sub": "s", **self.userinfo})
        header = bent({"alg": "ES256", "kid": "1"}, self.header)
        tokens = {"access_token": "a", "token_type": "Bearer", "id_token": jwt(self.signed_by, header, self.claims)}
        return httpx.Response(self.status, content=json.dumps(bent(tokens, self.tokens)))  # NaN included


def relying_party(liar: LyingProvider, clock: FakeClock) -> OpenIdProvider:
    registration = Registration(ISSUER, "us", "https://wallet.example/oauth/callback", "openid", "id_number", "secret")
    http = httpx.AsyncClient(transport=httpx.MockTransport(liar.answer))
    return OpenIdProvider(registration, http, clock, bytes(32))


async def asked(liar: LyingProvider, clock: FakeClock, answer: Mapping[str, str] | None = None, **claims: Any) -> str:
    us = relying_party(liar, clock)
    sent = parse_qs(urlsplit(await us.authorization_url("state")).query)
    now_s = int(clock.now().timestamp())
    honest = {"iss": ISSUER, "sub": "s", "aud": "us", "nonce": sent["nonce"][0], "iat": now_s, "exp": now_s + 60}
    liar.claims = bent({**honest, "id_number": "n"}, claims)
    return await us.id_number({"code": "c", "state": "state"} if answer is None else answer, "state")


async def test_an_id_token_that_does_not_hold_signs_nobody_in(clock: FakeClock) -> None:
    now_s = int(clock.now().timestamp())
    assert await asked(LyingProvider(), clock) == "n"
    assert await asked(LyingProvider(), clock, aud=["us"], at_hash=ABSENT) == "n"
    wrong: Mapping[str, Json] = {
        "nonce of another session": {"nonce": "x"},
        "no nonce": {"nonce": ABSENT},
        "aud of another client": {"aud": "them"},
        "aud of several without azp": {"aud": ["us", "them"]},
        "azp of another": {"aud": ["us", "them"], "azp": "them"},
        "no aud": {"aud": ABSENT},
        "another issuer": {"iss": "https://evil.example"},
        "no issuer": {"iss": ABSENT},
        "expired": {"exp": now_s - 61},
        "no exp": {"exp": ABSENT},
        "exp as text": {"exp": "never"},
        "issued tomorrow": {"iat": now_s + 86_400},
        "no iat": {"iat": ABSENT},
        "not yet good": {"nbf": now_s + 3_600},
        "another access token": {"at_hash": access_token_hash("b")},
        "number missing": {"id_number": ABSENT},
        "number empty": {"id_number": ""},
        "number a list": {"id_number": ["n"]},
        "number endless": {"id_number": "1" * 65},
        "number with NUL": {"id_number": "1\x00"},
    }
    for name, claims in wrong.items():
        with pytest.raises(SignInFailed):
            print(name, await asked(LyingProvider(), clock, **claims))
    liars = {
        "signed by a stranger": LyingProvider(signed_by=new_key()),
        "alg none": LyingProvider(header={"alg": "none"}),
        "alg HS256": LyingProvider(header={"alg": "HS256"}, signed_by=JWK.generate(kty="oct", size=256)),
        "unknown key": LyingProvider(header={"kid": "2"}),
        "no ID Token": LyingProvider(tokens={"id_token": ABSENT}),
        "ID Token a number": LyingProvider(tokens={"id_token": 1}),
        "refuses the code": LyingProvider(status=400),
        "another issuer's metadata": LyingProvider(metadata={"issuer": "https://evil.example"}),
        "no keys": LyingProvider(metadata={"jwks_uri": ABSENT}),
        "demands iss": LyingProvider(metadata={"authorization_response_iss_parameter_supported": True}),
    }
    for name, liar in liars.items():
        with pytest.raises(SignInFailed):
            print(name, await asked(liar, clock))
    for answer in ({"error": "x"}, {}, {"code": "c", "error": "x"}, {"code": "c", "iss": "https://evil.example"}):
        with pytest.raises(SignInFailed):
            await asked(LyingProvider(), clock, answer)


async def test_userinfo_about_somebody_else_is_refused(clock: FakeClock) -> None:
    assert await asked(LyingProvider(userinfo={"id_number": "u"}), clock, id_number=ABSENT) == "u"
    with pytest.raises(SignInFailed):
        await asked(LyingProvider(userinfo={"id_number": "u", "sub": "other"}), clock, id_number=ABSENT)


async def test_made_up_key_ids_do_not_make_us_a_load_on_the_provider(clock: FakeClock) -> None:
    liar = LyingProvider(header={"kid": "2"})
    us = relying_party(liar, clock)
    liar.claims = {"sub": "s"}
    for _ in range(5):
        with pytest.raises(SignInFailed):
            await us.id_number({"code": "c"}, "state")
    assert liar.key_fetches == 1
    clock.forward(seconds=31)
    with pytest.raises(SignInFailed):
        await us.id_number({"code": "c"}, "state")
    assert liar.key_fetches == 2


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["iss", "sub", "aud", "nonce", "exp", "iat", "azp", "at_hash", "id_number"]), JSON),
    st.dictionaries(st.sampled_from(["id_token", "access_token"]), JSON, max_size=1),
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit"]), JSON, max_size=1),
)  # fmt: skip
def test_any_answer_of_a_provider_signs_in_or_fails(claims: Json, tokens: Json, header: Json) -> None:
    liar = LyingProvider(tokens=tokens, header=header)
    with suppress(SignInFailed):
        assert asyncio.run(asked(liar, FakeClock(), **claims))


@pytest.mark.parametrize(
    "wrong",
    [
        {"oidc_client_id": ""},
        {"oidc_client_secret": None},
        {"oidc_client_key": Path("key.pem")},
        {"oidc_issuer": "http://id.example"},
    ],
)
def test_settings_that_cannot_work_are_refused_at_the_start(wrong: Json) -> None:
    good = {"oidc_issuer": ISSUER, "oidc_client_id": "us", "oidc_client_secret": "s"}
    assert Settings(_env_file=None, **good).signs_in
    with pytest.raises(ValueError, match="OIDC_ISSUER"):
        Settings(_env_file=None, **{**good, **wrong})
