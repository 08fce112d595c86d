"""Whatever a client or a person's browser sends, a parser of the authorization server gives a value or refuses it."""

import asyncio
import json
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.credentials.issuance.test_parsers import ANY_JSON, ANY_TEXT, DESCRIPTION
from tests.credentials.rows import driving_row
from tests.fakes import FakeClock
from tests.wallet_api.running import Json, Running
from tests.wallet_api.signing_in import BROWSER, SigningWallet, answer_in
from wallet_api.database import Database
from wallet_api.oauth import OAuthError
from wallet_api.oauth.authorization_details import read_authorization_details
from wallet_api.oauth.authorization_request import AuthorizationRequest
from wallet_api.oauth.redirect_uris import authorization_response, check_redirect_uri, shown_target
from wallet_api.oauth.refresh_tokens import RefreshToken, RefreshTokenInvalid

ISSUER = "https://wallet.example/city"
KNOWN = ("driving-licence", "road-transport-certificate")
GOOD = {
    "response_type": "code",
    "redirect_uri": "https://wallet.example.net/cb",
    "code_challenge": "x" * 43,
    "code_challenge_method": "S256",
    "scope": "driving-licence",
}
NAMES = [*GOOD, "state", "dpop_jkt", "authorization_details", "response_mode", "request", "request_uri", "x"]
modest = settings(max_examples=60, deadline=None)


def refused_in_ascii(error: OAuthError) -> None:
    assert set(error.description) <= DESCRIPTION


@modest
@given(st.dictionaries(st.sampled_from(NAMES), ANY_TEXT | ANY_JSON.map(json.dumps), max_size=4))
def test_any_authorization_request_is_read_or_refused(changes: dict[str, str]) -> None:
    form = {**GOOD, **changes}
    try:
        request = AuthorizationRequest.from_form(form, client_id="w", configurations=KNOWN, issuer=ISSUER)
    except OAuthError as error:
        refused_in_ascii(error)
    else:
        assert set(request.detailed_ids) <= set(request.configuration_ids) <= set(KNOWN)
        assert request.configuration_ids


@modest
@given(ANY_TEXT | ANY_JSON.map(json.dumps) | st.lists(st.dictionaries(st.sampled_from(
    ["type", "credential_configuration_id", "locations"]), ANY_JSON | st.sampled_from(["openid_credential", *KNOWN])
)).map(json.dumps))  # fmt: skip
def test_any_authorization_details_are_read_or_refused(text: str) -> None:
    try:
        asked = read_authorization_details(text, KNOWN, ISSUER)
    except OAuthError as error:
        refused_in_ascii(error)
    else:
        assert asked
        assert set(asked) <= set(KNOWN)


@modest
@given(
    ANY_TEXT | st.from_regex(r"(https?|com\.example|javascript):/{0,3}[a-z@:\[\].%0-9/?#\\&=-]{0,40}", fullmatch=True)
)
def test_any_redirect_uri_is_refused_or_answered_at_its_own_host(text: str) -> None:
    with suppress(OAuthError):
        uri = check_redirect_uri(text)
        assert uri == text
        assert shown_target(uri)
        answer = authorization_response(uri, {"code": "a&b", "state": None, "iss": ISSUER})
        assert answer.startswith(text)
        assert urlsplit(answer)[:3] == urlsplit(text)[:3]
        added = dict(parse_qsl(urlsplit(answer).query)[-2:])
        assert added == {"code": "a&b", "iss": ISSUER}
        assert answer.isascii()
        assert answer.isprintable()


@modest
@given(ANY_TEXT, st.integers(0, 2**32 - 1), st.binary(min_size=16, max_size=16), st.integers(0, 415))
def test_a_refresh_token_reads_back_and_no_other_text_is_one(
    text: str, generation: int, grant: bytes, bit: int
) -> None:
    key = bytes(32)
    with pytest.raises(RefreshTokenInvalid):
        RefreshToken.from_text(text, key)
    token = RefreshToken(grant.hex(), generation)
    compact = token.to_text(key)
    assert RefreshToken.from_text(compact, key) == token
    with pytest.raises(RefreshTokenInvalid):
        RefreshToken.from_text(compact, b"1" * 32)
    at = bit // 6
    other = "B" if compact[at] == "A" else "A"
    with pytest.raises(RefreshTokenInvalid):
        RefreshToken.from_text(compact[:at] + other + compact[at + 1 :], key)


TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
PAGES = ["authorize", "callback", "demo/x", "consent/x", "consent/%00", "par", "token", "challenge"]
PARAMETERS = ["client_id", "request_uri", "state", "code", "error", "iss", "csrf", "holder", "decision", "name"]


@pytest.fixture
def database(postgresql_database: Database) -> Database:
    return postgresql_database


def test_no_input_to_sign_in_is_answered_with_a_server_error_or_leads_away(
    running: Running, runner: asyncio.Runner
) -> None:
    @seed(20261125)
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(
        path=st.sampled_from(PAGES),
        method=st.sampled_from(["GET", "POST"]),
        query=st.dictionaries(st.sampled_from(PARAMETERS), TEXTS, max_size=3),
        cookie=st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=20),
        body=st.binary(max_size=60)
        | st.dictionaries(st.sampled_from(PARAMETERS), TEXTS).map(lambda form: urlencode(form).encode()),
    )
    def fuzz(path: str, method: str, query: Json, cookie: str, body: bytes) -> None:
        headers: dict[str, Any] = {
            "Cookie": f"liangzheng_sign_in={cookie}".encode("latin-1"),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        url = f"{running.platform.settings.url_path}/oauth/{path}"
        answer = runner.run(running.http.request(method, url, params=query, headers=headers, content=body))
        assert answer.status_code < 500, (path, answer.text)
        assert "location" not in answer.headers

    fuzz()


# ---- who may call from where


async def test_wallets_in_browsers_may_call_and_read_nonces_and_sign_in_stays_closed(running: Running) -> None:
    origin = {"Origin": "https://web-wallet.example"}
    asked = {
        **origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,dpop,content-type,oauth-client-attestation",
    }
    for path in ("/oauth/token", "/oauth/par", "/oauth/challenge", "/openid4vci/nonce", "/openid4vci/credential"):
        preflight = await running.http.options(running.platform.settings.url_path + path, headers=asked)
        assert (preflight.status_code, path) == (200, path)
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert "dpop" in preflight.headers["access-control-allow-headers"].lower()
        answer = await running.post(path, headers=origin)
        assert answer.headers["access-control-allow-origin"] == "*"
        exposed = answer.headers["access-control-expose-headers"]
        assert {"DPoP-Nonce", "WWW-Authenticate"} <= set(exposed.replace(" ", "").split(","))
        assert "access-control-allow-credentials" not in answer.headers
    for path in ("/api/v1/push-key", f"/api/v1/push-receipts/{1:032x}"):
        answer = await running.http.request("GET", running.platform.settings.url_path + path, headers=origin)
        assert answer.headers["access-control-allow-origin"] == "*"
    metadata = await running.http.get("/.well-known/oauth-authorization-server/city", headers=origin)
    assert metadata.headers["access-control-allow-origin"] == "*"
    for path in ("/oauth/authorize", "/oauth/consent/x", "/oauth/demo/x", "/oauth/callback"):
        answer = await running.get(path, headers=origin)
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(("method", "path"), [("DELETE", f"devices/{1:032x}"), ("PUT", "notification-settings")])
async def test_wallets_in_browsers_may_call_every_method_of_a_holder_s_api(
    running: Running, method: str, path: str
) -> None:
    asked = {
        "Origin": "https://web-wallet.example",
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,dpop",
    }
    preflight = await running.http.options(f"{running.platform.settings.url_path}/api/v1/me/{path}", headers=asked)
    assert (preflight.status_code, method in preflight.headers["access-control-allow-methods"]) == (200, True)


async def test_a_sign_in_begun_at_one_process_goes_on_at_another(
    running: Running, clock: FakeClock, database: Database
) -> None:
    other = await Running.start(running.platform.settings.data_dir, clock, database)
    await running.take(driving_row())
    here, there = SigningWallet(running), SigningWallet(other)
    uri = await here.request_uri()
    request_id = await other.platform.sign_ins.open(uri, here.client_id, BROWSER)
    await running.platform.sign_ins.sign_in(request_id, BROWSER, await here.holder_id())
    answer = answer_in(await other.platform.sign_ins.approve(request_id, BROWSER, await here.holder_id()))
    here.take(await here.exchange(answer["code"]))
    there.key, there.refresh_token = here.key, here.refresh_token
    there.take(await there.refresh())
    here.token = there.token
    assert (await here.ask_credential()).status_code == 200
    await other.http.aclose()
