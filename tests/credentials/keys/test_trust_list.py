"""The trust list: complete, signed when due, and never going back."""

import asyncio
import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.keys import (
    KeyFiles,
    KeyPurpose,
    KeyRing,
    KeyService,
    LocalText,
    TrustListItem,
    TrustListService,
    TrustListType,
)
from credentials.keys.errors import TrustListMissing
from credentials.keys.formats.jws import b64u_decode
from credentials.keys.formats.trust_list import content_digest, trust_list_content
from tests.credentials.keys.requests import MARKET, PASSPHRASE, URL, WANTED
from tests.fakes import FakeClock
from wallet_api.database import Database

DRIVING = TrustListType(
    code="driving-licence",
    version=1,
    vct=f"{URL}/vct/driving-licence",
    name=LocalText("机动车驾驶证", "Driving licence"),
    items=(TrustListItem("vehicle_class", 2, LocalText("准驾车型", "Class")),),
)
FOOD = replace(DRIVING, code="food-business", name=LocalText("食品经营许可证", "Food business licence"))


@pytest.fixture
def keys(tmp_path: Path, clock: FakeClock) -> KeyService:
    return KeyService(KeyFiles(tmp_path / "keys", PASSPHRASE), clock, URL)


@pytest.fixture
def lists(clock: FakeClock) -> TrustListService:
    return TrustListService(clock)


async def ring(session: AsyncSession, keys: KeyService) -> KeyRing:
    await keys.ensure(session, WANTED)
    return await keys.load(session)


def verified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header = json.loads(b64u_decode(token.split(".")[0]))
    leaf = x509.load_der_x509_certificate(base64.b64decode(header["x5c"][0]))
    jws = JWS()
    jws.deserialize(token, JWK.from_pyca(leaf.public_key()))
    return header, json.loads(jws.payload)


async def test_the_list_says_what_its_format_says(
    database: Database, keys: KeyService, lists: TrustListService, clock: FakeClock
) -> None:
    async with database.transaction() as session:
        key_ring = await ring(session, keys)
        assert await lists.publish(session, key_ring, [DRIVING], URL)
        published = await lists.current(session)
    header, claims = verified(published.token)
    signer = key_ring.signer(KeyPurpose.TRUST_LIST)
    assert header == {
        "alg": "ES256",
        "typ": "lz-trust-list+jwt",
        "x5c": [base64.b64encode(signer.x5c_der[0]).decode()],
    }
    now = int(clock.now().timestamp())
    assert (claims["iat"], claims["exp"], claims["sequence"]) == (now, now + 7 * 86400, 1)
    assert (claims["iss"], claims["status_list_aggregation_uri"]) == (URL, f"{URL}/s")
    assert claims["types"] == [
        {
            "code": "driving-licence",
            "version": 1,
            "vct": f"{URL}/vct/driving-licence",
            "name": {"zh-CN": "机动车驾驶证", "en": "Driving licence"},
            "items": [{"name": "vehicle_class", "face_key": 2, "label": {"zh-CN": "准驾车型", "en": "Class"}}],
        }
    ]
    credential = key_ring.signer(KeyPurpose.CREDENTIAL, MARKET.code)
    assert [key["purpose"] for key in claims["keys"]] == ["credential", "pass", "status"]
    assert claims["keys"][0] == {
        "kid": base64.urlsafe_b64encode(credential.kid).rstrip(b"=").decode(),
        "purpose": "credential",
        "authority": {"code": MARKET.code, "name": MARKET.name},
        "licence_types": ["business-licence", "food-business"],
        "x5c": [base64.b64encode(credential.x5c_der[0]).decode()],
    }
    assert claims["keys"][1]["authority"] is None
    assert claims["keys"][1]["licence_types"] == ["*"]
    assert (published.sequence, published.expires_at) == (1, clock.now() + timedelta(days=7))


async def test_nothing_is_signed_when_nothing_changed(
    database: Database, keys: KeyService, lists: TrustListService, clock: FakeClock
) -> None:
    async with database.transaction() as session:
        key_ring = await ring(session, keys)
        assert await lists.publish(session, key_ring, [DRIVING, FOOD], URL)
        before = await lists.current(session)
        clock.forward(days=1)
        assert not await lists.publish(session, key_ring, [FOOD, DRIVING], URL)
        assert await lists.current(session) == before


async def test_an_ageing_list_is_signed_again_with_the_next_sequence(
    database: Database, keys: KeyService, lists: TrustListService, clock: FakeClock
) -> None:
    async with database.transaction() as session:
        key_ring = await ring(session, keys)
        await lists.publish(session, key_ring, [DRIVING], URL)
        first = await lists.current(session)
        clock.forward(days=1, seconds=1)
        assert await lists.publish(session, key_ring, [DRIVING], URL)
        second = await lists.current(session)
    assert second.sequence == 2
    assert second.etag != first.etag
    assert second.expires_at > first.expires_at


@pytest.mark.parametrize("change", ["a type", "a label", "the address"])
async def test_changed_content_is_published_at_once(
    database: Database, keys: KeyService, lists: TrustListService, change: str
) -> None:
    relabelled = replace(DRIVING, name=LocalText("驾驶证", "Driving licence"))
    types: Sequence[TrustListType] = {"a type": [DRIVING, FOOD], "a label": [relabelled]}.get(change, [DRIVING])
    url = "https://elsewhere.example" if change == "the address" else URL
    async with database.transaction() as session:
        key_ring = await ring(session, keys)
        await lists.publish(session, key_ring, [DRIVING], URL)
        assert await lists.publish(session, key_ring, types, url)
        assert (await lists.current(session)).sequence == 2


async def test_a_process_that_loaded_before_a_rotation_does_not_take_the_new_key_out_again(
    database: Database, keys: KeyService, lists: TrustListService
) -> None:
    async with database.transaction() as session:
        stale = await ring(session, keys)
        await lists.publish(session, stale, [DRIVING], URL)
        new_kid = await keys.rotate(session, KeyPurpose.PASS)
        assert await lists.publish(session, await keys.load(session), [DRIVING], URL)
        assert not await lists.publish(session, stale, [DRIVING], URL)
        _, claims = verified((await lists.current(session)).token)
    passes = {b64u_decode(key["kid"]) for key in claims["keys"] if key["purpose"] == "pass"}
    assert passes == {new_kid, stale.signer(KeyPurpose.PASS).kid}


async def test_of_many_processes_one_publishes_a_sequence(
    database: Database, keys: KeyService, lists: TrustListService
) -> None:
    async with database.transaction() as session:
        key_ring = await ring(session, keys)

    async def publish() -> bool:
        async with database.transaction() as session:
            return await lists.publish(session, key_ring, [DRIVING], URL)

    assert sorted(await asyncio.gather(*(publish() for _ in range(8)))) == [False] * 7 + [True]
    async with database.snapshot() as session:
        assert (await lists.current(session)).sequence == 1


async def test_only_the_newest_lists_are_kept(
    database: Database, keys: KeyService, lists: TrustListService, clock: FakeClock
) -> None:
    async with database.transaction() as session:
        key_ring = await ring(session, keys)
        for version in range(1, 41):
            assert await lists.publish(session, key_ring, [replace(DRIVING, version=version)], URL)
        assert (await lists.current(session)).sequence == 40
        connection = await session.connection()
        assert (await connection.exec_driver_sql("SELECT min(sequence) FROM trust_list")).scalar_one() == 11


async def test_before_the_first_publication_there_is_no_list(database: Database, lists: TrustListService) -> None:
    async with database.snapshot() as session:
        with pytest.raises(TrustListMissing):
            await lists.current(session)


def test_the_order_of_types_does_not_matter() -> None:
    one, other = (trust_list_content(URL, f"{URL}/s", (), types) for types in ([DRIVING, FOOD], [FOOD, DRIVING]))
    assert content_digest(one) == content_digest(other)
    assert content_digest(one) != content_digest(trust_list_content(URL, f"{URL}/s", (), [DRIVING]))
