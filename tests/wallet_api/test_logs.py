"""Nothing that names a person or opens a door is written to the log."""

import json

import pytest

from tests.credentials.rows import driving_row, resident_id, step_row
from tests.wallet_api.running import Running, Wallet, unverified
from wallet_api import logging


async def test_a_whole_flow_leaves_no_secret_in_the_log(running: Running, capfd: pytest.CaptureFixture[str]) -> None:
    logging.configure()
    department = await running.department()
    row = driving_row()
    await department.post("/api/v1/licences", row)
    await department.post("/api/v1/licences", {**row, "certificate_number": "x" * 200})
    async with running.platform.database.snapshot() as session:
        licence = await running.platform.registry.licence(session, await running.licence_id())
    wanted = {"certificate_identifier": licence.identifier}
    department_token = await department.token()
    assertion = department.assertion()
    await department.ask_token(assertion)
    await department.post("/api/v1/licences/lookup", wanted)
    offered = (await department.post("/api/v1/credential-offers", wanted)).json()
    offer_id = offered["credential_offer_uri"].rpartition("/")[2]
    code = next(iter((await running.get(f"/openid4vci/offers/{offer_id}")).json()["grants"].values()))
    wallet = Wallet(running)
    await wallet.ask_token(code["pre-authorized_code"], tx_code="000001")
    wallet = await running.redeem(code["pre-authorized_code"], tx_code=offered["tx_code"])
    nonce = await running.nonce()
    proof = await wallet.proof(nonce=nonce)
    issued = await wallet.ask_credential(await wallet.request(proofs={"jwt": [proof]}))
    credential = issued.json()["credentials"][0]["credential"]
    await wallet.ask_credential(await wallet.request(proofs={"jwt": [proof]}))
    await wallet.ask_credential(headers={"Authorization": f"Bearer {wallet.token}"})
    await wallet.post("/api/v1/me/passes", json={"jwk": wallet.key.export_public(as_dict=True)})
    await running.get(f"/openid4vci/credential?access_token={wallet.token}")
    await department.post("/api/v1/licences", step_row(1, 2, "05", cert_state="07"))
    await running.platform.publish_status()

    written = "".join(capfd.readouterr())
    lines = [json.loads(line) for line in written.splitlines()]
    assert len(lines) >= 15
    assert {line["event"] for line in lines} == {"request"}
    allowed = {"event", "level", "timestamp", "request_id", "method", "route", "status", "took_ms"}
    assert all(line.keys() <= allowed for line in lines)
    secrets = {
        "identity number": resident_id(1),
        "name": "张三丰",
        "mobile": "13800000000",
        "licence identifier": licence.identifier,
        "licence id": licence.id,
        "holder id": licence.holder_ids[0],
        "access token": wallet.token,
        "department's token": department_token,
        "assertion": assertion,
        "pre-authorized code": code["pre-authorized_code"],
        "offer id": offer_id,
        "transaction code": f'"{offered["tx_code"]}"',
        "nonce": nonce,
        "proof": proof,
        "credential": credential.split("~")[1],
        "status index": str(unverified(credential)[1]["status"]["status_list"]["idx"]),
    }
    assert [name for name, secret in secrets.items() if secret in written] == []
    assert resident_id(1) in json.dumps(row)  # the needle is one that was really there
