"""The verifier SDK against the running platform: checks on line, checks without a network, the journal between them."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.credentials.rows import driving_row, step_row
from tests.fakes import FakeClock
from tests.wallet_api.running import Running
from tests.wallet_api.showing import SCENE, Device, Inspector, inspector
from tests.wallet_api.test_issued_credentials import served, synchronised
from verifier_sdk import (
    CannotTell,
    Journal,
    NotValid,
    OnlineClient,
    Redeemed,
    Valid,
    Verifier,
    VerifierError,
)
from wallet_api.database import Database


def client_of(police: Inspector, running: Running) -> OnlineClient:
    key_pem = police.key.export_to_pem(private_key=True, password=None)
    return OnlineClient(running.url, police.client_id, key_pem, clock=running.clock)


async def refused(verifier: Verifier, client: OnlineClient, code: str, scene: str = SCENE) -> str:
    with pytest.raises(VerifierError) as refusal:
        await asyncio.to_thread(verifier.redeem, code, scene, client)
    return refusal.value.code


async def test_checks_with_and_without_a_network_and_the_journal_between_them(
    tmp_path: Path, clock: FakeClock, database: Database
) -> None:
    async with served(tmp_path, clock, database) as running:
        device = await Device.of(running)
        police = await inspector(running)
        client = client_of(police, running)
        await running.platform.publish_status()
        trust = await synchronised(running, tmp_path / "inspector")
        with trust, Journal.open(tmp_path / "inspector" / "journal") as journal:
            verifier = Verifier(trust, clock=clock, journal=journal)

            code = device.code()
            online = await asyncio.to_thread(verifier.redeem, code, SCENE, client, reason="例行检查")
            assert isinstance(online, Redeemed)
            values = {item.name: item.value for item in online.items}
            row = driving_row()
            assert values["holder_name"] == row["certificate_holders"][0]["certificate_holder_name"]
            assert values["vehicle_class"] == row["business_information"]["vehicle_class"]
            assert online.type_name.zh == "机动车驾驶证"
            assert await refused(verifier, client, code) == "already_used"
            with pytest.raises(NotValid, match="code_replayed"):
                verifier.check(code, scene=SCENE)

            offline = verifier.check(device.code(), scene=SCENE)
            assert isinstance(offline, Valid)
            assert offline.scene is not None
            shown = {item.label.zh: item.value for item in offline.items}
            assert shown["持证主体"] == values["holder_name"]
            report = await asyncio.to_thread(journal.upload, client)
            assert (report.accepted, report.unchanged, report.rejected) == (1, 0, ())
            assert journal.entries() == ()

        page = await device.access_log()
        assert Counter(entry["mode"] for entry in page["entries"]) == {"online": 1, "offline": 1}


async def test_the_platforms_refusals_have_the_sdks_codes(tmp_path: Path, clock: FakeClock, database: Database) -> None:
    async with served(tmp_path, clock, database) as running:
        device = await Device.of(running)
        police = await inspector(running)
        client = client_of(police, running)
        await running.platform.publish_status()
        with await synchronised(running, tmp_path / "inspector") as trust:
            verifier = Verifier(trust, clock=clock)
            assert await refused(verifier, client, device.code(ahead_s=-120)) == "proof_expired"
            assert await refused(verifier, client, device.code(), "no-such-scene") == "scene_unknown"
            scenes = trust.knowledge().scenes
            other = next(scene.id for scene in scenes if scene.id != SCENE)
            assert await refused(verifier, client, device.code(), other) == "verifier_refused"
            stranger = client_of(Inspector(running, "stranger"), running)
            assert await refused(verifier, stranger, device.code()) == "verifier_refused"
            await running.take(step_row(1, 2, "03"))
            assert await refused(verifier, client, device.code()) == "suspended"
            await running.take(step_row(1, 3, "05", cert_state="07"))
            assert await refused(verifier, client, device.code()) in ("revoked", "lapsed")


async def test_an_upload_that_nobody_heard_of_counts_once(tmp_path: Path, clock: FakeClock, database: Database) -> None:
    async with served(tmp_path, clock, database) as running:
        device = await Device.of(running)
        client = client_of(await inspector(running), running)
        await running.platform.publish_status()
        with (
            await synchronised(running, tmp_path / "inspector") as trust,
            Journal.open(tmp_path / "journal", b"k" * 32) as journal,
        ):
            Verifier(trust, clock=clock, journal=journal).check(device.code(), scene=SCENE)
            files = tmp_path / "journal", tmp_path / "journal.head"
            before = [file.read_bytes() for file in files]
            assert (await asyncio.to_thread(journal.upload, client)).accepted == 1
        for file, content in zip(files, before, strict=True):
            file.write_bytes(content)  # as if the device had died before it heard the answer
        with Journal.open(tmp_path / "journal", b"k" * 32) as journal:
            report = await asyncio.to_thread(journal.upload, client)
            assert (report.accepted, report.unchanged, report.rejected) == (0, 1, ())
        assert len((await device.access_log())["entries"]) == 1


async def test_without_the_platform_a_verifier_falls_back_or_cannot_tell(
    tmp_path: Path, clock: FakeClock, database: Database
) -> None:
    async with served(tmp_path, clock, database) as running:
        device = await Device.of(running)
        client = client_of(await inspector(running), running)
        await running.platform.publish_status()
        trust = await synchronised(running, tmp_path / "inspector")
        codes = device.code(), device.code()
    with trust:
        verifier = Verifier(trust, clock=clock)
        with pytest.raises(CannotTell, match="network_unavailable"):
            verifier.redeem(codes[0], SCENE, client)
        assert isinstance(verifier.redeem(codes[1], SCENE, client, or_offline=True), Valid)
