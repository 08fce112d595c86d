"""Pushed requests, codes, refresh tokens: RFC 6749, 7636, 9126, 9207, 9396, 9449, OpenID4VCI 1.0 §5 and §6.

On PostgreSQL; the same steps run on SQLite in the sign-in pages' tests.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import select

from tests.credentials.rows import driving_row
from tests.fakes import FakeClock
from tests.wallet_api.running import ABSENT, Running, new_key
from tests.wallet_api.signing_in import BROWSER, REDIRECT_URI, SigningWallet, answer_in
from tests.wallet_api.test_token_endpoint import FORM, refusal
from wallet_api.database import Database
from wallet_api.oauth import SignInRefused
from wallet_api.oauth.repository import GRANT
from wallet_api.workers import prune

AT_ONCE = 50
DRIVING = "driving-licence"
TRANSPORT = "road-transport-certificate"


def details(*ids: object, **more: Any) -> str:
    return json.dumps([{"type": "openid_credential", "credential_configuration_id": one, **more} for one in ids])


@pytest.fixture
def database(postgresql_database: Database) -> Database:
    return postgresql_database


@pytest.fixture
def wallet(running: Running, runner: asyncio.Runner) -> SigningWallet:
    runner.run(running.take(driving_row(1), driving_row(2)))
    return SigningWallet(running)


# ---- the pushed request


async def test_a_pushed_request_gets_an_unguessable_reference_for_ninety_seconds(wallet: SigningWallet) -> None:
    first, second = await wallet.push(), await wallet.push()
    assert (first.status_code, first.json()["expires_in"]) == (201, 90)
    assert "no-store" in first.headers["cache-control"]
    assert first.json().keys() == {"request_uri", "expires_in"}
    assert first.json()["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
    assert first.json()["request_uri"] != second.json()["request_uri"]


async def test_a_wrong_pushed_request_is_refused_at_once_and_not_kept(wallet: SigningWallet) -> None:
    department = await wallet.running.department()
    changes: Mapping[str, tuple[Mapping[str, object], str]] = {
        "no client": ({"client_id": ABSENT}, "invalid_request"),
        "client out of form": ({"client_id": "\x00"}, "invalid_request"),
        "a registered machine's id": ({"client_id": department.client_id}, "invalid_client"),
        "no response type": ({"response_type": ABSENT}, "invalid_request"),
        "implicit": ({"response_type": "token"}, "unsupported_response_type"),
        "answer in the fragment": ({"response_mode": "fragment"}, "invalid_request"),
        "a reference inside": ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"),
        "a request object": ({"request": "x.y.z"}, "request_not_supported"),
        "no challenge": ({"code_challenge": ABSENT}, "invalid_request"),
        "plain challenge": ({"code_challenge_method": "plain"}, "invalid_request"),
        "method left out, which is plain": ({"code_challenge_method": ABSENT}, "invalid_request"),
        "short challenge": ({"code_challenge": "x" * 42}, "invalid_request"),
        "padded challenge": ({"code_challenge": "x" * 42 + "="}, "invalid_request"),
        "no redirect URI": ({"redirect_uri": ABSENT}, "invalid_request"),
        "plain http": ({"redirect_uri": "http://wallet.example.net/cb"}, "invalid_request"),
        "script": ({"redirect_uri": "javascript:alert(1)"}, "invalid_request"),
        "data": ({"redirect_uri": "data:text/html,x"}, "invalid_request"),
        "scheme that is no domain": ({"redirect_uri": "wallet:/cb"}, "invalid_request"),
        "fragment": ({"redirect_uri": f"{REDIRECT_URI}#x"}, "invalid_request"),
        "empty fragment": ({"redirect_uri": f"{REDIRECT_URI}#"}, "invalid_request"),
        "a user in the URI": ({"redirect_uri": "https://wallet.example@evil.example/"}, "invalid_request"),
        "no host": ({"redirect_uri": "https:///cb"}, "invalid_request"),
        "backslash": ({"redirect_uri": "https://evil.example\\@wallet.example/"}, "invalid_request"),
        "line end": ({"redirect_uri": "https://wallet.example.net/\r\nSet-Cookie:x"}, "invalid_request"),
        "broken port": ({"redirect_uri": "https://wallet.example.net:x/"}, "invalid_request"),
        "broken address": ({"redirect_uri": "https://[::1/"}, "invalid_request"),
        "relative": ({"redirect_uri": "/callback"}, "invalid_request"),
        "very long": ({"redirect_uri": f"{REDIRECT_URI}&x={'x' * 2048}"}, "invalid_request"),
        "NUL in the state": ({"state": "\x00"}, "invalid_request"),
        "Chinese state": ({"state": "状态"}, "invalid_request"),
        "endless state": ({"state": "x" * 2049}, "invalid_request"),
        "dpop_jkt out of form": ({"dpop_jkt": "x"}, "invalid_request"),
        "nothing asked for": ({"scope": ABSENT}, "invalid_scope"),
        "nothing known asked for": ({"scope": "openid passport"}, "invalid_scope"),
        "a machine's scope": ({"scope": "licences:write"}, "invalid_scope"),
        "details no JSON": ({"authorization_details": "["}, "invalid_authorization_details"),
        "details deep": ({"authorization_details": "[" * 50_000}, "invalid_authorization_details"),
        "details an object": ({"authorization_details": "{}"}, "invalid_authorization_details"),
        "no details": ({"authorization_details": "[]"}, "invalid_authorization_details"),
        "details of a number": ({"authorization_details": "[1]"}, "invalid_authorization_details"),
        "many details": ({"authorization_details": details(*[DRIVING] * 101)}, "invalid_authorization_details"),
        "details of another type": (
            {"authorization_details": '[{"type":"payment"}]'},
            "invalid_authorization_details",
        ),
        "details unknown": ({"authorization_details": details("passport")}, "invalid_authorization_details"),
        "details of a list": ({"authorization_details": details([DRIVING])}, "invalid_authorization_details"),
        "details elsewhere": (
            {"authorization_details": details(DRIVING, locations=["https://evil.example"])},
            "invalid_authorization_details",
        ),
    }  # fmt: skip
    told = {}
    for name, (change, _) in changes.items():
        told[name] = refusal(await wallet.push(**change))
    assert told == {name: (400, error) for name, (_, error) in changes.items()}
    assert await wallet.running.count("authorization_request") == 0
    twice = "&".join(f"{name}=x" for name in ("client_id", "client_id"))
    assert refusal(await wallet.running.post("/oauth/par", content=twice, headers=FORM)) == (400, "invalid_request")
    assert (await wallet.running.get("/oauth/par")).status_code == 405


async def test_what_nobody_knows_is_ignored_and_lawful_redirect_uris_are_taken(wallet: SigningWallet) -> None:
    extra = {"resource": wallet.running.url, "issuer_state": "x", "ui_locales": "zh-CN", "prompt": "none", "x": "\x00"}
    assert (await wallet.push(scope=f"openid {DRIVING} offline_access", **extra)).status_code == 201
    claims = {"claims": [{"path": ["name"]}], "locations": [wallet.running.url], "x": None}
    assert (await wallet.push(scope=ABSENT, authorization_details=details(DRIVING, **claims))).status_code == 201
    for uri in ("https://a.example:8443/cb?x=%20", "com.example.wallet:/cb", "com.example.wallet://cb",
                "http://127.0.0.1:53421/cb", "http://[::1]:53421/cb", "http://localhost/cb",
                "eudi-openid4ci://authorize"):  # fmt: skip
        assert ((await wallet.push(redirect_uri=uri)).status_code, uri) == (201, uri)


async def test_an_issuer_state_says_what_is_asked_for_where_the_wallet_does_not(wallet: SigningWallet) -> None:
    platform = wallet.running.platform
    async with platform.database.transaction() as session:
        offer = await platform.issuance.push_offer(session, await wallet.running.licence_id())
    assert offer.issuer_state is not None
    for unknown in ("x", "\x00", f"{offer.issuer_state}x"):
        assert refusal(await wallet.push(scope=ABSENT, issuer_state=unknown)) == (400, "invalid_scope")
    await wallet.signed_in(scope=ABSENT, issuer_state=offer.issuer_state)
    assert wallet.last["scope"] == DRIVING
    other = SigningWallet(wallet.running)  # whoever brings it signs in as themself
    await other.signed_in(2, scope=ABSENT, issuer_state=offer.issuer_state)
    assert await wallet.running.count("wallet_grant", holder_id=await wallet.holder_id(2)) == 1


# ---- opening it


async def test_a_request_uri_belongs_to_the_browser_that_opened_it_first(wallet: SigningWallet) -> None:
    sign_ins, uri = wallet.running.platform.sign_ins, await wallet.request_uri()
    for wrong in ("", "x", f"{uri}x", uri.upper(), f"{uri}\x00"):
        with pytest.raises(SignInRefused):
            await sign_ins.open(wrong, wallet.client_id, BROWSER)
    for client in ("another", "", "\x00"):
        with pytest.raises(SignInRefused):
            await sign_ins.open(uri, client, BROWSER)
    request_id = await sign_ins.open(uri, wallet.client_id, BROWSER)
    assert await sign_ins.open(uri, wallet.client_id, BROWSER) == request_id  # a reload
    with pytest.raises(SignInRefused):
        await sign_ins.open(uri, wallet.client_id, "another browser")
    holder = await wallet.holder_id()
    for stranger in ("another browser", ""):
        with pytest.raises(SignInRefused):
            await sign_ins.sign_in(request_id, stranger, holder)
        with pytest.raises(SignInRefused):
            await sign_ins.consent(request_id, stranger)
        with pytest.raises(SignInRefused):
            await sign_ins.decline(request_id, stranger)
    await sign_ins.sign_in(request_id, BROWSER, holder)
    await sign_ins.approve(request_id, BROWSER, holder)
    for again in (sign_ins.open(uri, wallet.client_id, BROWSER), sign_ins.approve(request_id, BROWSER, holder)):
        with pytest.raises(SignInRefused):
            await again


async def test_a_request_uri_is_over_after_ninety_seconds_and_a_sign_in_after_fifteen_minutes(
    wallet: SigningWallet,
) -> None:
    sign_ins, clock = wallet.running.platform.sign_ins, wallet.running.clock
    late, in_time = await wallet.request_uri(), await wallet.request_uri()
    clock.forward(seconds=89)
    request_id = await sign_ins.open(in_time, wallet.client_id, BROWSER)
    clock.forward(seconds=1)
    with pytest.raises(SignInRefused):
        await sign_ins.open(late, wallet.client_id, BROWSER)
    await sign_ins.sign_in(request_id, BROWSER, await wallet.holder_id())
    clock.forward(minutes=15)
    with pytest.raises(SignInRefused):
        await sign_ins.approve(request_id, BROWSER, await wallet.holder_id())


async def test_nobody_approves_before_signing_in_nor_for_somebody_else(wallet: SigningWallet) -> None:
    sign_ins = wallet.running.platform.sign_ins
    first, second = await wallet.holder_id(1), await wallet.holder_id(2)
    request_id = await sign_ins.open(await wallet.request_uri(), wallet.client_id, BROWSER)
    with pytest.raises(SignInRefused):
        await sign_ins.approve(request_id, BROWSER, first)
    await sign_ins.sign_in(request_id, BROWSER, first)
    for other in (second, "", "x"):
        with pytest.raises(SignInRefused):
            await sign_ins.approve(request_id, BROWSER, other)


async def test_the_answer_carries_state_and_issuer_also_when_the_holder_declines(wallet: SigningWallet) -> None:
    """RFC 9207 §2, RFC 6749 §4.1.2.1."""
    sign_ins, issuer = wallet.running.platform.sign_ins, wallet.running.url
    approved = await wallet.approved()
    assert approved.keys() == {"code", "state", "iss"}
    assert (approved["state"], approved["iss"]) == ("a state & more", issuer)
    request_id = await sign_ins.open(await wallet.request_uri(state=ABSENT), wallet.client_id, BROWSER)
    declined = answer_in(await sign_ins.decline(request_id, BROWSER))
    assert declined.keys() == {"error", "error_description", "iss"}
    assert (declined["error"], declined["iss"]) == ("access_denied", issuer)
    with pytest.raises(SignInRefused):
        await sign_ins.sign_in(request_id, BROWSER, await wallet.holder_id())


# ---- the code


async def test_a_signed_in_wallet_fetches_its_holder_s_credential(wallet: SigningWallet) -> None:
    await wallet.signed_in()
    assert wallet.last["token_type"] == "DPoP"
    assert wallet.last["scope"] == DRIVING
    assert wallet.last.keys() == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    assert (await wallet.credential()).count("~") > 5


async def test_a_code_is_bound_to_all_that_it_was_asked_with_and_no_wrong_try_uses_it_up(wallet: SigningWallet) -> None:
    code = await wallet.code(dpop=True)
    stranger = SigningWallet(wallet.running)
    url = f"{wallet.running.url}/oauth/token"
    other_key = {"DPoP": wallet.dpop("POST", url, token=None, key=new_key())}
    tries: Mapping[str, tuple[Any, str]] = {
        "another client": (wallet.exchange(code, client_id="another"), "invalid_grant"),
        "no client": (wallet.exchange(code, client_id=ABSENT), "invalid_request"),
        "another redirect URI": (wallet.exchange(code, redirect_uri="https://wallet.example.net/"), "invalid_grant"),
        "nearly the same redirect URI": (wallet.exchange(code, redirect_uri=f"{REDIRECT_URI}&x=1"), "invalid_grant"),
        "no redirect URI": (wallet.exchange(code, redirect_uri=ABSENT), "invalid_request"),
        "NUL in the redirect URI": (wallet.exchange(code, redirect_uri=f"{REDIRECT_URI}\x00"), "invalid_request"),
        "another verifier": (wallet.exchange(code, code_verifier=stranger.verifier), "invalid_grant"),
        "the challenge as verifier": (wallet.exchange(code, code_verifier=wallet.challenge), "invalid_grant"),
        "short verifier": (wallet.exchange(code, code_verifier="x"), "invalid_grant"),
        "no verifier": (wallet.exchange(code, code_verifier=ABSENT), "invalid_request"),
        "without its key": (wallet.exchange(code, dpop=False), "invalid_grant"),
        "another key": (wallet.exchange(code, headers=other_key), "invalid_grant"),
        "a broken proof": (wallet.exchange(code, headers={"DPoP": "x"}), "invalid_dpop_proof"),
        "another code": (wallet.exchange(f"{code}x"), "invalid_grant"),
        "as pre-authorized code": (wallet.ask_token(code), "invalid_grant"),
        "as refresh token": (wallet.refresh(code), "invalid_grant"),
        "details beyond": (
            wallet.exchange(code, authorization_details=details(TRANSPORT)),
            "invalid_authorization_details",
        ),
    }
    told = {name: refusal(await answer) for name, (answer, _) in tries.items()}
    assert told == {name: (400, error) for name, (_, error) in tries.items()}
    assert await wallet.running.count("wallet_grant") == 0
    assert (await wallet.exchange(code)).status_code == 200


async def test_a_code_is_over_after_a_minute(wallet: SigningWallet) -> None:
    code = await wallet.code()
    wallet.running.clock.forward(seconds=60)
    assert refusal(await wallet.exchange(code)) == (400, "invalid_grant")


async def test_a_code_that_comes_twice_ends_what_the_first_time_began(wallet: SigningWallet) -> None:
    code = await wallet.code()
    wallet.take(await wallet.exchange(code))
    assert (await wallet.ask_credential()).status_code == 200
    assert refusal(await SigningWallet(wallet.running).exchange(code)) == (400, "invalid_grant")
    assert (await wallet.ask_credential()).status_code == 401
    assert refusal(await wallet.refresh()) == (400, "invalid_grant")


async def test_fifty_redemptions_of_one_code_at_once_give_one_token(wallet: SigningWallet) -> None:
    code = await wallet.code()
    answers = await asyncio.gather(*(wallet.exchange(code) for _ in range(AT_ONCE)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: AT_ONCE - 1}
    assert await wallet.running.count("wallet_grant") == await wallet.running.count("access_token") == 1
    (won,) = (answer for answer in answers if answer.status_code == 200)
    wallet.take(won)
    assert (await wallet.ask_credential()).status_code == 401  # 49 of them may have been thieves


async def test_dpop_jkt_and_the_proof_of_a_pushed_request_are_one_key(wallet: SigningWallet) -> None:
    own, other = wallet.key.thumbprint(), new_key().thumbprint()
    assert refusal(await wallet.push(dpop=True, dpop_jkt=other)) == (400, "invalid_dpop_proof")
    assert (await wallet.push(dpop=True, dpop_jkt=own)).status_code == 201
    code = await wallet.code(dpop_jkt=other)
    assert refusal(await wallet.exchange(code)) == (400, "invalid_grant")
    code = await wallet.code(dpop_jkt=own)
    assert refusal(await wallet.exchange(code, dpop=False)) == (400, "invalid_grant")  # no downgrade to Bearer
    assert (await wallet.exchange(code)).json()["token_type"] == "DPoP"


# ---- what was granted


async def test_credential_identifiers_are_given_out_when_details_were_used_and_only_then(wallet: SigningWallet) -> None:
    """OpenID4VCI 1.0 §6.2."""
    plain = await wallet.signed_in()
    assert "authorization_details" not in plain.last
    by_details = await SigningWallet(wallet.running).signed_in(
        scope=ABSENT, authorization_details=details(DRIVING, TRANSPORT)
    )
    (entry,) = by_details.last["authorization_details"]  # the holder has no road transport certificate
    assert entry.keys() == {"type", "credential_configuration_id", "credential_identifiers"}
    assert (entry["credential_configuration_id"], len(entry["credential_identifiers"])) == (DRIVING, 1)
    assert by_details.last["scope"] == DRIVING
    both = await SigningWallet(wallet.running).signed_in(authorization_details=details(DRIVING))
    assert len(both.last["authorization_details"]) == 1
    late = SigningWallet(wallet.running)
    answer = await late.exchange(await late.code(), authorization_details=details(DRIVING))
    assert len(answer.json()["authorization_details"]) == 1
    async with wallet.running.platform.database.snapshot() as session:
        grants = (await session.execute(select(GRANT.c.credential_identifiers))).scalars().all()
    licence_id = await wallet.running.licence_id()
    assert sorted(list(found.values()) for found in grants) == [[], *[[licence_id]] * 3]


async def test_a_pre_authorized_code_takes_details_of_what_it_is_for(running: Running) -> None:
    offered, wallet = await running.offer(), SigningWallet(running)
    answer = await wallet.ask_token(offered.code, authorization_details=details(TRANSPORT))
    assert refusal(answer) == (400, "invalid_authorization_details")
    answer = await wallet.ask_token(offered.code, authorization_details=details(DRIVING))
    (entry,) = answer.json()["authorization_details"]
    assert entry["credential_configuration_id"] == DRIVING


async def test_two_wallets_of_one_holder_hold_tokens_that_are_good_for_themselves_only(wallet: SigningWallet) -> None:
    first, second = await wallet.signed_in(), await SigningWallet(wallet.running, client_id="other").signed_in()
    stolen = SigningWallet(wallet.running, token=second.token, key=first.key)
    assert (await stolen.ask_credential()).status_code == 401
    assert refusal(await first.refresh(second.refresh_token)) == (400, "invalid_grant")
    assert refusal(await second.refresh(client_id=first.client_id)) == (400, "invalid_grant")
    for each in (first, second):
        assert (await each.ask_credential()).status_code == 200
        assert (await each.refresh()).status_code == 200


# ---- refresh tokens


async def test_a_refresh_token_is_changed_with_every_use_and_serves_the_whole_life_of_the_grant(
    wallet: SigningWallet,
) -> None:
    await wallet.signed_in()
    for _ in range(3):
        wallet.running.clock.forward(days=100)
        before, answer = wallet.refresh_token, await wallet.refresh(client_id=wallet.client_id)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        wallet.take(answer)
        assert wallet.refresh_token != before
        assert (await wallet.ask_credential()).status_code == 200
    wallet.running.clock.forward(days=65)
    assert refusal(await wallet.refresh()) == (400, "invalid_grant")


async def test_a_lost_answer_may_be_asked_for_again_within_a_minute(wallet: SigningWallet) -> None:
    first = (await wallet.signed_in()).refresh_token
    lost = (await wallet.refresh(first)).json()["refresh_token"]
    wallet.running.clock.forward(seconds=60)
    again = await wallet.refresh(first)
    assert again.json()["refresh_token"] == lost
    wallet.take(again)
    assert (await wallet.ask_credential()).status_code == 200


async def test_a_refresh_token_that_was_used_before_ends_the_grant(wallet: SigningWallet) -> None:
    for late_s, use_successor in ((61, False), (1, True)):
        first = (await wallet.signed_in()).refresh_token
        wallet.take(await wallet.refresh(first))
        if use_successor:
            wallet.take(await wallet.refresh())
        wallet.running.clock.forward(seconds=late_s)
        assert refusal(await wallet.refresh(first)) == (400, "invalid_grant")
        assert refusal(await wallet.refresh()) == (400, "invalid_grant")
        assert (await wallet.ask_credential()).status_code == 401


async def test_fifty_refreshes_at_once_take_the_grant_one_generation_on(wallet: SigningWallet) -> None:
    await wallet.signed_in()
    answers = await asyncio.gather(*(wallet.refresh() for _ in range(AT_ONCE)))
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert await wallet.running.count("wallet_grant", refresh_generation=1) == 1
    wallet.take(answers[0])
    assert (await wallet.refresh()).status_code == 200


async def test_a_refresh_token_is_bound_to_its_key_and_nothing_wrong_uses_it_up(wallet: SigningWallet) -> None:
    await wallet.signed_in()
    url = f"{wallet.running.url}/oauth/token"
    token = wallet.refresh_token
    other_key = {"DPoP": wallet.dpop("POST", url, token=None, key=new_key())}
    flipped = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]
    tries: Mapping[str, tuple[Any, str]] = {
        "no proof": (wallet.refresh(dpop=False), "invalid_grant"),
        "another key": (wallet.refresh(headers=other_key), "invalid_grant"),
        "another client": (wallet.refresh(client_id="another"), "invalid_grant"),
        "altered": (wallet.refresh(flipped), "invalid_grant"),
        "cut": (wallet.refresh(token[:-4]), "invalid_grant"),
        "an access token": (wallet.refresh(wallet.token), "invalid_grant"),
        "NUL": (wallet.refresh("\x00"), "invalid_grant"),
        "missing": (wallet.refresh(refresh_token=ABSENT), "invalid_request"),
        "more than granted": (wallet.refresh(scope=f"{DRIVING} {TRANSPORT}"), "invalid_scope"),
    }
    told = {name: refusal(await answer) for name, (answer, _) in tries.items()}
    assert told == {name: (400, error) for name, (_, error) in tries.items()}
    narrowed = await wallet.refresh(scope=DRIVING)
    assert narrowed.json()["scope"] == DRIVING


async def test_a_bearer_token_is_not_followed_by_a_refresh_token(wallet: SigningWallet) -> None:
    answer = await wallet.exchange(await wallet.code(), dpop=False)
    assert answer.json().keys() == {"access_token", "token_type", "expires_in", "scope"}


async def test_what_is_over_is_forgotten_and_what_is_used_is_kept(wallet: SigningWallet) -> None:
    await wallet.signed_in()
    await wallet.push()
    wallet.running.clock.forward(days=2)
    await prune(wallet.running.platform)
    assert await wallet.running.count("authorization_request") == await wallet.running.count("access_token") == 0
    assert (await wallet.refresh()).status_code == 200
    wallet.running.clock.forward(days=366)
    await prune(wallet.running.platform)
    assert await wallet.running.count("wallet_grant") == 0


# ---- server nonces


async def test_an_answer_to_a_proof_brings_a_fresh_nonce_and_one_that_is_not_ours_is_refused(
    wallet: SigningWallet,
) -> None:
    """RFC 9449 §8: a retry with the nonce finds the code unused."""
    code = await wallet.code()
    url = f"{wallet.running.url}/oauth/token"
    stale = {"DPoP": wallet.dpop("POST", url, token=None, nonce="of another server")}
    refused = await wallet.exchange(code, headers=stale)
    assert refusal(refused) == (400, "use_dpop_nonce")
    good = {"DPoP": wallet.dpop("POST", url, token=None, nonce=refused.headers["DPoP-Nonce"])}
    answer = await wallet.exchange(code, headers=good)
    assert answer.status_code == 200
    wallet.take(answer)
    resource = f"{wallet.running.url}/openid4vci/credential"
    stale = {"DPoP": wallet.dpop("POST", resource, nonce=answer.headers["DPoP-Nonce"][:-1] + "_")}
    refused = await wallet.ask_credential(headers=stale)
    assert refused.status_code == 401
    assert 'DPoP error="use_dpop_nonce"' in refused.headers["WWW-Authenticate"]
    good = {"DPoP": wallet.dpop("POST", resource, nonce=refused.headers["DPoP-Nonce"])}
    assert (await wallet.ask_credential(headers=good)).status_code == 200
    nonce = await wallet.running.post("/openid4vci/nonce")
    assert nonce.headers["DPoP-Nonce"] != nonce.json()["c_nonce"]
    for elsewhere in (nonce.json()["c_nonce"], nonce.headers["DPoP-Nonce"]):
        wallet.running.clock.forward(seconds=300 if elsewhere == nonce.headers["DPoP-Nonce"] else 0)
        proof = {"DPoP": wallet.dpop("POST", resource, nonce=elsewhere)}
        assert (await wallet.ask_credential(headers=proof)).status_code == 401


async def test_a_deployment_may_require_nonces(
    runner: asyncio.Runner, tmp_path: Any, clock: FakeClock, postgresql_database: Database
) -> None:
    running = await Running.start(tmp_path, clock, postgresql_database, dpop_nonce_required=True)
    offered, wallet = await running.offer(), SigningWallet(running)
    refused = await wallet.ask_token(offered.code)
    assert refusal(refused) == (400, "use_dpop_nonce")
    assert refusal(await wallet.push(dpop=True)) == (400, "use_dpop_nonce")
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:pre-authorized_code",
        "pre-authorized_code": offered.code,
    }
    nonce = refused.headers["DPoP-Nonce"]
    proof = wallet.dpop("POST", f"{running.url}/oauth/token", token=None, nonce=nonce)
    assert (await running.post("/oauth/token", data=form, headers={"DPoP": proof})).status_code == 200
    await running.http.aclose()
