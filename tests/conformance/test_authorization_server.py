"""Modules of the OIDF conformance suite (release-v5.2.3) about authorization, under their names.

Those of the plan `oid4vci-1_0-issuer-haip-test-plan` keep the prefix `vci_issuer`; those that it takes from the plan of
the FAPI 2.0 Security Profile have `fapi2`. Every wallet is attested and DPoP-bound, as HAIP 1.0 asks.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.credentials.rows import driving_row
from tests.fakes import FakeClock
from tests.wallet_api.attesting import AttestedWallet, WalletProvider, haip_platform
from tests.wallet_api.running import ABSENT, new_key
from tests.wallet_api.signing_in import BROWSER, answer_in
from tests.wallet_api.test_token_endpoint import FORM, refusal
from wallet_api.database import Database
from wallet_api.oauth import SignInRefused


@pytest.fixture(scope="module")
def haip(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AttestedWallet]:
    """A wallet of a provider that the platform trusts. One platform for all modules, as the suite has it; on SQLite."""
    folder, provider = tmp_path_factory.mktemp("haip"), WalletProvider()
    database = Database(f"sqlite:///{folder / 'haip.db'}")
    runner.run(database.create_all())
    running = runner.run(haip_platform(folder, FakeClock(), database, provider))
    runner.run(running.take(driving_row()))
    yield AttestedWallet(running, provider=provider)
    runner.run(running.http.aclose())
    runner.run(database.close())


@pytest.fixture
def wallet(haip: AttestedWallet) -> AttestedWallet:
    """A wallet instance that nobody has seen before."""
    return AttestedWallet(haip.running, provider=haip.provider)


async def refused_everywhere(wallet: AttestedWallet, what: str, **changes: Any) -> None:
    """The suite bends the attestation at the pushed request; the token endpoint must not be laxer."""
    code = await wallet.code()
    setattr(wallet, what, changes)
    assert refusal(await wallet.push()) == (400, "invalid_client")
    assert refusal(await wallet.exchange(code)) == (400, "invalid_client")
    setattr(wallet, what, {})
    assert (await wallet.exchange(code)).status_code == 200


async def test_vci_issuer_happy_flow(wallet: AttestedWallet) -> None:
    await wallet.signed_in(dpop=True)
    assert wallet.last["token_type"] == "DPoP"
    assert (await wallet.credential()).endswith("~")


async def test_vci_issuer_happy_flow_multiple_clients(wallet: AttestedWallet) -> None:
    other = AttestedWallet(wallet.running, provider=wallet.provider, client_id="https://other.example")
    for each in (wallet, other):
        await each.signed_in()
        assert (await each.ask_credential()).status_code == 200
    exchanged = AttestedWallet(wallet.running, token=other.token, key=wallet.key)
    assert (await exchanged.ask_credential()).status_code == 401


async def test_vci_issuer_fail_on_invalid_client_attestation_signature(wallet: AttestedWallet) -> None:
    await refused_everywhere(wallet, "attestation", key=new_key())


async def test_vci_issuer_fail_on_invalid_client_attestation_pop_signature(wallet: AttestedWallet) -> None:
    await refused_everywhere(wallet, "pop", key=new_key())


async def test_vci_issuer_fail_on_client_attestation_exp_in_past(wallet: AttestedWallet) -> None:
    await refused_everywhere(wallet, "attestation", exp=wallet.now_s - 300)


async def test_vci_issuer_fail_on_client_attestation_no_sub(wallet: AttestedWallet) -> None:
    await refused_everywhere(wallet, "attestation", sub=ABSENT)


async def test_vci_issuer_fail_on_client_attestation_pop_wrong_aud(wallet: AttestedWallet) -> None:
    await refused_everywhere(wallet, "pop", aud="https://not-the-authorization-server.example")


async def test_vci_issuer_fail_on_mismatched_client_attestation_pop_key(wallet: AttestedWallet) -> None:
    await refused_everywhere(wallet, "attestation", cnf={"jwk": new_key().export_public(as_dict=True)})


async def test_fapi2_discovery_end_point_verification(wallet: AttestedWallet) -> None:
    metadata = (await wallet.running.http.get("/.well-known/oauth-authorization-server/city")).json()
    assert metadata["issuer"] == wallet.running.url
    assert metadata["require_pushed_authorization_requests"] is True
    assert metadata["authorization_response_iss_parameter_supported"] is True
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert metadata["response_types_supported"] == ["code"]
    assert "ES256" in metadata["dpop_signing_alg_values_supported"]
    assert {"authorization_code", "refresh_token"} <= set(metadata["grant_types_supported"])
    assert "none" not in metadata["token_endpoint_auth_methods_supported"]
    for endpoint in ("authorization_endpoint", "token_endpoint", "pushed_authorization_request_endpoint"):
        assert metadata[endpoint].startswith("https://")


async def test_fapi2_ensure_authorization_request_without_pushed_request_fails(wallet: AttestedWallet) -> None:
    answer = await wallet.running.get("/oauth/authorize", params=wallet.request_form())
    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_fapi2_par_attempt_reuse_request_uri(wallet: AttestedWallet) -> None:
    sign_ins, uri = wallet.running.platform.sign_ins, await wallet.request_uri()
    request_id = await sign_ins.open(uri, wallet.client_id, BROWSER)
    await sign_ins.decline(request_id, BROWSER)
    for browser in (BROWSER, "another"):
        with pytest.raises(SignInRefused):
            await sign_ins.open(uri, wallet.client_id, browser)


async def test_fapi2_par_attempt_to_use_expired_request_uri(wallet: AttestedWallet) -> None:
    answer = (await wallet.push()).json()
    wallet.running.clock.forward(seconds=answer["expires_in"])
    with pytest.raises(SignInRefused):
        await wallet.running.platform.sign_ins.open(answer["request_uri"], wallet.client_id, BROWSER)


async def test_fapi2_par_attempt_to_use_request_uri_for_different_client(wallet: AttestedWallet) -> None:
    with pytest.raises(SignInRefused):
        await wallet.running.platform.sign_ins.open(await wallet.request_uri(), "another", BROWSER)


async def test_fapi2_par_authorization_request_containing_request_uri_form_param(wallet: AttestedWallet) -> None:
    assert refusal(await wallet.push(request_uri=await wallet.request_uri())) == (400, "invalid_request")


async def test_fapi2_par_ensure_pkce_required(wallet: AttestedWallet) -> None:
    answer = await wallet.push(code_challenge=ABSENT, code_challenge_method=ABSENT)
    assert refusal(answer) == (400, "invalid_request")


async def test_fapi2_par_plain_pkce_rejected(wallet: AttestedWallet) -> None:
    answer = await wallet.push(code_challenge=wallet.verifier[:43], code_challenge_method="plain")
    assert refusal(answer) == (400, "invalid_request")


async def test_fapi2_par_ensure_pkce_code_verifier_required(wallet: AttestedWallet) -> None:
    assert refusal(await wallet.exchange(await wallet.code(), code_verifier=ABSENT)) == (400, "invalid_request")


async def test_fapi2_incorrect_pkce_code_verifier_rejected(wallet: AttestedWallet) -> None:
    answer = await wallet.exchange(await wallet.code(), code_verifier="x" * 43)
    assert refusal(answer) == (400, "invalid_grant")


async def test_fapi2_ensure_response_type_code_id_token_rejected(wallet: AttestedWallet) -> None:
    assert refusal(await wallet.push(response_type="code id_token")) == (400, "unsupported_response_type")


async def test_fapi2_ensure_redirect_uri_in_authorization_request(wallet: AttestedWallet) -> None:
    assert refusal(await wallet.push(redirect_uri=ABSENT)) == (400, "invalid_request")


async def test_fapi2_par_ensure_server_accepts_reused_state_and_long_state(wallet: AttestedWallet) -> None:
    for state in ("reused", "reused", "x" * 1_024):
        assert (await wallet.approved(state=state))["state"] == state


async def test_fapi2_ensure_authorization_request_without_state_success(wallet: AttestedWallet) -> None:
    answer = await wallet.approved(state=ABSENT)
    assert answer.keys() == {"code", "iss"}


async def test_fapi2_user_rejects_authentication(wallet: AttestedWallet) -> None:
    sign_ins = wallet.running.platform.sign_ins
    request_id = await sign_ins.open(await wallet.request_uri(), wallet.client_id, BROWSER)
    answer = answer_in(await sign_ins.decline(request_id, BROWSER))
    assert (answer["error"], answer["iss"]) == ("access_denied", wallet.running.url)


async def test_fapi2_ensure_authorization_code_is_bound_to_client(wallet: AttestedWallet) -> None:
    code = await wallet.code()
    other = AttestedWallet(
        wallet.running, provider=wallet.provider, client_id="https://other.example", verifier=wallet.verifier
    )
    assert refusal(await other.exchange(code)) == (400, "invalid_grant")


async def test_fapi2_attempt_reuse_authorization_code_after_one_second(wallet: AttestedWallet) -> None:
    code = await wallet.code()
    wallet.take(await wallet.exchange(code))
    wallet.running.clock.forward(seconds=1)
    assert refusal(await wallet.exchange(code)) == (400, "invalid_grant")
    assert (await wallet.ask_credential()).status_code == 401


async def test_fapi2_dpop_negative_tests(wallet: AttestedWallet) -> None:
    code, url = await wallet.code(), f"{wallet.running.url}/oauth/token"
    for bent in ({"htm": "GET"}, {"htu": wallet.running.url}, {"iat": wallet.now_s - 120}, {"jti": ABSENT}):
        proof = {"DPoP": wallet.dpop("POST", url, token=None, **bent)}
        assert refusal(await wallet.exchange(code, headers=proof)) == (400, "invalid_dpop_proof")
    wallet.take(await wallet.exchange(code))
    headers = wallet.authorization("/openid4vci/credential")
    assert (await wallet.ask_credential(headers=headers)).status_code == 200
    assert (await wallet.ask_credential(headers=headers)).status_code == 401  # the same jti
    bearer = {"Authorization": f"Bearer {wallet.token}", "DPoP": ABSENT}
    assert (await wallet.ask_credential(headers=bearer)).status_code == 401


async def test_fapi2_ensure_dpop_proof_with_iat_ten_seconds_off_succeeds(wallet: AttestedWallet) -> None:
    url = f"{wallet.running.url}/oauth/token"
    for off in (-10, 10):
        proof = {"DPoP": wallet.dpop("POST", url, token=None, iat=wallet.now_s + off)}
        assert (await wallet.exchange(await wallet.code(), headers=proof)).status_code == 200


async def test_fapi2_ensure_dpop_auth_code_binding(wallet: AttestedWallet) -> None:
    for bound in ({"dpop_jkt": wallet.key.thumbprint()}, {"dpop": True}):
        code = await wallet.code(**bound)
        other = {"DPoP": wallet.dpop("POST", f"{wallet.running.url}/oauth/token", token=None, key=new_key())}
        assert refusal(await wallet.exchange(code, headers=other)) == (400, "invalid_grant")
        assert (await wallet.exchange(code)).status_code == 200
    assert refusal(await wallet.push(dpop=True, dpop_jkt=new_key().thumbprint())) == (400, "invalid_dpop_proof")


async def test_fapi2_par_without_duplicate_parameters(wallet: AttestedWallet) -> None:
    content = f"client_id={wallet.client_id}&client_id={wallet.client_id}"
    answer = await wallet.running.post("/oauth/par", content=content, headers={**FORM, **wallet.client_headers()})
    assert refusal(answer) == (400, "invalid_request")


async def test_fapi2_refresh_token(wallet: AttestedWallet) -> None:
    await wallet.signed_in()
    other = AttestedWallet(wallet.running, provider=wallet.provider, key=wallet.key)
    assert refusal(await other.refresh(wallet.refresh_token)) == (400, "invalid_grant")
    wallet.take(await wallet.refresh())
    assert (await wallet.ask_credential()).status_code == 200
