"""One licence, from a department's row to a wallet, over HTTP."""

from datetime import UTC, datetime

from sqlalchemy import select

from credentials.issuance.repository import ISSUANCE
from credentials.keys import KeyPurpose
from credentials.keys.formats.jws import b64u_encode
from tests.credentials.rows import TRAFFIC_POLICE, driving_row, step_row
from tests.wallet_api.running import Running, Wallet, unverified


async def test_a_department_s_licence_reaches_its_holder_s_wallet(running: Running) -> None:
    department = await running.department()
    taken = await department.post("/api/v1/licences", driving_row())
    assert (taken.status_code, taken.json()["outcome"]) == (201, "accepted")
    async with running.platform.database.snapshot() as session:
        licence = await running.platform.registry.licence(session, await running.licence_id())
    wanted = {"certificate_identifier": licence.identifier}
    assert (await department.post("/api/v1/licences/lookup", wanted)).json()["cert_state"] == "01"
    offered = (await department.post("/api/v1/credential-offers", wanted)).json()

    offer = (await running.http.get(running.path(offered["credential_offer_uri"]))).json()
    (grant,) = offer["grants"].values()
    wallet = await running.redeem(grant["pre-authorized_code"], tx_code=offered["tx_code"])
    credential = await wallet.credential()
    jwk = wallet.key.export_public(as_dict=True)
    assert unverified(credential)[1]["cnf"] == {"jwk": {name: jwk[name] for name in ("kty", "crv", "x", "y")}}

    passes = await wallet.post("/api/v1/me/passes", json={"jwk": jwk, "profile": "face", "days": 2})
    assert passes.status_code == 201
    assert len(passes.json()["passes"]) >= 2


async def test_what_is_issued_is_recorded_with_its_signing_key(running: Running) -> None:
    wallet = await running.wallet()
    credential = await wallet.credential()
    async with running.platform.database.snapshot() as session:
        recorded = (await session.execute(select(ISSUANCE))).one()
    signer = running.platform.key_ring.signer(KeyPurpose.CREDENTIAL, TRAFFIC_POLICE)
    assert recorded.signing_kid == b64u_encode(signer.kid)
    status = unverified(credential)[1]["status"]["status_list"]
    assert (recorded.status_uri, recorded.status_index) == (status["uri"], status["idx"])


async def test_a_licence_without_an_end_in_any_calendar_is_issued(running: Running) -> None:
    """`9999-12-31` is how many registers write "long-term"."""
    await running.take(driving_row(certificate_validate_end="9999-12-31"))
    wallet = await running.wallet()
    assert unverified(await wallet.credential())[1]["exp"] == datetime(2027, 11, 23, tzinfo=UTC).timestamp()
    jwk = wallet.key.export_public(as_dict=True)
    assert (await wallet.post("/api/v1/me/passes", json={"jwk": jwk})).status_code == 201


async def test_a_licence_that_ends_tomorrow_gives_a_credential_to_the_end_of_that_day(running: Running) -> None:
    await running.take(driving_row(certificate_validate_end="2026-11-24"))
    wallet = await running.wallet()
    midnight_in_shanghai = datetime(2026, 11, 24, 16, tzinfo=UTC)
    assert unverified(await wallet.credential())[1]["exp"] == midnight_in_shanghai.timestamp()


async def test_one_token_serves_several_requests_each_with_a_status_index_of_its_own(running: Running) -> None:
    wallet = await running.wallet()
    indexes = {unverified(await wallet.credential())[1]["status"]["status_list"]["idx"] for _ in range(4)}
    assert len(indexes) == 4


async def test_two_processes_on_one_database_serve_one_flow_in_turns(running: Running) -> None:
    settings = running.platform.settings
    other = await Running.start(settings.data_dir, running.clock, running.platform.database)
    offer = await running.offer(tx_code=True)
    assert (await other.get(f"/openid4vci/offers/{offer.id}")).status_code == 200
    there = await other.redeem(offer.code, tx_code=offer.tx_code or "")
    here = Wallet(running, there.token, there.key)
    nonce = await running.nonce()
    first = await there.ask_credential(await there.request(proofs={"jwt": [await there.proof(nonce=nonce)]}))
    again = await here.ask_credential(await here.request(proofs={"jwt": [await here.proof(nonce=nonce)]}))
    assert (first.status_code, again.status_code) == (200, 400)
    assert again.json()["error"] == "invalid_nonce"
    await here.credential()
    await running.take(step_row(1, 2, "05", cert_state="07"))
    assert (await there.ask_credential()).json()["error"] == "credential_request_denied"
    await other.http.aclose()
