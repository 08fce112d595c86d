"""The token endpoint under OpenID4VCI 1.0 §6, RFC 6749 §5, RFC 7523 and RFC 9449 §5."""

import re
import secrets
from collections.abc import Mapping

import httpx
from jwcrypto.jwk import JWK
from sqlalchemy import update

from credentials.issuance import PRE_AUTHORIZED_CODE
from tests.wallet_api.running import ABSENT, Running, Wallet, b64u, jwt, new_key
from wallet_api.oauth.repository import CLIENT

DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and error of a refusal whose form is RFC 6749 §5.2's."""
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body.keys() <= {"error", "error_description"}
    assert DESCRIPTION.fullmatch(body["error_description"])
    return answer.status_code, body["error"]


async def test_a_token_response_has_the_members_of_the_standard_and_is_not_stored(running: Running) -> None:
    for dpop, kind, lifetime_s in ((True, "DPoP", 3600), (False, "Bearer", 300)):
        offered = await running.offer()
        answer = await Wallet(running).ask_token(offered.code, dpop=dpop)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "application/json"
        body = answer.json()
        refreshes = {"refresh_token"} if dpop else set()
        assert body.keys() == {"access_token", "token_type", "expires_in", "scope"} | refreshes
        assert (body["token_type"], body["expires_in"]) == (kind, lifetime_s)


async def test_parameters_that_nobody_knows_are_ignored(running: Running) -> None:
    extra = {"resource": running.url, "user_pin": "1", "client_id": "some-wallet", "scope": "credential", "x": "\x00"}
    await running.redeem((await running.offer()).code, **extra)


async def test_a_parameter_without_a_value_counts_as_left_out(running: Running) -> None:
    """RFC 6749 §3.2."""
    await running.redeem((await running.offer()).code, tx_code="", authorization_details="", client_id="")
    wanting = await running.offer(tx_code=True)
    assert refusal(await Wallet(running).ask_token(wanting.code, tx_code="")) == (400, "invalid_request")
    assert await running.count("credential_offer", attempts=0) == 2
    answer = await running.post("/oauth/token", content="grant_type=&grant_type=", headers=FORM)
    assert refusal(answer) == (400, "invalid_request")


async def test_a_malformed_token_request_is_refused_and_uses_nothing_up(running: Running) -> None:
    code = (await running.offer()).code
    good = f"grant_type={PRE_AUTHORIZED_CODE}&pre-authorized_code={code}"
    bodies: Mapping[str, tuple[bytes, str]] = {
        "empty": (b"", "invalid_request"),
        "no grant_type": (f"pre-authorized_code={code}".encode(), "invalid_request"),
        "no code": (f"grant_type={PRE_AUTHORIZED_CODE}".encode(), "invalid_request"),
        "empty code": (f"grant_type={PRE_AUTHORIZED_CODE}&pre-authorized_code=".encode(), "invalid_request"),
        "code twice": (f"{good}&pre-authorized_code={code}".encode(), "invalid_request"),
        "grant_type twice": (f"{good}&grant_type=client_credentials".encode(), "invalid_request"),
        "unknown parameter twice": (f"{good}&x=1&x=2".encode(), "invalid_request"),
        "a hundred parameters": ((good + "".join(f"&x{n}=1" for n in range(100))).encode(), "invalid_request"),
        "not UTF-8 under the percents": (f"{good}&x=%FF%FE".encode(), "invalid_request"),
        "a surrogate under the percents": (f"{good}&tx_code=%ED%A0%80".encode(), "invalid_request"),
        "raw bytes": (good.encode() + b"&x=\xff", "invalid_request"),
        "JSON": (b'{"grant_type": "x"}', "invalid_request"),
        "unknown grant": (b"grant_type=password&username=a&password=b", "unsupported_grant_type"),
        "NUL in the grant": (b"grant_type=%00", "unsupported_grant_type"),
        "code without verifier": (b"grant_type=authorization_code&code=x", "invalid_request"),
        "unexpected tx_code": (f"{good}&tx_code=123456".encode(), "invalid_request"),
        "NUL in the client_id": (f"{good}&client_id=%00".encode(), "invalid_request"),
        "long client_id": (f"{good}&client_id={'x' * 256}".encode(), "invalid_request"),
        "authorization details": (f"{good}&authorization_details=%5B%5D".encode(), "invalid_authorization_details"),
        "unknown code": (f"grant_type={PRE_AUTHORIZED_CODE}&pre-authorized_code=x".encode(), "invalid_grant"),
        "NUL in the code": (f"grant_type={PRE_AUTHORIZED_CODE}&pre-authorized_code=%00".encode(), "invalid_grant"),
        "long code": (f"grant_type={PRE_AUTHORIZED_CODE}&pre-authorized_code={'x' * 99_999}".encode(), "invalid_grant"),
    }
    told = {}
    for name, (body, _) in bodies.items():
        told[name] = refusal(await running.post("/oauth/token", content=body, headers=FORM))
    assert told == {name: (400, error) for name, (_, error) in bodies.items()}
    for content_type in ("application/json", "text/plain", "multipart/form-data; boundary=x", ""):
        answer = await running.post("/oauth/token", content=good, headers={"Content-Type": content_type})
        assert refusal(answer) == (400, "invalid_request")
    assert await running.count("access_token") == 0
    await running.redeem(code)


async def test_parameters_in_the_query_are_not_a_token_request(running: Running) -> None:
    code = (await running.offer()).code
    query = {"grant_type": PRE_AUTHORIZED_CODE, "pre-authorized_code": code}
    assert refusal(await running.post("/oauth/token", params=query, headers=FORM)) == (400, "invalid_request")
    assert (await running.get("/oauth/token", params=query)).status_code == 405
    assert await running.count("access_token") == 0


async def test_a_pre_authorized_code_is_good_once(running: Running) -> None:
    offered = await running.offer()
    await running.redeem(offered.code)
    assert refusal(await Wallet(running).ask_token(offered.code)) == (400, "invalid_grant")
    assert await running.count("access_token") == 1


async def test_a_pre_authorized_code_is_over_after_thirty_minutes(running: Running) -> None:
    offered = await running.offer()
    running.clock.forward(minutes=30)
    assert refusal(await Wallet(running).ask_token(offered.code)) == (400, "invalid_grant")
    assert await running.count("access_token") == 0


async def test_a_wrong_transaction_code_costs_a_try_and_five_of_them_the_code(running: Running) -> None:
    offered = await running.offer(tx_code=True)
    assert offered.tx_code is not None
    wrong = f"{(int(offered.tx_code) + 1) % 1_000_000:06}"
    assert refusal(await Wallet(running).ask_token(offered.code)) == (400, "invalid_request")
    for given in (wrong, "0", "x" * 5000, "１２３４５６", f" {offered.tx_code}"):
        assert refusal(await Wallet(running).ask_token(offered.code, tx_code=given)) == (400, "invalid_grant")
    assert refusal(await Wallet(running).ask_token(offered.code, tx_code=offered.tx_code)) == (400, "invalid_grant")
    assert await running.count("access_token") == 0
    assert await running.count("credential_offer", used_at=None) == 1


async def test_the_right_transaction_code_is_good_on_the_fifth_try(running: Running) -> None:
    offered = await running.offer(tx_code=True)
    for _ in range(4):
        assert refusal(await Wallet(running).ask_token(offered.code, tx_code="wrong"))[1] == "invalid_grant"
    await running.redeem(offered.code, tx_code=offered.tx_code or "")


async def test_a_bad_dpop_proof_is_refused_and_leaves_the_code_usable(running: Running) -> None:
    offered = await running.offer()
    wallet, stranger = Wallet(running), new_key()
    url = f"{running.url}/oauth/token"
    private = wallet.key.export(as_dict=True)
    symmetric = JWK.generate(kty="oct", size=256)

    def proof(header: Mapping[str, object] | None = None, **claims: object) -> str:
        return wallet.dpop("POST", url, token=None, header=header, **claims)

    good = proof()
    head, body, signature = good.split(".")
    used = proof()
    await running.redeem((await running.offer(2)).code)
    proofs: Mapping[str, list[str]] = {
        "two headers": [proof(), proof()],
        "empty": [""],
        "not a JWT": ["x.y.z"],
        "typ of another JWT": [proof({"typ": "JWT"})],
        "no typ": [proof({"typ": ABSENT})],
        "alg none": [proof({"alg": "none"})],
        "alg HS256": [jwt(symmetric, {"typ": "dpop+jwt", "alg": "HS256", "jwk": symmetric.export(as_dict=True)}, {})],
        "alg ES384": [wallet.dpop("POST", url, token=None, key=new_key("P-384"), header={"alg": "ES384"})],
        "private key in the header": [proof({"jwk": private})],
        "no key": [proof({"jwk": ABSENT})],
        "key by kid": [proof({"jwk": ABSENT, "kid": "1"})],
        "another key than signed": [proof({"jwk": stranger.export_public(as_dict=True)})],
        "crit": [proof({"crit": ["b64"], "b64": False})],
        "signature cut": [f"{head}.{body}.{signature[:-4]}"],
        "signature of zeros": [f"{head}.{body}.{b64u(bytes(64))}"],
        "claims exchanged": [f"{head}.{b64u(b'{}')}.{signature}"],
        "claims not an object": [jwt(wallet.key, {"typ": "dpop+jwt", "alg": "ES256"}, [1])],
        "htm of another method": [proof(htm="GET")],
        "htm in lower case": [proof(htm="post")],
        "htm missing": [proof(htm=ABSENT)],
        "htu of another endpoint": [proof(htu=f"{running.url}/openid4vci/credential")],
        "htu of another host": [proof(htu="https://evil.example/city/oauth/token")],
        "htu on http": [proof(htu="http://wallet.example/city/oauth/token")],
        "htu as listened on": [proof(htu="http://10.1.2.3:8000/city/oauth/token")],
        "htu with a user": [proof(htu="https://evil.example@wallet.example/city/oauth/token")],
        "htu with a line's end": [proof(htu=f"{url}\n")],
        "htu with a tab": [proof(htu=url.replace("wallet", "wal\tlet"))],
        "htu relative": [proof(htu="/city/oauth/token")],
        "htu with a broken port": [proof(htu="https://wallet.example:x/city/oauth/token")],
        "htu missing": [proof(htu=ABSENT)],
        "htu no text": [proof(htu=[url])],
        "iat old": [proof(iat=wallet.now_s - 91)],
        "iat ahead": [proof(iat=wallet.now_s + 31)],
        "iat missing": [proof(iat=ABSENT)],
        "iat as text": [proof(iat=str(wallet.now_s))],
        "iat true": [proof(iat=True)],
        "iat infinite": [_with_number(wallet, url, "1e999")],
        "iat not a number": [_with_number(wallet, url, "NaN")],
        "iat of a thousand digits": [_with_number(wallet, url, "9" * 1000)],
        "iat of ten thousand digits": [_with_number(wallet, url, "9" * 10_000)],
        "jti missing": [proof(jti=ABSENT)],
        "jti empty": [proof(jti="")],
        "jti no text": [proof(jti=1)],
        "jti long": [proof(jti="x" * 257)],
    }
    told = {}
    for name, headers in proofs.items():
        form = {"grant_type": PRE_AUTHORIZED_CODE, "pre-authorized_code": offered.code}
        answer = await running.post("/oauth/token", data=form, headers=[("DPoP", value) for value in headers])
        told[name] = refusal(answer)
    assert told == dict.fromkeys(proofs, (400, "invalid_dpop_proof"))
    assert await running.count("access_token") == 1
    form = {"grant_type": PRE_AUTHORIZED_CODE, "pre-authorized_code": offered.code}
    assert (await running.post("/oauth/token", data=form, headers={"DPoP": used})).status_code == 200
    again = {**form, "pre-authorized_code": (await running.offer(3)).code}
    assert refusal(await running.post("/oauth/token", data=again, headers={"DPoP": used}))[1] == "invalid_dpop_proof"


def _with_number(wallet: Wallet, url: str, number: str) -> str:
    claims = f'{{"jti":"{secrets.token_hex(8)}","htm":"POST","htu":"{url}","iat":{number}}}'
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": wallet.key.export_public(as_dict=True)}
    return jwt(wallet.key, header, claims.encode())


async def test_a_dpop_proof_with_odd_but_lawful_claims_is_taken(running: Running) -> None:
    url = f"{running.url}/oauth/token"
    for number, claims in enumerate(
        (
            {"htu": f"{url}?a=b#c"},
            {"htu": "HTTPS://WALLET.example:443/city/oauth/token"},
            {"jti": "\ud800"},
            {"jti": "\x00"},
            {"extra": {"a": [None]}},
            {"iat": 1795395600.5},
        ),
        start=1,
    ):
        wallet = Wallet(running)
        if "iat" in claims:
            claims = {"iat": wallet.now_s + 0.5}
        headers = {"DPoP": wallet.dpop("POST", url, token=None, **claims)}
        form = {"grant_type": PRE_AUTHORIZED_CODE, "pre-authorized_code": (await running.offer(number)).code}
        answer = await running.post("/oauth/token", data=form, headers=headers)
        assert (answer.status_code, claims) == (200, claims), answer.text


async def test_a_stranger_s_refused_requests_leave_nothing_in_the_store(running: Running) -> None:
    department, wallet = await running.department(), Wallet(running)
    url = f"{running.url}/oauth/token"
    for _ in range(3):
        assert refusal(await wallet.ask_token("invented")) == (400, "invalid_grant")
        dpop = {"DPoP": wallet.dpop("POST", url, token=None)}
        forged = department.assertion(key=new_key())
        assert refusal(await department.ask_token(forged, headers=dpop)) == (400, "invalid_client")
        await running.nonce()
    assert await running.count("one_time_value") == await running.count("access_token") == 0


async def test_a_department_s_assertion_is_checked_to_the_letter(running: Running) -> None:
    department = await running.department()
    other = await running.department("other-department")
    now_s = int(running.clock.now().timestamp())
    assertion = department.assertion
    used = assertion()
    assert (await department.ask_token(used)).status_code == 200
    head, body, _ = assertion().split(".")
    bad: Mapping[str, str] = {
        "replayed": used,
        "over": assertion(exp=now_s - 61),
        "good for an hour": assertion(exp=now_s + 3600),
        "no exp": assertion(exp=ABSENT),
        "exp as text": assertion(exp="1e9"),
        "not yet good": assertion(nbf=now_s + 120),
        "nbf as text": assertion(nbf="now"),
        "aud of another server": assertion(aud="https://evil.example"),
        "aud as listened on": assertion(aud="http://10.1.2.3:8000/city"),
        "aud missing": assertion(aud=ABSENT),
        "aud of several": assertion(aud=[running.url, "https://evil.example"]),
        "iss of another": assertion(iss="other-department"),
        "iss missing": assertion(iss=ABSENT),
        "sub unknown": assertion(sub="nobody", iss="nobody"),
        "sub of another, own key": assertion(sub="other-department", iss="other-department"),
        "sub missing": assertion(sub=ABSENT),
        "sub no text": assertion(sub=["traffic-police"]),
        "sub NUL": assertion(sub="\x00", iss="\x00"),
        "sub surrogate": assertion(sub="\ud800", iss="\ud800"),
        "sub long": assertion(sub="x" * 9999, iss="x" * 9999),
        "jti missing": assertion(jti=ABSENT),
        "jti empty": assertion(jti=""),
        "jti no text": assertion(jti=[1]),
        "key of another": assertion(key=other.key),
        "key in the header": assertion(key=new_key(), header={"jwk": other.key.export_public(as_dict=True)}),
        "alg none": assertion(header={"alg": "none"}),
        "alg ES384": assertion(key=new_key("P-384"), header={"alg": "ES384"}),
        "unsigned": f"{head}.{body}.",
        "not a JWT": "x",
    }
    told = {name: refusal(await department.ask_token(given)) for name, given in bad.items()}
    assert told == dict.fromkeys(bad, (400, "invalid_client"))
    assert await running.count("access_token") == 1


async def test_a_department_must_authenticate_with_private_key_jwt(running: Running) -> None:
    department = await running.department()
    basic = {"Authorization": "Basic dHJhZmZpYy1wb2xpY2U6eA=="}
    answer = await department.ask_token(
        client_assertion_type=ABSENT, client_assertion=ABSENT, client_id="traffic-police", headers=basic
    )
    assert refusal(answer) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic")
    for form in (
        {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
        {"client_assertion_type": ABSENT},
        {"client_assertion": ABSENT},
        {"client_id": "other-department"},
        {"client_assertion": ABSENT, "client_assertion_type": ABSENT, "client_secret": "x"},
    ):
        assert refusal(await department.ask_token(**form)) == (400, "invalid_client")
    assert (await department.ask_token(client_id="traffic-police")).status_code == 200
    assert (await department.ask_token(department.assertion(aud=f"{running.url}/oauth/token"))).status_code == 200


async def test_a_department_gets_no_scope_that_it_is_not_registered_for(running: Running) -> None:
    department = await running.department()
    for scope in ("credential", "licences:write credential", "openid", "\x00"):
        assert refusal(await department.ask_token(scope=scope)) == (400, "invalid_scope")
    assert (await department.ask_token(scope="licences:write")).json()["scope"] == "licences:write"


async def test_a_suspended_department_gets_no_token_and_its_tokens_die(running: Running) -> None:
    department = await running.department()
    headers = {"Authorization": f"Bearer {await department.token()}"}
    wanted = {"certificate_identifier": "1.2.156.3005.2.X"}
    assert (await running.post("/api/v1/licences/lookup", json=wanted, headers=headers)).status_code == 404
    async with running.platform.database.transaction() as session:
        await session.execute(update(CLIENT).values(active=False))
    assert refusal(await department.ask_token()) == (400, "invalid_client")
    assert (await running.post("/api/v1/licences/lookup", json=wanted, headers=headers)).status_code == 401


async def test_a_department_that_sends_a_dpop_proof_gets_a_bound_token(running: Running) -> None:
    department, device = await running.department(), Wallet(running)
    url = f"{running.url}/oauth/token"
    answer = await department.ask_token(headers={"DPoP": device.dpop("POST", url, token=None)})
    assert answer.json()["token_type"] == "DPoP"
    device.token = answer.json()["access_token"]
    wanted = {"certificate_identifier": "1.2.156.3005.2.X"}
    bearer = {"Authorization": f"Bearer {device.token}"}
    assert (await running.post("/api/v1/licences/lookup", json=wanted, headers=bearer)).status_code == 401
    assert (await device.post("/api/v1/licences/lookup", json=wanted)).status_code == 404
    answer = await department.ask_token(headers={"DPoP": "x"})
    assert refusal(answer) == (400, "invalid_dpop_proof")
