"""Types are versioned: what was issued under a version keeps it, whatever the pack becomes."""

import base64
import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from credentials.catalogue import Catalogue, PackError
from tests.credentials.rows import driving_row
from tests.fakes import FakeClock
from tests.wallet_api.running import PUBLIC_URL, Running
from wallet_api.database import Database

PACKS = resources.files("credentials.catalogue") / "packs"
NEW_ITEM = """\
items:
  - name: blood_group
    label: {zh: 血型, en: Blood group}
    type: string
    max_length: 3
    required: false
    face: false
"""


def _write(folder: Path, name: str, yaml: str) -> None:
    (folder / f"{name}.yaml").write_text(yaml, encoding="utf-8")
    (folder / f"{name}.svg").write_bytes((PACKS / "driving-licence.svg").read_bytes())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Version 1 of one type, as it ships."""
    folder = tmp_path / "packs"
    folder.mkdir()
    _write(folder, "driving-licence", (PACKS / "driving-licence.yaml").read_text(encoding="utf-8"))
    return folder


def _move_on(folder: Path) -> None:
    """Version 2 has one more item; version 1 stays beside it."""
    old = (folder / "driving-licence.yaml").read_text(encoding="utf-8")
    _write(folder, "driving-licence.1", old)
    new = old.replace("version: 1", "version: 2", 1).replace("items:\n", NEW_ITEM, 1)
    _write(folder, "driving-licence", new)


def _claims(credential: str) -> dict[str, Any]:
    payload = credential.split("~")[0].split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return claims


async def test_a_licence_keeps_the_version_that_it_was_issued_under(
    folder: Path, database: Database, tmp_path: Path, clock: FakeClock
) -> None:
    before = await Running.start(tmp_path, clock, database, catalogue=Catalogue.load(folder))
    old_vct = _claims(await (await before.wallet(1)).credential())["vct"]
    assert old_vct == f"{PUBLIC_URL}/types/driving-licence/1"
    metadata = (await before.get("/types/driving-licence/1")).json()

    _move_on(folder)
    running = await Running.start(tmp_path, clock, database, catalogue=Catalogue.load(folder))
    new = driving_row(2)
    new["business_information"]["blood_group"] = "AB"
    await running.take(new)
    async with database.snapshot() as session:
        registry = running.platform.registry
        versions = [
            (await registry.licence(session, await running.licence_id(number))).type_version for number in (1, 2)
        ]
    assert versions == [1, 2]
    assert _claims(await (await running.wallet(1)).credential())["vct"] == old_vct
    assert _claims(await (await running.wallet(2)).credential())["vct"] == f"{PUBLIC_URL}/types/driving-licence/2"

    assert (await running.get("/types/driving-licence/1")).json() == metadata
    newest = (await running.get("/types/driving-licence/2")).json()
    assert ["blood_group"] in [claim["path"] for claim in newest["claims"]]
    trust = (await running.get("/api/v1/trust-list")).text
    listed = json.loads(base64.urlsafe_b64decode(trust.split(".")[1] + "=="))["types"]
    assert [(kind["code"], kind["version"]) for kind in listed] == [("driving-licence", 1), ("driving-licence", 2)]

    await running.take(driving_row(1, operate_type="02", source_version=2, certificate_validate_end="2036-02-28"))
    async with database.snapshot() as session:
        renewed = await registry.licence(session, await running.licence_id(1))
    assert (renewed.version, renewed.type_version) == (2, 2), "a renewal is issued under the newest version"
    for process in (before, running):
        await process.http.aclose()


def test_two_files_that_are_both_the_newest_are_refused_with_file_line_and_field(folder: Path) -> None:
    _move_on(folder)
    old = (folder / "driving-licence.1.yaml").read_text(encoding="utf-8")
    _write(folder, "driving-licence.2", old.replace("version: 1", "version: 2", 1))
    with pytest.raises(PackError) as refused:
        Catalogue.load(folder)
    assert (refused.value.file, refused.value.line, refused.value.field) == ("driving-licence.2.yaml", 1, "version")


def test_there_are_at_least_twenty_four_types() -> None:
    assert len(Catalogue.default().types()) >= 24
