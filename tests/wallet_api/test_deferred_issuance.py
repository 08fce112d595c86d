"""Credentials that a clerk releases (OpenID4VCI 1.0 §9), and what wallets say of them (§11), on both databases."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from credentials.catalogue import Catalogue
from tests.credentials.rows import driving_row, step_row
from tests.fakes import FakeClock
from tests.wallet_api.running import Department, Json, Running, Wallet, new_key, unverified
from tests.wallet_api.signing_in import SigningWallet
from tests.wallet_api.test_concurrency import published_values
from tests.wallet_api.test_credential_endpoint import refusal
from wallet_api.database import Database
from wallet_api.workers import prune

RELEASED = replace(Catalogue.default().get("driving-licence"), needs_release=True)
PATH = "/openid4vci/deferred-credential"
AT_ONCE = 50


@pytest.fixture
def office(runner: asyncio.Runner, tmp_path: Path, clock: FakeClock, database: Database) -> Iterator[Running]:
    """A platform where driving licences wait for a clerk."""
    running = runner.run(Running.start(tmp_path, clock, database, catalogue=Catalogue([RELEASED])))
    yield running
    runner.run(running.http.aclose())


async def deferred(wallet: Wallet, keys: int = 1) -> str:
    """Ask for credentials; the id of the transaction that waits."""
    nonce = await wallet.running.nonce()
    proofs = [await wallet.proof(key=key, nonce=nonce) for key in [wallet.key, *(new_key() for _ in range(keys - 1))]]
    answer = await wallet.ask_credential(await wallet.request(proofs={"jwt": proofs}))
    assert answer.status_code == 202, answer.text
    assert answer.json().keys() == {"transaction_id", "interval"}
    assert answer.json()["interval"] > 0
    return str(answer.json()["transaction_id"])


async def collect(wallet: Wallet, transaction_id: object) -> httpx.Response:
    return await wallet.post(PATH, content=json.dumps({"transaction_id": transaction_id}).encode())


async def waiting(department: Department, **params: Any) -> list[Json]:
    answer = await department.get("/api/v1/credential-releases", **params)
    assert answer.status_code == 200, answer.text
    found: list[Json] = answer.json()["releases"]
    return found


async def decide(department: Department, release_id: str, decision: str = "release") -> int:
    return (await department.post(f"/api/v1/credential-releases/{release_id}", {"decision": decision})).status_code


async def test_what_a_clerk_releases_is_delivered_once(office: Running) -> None:
    wallet, department = await office.wallet(), await office.department()
    transaction_id = await deferred(wallet, keys=3)
    early = await collect(wallet, transaction_id)
    assert (early.status_code, early.json()["transaction_id"]) == (202, transaction_id)
    assert await office.count("issuance") == 0
    (one,) = await waiting(department)
    assert (one["type"], one["keys"], one["cert_state"]) == ("driving-licence", 3, "01")
    assert await decide(department, one["id"]) == 204
    assert await waiting(department) == []
    answer = await collect(wallet, transaction_id)
    assert answer.status_code == 200
    assert answer.json().keys() == {"credentials", "notification_id"}
    assert len(answer.json()["credentials"]) == await office.count("issuance") == 3
    assert refusal(await collect(wallet, transaction_id)) == "invalid_transaction_id"


async def test_what_a_clerk_denies_is_refused_for_good(office: Running) -> None:
    wallet, department = await office.wallet(), await office.department()
    transaction_id = await deferred(wallet)
    (one,) = await waiting(department)
    assert [await decide(department, one["id"], what) for what in ("deny", "deny", "release")] == [204, 204, 409]
    for _ in range(2):
        assert refusal(await collect(wallet, transaction_id)) == "credential_request_denied"


async def test_a_transaction_belongs_to_its_grant_and_its_dpop_key(office: Running) -> None:
    await office.take(driving_row(1), driving_row(2))
    wallet, other, department = await office.wallet(1), await office.wallet(2), await office.department()
    transaction_id = await deferred(wallet)
    (one,) = await waiting(department)
    await decide(department, one["id"])
    second_token = await SigningWallet(office).signed_in(1)  # of the same holder, by another grant
    for thief in (other, second_token):
        assert refusal(await collect(thief, transaction_id)) == "invalid_transaction_id"
    assert (await collect(Wallet(office, wallet.token, other.key), transaction_id)).status_code == 401
    for invented in ("x", "A" * 43, "", "A" * 5000, "\ud800", "\x00"):
        assert refusal(await collect(wallet, invented)) == "invalid_transaction_id"
    for out_of_form in (None, 7, ["x"]):
        assert refusal(await collect(wallet, out_of_form)) == "invalid_credential_request"
    assert (await collect(wallet, transaction_id)).status_code == 200


async def test_another_authority_s_clerk_sees_and_decides_nothing(office: Running) -> None:
    wallet = await office.wallet()
    stranger = await office.department("others", "11310000000000219X")
    await deferred(wallet)
    (one,) = await waiting(await office.department())
    assert await waiting(stranger) == []
    assert await decide(stranger, one["id"]) == 404
    for odd in ("x", "%00", "A" * 5000):
        assert await decide(await office.department(), odd) == 404


async def test_the_list_of_what_waits_has_pages(office: Running) -> None:
    wallet, department = await office.wallet(), await office.department()
    for _ in range(3):
        await deferred(wallet)
    first = (await department.get("/api/v1/credential-releases", limit=2)).json()
    rest = (await department.get("/api/v1/credential-releases", limit=2, cursor=first["next_cursor"])).json()
    assert (len(first["releases"]), len(rest["releases"]), rest["next_cursor"]) == (2, 1, None)
    assert len({one["id"] for one in first["releases"] + rest["releases"]}) == 3


async def test_a_licence_that_was_revoked_meanwhile_is_not_delivered(office: Running) -> None:
    wallet, department = await office.wallet(), await office.department()
    transaction_id = await deferred(wallet)
    (one,) = await waiting(department)
    await decide(department, one["id"])
    await office.take(step_row(1, 2, "05", cert_state="07"))
    assert refusal(await collect(wallet, transaction_id)) == "credential_request_denied"
    assert await office.count("issuance") == 0


async def test_a_transaction_that_nobody_decides_is_over_one_day(office: Running) -> None:
    await office.offer()
    wallet = await SigningWallet(office).signed_in()
    transaction_id = await deferred(wallet)
    office.clock.forward(days=31)
    later = await SigningWallet(office).signed_in()
    assert refusal(await collect(later, transaction_id)) == "invalid_transaction_id"
    assert await waiting(await office.department()) == []
    await prune(office.platform)
    assert await office.count("deferred_issuance") == 0


async def test_fifty_requests_for_one_transaction_deliver_once(office: Running) -> None:
    wallet, department = await office.wallet(), await office.department()
    transaction_id = await deferred(wallet)
    (one,) = await waiting(department)
    await decide(department, one["id"])
    answers = await asyncio.gather(*(collect(wallet, transaction_id) for _ in range(AT_ONCE)))
    outcome = Counter(answer.status_code if answer.is_success else answer.json()["error"] for answer in answers)
    assert outcome == {200: 1, "invalid_transaction_id": AT_ONCE - 1}
    assert await office.count("issuance") == 1


async def test_of_many_clerks_at_once_one_decides(office: Running) -> None:
    wallet, department = await office.wallet(), await office.department()
    transaction_id = await deferred(wallet)
    (one,) = await waiting(department)
    decisions = ["release", "deny"] * 10
    told = await asyncio.gather(*(decide(department, one["id"], decision) for decision in decisions))
    winners = {decision for decision, status in zip(decisions, told, strict=True) if status == 204}
    assert len(winners) == 1
    assert Counter(told) == {204: 10, 409: 10}
    answer = await collect(wallet, transaction_id)
    assert answer.is_success == (winners == {"release"})


async def test_no_credential_stays_valid_when_release_and_revocation_meet(office: Running) -> None:
    people = range(1, 6)
    await office.take(*(driving_row(number) for number in people))
    wallets, department = {number: await office.wallet(number) for number in people}, await office.department()
    transactions = {number: await deferred(wallet) for number, wallet in wallets.items()}
    for one in await waiting(department):
        await decide(department, one["id"])
    answers = await asyncio.gather(
        *(collect(wallets[number], transactions[number]) for number in people),
        *(office.take(step_row(number, 2, "05", cert_state="07")) for number in people),
    )
    delivered = [answer for answer in answers if isinstance(answer, httpx.Response) and answer.status_code == 200]
    assert await published_values(office, delivered) == [1] * len(delivered)
    assert await office.count("issuance") == len(delivered)


async def test_one_process_defers_another_releases_a_third_delivers(office: Running) -> None:
    def process() -> Any:
        settings = office.platform.settings
        return Running.start(settings.data_dir, office.clock, office.platform.database, catalogue=Catalogue([RELEASED]))

    second, third = await process(), await process()
    wallet = await office.wallet()
    transaction_id = await deferred(wallet)
    clerk = await second.department()
    (one,) = await waiting(clerk)
    assert await decide(clerk, one["id"]) == 204
    answer = await collect(Wallet(third, wallet.token, wallet.key), transaction_id)
    assert answer.status_code == 200
    event = {"notification_id": answer.json()["notification_id"], "event": "credential_accepted"}
    assert (await wallet.post("/openid4vci/notification", json=event)).status_code == 204
    assert refusal(await collect(wallet, transaction_id)) == "invalid_transaction_id"
    for running in (second, third):
        await running.http.aclose()


async def test_a_type_that_ships_waits_for_a_clerk() -> None:
    waits = [kind.code for kind in Catalogue.default().types() if kind.needs_release]
    assert waits == ["real-estate-certificate"]


async def test_a_notification_is_recorded_once_however_often_it_comes(running: Running) -> None:
    wallet = await running.wallet()
    notification_id = (await wallet.ask_credential()).json()["notification_id"]
    event: Json = {"notification_id": notification_id, "event": "credential_accepted", "x": 1}
    for _ in range(2):
        answer = await wallet.post("/openid4vci/notification", json=event)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["cache-control"] == "no-store"
    deleted = {**event, "event": "credential_deleted", "event_description": "the holder's wish"}
    assert (await wallet.post("/openid4vci/notification", json=deleted)).status_code == 204
    assert await running.count("credential_notification", licence_id=await running.licence_id()) == 2


async def test_a_notification_of_another_token_or_out_of_form_is_refused(running: Running) -> None:
    await running.take(driving_row(1), driving_row(2))
    wallet, other = await running.wallet(1), await running.wallet(2)
    good = {
        "notification_id": (await wallet.ask_credential()).json()["notification_id"],
        "event": "credential_accepted",
    }
    refusals: dict[str, tuple[Wallet, object, str]] = {
        "of another": (other, good, "invalid_notification_id"),
        "invented": (wallet, {**good, "notification_id": "x"}, "invalid_notification_id"),
        "no id": (wallet, {"event": "credential_accepted"}, "invalid_notification_request"),
        "id a number": (wallet, {**good, "notification_id": 7}, "invalid_notification_request"),
        "event unknown": (wallet, {**good, "event": "credential_lost"}, "invalid_notification_request"),
        "event a list": (wallet, {**good, "event": []}, "invalid_notification_request"),
        "description not ASCII": (wallet, {**good, "event_description": "删除"}, "invalid_notification_request"),
        "no object": (wallet, [], "invalid_notification_request"),
    }
    for name, (teller, body, error) in refusals.items():
        answer = await teller.post("/openid4vci/notification", content=json.dumps(body).encode())
        assert refusal(answer) == error, name
    text = await wallet.post("/openid4vci/notification", content=b"{}", headers={"Content-Type": "text/plain"})
    assert refusal(text) == "invalid_notification_request"
    assert (await running.post("/openid4vci/notification", json=good)).status_code == 401
    assert await running.count("credential_notification") == 0
    assert unverified(await wallet.credential())
