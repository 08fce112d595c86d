"""Keys are made once, proven when loaded, and rotated without a gap."""

import asyncio
import re
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from credentials.keys import Authority, KeyPurpose, KeyRequest, KeyRing, KeyService
from credentials.keys.errors import (
    KeyCertificateMismatch,
    KeyFileMissing,
    KeyFileUnreadable,
    KeyRotationLost,
    SigningKeyMissing,
)
from credentials.keys.formats.x509 import names_url
from credentials.keys.key_files import KeyFiles
from credentials.keys.models import KeyState
from credentials.keys.repository import KeyRepository
from credentials.keys.signers import prove
from tests.credentials.keys.requests import MARKET, MARKET_KEY, PASSPHRASE, PLATFORM_KEYS, URL, WANTED
from tests.fakes import FakeClock
from wallet_api.database import Database


@pytest.fixture
def keys(tmp_path: Path, clock: FakeClock) -> KeyService:
    return KeyService(KeyFiles(tmp_path / "keys", PASSPHRASE), clock, URL)


async def ensured(database: Database, keys: KeyService, wanted: tuple[KeyRequest, ...] = WANTED) -> KeyRing:
    async with database.transaction() as session:
        await keys.ensure(session, wanted)
        return await keys.load(session)


def kids(key_ring: KeyRing, purpose: KeyPurpose) -> set[bytes]:
    return {key.kid for key in key_ring.trusted() if key.purpose is purpose}


async def test_every_wanted_key_signs_after_the_start(database: Database, keys: KeyService) -> None:
    key_ring = await ensured(database, keys)
    root = x509.load_pem_x509_certificate(key_ring.anchor_pem.encode())
    for request in WANTED:
        signer = key_ring.signer(request.purpose, request.authority_code)
        prove(signer)
        assert len(signer.sign(b"message")) == 64
        assert len(signer.kid) == 8
        (leaf,) = map(x509.load_der_x509_certificate, signer.x5c_der)
        leaf.verify_directly_issued_by(root)


async def test_the_anchor_is_never_part_of_x5c(database: Database, keys: KeyService) -> None:
    key_ring = await ensured(database, keys)
    anchor = x509.load_pem_x509_certificate(key_ring.anchor_pem.encode())
    chains = [signer.x5c_der for signer in key_ring.signers.values()]
    assert all(x509.load_der_x509_certificate(der) != anchor for chain in chains for der in chain)


async def test_certificates_live_three_years_and_begin_a_little_in_the_past(
    database: Database, keys: KeyService, clock: FakeClock
) -> None:
    (der,) = (await ensured(database, keys)).signer(KeyPurpose.PASS).x5c_der
    leaf = x509.load_der_x509_certificate(der)
    assert (clock.now() - leaf.not_valid_before_utc).total_seconds() == 300
    assert (leaf.not_valid_after_utc - clock.now()).days == 3 * 365


async def test_readers_are_told_of_every_key_but_the_root_and_the_lists_own(
    database: Database, keys: KeyService
) -> None:
    trusted = (await ensured(database, keys)).trusted()
    assert sorted(key.purpose for key in trusted) == ["credential", "pass", "status"]
    (credential,) = [key for key in trusted if key.purpose is KeyPurpose.CREDENTIAL]
    assert credential.authority == MARKET
    assert credential.licence_types == MARKET_KEY.licence_types


async def test_ensuring_again_changes_nothing(database: Database, keys: KeyService, tmp_path: Path) -> None:
    first = await ensured(database, keys)
    files = sorted((tmp_path / "keys").iterdir())
    assert (await ensured(database, keys)).trusted() == first.trusted()
    assert sorted((tmp_path / "keys").iterdir()) == files


async def test_two_processes_that_start_at_once_end_up_with_the_same_keys(
    database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    processes = [KeyService(KeyFiles(tmp_path / "keys", PASSPHRASE), clock, URL) for _ in range(4)]
    orders = (WANTED, WANTED[::-1], WANTED, WANTED[::-1])
    rings = await asyncio.gather(
        *(ensured(database, keys, order) for keys, order in zip(processes, orders, strict=True))
    )
    assert len({ring.anchor_pem for ring in rings}) == 1
    assert len({ring.trusted() for ring in rings}) == 1
    assert len(list((tmp_path / "keys").iterdir())) == 1 + len(WANTED)


async def test_changed_licence_types_are_taken_over_by_the_same_key(database: Database, keys: KeyService) -> None:
    before = await ensured(database, keys)
    wider = KeyRequest(KeyPurpose.CREDENTIAL, MARKET, ("*",))
    after = await ensured(database, keys, (*PLATFORM_KEYS, wider))
    assert kids(after, KeyPurpose.CREDENTIAL) == kids(before, KeyPurpose.CREDENTIAL)
    assert {key.licence_types for key in after.trusted()} == {("*",)}


async def test_a_renamed_authority_takes_a_new_key(database: Database, keys: KeyService) -> None:
    before = await ensured(database, keys)
    renamed = Authority(MARKET.code, "某市市场监督管理委员会")
    after = await ensured(database, keys, (*PLATFORM_KEYS, KeyRequest(KeyPurpose.CREDENTIAL, renamed)))
    assert kids(before, KeyPurpose.CREDENTIAL) < kids(after, KeyPurpose.CREDENTIAL)
    signer = after.signer(KeyPurpose.CREDENTIAL, MARKET.code)
    assert signer.kid not in kids(before, KeyPurpose.CREDENTIAL)
    assert renamed.name in x509.load_der_x509_certificate(signer.x5c_der[0]).subject.rfc4514_string()


async def test_after_a_rotation_the_new_key_signs_and_the_old_one_is_still_trusted(
    database: Database, keys: KeyService
) -> None:
    before = await ensured(database, keys)
    async with database.transaction() as session:
        new_kid = await keys.rotate(session, KeyPurpose.CREDENTIAL, MARKET.code)
        after = await keys.load(session)
    old_kid = before.signer(KeyPurpose.CREDENTIAL, MARKET.code).kid
    assert after.signer(KeyPurpose.CREDENTIAL, MARKET.code).kid == new_kid != old_kid
    assert kids(after, KeyPurpose.CREDENTIAL) == {new_kid, old_kid}
    assert kids(after, KeyPurpose.PASS) == kids(before, KeyPurpose.PASS)


async def test_rotations_at_once_leave_one_key_that_signs(database: Database, keys: KeyService) -> None:
    await ensured(database, keys)

    async def rotate() -> bytes:
        async with database.transaction() as session:
            return await keys.rotate(session, KeyPurpose.PASS)

    results = await asyncio.gather(*(rotate() for _ in range(6)), return_exceptions=True)
    won = [result for result in results if isinstance(result, bytes)]
    assert all(isinstance(result, bytes | KeyRotationLost) for result in results)
    async with database.snapshot() as session:
        key_ring = await keys.load(session)
    assert key_ring.signer(KeyPurpose.PASS).kid in won
    assert len(kids(key_ring, KeyPurpose.PASS)) == 1 + len(won)


async def test_a_key_moves_on_once_however_many_push(database: Database, keys: KeyService) -> None:
    kid = (await ensured(database, keys)).signer(KeyPurpose.PASS).kid

    async def push() -> bool:
        async with database.transaction() as session:
            return await KeyRepository(session).move(kid, KeyState.ACTIVE, KeyState.PREVIOUS)

    assert sum(await asyncio.gather(*(push() for _ in range(6)))) == 1


async def test_a_key_that_does_not_exist_is_not_rotated(database: Database, keys: KeyService) -> None:
    await ensured(database, keys)
    async with database.transaction() as session:
        for purpose, code in ((KeyPurpose.CREDENTIAL, "unknown"), (KeyPurpose.ROOT, None)):
            with pytest.raises(SigningKeyMissing):
                await keys.rotate(session, purpose, code)


async def test_a_leaked_key_leaves_the_trust_list(database: Database, keys: KeyService) -> None:
    leaked = (await ensured(database, keys)).signer(KeyPurpose.PASS).kid
    async with database.transaction() as session:
        with pytest.raises(SigningKeyMissing):
            await keys.retire(session, leaked)
        await keys.rotate(session, KeyPurpose.PASS)
        await keys.retire(session, leaked)
        assert leaked not in kids(await keys.load(session), KeyPurpose.PASS)


async def test_a_successor_is_announced_before_it_signs(database: Database, keys: KeyService, clock: FakeClock) -> None:
    old_kid = (await ensured(database, keys)).signer(KeyPurpose.PASS).kid
    clock.forward(days=3 * 365 - 399)
    announced = await ensured(database, keys)
    (new_kid,) = kids(announced, KeyPurpose.PASS) - {old_kid}
    assert announced.signer(KeyPurpose.PASS).kid == old_kid
    clock.forward(days=13)
    assert (await ensured(database, keys)).signer(KeyPurpose.PASS).kid == old_kid
    clock.forward(days=1)
    moved_on = await ensured(database, keys)
    assert moved_on.signer(KeyPurpose.PASS).kid == new_kid
    assert kids(moved_on, KeyPurpose.PASS) == {old_kid, new_kid}
    clock.forward(days=400)
    assert kids(await ensured(database, keys), KeyPurpose.PASS) == {new_kid}


async def test_a_rotation_prefers_the_announced_key(database: Database, keys: KeyService, clock: FakeClock) -> None:
    old_kid = (await ensured(database, keys)).signer(KeyPurpose.PASS).kid
    clock.forward(days=3 * 365 - 399)
    (new_kid,) = kids(await ensured(database, keys), KeyPurpose.PASS) - {old_kid}
    async with database.transaction() as session:
        assert await keys.rotate(session, KeyPurpose.PASS) == new_kid


async def test_a_renamed_authority_does_not_take_the_key_announced_under_its_old_name(
    database: Database, keys: KeyService, clock: FakeClock
) -> None:
    before = await ensured(database, keys)
    clock.forward(days=3 * 365 - 399)
    announced = kids(await ensured(database, keys), KeyPurpose.CREDENTIAL) - kids(before, KeyPurpose.CREDENTIAL)
    renamed = KeyRequest(KeyPurpose.CREDENTIAL, Authority(MARKET.code, "某市市场监督管理委员会"))
    after = await ensured(database, keys, (*PLATFORM_KEYS, renamed))
    assert len(announced) == 1
    assert not announced & kids(after, KeyPurpose.CREDENTIAL)


async def test_after_years_without_a_start_everything_is_made_anew(
    database: Database, keys: KeyService, clock: FakeClock
) -> None:
    old_kid = (await ensured(database, keys)).signer(KeyPurpose.PASS).kid
    clock.forward(days=3 * 365 + 1)
    async with database.snapshot() as session:
        expired = await keys.load(session)
    with pytest.raises(SigningKeyMissing):
        expired.signer(KeyPurpose.PASS)
    assert kids(await ensured(database, keys), KeyPurpose.PASS) not in (set(), {old_kid})


async def test_an_announced_key_steps_in_for_an_expired_one(
    database: Database, keys: KeyService, clock: FakeClock
) -> None:
    old_kid = (await ensured(database, keys)).signer(KeyPurpose.PASS).kid
    clock.forward(days=3 * 365 - 399)
    (new_kid,) = kids(await ensured(database, keys), KeyPurpose.PASS) - {old_kid}
    clock.forward(days=400)
    assert (await ensured(database, keys)).signer(KeyPurpose.PASS).kid == new_kid


async def test_a_swapped_key_file_is_found_out_when_loading(
    database: Database, keys: KeyService, tmp_path: Path
) -> None:
    kid = (await ensured(database, keys)).signer(KeyPurpose.PASS).kid
    (pass_file,) = (tmp_path / "keys").glob("pass-*")
    KeyFiles(tmp_path / "keys", PASSPHRASE).write(pass_file.stem, ec.generate_private_key(ec.SECP256R1()))
    async with database.snapshot() as session:
        with pytest.raises(KeyCertificateMismatch, match=kid.hex()):
            await keys.load(session)


async def test_a_swapped_root_key_signs_no_leaf(database: Database, keys: KeyService, tmp_path: Path) -> None:
    await ensured(database, keys, ())
    (root_file,) = (tmp_path / "keys").iterdir()
    KeyFiles(tmp_path / "keys", PASSPHRASE).write(root_file.stem, ec.generate_private_key(ec.SECP256R1()))
    async with database.transaction() as session:
        with pytest.raises(KeyCertificateMismatch):
            await keys.ensure(session, WANTED)


async def test_loading_does_not_need_the_roots_private_key(
    database: Database, keys: KeyService, tmp_path: Path
) -> None:
    await ensured(database, keys)
    (root_file,) = (tmp_path / "keys").glob("root-*")
    root_file.unlink()
    prove((await ensured(database, keys)).signer(KeyPurpose.PASS))
    async with database.transaction() as session:
        with pytest.raises(KeyFileMissing, match=root_file.name):
            await keys.rotate(session, KeyPurpose.PASS)


async def test_a_wrong_passphrase_stops_the_start(
    database: Database, keys: KeyService, clock: FakeClock, tmp_path: Path
) -> None:
    await ensured(database, keys)
    mistaken = KeyService(KeyFiles(tmp_path / "keys", b"another long passphrase"), clock, URL)
    async with database.snapshot() as session:
        with pytest.raises(KeyFileUnreadable):
            await mistaken.load(session)


async def test_loading_again_proves_only_what_is_new(database: Database, keys: KeyService, tmp_path: Path) -> None:
    before = await ensured(database, keys)
    async with database.transaction() as session:
        await keys.rotate(session, KeyPurpose.PASS)
    for file in (tmp_path / "keys").glob("status-*"):
        file.unlink()
    async with database.snapshot() as session:
        after = await keys.load(session, before)
        with pytest.raises(KeyFileMissing):
            await keys.load(session)
    assert after.signer(KeyPurpose.STATUS) is before.signer(KeyPurpose.STATUS)
    assert after.signer(KeyPurpose.PASS).kid != before.signer(KeyPurpose.PASS).kid


async def test_an_empty_platform_has_no_keys_to_load(database: Database, keys: KeyService) -> None:
    async with database.snapshot() as session:
        with pytest.raises(SigningKeyMissing):
            await keys.load(session)


async def test_nothing_private_is_in_the_database(database: Database, keys: KeyService) -> None:
    await ensured(database, keys)
    async with database.snapshot() as session:
        for key in await KeyRepository(session).unretired():
            assert re.fullmatch(f"file:{key.purpose.value}-[0-9a-f]{{16}}.pem", key.key_reference)
            assert key.state is KeyState.ACTIVE


async def test_a_new_address_announces_keys_whose_certificates_name_it(
    database: Database, keys: KeyService, clock: FakeClock, tmp_path: Path
) -> None:
    before = await ensured(database, keys)
    moved = KeyService(KeyFiles(tmp_path / "keys", PASSPHRASE), clock, "https://moved.example")
    announced = await ensured(database, moved)
    assert announced.signer(KeyPurpose.STATUS).kid == before.signer(KeyPurpose.STATUS).kid
    assert len(kids(announced, KeyPurpose.STATUS)) == 2
    clock.forward(days=14)
    (leaf,) = map(x509.load_der_x509_certificate, (await ensured(database, moved)).signer(KeyPurpose.STATUS).x5c_der)
    assert names_url(leaf, "https://moved.example")
    assert len(kids(await ensured(database, moved), KeyPurpose.STATUS)) == 2
