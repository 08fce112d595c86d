"""What must happen once happens once, on both databases, however many ask at the same time."""

import asyncio
import json
from collections import Counter
from itertools import pairwise
from typing import Any

import httpx
from sqlalchemy import select, update

from credentials.issuance import IssuanceGrant, RequestKeys, WireMessage
from credentials.issuance.repository import ISSUANCE
from credentials.registry.repository import LICENCE
from tests.credentials.rows import driving_row, step_row
from tests.credentials.status.reading import read_jwt, statuses, unbase64url
from tests.wallet_api.running import Running, Wallet, unverified

AT_ONCE = 50


def outcomes(answers: list[httpx.Response]) -> Counter[Any]:
    return Counter("ok" if answer.status_code == 200 else answer.json().get("error") for answer in answers)


async def test_fifty_redemptions_of_one_code_give_one_token(running: Running) -> None:
    offered = await running.offer()
    wallets = [Wallet(running) for _ in range(AT_ONCE)]
    answers = await asyncio.gather(*(wallet.ask_token(offered.code) for wallet in wallets))
    assert outcomes(list(answers)) == {"ok": 1, "invalid_grant": AT_ONCE - 1}
    assert await running.count("access_token") == 1


async def test_fifty_guesses_at_once_get_five_tries_in_all(running: Running) -> None:
    offered = await running.offer(tx_code=True)
    wallets = [Wallet(running) for _ in range(AT_ONCE)]
    answers = await asyncio.gather(*(wallet.ask_token(offered.code, tx_code="guess") for wallet in wallets))
    assert outcomes(list(answers)) == {"invalid_grant": AT_ONCE}
    assert await running.count("credential_offer", attempts=5) == 1
    answer = await Wallet(running).ask_token(offered.code, tx_code=offered.tx_code or "")
    assert answer.json()["error"] == "invalid_grant"


async def test_fifty_requests_with_one_nonce_give_one_credential(running: Running) -> None:
    wallet, nonce = await running.wallet(), await running.nonce()
    requests = [await wallet.request(proofs={"jwt": [await wallet.proof(nonce=nonce)]}) for _ in range(AT_ONCE)]
    answers = await asyncio.gather(*map(wallet.ask_credential, requests))
    assert outcomes(list(answers)) == {"ok": 1, "invalid_nonce": AT_ONCE - 1}
    assert await running.count("issuance") == 1


async def test_one_dpop_proof_sent_fifty_times_counts_once(running: Running) -> None:
    wallet = await running.wallet()
    headers = wallet.authorization("/openid4vci/credential")
    requests = [await wallet.request() for _ in range(AT_ONCE)]
    answers = await asyncio.gather(*(wallet.ask_credential(request, headers=headers) for request in requests))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 401: AT_ONCE - 1}
    assert await running.count("issuance") == 1


async def test_one_client_assertion_sent_fifty_times_counts_once(running: Running) -> None:
    department = await running.department()
    assertion = department.assertion()
    answers = await asyncio.gather(*(department.ask_token(assertion) for _ in range(AT_ONCE)))
    assert outcomes(list(answers)) == {"ok": 1, "invalid_client": AT_ONCE - 1}
    assert await running.count("access_token") == 1


async def test_credentials_issued_at_once_have_indexes_of_their_own(running: Running) -> None:
    wallet = await running.wallet()
    credentials = await asyncio.gather(*(wallet.credential() for _ in range(20)))
    places = [unverified(credential)[1]["status"]["status_list"] for credential in credentials]
    assert len({(place["uri"], place["idx"]) for place in places}) == 20
    indexes = sorted(place["idx"] for place in places if place["uri"] == places[0]["uri"])
    steps = {second - first for first, second in pairwise(indexes)}
    assert len(steps) > 1  # no arithmetic progression


async def test_one_row_sent_at_once_from_many_sides_makes_one_licence(running: Running) -> None:
    department = await running.department()
    answers = await asyncio.gather(*(department.post("/api/v1/licences", driving_row()) for _ in range(10)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 9}
    assert await running.count("licence") == await running.count("licence_event") == 1


async def test_no_credential_stays_valid_when_revocation_and_issuance_meet(running: Running) -> None:
    """In whatever order they come: what was released before is INVALID, what comes after is denied."""
    people = range(1, 9)
    await running.take(*(driving_row(number) for number in people))
    wallets = {number: await running.wallet(number) for number in people}
    requests = {number: [await wallet.request() for _ in range(3)] for number, wallet in wallets.items()}

    async def revoke(number: int) -> None:
        await asyncio.sleep(0.002 * (number - 1))
        await running.take(step_row(number, 2, "05", cert_state="07"))

    async def issue(number: int, at: int) -> httpx.Response:
        return await wallets[number].ask_credential(requests[number][at])

    answers = await asyncio.gather(
        *(issue(number, at) for number in people for at in range(3)), *(revoke(number) for number in people)
    )
    issued = [answer for answer in answers if isinstance(answer, httpx.Response)]
    assert outcomes(issued).keys() <= {"ok", "credential_request_denied"}
    assert set(await published_values(running, issued)) <= {1}
    assert await running.count("issuance") == outcomes(issued)["ok"]


async def test_no_credential_of_the_old_version_stays_valid_when_renewal_and_issuance_meet(running: Running) -> None:
    people = range(1, 9)
    await running.take(*(driving_row(number) for number in people))
    wallets = {number: await running.wallet(number) for number in people}
    requests = {number: await wallet.request() for number, wallet in wallets.items()}
    renewed = {"source_version": 2, "operate_type": "02", "certificate_validate_end": "2036-02-28"}

    async def renew(number: int) -> None:
        await asyncio.sleep(0.002 * (number - 1))
        await running.take(driving_row(number, **renewed))

    answers = await asyncio.gather(
        *(wallets[number].ask_credential(requests[number]) for number in people),
        *(renew(number) for number in people),
    )
    issued = [answer for answer in answers if isinstance(answer, httpx.Response)]
    assert outcomes(issued).keys() <= {"ok", "credential_request_denied"}
    assert await published_values(running, issued) == [
        await _expected(running, answer) for answer in issued if answer.is_success
    ]
    fresh = await running.wallet(1)
    assert await published_values(running, [await fresh.ask_credential()]) == [0]


async def test_a_revocation_waits_for_the_issuance_that_holds_the_licence_and_then_reaches_it(running: Running) -> None:
    """The order that loses in a careless system: issuing has begun, the revocation comes in the middle."""
    platform, wallet = running.platform, await running.wallet()
    request = json.dumps(await wallet.request()).encode()
    licence = await running.licence_id()
    async with platform.database.snapshot() as session:
        holder = (await platform.registry.licence(session, licence)).holder_ids[0]
    async with platform.database.transaction() as session:
        grant = IssuanceGrant("0" * 32, holder, frozenset({"driving-licence"}), licence)
        message = WireMessage(request, encrypted=False)
        (credential,) = (await platform.credential_issuer.issue(session, grant, message)).credentials
        revoking = asyncio.create_task(running.take(step_row(1, 2, "05", cert_state="07")))
        await asyncio.sleep(0.2)
        assert not revoking.done()
    await revoking
    released = httpx.Response(200, json={"credentials": [{"credential": credential}]})
    assert await published_values(running, [released]) == [1]


async def test_an_issuance_waits_for_the_revocation_that_holds_the_licence_and_is_then_denied(running: Running) -> None:
    platform, wallet = running.platform, await running.wallet()
    async with platform.database.transaction() as session:
        await platform.registry.licence(session, await running.licence_id(), lock=True)
        issuing = asyncio.create_task(wallet.ask_credential())
        await asyncio.sleep(0.2)
        assert not issuing.done()
        revoked = update(LICENCE).values(state="07", source_version=2)
        await session.execute(revoked)
    assert (await issuing).json()["error"] == "credential_request_denied"
    assert await running.count("issuance") == 0


async def test_processes_that_need_a_request_key_at_once_agree_on_one(running: Running) -> None:
    platform = running.platform
    processes = [RequestKeys(platform.request_keys._protector, running.clock) for _ in range(20)]
    keys = await asyncio.gather(*(process.public_jwk(platform.database) for process in processes))
    assert len({key["kid"] for key in keys}) == await running.count("request_encryption_key") == 1
    assert all("d" not in key for key in keys)


async def test_two_processes_that_publish_at_once_lose_no_revocation(running: Running) -> None:
    other = await Running.start(running.platform.settings.data_dir, running.clock, running.platform.database)
    people = range(1, 6)
    await running.take(*(driving_row(number) for number in people))
    answers = [await (await running.wallet(number)).ask_credential() for number in people]
    await asyncio.gather(
        *(running.take(step_row(number, 2, "05", cert_state="07")) for number in people),
        *(process.platform.publish_status() for process in (running, other, running, other)),
    )
    assert set(await published_values(other, answers)) == {1}
    await other.http.aclose()


async def _expected(running: Running, answer: httpx.Response) -> int:
    """What the status of a credential must be: VALID for a version in force, INVALID for one that was renewed."""
    place = unverified(answer.json()["credentials"][0]["credential"])[1]["status"]["status_list"]
    statement = (
        select(LICENCE.c.state)
        .join(ISSUANCE, ISSUANCE.c.licence_id == LICENCE.c.id)
        .where(ISSUANCE.c.status_uri == place["uri"], ISSUANCE.c.status_index == place["idx"])
    )
    async with running.platform.database.snapshot() as session:
        return 0 if (await session.execute(statement)).scalar_one() == "01" else 1


async def published_values(running: Running, answers: list[httpx.Response]) -> list[int]:
    """What the published lists say of the credentials in these answers."""
    running.clock.forward(seconds=1)
    await running.platform.publish_status()
    values = []
    for answer in answers:
        if answer.status_code != 200:
            continue
        place = unverified(answer.json()["credentials"][0]["credential"])[1]["status"]["status_list"]
        _, claims = read_jwt((await running.http.get(running.path(place["uri"]))).content)
        values.append(statuses(2, unbase64url(claims["status_list"]["lst"]))[place["idx"]])
    return values
