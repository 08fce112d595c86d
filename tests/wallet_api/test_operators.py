"""The operators' API: verifiers, scenes, and the notes of what was done."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.credentials.rows import driving_row
from tests.wallet_api.running import Department, Running, new_key
from tests.wallet_api.showing import Device, Inspector, inspector, operator, refusal

AT = "/api/v1/operators"
BODY: dict[str, Any] = {
    "organisation": "某市公安局交通警察总队",
    "system_name": "路面查验终端",
    "scenes": ["traffic-police-check"],
}
SCENE: dict[str, Any] = {
    "replaces_version": 0,
    "name": {"zh": "校车检查", "en": "School bus check"},
    "offline": False,
    "legal_basis": "《校车安全管理条例》",
    "items": {"driving-licence": ["holder_name", "vehicle_class", "portrait"]},
}
WHY = {"reason": "key lost"}


async def put(desk: Department, path: str, body: object) -> httpx.Response:
    headers = {"Authorization": f"Bearer {await desk.token()}"}
    return await desk.running.http.put(f"{desk.running.url}{AT}{path}", headers=headers, json=body)


async def registered(running: Running, desk: Department) -> Inspector:
    terminal = Inspector(running, "terminal")
    answer = await put(desk, "/verifiers/terminal", BODY | {"jwk": terminal.key.export_public(as_dict=True)})
    assert (answer.status_code, answer.json()["suspended_at"]) == (201, None), answer.text
    return terminal


async def test_a_verifier_registered_by_an_operator_checks_until_it_is_suspended(running: Running) -> None:
    await running.take(driving_row(1))
    desk, device = await operator(running), await Device.of(running)
    terminal = await registered(running, desk)
    assert (await terminal.check(device.code())).status_code == 200
    suspended = await desk.post(f"{AT}/verifiers/terminal/suspend", WHY)
    assert suspended.json()["suspended_at"]
    assert refusal(await terminal.check(device.code()))[:2] == (403, "verifier_suspended")  # by the token it has
    changed = await put(desk, "/verifiers/terminal", BODY | {"system_name": "另一终端"})
    assert (changed.status_code, changed.json()["system_name"]) == (200, "另一终端")
    assert changed.json()["suspended_at"] == suspended.json()["suspended_at"]
    assert (await desk.post(f"{AT}/verifiers/terminal/resume", {"reason": "new key"})).status_code == 200
    assert (await terminal.check(device.code())).status_code == 200


async def test_a_replaced_key_ends_the_old_one(running: Running) -> None:
    desk = await operator(running)
    terminal = await registered(running, desk)
    key = new_key()
    await put(desk, "/verifiers/terminal", BODY | {"jwk": key.export_public(as_dict=True)})
    assert (await terminal.ask_token()).json()["error"] == "invalid_client"
    terminal.key = key
    assert (await terminal.ask_token()).status_code == 200


async def test_the_register_is_listed(running: Running) -> None:
    desk = await operator(running)
    await registered(running, desk)
    await inspector(running)
    listed = (await desk.get(f"{AT}/verifiers")).json()["verifiers"]
    assert [one["client_id"] for one in listed] == ["police-terminal", "terminal"]
    assert (await desk.get(f"{AT}/verifiers/terminal")).json() == listed[1]
    assert (await desk.get(f"{AT}/patterns")).json() == {"patterns": []}


async def test_what_is_not_there_or_out_of_form_is_told(running: Running) -> None:
    desk = await operator(running)
    await running.department()
    assert refusal(await desk.get(f"{AT}/verifiers/nobody"))[:2] == (404, "verifier_unknown")
    assert refusal(await desk.post(f"{AT}/verifiers/nobody/suspend", WHY))[:2] == (404, "verifier_unknown")
    assert refusal(await put(desk, "/verifiers/new", BODY))[:2] == (422, "verifier_invalid")
    key = {"jwk": new_key().export_public(as_dict=True)}
    department = (await running.department()).client_id
    assert refusal(await put(desk, f"/verifiers/{department}", BODY | key))[:2] == (409, "client_id_taken")
    assert refusal(await put(desk, "/verifiers/new", BODY | key | {"scenes": ["no-such"]}))[:2] == (
        404, "scene_unknown")  # fmt: skip
    wrong: list[dict[str, Any]] = [
        {"jwk": {}}, {"jwk": new_key().export_private(as_dict=True)}, {"organisation": "\x00"}, {"system_name": " "},
        {"holders_per_minute": 0}, {"holders_per_minute": True}, {"more": 1}, {"scenes": ["a"] * 201},
    ]  # fmt: skip
    for one in wrong:
        answer = await put(desk, "/verifiers/new", BODY | key | one)
        assert answer.status_code == 422, (one, answer.text)
    for reason in ("", "x" * 201, "a\nb", 5, "a\u202eb", "\x9b2J", " "):
        assert (await desk.post(f"{AT}/verifiers/new/suspend", {"reason": reason})).status_code == 422
    assert (await desk.get(f"{AT}/verifiers")).json() == {"verifiers": []}
    assert (await desk.get(f"{AT}/actions")).json()["actions"] == []


async def test_a_scene_is_put_changed_and_retired(running: Running) -> None:
    desk = await operator(running)
    first = await put(desk, "/scenes/school-bus", SCENE)
    assert (first.status_code, first.json()["version"]) == (200, 1), first.text
    assert (await put(desk, "/scenes/school-bus", SCENE | {"replaces_version": 1})).json()["version"] == 1
    second = await put(desk, "/scenes/school-bus", SCENE | {"replaces_version": 1, "offline": True})
    assert second.json()["version"] == 2
    assert refusal(await put(desk, "/scenes/school-bus", SCENE))[:2] == (409, "scene_changed")
    published = (await running.get("/api/v1/scenes")).json()["scenes"]
    assert [one["offline"] for one in published if one["id"] == "school-bus"] == [True]
    assert (await desk.post(f"{AT}/scenes/school-bus/retire", WHY)).status_code == 204
    assert refusal(await desk.post(f"{AT}/scenes/school-bus/retire", WHY))[:2] == (404, "scene_unknown")
    assert all(one["id"] != "school-bus" for one in (await running.get("/api/v1/scenes")).json()["scenes"])
    (retired,) = [one for one in (await desk.get(f"{AT}/scenes")).json()["scenes"] if one["id"] == "school-bus"]
    assert (retired["retired"], retired["version"]) == (True, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": {"zh": "只有中文"}}, {"items": {}}, {"items": {"no-such-type": ["x"]}}, {"legal_basis": "\x00"},
        {"items": {"driving-licence": ["no_such_item"]}}, {"offline": "yes"}, {"more": 1}, {"replaces_version": -1},
    ],
)  # fmt: skip
async def test_a_scene_out_of_form_changes_nothing(running: Running, wrong: dict[str, Any]) -> None:
    desk = await operator(running)
    answer = await put(desk, "/scenes/school-bus", SCENE | wrong)
    assert answer.status_code == 422, answer.text
    assert all(one["id"] != "school-bus" for one in (await desk.get(f"{AT}/scenes")).json()["scenes"])


async def test_of_two_operators_at_once_one_changes_a_scene(running: Running) -> None:
    desks = [await operator(running, f"desk-{n}") for n in range(4)]
    answers = await asyncio.gather(
        *(put(desk, "/scenes/school-bus", SCENE | {"legal_basis": desk.client_id}) for desk in desks)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    (note,) = (await desks[0].get(f"{AT}/actions")).json()["actions"]
    (stands,) = [answer.json()["legal_basis"] for answer in answers if answer.status_code == 200]
    assert (note["operator"], note["action"], note["subject"]) == (stands, "scene_put", "school-bus 1")


async def test_every_step_is_noted_page_by_page(running: Running) -> None:
    desk = await operator(running)
    await registered(running, desk)
    await desk.post(f"{AT}/verifiers/terminal/suspend", WHY)
    await desk.post(f"{AT}/verifiers/terminal/resume", {"reason": "found"})
    first = (await desk.get(f"{AT}/actions", limit=2)).json()
    rest = (await desk.get(f"{AT}/actions", limit=2, cursor=first["next_cursor"])).json()
    notes = [*first["actions"], *rest["actions"]]
    assert [note["action"] for note in notes] == ["verifier_resumed", "verifier_suspended", "verifier_registered"]
    assert {note["operator"] for note in notes} == {"city-desk"}
    assert notes[1]["reason"] == "key lost"
    assert rest["next_cursor"] is None
    assert refusal(await desk.get(f"{AT}/actions", cursor="AAAA"))[1] == "cursor_invalid"


async def test_nobody_else_may(running: Running) -> None:
    others = [await running.department(), await inspector(running)]
    for method, path in [("GET", "/verifiers"), ("PUT", "/verifiers/x"), ("PUT", "/scenes/x"), ("GET", "/actions")]:
        for other in others:
            headers = {"Authorization": f"Bearer {await other.token()}"}
            answer = await running.http.request(method, f"{running.url}{AT}{path}", headers=headers, json=BODY)
            assert refusal(answer)[:2] == (403, "insufficient_scope")
        assert (await running.http.request(method, f"{running.url}{AT}{path}", json=BODY)).status_code == 401
    desk = await operator(running)
    token = {"Authorization": f"Bearer {await desk.token()}"}
    async with running.platform.database.transaction() as session:
        await running.platform.oauth.set_client_active(session, "city-desk", "platform:operate", active=False)
    assert (await running.get(f"{AT}/verifiers", headers=token)).status_code == 401
    assert (await desk.ask_token()).json()["error"] == "invalid_client"
