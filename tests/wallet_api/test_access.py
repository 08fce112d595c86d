"""Access tokens at protected resources: RFC 6750 and RFC 9449 §7."""

import re
from collections.abc import Mapping

import httpx
from jwcrypto.jwk import JWK
from sqlalchemy import select

from tests.credentials.rows import driving_row
from tests.wallet_api.running import ABSENT, Running, Wallet, access_token_hash, b64u, jwt, new_key
from wallet_api.oauth.repository import TOKEN

CREDENTIAL = "/openid4vci/credential"
PARAMETER = r'[a-z_]+="[\x20-\x21\x23-\x5b\x5d-\x7e]*"'
CHALLENGE = re.compile(rf"(Bearer|DPoP)( {PARAMETER}(, {PARAMETER})*)?")


def challenge(answer: httpx.Response) -> tuple[int, str, str | None]:
    """Status, scheme and error of a refusal."""
    value = answer.headers["www-authenticate"]
    assert CHALLENGE.fullmatch(value), value
    assert answer.headers["cache-control"] == "no-store"
    found = re.search(r'error="([a-z_]+)"', value)
    assert ('algs="ES256"' in value) == value.startswith("DPoP")
    return answer.status_code, value.split(" ")[0], found and found[1]


async def test_without_a_token_the_challenge_names_no_error(running: Running) -> None:
    for headers in ({}, {"Authorization": ""}, {"Authorization": "DPoP"}, {"Authorization": "Basic eDp5"}):
        assert challenge(await running.post(CREDENTIAL, headers=headers)) == (401, "DPoP", None)
        assert challenge(await running.post("/api/v1/licences", headers=headers)) == (401, "Bearer", None)


async def test_a_token_elsewhere_than_in_the_header_is_no_token(running: Running) -> None:
    wallet = await running.wallet(dpop=False)
    body = await wallet.request()
    in_url = await running.post(f"{CREDENTIAL}?access_token={wallet.token}", json=body)
    assert challenge(in_url) == (400, "Bearer", "invalid_request")
    assert challenge(await running.post(f"{CREDENTIAL}?token={wallet.token}", json=body))[0] == 401
    form = {"access_token": wallet.token}
    assert challenge(await running.post(CREDENTIAL, data=form))[0] == 401
    assert (
        await running.post(CREDENTIAL, json=body, headers={"Cookie": f"access_token={wallet.token}"})
    ).status_code == 401
    assert await running.count("issuance") == 0


async def test_a_bearer_token_serves_for_five_minutes(running: Running) -> None:
    wallet = await running.wallet(dpop=False)
    bearer = {"Authorization": f"bearer {wallet.token}", "DPoP": ABSENT}
    assert (await wallet.ask_credential(headers=bearer)).status_code == 200
    running.clock.forward(minutes=5)
    assert challenge(await wallet.ask_credential(headers=bearer)) == (401, "Bearer", "invalid_token")


async def test_a_bound_token_serves_for_an_hour(running: Running) -> None:
    wallet = await running.wallet()
    running.clock.forward(minutes=59)
    assert (await wallet.ask_credential()).status_code == 200
    running.clock.forward(minutes=1)
    assert challenge(await wallet.ask_credential()) == (401, "DPoP", "invalid_token")


async def test_once_dpop_always_dpop(running: Running) -> None:
    bound, bearer = await running.wallet(), await running.wallet(2, dpop=False)
    as_bearer = {"Authorization": f"Bearer {bound.token}"}
    assert challenge(await bound.ask_credential(headers=as_bearer)) == (401, "Bearer", "invalid_token")
    without = {**as_bearer, "DPoP": ABSENT}
    assert challenge(await bound.ask_credential(headers=without)) == (401, "Bearer", "invalid_token")
    assert challenge(await bearer.ask_credential()) == (401, "DPoP", "invalid_token")


async def test_a_wrong_token_is_refused(running: Running) -> None:
    wallet = await running.wallet(dpop=False)
    tokens = ["x", wallet.token[:-1], wallet.token + "x", wallet.token.swapcase(), "x" * 9000, "a b", "é", '"', "\x7f"]
    for token in tokens:
        headers = [("Authorization", f"Bearer {token}".encode("latin-1"))]
        answer = await running.post(CREDENTIAL, headers=headers)
        assert challenge(answer) == (401, "Bearer", "invalid_token")


async def test_two_authorization_headers_are_no_authorization(running: Running) -> None:
    wallet = await running.wallet(dpop=False)
    good = ("Authorization", f"Bearer {wallet.token}")
    json_body = ("Content-Type", "application/json")
    for headers in ([good, good], [good, ("Authorization", "Bearer x")], [("Authorization", "Bearer x"), good]):
        answer = await running.post(CREDENTIAL, json=await wallet.request(), headers=[json_body, *headers])
        assert challenge(answer)[0] == 401
    assert await running.count("issuance") == 0


async def test_a_bad_dpop_proof_at_a_resource_is_refused(running: Running) -> None:
    wallet, thief = await running.wallet(), new_key()
    url = f"{running.url}{CREDENTIAL}"
    symmetric = JWK.generate(kty="oct", size=256)

    def proof(header: Mapping[str, object] | None = None, **claims: object) -> str:
        return wallet.dpop("POST", url, header=header, **claims)

    used = proof()
    assert (await wallet.ask_credential(headers={"DPoP": used})).status_code == 200
    head, body, _ = proof().split(".")
    bad: Mapping[str, list[str]] = {
        "none": [],
        "two": [proof(), proof()],
        "the same twice": [proof()] * 2,
        "empty": [""],
        "replayed": [used],
        "ath missing": [proof(ath=ABSENT)],
        "ath of another token": [proof(ath=access_token_hash("x"))],
        "ath null": [proof(ath=None)],
        "ath padded": [proof(ath=access_token_hash(wallet.token) + "=")],
        "htm of another method": [wallet.dpop("GET", url)],
        "htu of the token endpoint": [wallet.dpop("POST", f"{running.url}/oauth/token")],
        "htu of another resource": [wallet.dpop("POST", f"{running.url}/api/v1/me/passes")],
        "htu as listened on": [wallet.dpop("POST", f"http://10.1.2.3:8000/city{CREDENTIAL}")],
        "htu with a slash": [wallet.dpop("POST", f"{url}/")],
        "htu in capitals": [wallet.dpop("POST", url.upper())],
        "htu surrogate": [wallet.dpop("POST", "https://\ud800/")],
        "iat old": [proof(iat=wallet.now_s - 91)],
        "iat ahead": [proof(iat=wallet.now_s + 31)],
        "typ": [proof({"typ": "openid4vci-proof+jwt"})],
        "a key proof": [await wallet.proof()],
        "alg none": [proof({"alg": "none"})],
        "alg HS256": [jwt(symmetric, {"typ": "dpop+jwt", "alg": "HS256", "jwk": symmetric.export(as_dict=True)}, {})],
        "private key": [proof({"jwk": wallet.key.export(as_dict=True)})],
        "crit": [proof({"crit": ["x"], "x": 1})],
        "unsigned": [f"{head}.{body}."],
        "signature of zeros": [f"{head}.{body}.{b64u(bytes(64))}"],
    }
    request = await wallet.request()
    told = {}
    for name, proofs in bad.items():
        headers = [("Authorization", f"DPoP {wallet.token}"), *(("DPoP", value) for value in proofs)]
        told[name] = challenge(await running.post(CREDENTIAL, json=request, headers=headers))
    assert told == dict.fromkeys(bad, (401, "DPoP", "invalid_dpop_proof"))
    foreign = {"DPoP": wallet.dpop("POST", url, key=thief)}
    assert challenge(await wallet.ask_credential(request, headers=foreign)) == (401, "DPoP", "invalid_token")
    assert await running.count("issuance") == 1
    assert (await wallet.ask_credential(request)).status_code == 200


async def test_a_proof_for_one_resource_is_no_proof_for_another_whatever_the_host_header_says(running: Running) -> None:
    """The path is that of the request line, not of a URL put together from what the caller claims."""
    wallet = await running.wallet()
    elsewhere = wallet.dpop("POST", f"{running.url}/api/v1/me/passes")
    request = await wallet.request()
    for host in ("x/city/api/v1/me/passes?", "x/city/api/v1/me/passes#", "x@y/city/api/v1/me/passes?"):
        answer = await wallet.ask_credential(request, headers={"DPoP": elsewhere, "Host": host})
        assert challenge(answer)[0] == 401


async def test_a_query_does_no_harm(running: Running) -> None:
    wallet = await running.wallet()
    for query in ("a=%FF", "?", "%", "x" * 9000, "%00"):
        headers = {"Content-Type": "application/json", **wallet.authorization(CREDENTIAL)}
        answer = await running.post(f"{CREDENTIAL}?{query}", json=await wallet.request(), headers=headers)
        assert answer.status_code == 200


async def test_a_department_s_token_is_not_a_wallet_s_and_the_other_way_round(running: Running) -> None:
    department = await running.department()
    token = await department.token()
    for path in (CREDENTIAL, "/api/v1/me/passes"):
        answer = await running.post(path, json={}, headers={"Authorization": f"Bearer {token}"})
        assert challenge(answer) == (403, "Bearer", "insufficient_scope")
    await running.take(driving_row())
    bound, bearer = await running.wallet(), await running.wallet(dpop=False)
    for path in ("/api/v1/licences", "/api/v1/licences/lookup", "/api/v1/credential-offers"):
        assert challenge(await bound.post(path, json={})) == (403, "DPoP", "insufficient_scope")
        headers = {"Authorization": f"Bearer {bearer.token}"}
        assert challenge(await running.post(path, json={}, headers=headers)) == (403, "Bearer", "insufficient_scope")
    assert await running.count("intake_batch") == 1


async def test_passes_are_given_to_bound_tokens_and_known_device_keys_only(running: Running) -> None:
    wallet, bearer = await running.wallet(), await running.wallet(dpop=False)
    jwk = wallet.key.export_public(as_dict=True)
    path = "/api/v1/me/passes"
    answer = await running.post(path, json={"jwk": jwk}, headers={"Authorization": f"Bearer {bearer.token}"})
    assert challenge(answer) == (401, "DPoP", "invalid_token")
    before = await wallet.post(path, json={"jwk": jwk})
    assert (before.status_code, before.json()["code"]) == (409, "device_key_unknown")
    await wallet.credential()
    assert (await wallet.post(path, json={"jwk": jwk})).status_code == 201
    foreign = await wallet.post(path, json={"jwk": new_key().export_public(as_dict=True)})
    assert (foreign.status_code, foreign.json()["code"]) == (409, "device_key_unknown")
    issued = await running.count("issuance")
    bad = [
        b"",
        b"{",
        b"[]",
        b'{"jwk": null}',
        b'{"jwk": {"kty": "EC"}}',
        b'{"jwk": {}, "days": 0}',
        b'{"jwk": {}, "days": 8}',
        b'{"jwk": {}, "days": 1e400}',
        b'{"jwk": {}, "days": true}',
        b'{"jwk": {}, "days": "3"}',
        b'{"jwk": {}, "profile": "all"}',
        b'{"jwk": {}, "extra": 1}',
        b'{"jwk": {}, "\\ud800": 1}',
        b'{"jwk": {}, "\\u0000": 1}',
        b'{"jwk": {"x": "\\ud800"}}',
        b'{"jwk": ' + b"[" * 50_000,
        b"\xff\xfe",
    ]
    for body in bad:
        answer = await wallet.post(path, content=body)
        assert answer.status_code in (400, 422), (body, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    private = await wallet.post(path, json={"jwk": wallet.key.export(as_dict=True)})
    assert (private.status_code, private.json()["code"]) == (422, "pass_request_invalid")
    assert await running.count("issuance") == issued


async def test_another_holder_s_wallet_gets_no_passes_for_a_stolen_key(running: Running) -> None:
    """A key that is known for one licence says nothing for another."""
    first, second = await running.wallet(1), await running.wallet(2)
    await first.credential()
    answer = await second.post("/api/v1/me/passes", json={"jwk": first.key.export_public(as_dict=True)})
    assert (answer.status_code, answer.json()["code"]) == (409, "device_key_unknown")


async def test_a_token_taken_from_the_database_is_of_no_use(running: Running) -> None:
    wallet: Wallet = await running.wallet(dpop=False)
    async with running.platform.database.snapshot() as session:
        (row,) = (await session.execute(select(TOKEN))).all()
    assert wallet.token.encode() not in bytes(row.token_hash)
    for stored in (bytes(row.token_hash).hex(), b64u(bytes(row.token_hash))):
        answer = await running.post(CREDENTIAL, headers={"Authorization": f"Bearer {stored}"})
        assert challenge(answer) == (401, "Bearer", "invalid_token")
