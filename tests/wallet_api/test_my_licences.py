"""What a signed-in holder's wallet lists, and the offers that find it there."""

import io
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import zxingcpp
from PIL import Image

from tests.credentials.rows import driving_row, resident_id, step_row
from tests.wallet_api.running import Json, Running, Wallet, unverified
from tests.wallet_api.signing_in import SigningWallet
from tests.wallet_api.test_metadata import schema

RENEWED = {"source_version": 2, "operate_type": "02", "certificate_validate_end": "2036-02-28"}


async def get(wallet: Wallet, path: str) -> Any:
    answer = await wallet.running.get(path, headers=wallet.authorization(path, "GET"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer


async def licences(wallet: Wallet) -> list[Json]:
    found: list[Json] = (await get(wallet, "/api/v1/me/licences")).json()["licences"]
    return found


async def identifier(running: Running, number: int = 1) -> str:
    async with running.platform.database.snapshot() as session:
        return (await running.platform.registry.licence(session, await running.licence_id(number))).identifier


async def test_a_holder_s_wallet_lists_the_licences_in_whatever_state(running: Running) -> None:
    holders = driving_row(1)["certificate_holders"]
    await running.take(driving_row(1), driving_row(2, certificate_holders=holders), driving_row(3))
    await running.take(step_row(2, 2, "03"))
    wallet = await SigningWallet(running).signed_in()
    listed = {one["certificate_number"]: one for one in await licences(wallet)}
    assert listed.keys() == {resident_id(1), resident_id(2)}
    first = listed[resident_id(1)]
    assert (first["cert_state"], first["in_force"], first["reissue_available"]) == ("01", True, False)
    assert first["credential_configuration_ids"] == ["driving-licence"]
    assert first["valid_until"] == "2030-02-28"
    assert (listed[resident_id(2)]["cert_state"], listed[resident_id(2)]["in_force"]) == ("02", False)


async def test_a_face_is_drawn_for_its_holder_only(running: Running) -> None:
    await running.take(driving_row(1), driving_row(2))
    wallet, other = await SigningWallet(running).signed_in(1), await SigningWallet(running).signed_in(2)
    (licence,) = await licences(wallet)
    path = licence["face"].removeprefix(running.url)
    face = await get(wallet, path)
    assert face.headers["content-type"] == "image/svg+xml"
    assert "张三丰" in face.text
    for someone, where in ((other, path), (wallet, path.replace(licence["id"], "x"))):
        answer = await running.get(where, headers=someone.authorization(where, "GET"))
        assert (answer.status_code, answer.json()["code"]) == (404, "licence_not_found")
    assert (await running.get(path)).status_code == 401


async def test_the_wallet_learns_of_a_newer_version_and_fetches_it_with_its_token(running: Running) -> None:
    await running.take(driving_row())
    wallet = await SigningWallet(running).signed_in()
    old = await wallet.credential()
    assert [one["reissue_available"] for one in await licences(wallet)] == [False]
    await running.take(driving_row(1, **RENEWED))
    (renewed,) = await licences(wallet)
    assert (renewed["version"], renewed["reissue_available"], renewed["valid_until"]) == (2, True, "2036-02-28")
    new = await wallet.credential()
    assert unverified(new)[1]["exp"] >= unverified(old)[1]["exp"]
    assert await running.count("issuance", licence_id=renewed["id"]) == 1
    assert [one["reissue_available"] for one in await licences(wallet)] == [False]


async def test_a_token_that_came_with_an_offer_lists_its_licence_in_the_newest_version(running: Running) -> None:
    holders = driving_row(1)["certificate_holders"]
    await running.take(driving_row(1), driving_row(2, certificate_holders=holders))
    wallet = await running.wallet(1)
    await wallet.credential()
    assert [one["certificate_number"] for one in await licences(wallet)] == [resident_id(1)]
    await running.take(driving_row(1, **RENEWED))
    (renewed,) = await licences(wallet)
    assert (renewed["version"], renewed["reissue_available"]) == (2, True)
    await wallet.credential()
    jwk = wallet.key.export_public(as_dict=True)
    assert (await wallet.post("/api/v1/me/passes", json={"jwk": jwk})).status_code == 201


async def test_a_pushed_offer_is_listed_told_and_taken_up(running: Running) -> None:
    await running.take(driving_row(1), driving_row(2))
    department = await running.department()
    body = {"certificate_identifier": await identifier(running), "push": True}
    pushed = await department.post("/api/v1/credential-offers", body)
    assert pushed.status_code == 201, pushed.text
    assert pushed.json()["tx_code"] is None
    assert await running.count("outbox_message") >= 1
    wallet, other = await SigningWallet(running).signed_in(1), await SigningWallet(running).signed_in(2)
    (offer,) = (await get(wallet, "/api/v1/me/offers")).json()["offers"]
    assert (await get(other, "/api/v1/me/offers")).json()["offers"] == []
    assert offer["credential_offer_uri"] == pushed.json()["credential_offer_uri"]
    content = (await running.http.get(running.path(offer["credential_offer_uri"]))).json()
    schema("credential_offer-1_0").validate(content)
    (grant,) = content["grants"].items()
    assert grant[0] == "authorization_code"
    async with running.platform.database.snapshot() as session:
        bound = await running.platform.issuance.offered_by_state(session, grant[1]["issuer_state"])
        assert bound is not None
        assert bound.configuration_id == "driving-licence"
        for invented in ("x", "A" * 43, "\x00", "\ud800"):
            assert await running.platform.issuance.offered_by_state(session, invented) is None
    await wallet.credential()
    assert (await get(wallet, "/api/v1/me/offers")).json()["offers"] == []


async def test_an_offer_can_be_taken_by_code_or_by_signing_in(running: Running) -> None:
    await running.take(driving_row())
    department = await running.department()
    body = {"certificate_identifier": await identifier(running), "sign_in": True}
    made = (await department.post("/api/v1/credential-offers", body)).json()
    content = (await running.http.get(running.path(made["credential_offer_uri"]))).json()
    schema("credential_offer-1_0").validate(content)
    assert content["grants"].keys() == {
        "authorization_code",
        "urn:ietf:params:oauth:grant-type:pre-authorized_code",
    }


async def test_the_counter_sees_how_far_an_offer_has_come(running: Running) -> None:
    await running.take(driving_row())
    department = await running.department()
    stranger = await running.department("others", "11310000000000219X")
    body = {"certificate_identifier": await identifier(running), "tx_code": False}
    made = (await department.post("/api/v1/credential-offers", body)).json()
    path = f"/api/v1/credential-offers/{made['id']}"

    async def progress() -> str:
        answer = await department.get(path)
        assert answer.status_code == 200
        return str(answer.json()["progress"])

    assert await progress() == "waiting"
    offer = (await running.http.get(running.path(made["credential_offer_uri"]))).json()
    assert await progress() == "opened"
    (grant,) = offer["grants"].values()
    await running.redeem(grant["pre-authorized_code"])
    assert await progress() == "redeemed"
    assert (await stranger.get(path)).status_code == 404
    assert (await department.get("/api/v1/credential-offers/x")).status_code == 404
    over = (await department.post("/api/v1/credential-offers", body)).json()
    running.clock.forward(minutes=31)
    assert (await department.get(f"/api/v1/credential-offers/{over['id']}")).json()["progress"] == "over"


@pytest.mark.parametrize("image", ["png", "svg"])
async def test_an_offer_s_picture_is_its_link(running: Running, image: str) -> None:
    await running.take(driving_row())
    department = await running.department()
    made = (
        await department.post("/api/v1/credential-offers", {"certificate_identifier": await identifier(running)})
    ).json()
    assert urlsplit(made["haip_deep_link"]).scheme == "haip-vci"
    assert parse_qs(urlsplit(made["haip_deep_link"]).query) == parse_qs(urlsplit(made["deep_link"]).query)
    answer = await running.http.get(running.path(made[f"qr_{image}"]))
    assert answer.status_code == 200
    if image == "png":
        (read,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(answer.content)))
        assert read.text == made["deep_link"]
    else:
        assert answer.headers["content-type"] == "image/svg+xml"
        assert answer.content.startswith(b"<?xml")
    for wrong in ("gif", "png/x", "PNG"):
        assert (await running.get(f"/openid4vci/offers/{made['id']}/qr.{wrong}")).status_code == 404
    assert (await running.get(f"/openid4vci/offers/{'A' * 43}/qr.{image}")).status_code == 404
