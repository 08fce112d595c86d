"""Thin clients, passes for signed-in holders, the portrait, and patterns that are stopped."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import structlog
import zxingcpp
from PIL import Image
from sqlalchemy import update
from typer.testing import CliRunner

from credentials.catalogue import Catalogue, LicenceType
from credentials.catalogue.errors import ItemError
from credentials.catalogue.models import ItemType
from presentation.checks.patterns import neighbouring
from tests.credentials.rows import driving_row, resident_id, step_row
from tests.wallet_api.running import Running, Wallet
from tests.wallet_api.showing import Device, inspector, refusal
from wallet_api.cli import app
from wallet_api.oauth.repository import GRANT

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PORTRAIT = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


async def live_code(wallet: Wallet, accept: str = "application/json", **members: object) -> httpx.Response:
    body = json.dumps(members).encode()
    return await wallet.post("/api/v1/me/live-codes", content=body, headers={"Accept": accept})


async def test_a_thin_client_shows_with_a_key_that_the_server_holds(running: Running) -> None:
    wallet, police = await running.wallet(), await inspector(running)
    answer = await live_code(wallet, profile="face")
    assert answer.status_code == 201, answer.text
    code = answer.json()
    assert code["expires_at"] - code["made_at"] == 60
    claims = await police.released(code["text"])
    assert claims["items"]["holder_name"] == driving_row()["certificate_holders"][0]["certificate_holder_name"]
    assert refusal(await police.check(code["text"])) == (409, "already_used", "not_valid")
    late = (await live_code(wallet)).json()["text"]
    running.clock.forward(seconds=91)
    assert refusal(await police.check(late)) == (422, "proof_expired", "not_valid")
    issued = await running.count("issuance")
    second = (await live_code(wallet)).json()["text"]
    assert second != late
    assert await running.count("issuance") == issued, "one key and status index a session and profile"
    running.clock.forward(minutes=15)
    police.bearer = ""
    await police.released((await live_code(wallet)).json()["text"])
    assert await running.count("issuance") == issued + 1
    assert await running.count("held_show_key") == 2
    running.clock.forward(minutes=16)
    async with running.platform.database.transaction() as session:
        await running.platform.held_keys.prune(session)
    assert await running.count("held_show_key") == 0


async def test_the_picture_of_a_code_says_the_same_text(running: Running, tmp_path: Path) -> None:
    wallet, police = await running.wallet(), await inspector(running)
    picture = await live_code(wallet, "image/png", profile="minimal")
    assert (picture.status_code, picture.headers["content-type"]) == (201, "image/png")
    file = tmp_path / "code.png"
    file.write_bytes(picture.content)
    (read,) = zxingcpp.read_barcodes(Image.open(file))
    claims = await police.released(read.text)
    assert claims["items"]["certificate_number"].count("*") == 14
    drawing = await live_code(wallet, "image/svg+xml;q=1", profile="minimal")
    assert (drawing.status_code, drawing.headers["content-type"]) == (201, "image/svg+xml")
    assert b"<svg" in drawing.content
    for wrong in ({"profile": "all"}, {"licence": "x"}, {"more": 1}, {"profile": 1}):
        assert (await live_code(wallet, **wrong)).status_code == 422


async def test_nothing_is_shown_of_a_licence_that_is_not_in_force(running: Running) -> None:
    device = await Device.of(running)
    await running.take(step_row(1, 2, "03"))
    for answer in (await live_code(device.wallet), await device.ask_passes()):
        assert refusal(answer) == (409, "licence_not_in_force", None)
    await running.take(step_row(1, 3, "05", cert_state="07"))
    for answer in (await live_code(device.wallet), await device.ask_passes()):
        assert refusal(answer) == (409, "licence_not_in_force", None)


async def test_a_signed_in_holder_says_which_licence(running: Running) -> None:
    """A grant of the code flow names no licence; the device key does, or the wallet says it."""
    device = await Device.of(running)
    await running.take(driving_row(2))
    async with running.platform.database.transaction() as session:
        await session.execute(update(GRANT).values(licence_id=None))
        own = await running.platform.registry.licence(session, await running.licence_id(1))
        foreign = await running.platform.registry.licence(session, await running.licence_id(2))
    assert (await device.ask_passes()).status_code == 201, "the key has a credential of one licence"
    assert (await device.ask_passes(licence=own.identifier)).status_code == 201
    assert refusal(await live_code(device.wallet)) == (422, "pass_request_invalid", None)
    assert (await live_code(device.wallet, licence=own.identifier)).status_code == 201
    for answer in (
        await device.ask_passes(licence=foreign.identifier),
        await live_code(device.wallet, licence=foreign.identifier),
        await live_code(device.wallet, licence="1.2.3"),
    ):
        assert answer.status_code == 404
    assert refusal(await device.ask_passes(jwk=JWK_OF_NOBODY)) == (422, "pass_request_invalid", None)


JWK_OF_NOBODY = {
    "kty": "EC",
    "crv": "P-256",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
}


def with_portrait(kind: LicenceType) -> LicenceType:
    """The type with the holder's photo as an item."""
    (example, *_) = kind.items
    portrait = replace(
        example, name="portrait_photo", type=ItemType.IMAGE, required=False, face_key=None, on_face=False, example=None
    )
    return replace(kind, items=(*kind.items, portrait))


async def test_the_portrait_is_released_where_the_scene_names_it_and_it_is_asked_for(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = running.platform.catalogue
    kind = with_portrait(catalogue.get("driving-licence"))
    for held in (catalogue._versions, catalogue._newest, catalogue._by_certificate_type_code):
        for key, value in list(held.items()):  # type: ignore[attr-defined]
            if value.code == kind.code:
                monkeypatch.setitem(held, key, kind)  # type: ignore[arg-type]
    row = driving_row()
    await running.take(row | {"business_information": row["business_information"] | {"portrait_photo": PORTRAIT}})
    device, police = await Device.of(running, 1, "minimal", "face"), await inspector(running)
    for profile in ("minimal", "face"):
        claims = await police.released(device.code(profile))
        assert claims["portrait"] == PORTRAIT
        assert "portrait_photo" not in claims["items"], "no pass carries it, only the scene's portrait releases it"
    narrow = await police.released(device.code(), items=["vehicle_class"])
    assert "portrait" not in narrow
    entries = (await device.access_log())["entries"]
    assert ["portrait" in entry["items"] for entry in entries] == [False, True, True]
    assert PORTRAIT[30:] not in json.dumps(entries)


def test_a_picture_is_a_small_jpeg_or_png() -> None:
    item = with_portrait(Catalogue.default().get("driving-licence")).items[-1]
    assert item.check(PORTRAIT) == PORTRAIT
    jpeg = base64.b64encode(b"\xff\xd8\xff" + bytes(9)).decode()
    assert item.check(f"data:image/jpeg;base64,{jpeg}")
    for wrong in (
        None,
        "",
        "x",
        PORTRAIT.replace("png", "jpeg"),
        PORTRAIT + "\n",
        PORTRAIT[:-1],
        PORTRAIT + "A" * 40_000,
    ):
        with pytest.raises(ItemError):
            item.check(wrong)
    with pytest.raises(ItemError):
        item.check("data:image/svg+xml;base64,PHN2Zz4=")


async def test_many_refusals_are_stopped_reported_and_forgotten_after_a_while(running: Running) -> None:
    device, police = await Device.of(running), await inspector(running, refusals_per_10_minutes=5)
    for _ in range(5):
        assert refusal(await police.check("nonsense"))[0] == 422
    with structlog.testing.capture_logs() as lines:
        answer = await police.check(device.code())
        assert refusal(answer) == (429, "too_many_refusals", None)
        assert answer.headers["retry-after"]
        assert refusal(await police.check(device.code())) == (429, "too_many_refusals", None)
    warned = [line for line in lines if line["event"] == "check_pattern_stopped"]
    assert [(line["verifier"], line["kind"]) for line in warned] == [("police-terminal", "refusals")]
    async with running.platform.database.snapshot() as session:
        (report,) = await running.platform.checks.reports(session)
    assert report.stopped == 2
    assert b'liangzheng_check_patterns_stopped_total{kind="refusals"} 2.0' in running.platform.metrics.text()
    running.clock.forward(minutes=11)
    police.bearer = ""
    await police.released(device.code())
    running.clock.forward(hours=3)
    async with running.platform.database.transaction() as session:
        await running.platform.checks.prune(session)
    assert await running.count("check_trace") == 0


async def test_more_holders_in_a_minute_than_registered_are_stopped(running: Running) -> None:
    """Lesson 26: a gate is a gate, an inspector is not."""
    police = await inspector(running, holders_per_minute=2)
    devices = [await Device.of(running, number) for number in (10, 20, 30)]
    await police.released(devices[0].code())
    await police.released(devices[0].code())
    await police.released(devices[1].code())
    assert refusal(await police.check(devices[2].code())) == (429, "pattern_stopped", None)
    running.clock.forward(seconds=61)
    await police.released(devices[2].code())


async def test_numbers_one_after_another_are_stopped(running: Running) -> None:
    """Lesson 27: somebody walks through a register."""
    police = await inspector(running)
    for number in range(101, 106):
        device = await Device.of(running, number)
        await police.released(device.code())
    code = (device := await Device.of(running, 106)).code()
    assert refusal(await police.check(code)) == (429, "pattern_stopped", None)
    async with running.platform.database.snapshot() as session:
        (report,) = await running.platform.checks.reports(session)
    assert report.kind == "sequence"
    assert await running.count("access_log") == 5
    other = await inspector(running, "other")
    await other.released(device.code())
    running.clock.forward(seconds=3601)
    police.bearer = ""
    await police.released(device.code())


def test_neighbours_of_a_number_are_those_that_count_on() -> None:
    assert neighbouring("A0999") == ["A0999", "A0998", "A1000"]
    assert neighbouring("沪0") == ["沪0", "沪1"]
    assert neighbouring("ABC") == ["ABC"]
    assert neighbouring("") == [""]
    assert resident_id(102)[:-1] in neighbouring(resident_id(101))


async def test_no_personal_data_reaches_the_log_of_the_process(
    running: Running, capfd: pytest.CaptureFixture[str]
) -> None:
    device, police = await Device.of(running, 1, "minimal", "face"), await inspector(running)
    code = device.code()
    await police.released(code, reason="找张三丰", operator="031234")
    await police.check(code, reason="找张三丰")
    await police.check("张三丰310101", reason="找张三丰")
    await device.access_log()
    said = "".join(capfd.readouterr())
    row = driving_row()
    for personal in ("张三丰", "031234", row["certificate_number"], code[-40:], "C1"):
        assert personal not in said


SCENE_FILE = """\
- id: school-bus
  name: {zh: 校车, en: Bus}
  offline: true
  legal_basis: 校车安全管理条例
  items: {driving-licence: [holder_name]}
"""


def test_verifiers_and_scenes_are_kept_from_the_command_line(tmp_path: Path) -> None:
    scenes, env = tmp_path / "scenes.yaml", {"DATA_DIR": str(tmp_path / "data"), "COLUMNS": "200"}
    scenes.write_text(SCENE_FILE)

    def liangzheng(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, arguments, env=env)
        return done.exit_code, done.output

    assert liangzheng("scenes", "put", str(scenes)) == (0, "✓ school-bus version 1\n")
    registered = liangzheng("verifiers", "register", "bus", "--organisation", "某市教育局", "--scene", "school-bus")
    assert registered[0] == 0, registered
    assert (tmp_path / "data" / "clients" / "bus.pem").stat().st_mode & 0o077 == 0
    out_of_form = liangzheng("verifiers", "register", "No Id", "--organisation", "某市教育局", "--scene", "school-bus")
    assert out_of_form[0] == 1
    assert "No Id" not in liangzheng("verifiers", "list")[1], "what is refused is not half registered"
    as_department = liangzheng("department", "register", "bus", "--authority", "11310000000000211K")
    assert as_department[0] == 1
    assert "registered as something else" in as_department[1]
    assert liangzheng("verifiers", "suspend", "bus")[0] == 0
    assert "bus  suspended  某市教育局" in liangzheng("verifiers", "list")[1]
    assert liangzheng("verifiers", "resume", "nobody")[0] == 1
    assert liangzheng("access-log", "verify") == (0, "✓ 0 chains hold\n")
