"""Metadata and offers, as OpenID4VCI 1.0 §12.2, RFC 8414 and the OIDF suite's schemas want them."""

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from jsonschema import Draft202012Validator

from tests.fakes import FakeClock
from tests.wallet_api.running import PUBLIC_URL, Running
from wallet_api.database import Database

SCHEMAS = Path(__file__).parents[1] / "vectors" / "oidf-schemas"
ISSUER_METADATA = "/.well-known/openid-credential-issuer"
SERVER_METADATA = "/.well-known/oauth-authorization-server"
LYING_HEADERS = {
    "Host": "evil.example",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Port": "1",
    "X-Original-URL": "/evil",
    "Forwarded": "host=evil.example;proto=http",
}


def schema(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((SCHEMAS / f"{name}.json").read_text()))


def urls_in(value: object) -> Iterator[str]:
    """Every http(s) URL anywhere in a JSON value."""
    if isinstance(value, str) and value.startswith("http"):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from urls_in(member)
    elif isinstance(value, list):
        for element in value:
            yield from urls_in(element)


async def metadata(running: Running, well_known: str, **more: Any) -> dict[str, Any]:
    answer = await running.http.get(well_known + running.platform.settings.url_path, **more)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    content: dict[str, Any] = answer.json()
    return content


async def test_the_metadata_fits_the_schemas_of_the_conformance_suite(running: Running) -> None:
    schema("credential_issuer_metadata-1_0").validate(await metadata(running, ISSUER_METADATA))
    schema("oauth_authorization_server_metadata").validate(await metadata(running, SERVER_METADATA))


async def test_the_metadata_stand_between_host_and_path_and_nowhere_else(running: Running) -> None:
    for well_known in (ISSUER_METADATA, SERVER_METADATA):
        assert (await running.http.get(f"{well_known}/city")).status_code == 200
        for wrong in (well_known, f"{well_known}/other", f"{well_known}/city/x", f"/city{well_known}"):
            assert (await running.http.get(wrong)).status_code == 404


async def test_one_issuer_identifier_is_spelled_the_same_everywhere(running: Running) -> None:
    issuer = (await metadata(running, ISSUER_METADATA))["credential_issuer"]
    server = (await metadata(running, SERVER_METADATA))["issuer"]
    offer = (await running.get(f"/openid4vci/offers/{(await running.offer()).id}")).json()
    assert issuer == server == offer["credential_issuer"] == PUBLIC_URL


async def test_what_is_not_there_is_not_advertised(running: Running) -> None:
    issuer, server = await metadata(running, ISSUER_METADATA), await metadata(running, SERVER_METADATA)
    assert "authorization_servers" not in issuer
    assert "zip_values_supported" not in json.dumps(issuer)
    absent = {
        "challenge_endpoint",
        "client_attestation_signing_alg_values_supported",
        "jwks_uri",
        "introspection_endpoint",
        "revocation_endpoint",
    }
    assert not absent & server.keys()
    assert "attest_jwt_client_auth" not in server["token_endpoint_auth_methods_supported"]
    assert server["pre-authorized_grant_anonymous_access_supported"] is True


async def test_every_advertised_endpoint_answers(running: Running) -> None:
    issuer, server = await metadata(running, ISSUER_METADATA), await metadata(running, SERVER_METADATA)
    posts = [issuer["nonce_endpoint"], server["token_endpoint"]]
    posts += [issuer[f"{name}_endpoint"] for name in ("credential", "deferred_credential", "notification")]
    codes = [(await running.http.post(running.path(url))).status_code for url in posts]
    assert codes == [200, 400, 401, 401, 401]
    assert (await running.http.post(running.path(server["pushed_authorization_request_endpoint"]))).status_code == 400
    opened = await running.http.get(running.path(server["authorization_endpoint"]))
    assert (opened.status_code, opened.headers["content-type"]) == (400, "text/html; charset=utf-8")
    gets = [server["status_list_aggregation_endpoint"]]
    gets += [configuration["vct"] for configuration in issuer["credential_configurations_supported"].values()]
    for url in gets:
        assert (await running.http.get(running.path(url))).status_code == 200, url


async def test_every_configuration_is_one_a_wallet_can_use(running: Running) -> None:
    configurations = (await metadata(running, ISSUER_METADATA))["credential_configurations_supported"]
    assert set(configurations) == {kind.code for kind in running.platform.catalogue.types()}
    for configuration in configurations.values():
        assert configuration["format"] == "dc+sd-jwt"
        assert configuration["cryptographic_binding_methods_supported"] == ["jwk"]
        es256 = {"proof_signing_alg_values_supported": ["ES256"]}
        assert configuration["proof_types_supported"] == {"jwt": es256, "attestation": es256}
        paths = [tuple(claim["path"]) for claim in configuration["credential_metadata"]["claims"]]
        assert len(paths) == len(set(paths))
        locales = [entry["locale"] for entry in configuration["credential_metadata"]["display"]]
        assert len(locales) == len(set(locales))


async def test_the_type_metadata_behind_each_vct_names_it_and_its_face_holds_its_integrity(running: Running) -> None:
    configurations = (await metadata(running, ISSUER_METADATA))["credential_configurations_supported"]
    for configuration in configurations.values():
        answer = await running.http.get(running.path(configuration["vct"]))
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["access-control-allow-origin"] == "*"
        document = answer.json()
        schema("type_metadata").validate(document)
        assert document["vct"] == configuration["vct"]
        template = document["display"][0]["rendering"]["svg_templates"][0]
        face = await running.http.get(running.path(template["uri"]))
        assert face.headers["content-type"] == "image/svg+xml"
        digest = base64.b64encode(hashlib.sha256(face.content).digest()).decode()
        assert template["uri#integrity"] == f"sha256-{digest}"


async def test_an_offer_fits_the_schema_of_the_conformance_suite(running: Running) -> None:
    for tx_code in (False, True):
        offered = await running.offer(tx_code=tx_code)
        answer = await running.get(f"/openid4vci/offers/{offered.id}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        schema("credential_offer-1_0").validate(answer.json())
        (grant,) = answer.json()["grants"].values()
        assert grant["pre-authorized_code"] == offered.code
        assert grant.get("tx_code") == ({"input_mode": "numeric", "length": 6} if tx_code else None)
        assert "authorization_server" not in grant


async def test_an_offer_link_carries_one_parameter_by_reference(running: Running) -> None:
    department = await running.department()
    await running.offer()
    async with running.platform.database.snapshot() as session:
        licence = await running.platform.registry.licence(session, await running.licence_id())
    answer = await department.post("/api/v1/credential-offers", {"certificate_identifier": licence.identifier})
    assert answer.status_code == 201
    link = urlsplit(answer.json()["deep_link"])
    assert link.scheme == "openid-credential-offer"
    assert parse_qs(link.query) == {"credential_offer_uri": [answer.json()["credential_offer_uri"]]}
    assert len(answer.json()["tx_code"]) == 6


async def test_an_offer_is_gone_when_used_over_or_invented(running: Running) -> None:
    used = await running.offer()
    await running.redeem(used.code)
    over = await running.offer()
    running.clock.forward(minutes=30)
    for offer_id in (used.id, over.id, "x", "A" * 43, "A" * 5000, "%00", "a%00b", "%ED%A0%80", "%FF", "..%2F..", "💣"):
        answer = await running.get(f"/openid4vci/offers/{offer_id}")
        assert answer.status_code == 404, offer_id
        assert answer.json()["code"] in ("offer_not_found", "not_found")


async def test_no_header_of_a_request_changes_a_url_that_is_emitted(running: Running) -> None:
    offered = await running.offer()
    paths = [
        f"{ISSUER_METADATA}/city",
        f"{SERVER_METADATA}/city",
        "/city/types/driving-licence/1",
        "/city/api/v1/types",
        f"/city/openid4vci/offers/{offered.id}",
        "/city/s",
    ]
    for path in paths:
        honest, lied = await running.http.get(path), await running.http.get(path, headers=LYING_HEADERS)
        assert honest.json() == lied.json()
        assert "evil" not in str(lied.headers)
        found = list(urls_in(lied.json()))
        assert found
        for url in found:
            running.path(url)


async def test_a_proof_is_checked_against_the_public_url_whatever_host_is_claimed(running: Running) -> None:
    wallet = await running.wallet()
    assert (await wallet.ask_credential(headers=LYING_HEADERS)).status_code == 200
    for lie in ("http://evil.example", "http://10.1.2.3:8000/city", "https://evil.example/city"):
        dpop = wallet.dpop("POST", f"{lie}/openid4vci/credential")
        answer = await wallet.ask_credential(headers={"DPoP": dpop, "Host": "evil.example"})
        assert answer.status_code == 401
    wrong_aud = await wallet.request(proofs={"jwt": [await wallet.proof(aud="http://10.1.2.3:8000/city")]})
    assert (await wallet.ask_credential(wrong_aud)).json()["error"] == "invalid_proof"


@pytest.mark.parametrize(
    "public_url", ["https://wallet.example", "https://wallet.example:8443/a/b", "http://127.0.0.1:8000"]
)
async def test_any_public_url_serves_a_whole_flow(
    public_url: str, tmp_path: Path, clock: FakeClock, database: Database
) -> None:
    running = await Running.start(tmp_path, clock, database, public_url)
    issuer = await metadata(running, ISSUER_METADATA)
    assert issuer["credential_issuer"] == public_url
    assert all(url.startswith(public_url) for url in urls_in(issuer))
    await (await running.wallet()).credential()
    await running.http.aclose()
