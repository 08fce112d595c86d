"""Which licence a grant's credential request means, on both databases."""

import json
from collections.abc import Mapping

import pytest

from credentials.issuance import CredentialRequestRefused, IssuanceGrant, WireMessage
from tests.credentials.rows import driving_row, step_row
from tests.wallet_api.running import ABSENT, Running, Wallet

RENEWED = {"source_version": 2, "operate_type": "02", "certificate_validate_end": "2036-02-28"}


async def held(running: Running, number: int = 1) -> tuple[str, str]:
    """(holder id, licence id) of `driving_row(number)`."""
    async with running.platform.database.snapshot() as session:
        licence = await running.platform.registry.licence(session, await running.licence_id(number))
    return licence.holder_ids[0], licence.id


async def ask(running: Running, grant: IssuanceGrant, **members: object) -> str | None:
    """The error of a request under a grant, or None when it is answered."""
    body = json.dumps(await Wallet(running).request(**members)).encode()
    try:
        async with running.platform.database.transaction() as session:
            await running.platform.credential_issuer.issue(session, grant, WireMessage(body, encrypted=False))
    except CredentialRequestRefused as refused:
        return refused.code
    return None


def grant(holder_id: str, licence_id: str | None = None, **identifiers: str) -> IssuanceGrant:
    return IssuanceGrant("g", holder_id, frozenset({"driving-licence"}), licence_id, identifiers)


async def test_holdings_are_the_licences_in_force_by_configuration_the_newest_first(running: Running) -> None:
    holder = driving_row(1)["certificate_holders"]
    await running.take(
        driving_row(1),
        driving_row(2, certificate_holders=holder, certificate_issued_date="2025-03-01"),
        driving_row(3, certificate_holders=holder, certificate_validate_end="2026-11-22"),
        driving_row(4),
    )
    await running.take(driving_row(5, certificate_holders=holder), step_row(5, 2, "03"))
    (holder_id, first), (_, second) = await held(running, 1), await held(running, 2)
    configurations = ["driving-licence", "road-transport-certificate", "no-such"]
    async with running.platform.database.snapshot() as session:
        found = await running.platform.issuance.holdings(session, holder_id, configurations)
        nobody = await running.platform.issuance.holdings(session, "nobody", configurations)
    assert {code: list(ids) for code, ids in found.items()} == {"driving-licence": [second, first]}
    assert nobody == {}


async def test_a_grant_without_a_licence_gives_the_holder_s_newest_in_force_and_none_of_others(
    running: Running,
) -> None:
    await running.take(driving_row(1), driving_row(2))
    holder_id, licence_id = await held(running, 1)
    assert await ask(running, grant(holder_id)) is None
    assert await running.count("issuance", licence_id=licence_id) == 1
    await running.take(step_row(1, 2, "05", cert_state="07"))
    assert await ask(running, grant(holder_id)) == "credential_request_denied"
    assert await ask(running, grant("nobody")) == "credential_request_denied"


async def test_a_licence_is_never_issued_to_anybody_but_its_holder(running: Running) -> None:
    await running.take(driving_row(1), driving_row(2))
    (holder_id, _), (_, other) = await held(running, 1), await held(running, 2)
    assert await ask(running, grant(holder_id, other)) == "credential_request_denied"
    by_identifier = {"credential_configuration_id": ABSENT, "credential_identifier": "mine"}
    assert await ask(running, grant(holder_id, mine=other), **by_identifier) == "credential_request_denied"
    assert await running.count("issuance") == 0


async def test_after_a_renewal_the_same_grant_gives_the_new_version(running: Running) -> None:
    await running.take(driving_row(1))
    holder_id, old = await held(running)
    await running.take(driving_row(1, **RENEWED))
    _, new = await held(running)
    assert new != old
    assert await ask(running, grant(holder_id, old)) is None
    assert await running.count("issuance", licence_id=new) == 1


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"credential_identifier": "a"}, None),
        ({"credential_identifier": "b"}, "unknown_credential_identifier"),
        ({"credential_identifier": ""}, "unknown_credential_identifier"),
        ({"credential_configuration_id": "driving-licence"}, "invalid_credential_request"),
        ({"credential_configuration_id": "x"}, "unknown_credential_configuration"),
        (
            {"credential_configuration_id": "driving-licence", "credential_identifier": "a"},
            "invalid_credential_request",
        ),
    ],
)
async def test_where_identifiers_were_given_out_the_request_names_one(
    running: Running, members: Mapping[str, str], error: str | None
) -> None:
    await running.take(driving_row(1))
    holder_id, licence_id = await held(running)
    asked = {"credential_configuration_id": ABSENT, **members}
    assert await ask(running, grant(holder_id, a=licence_id), **asked) == error
