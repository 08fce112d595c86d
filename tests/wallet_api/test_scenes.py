"""Scenes: what the packs say, what operators change, and what readers are told."""

import asyncio

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.catalogue import Catalogue
from presentation.scenes import SceneInvalid, SceneUnknown, read_scene_file
from tests.credentials.issuance.test_parsers import ANY_JSON
from tests.wallet_api.running import Running, unverified
from wallet_api.checking import PackTypes, pack_scenes

SCENE = {
    "id": "school-bus",
    "name": {"zh": "校车检查", "en": "School bus check"},
    "offline": False,
    "legal_basis": "《校车安全管理条例》",
    "items": {"driving-licence": ["holder_name", "vehicle_class", "portrait"]},
}


def _file(*scenes: object) -> bytes:
    return yaml.safe_dump(list(scenes), allow_unicode=True).encode()


def test_every_scene_of_the_shipped_packs_is_one_that_an_operator_could_put() -> None:
    types = PackTypes(Catalogue.default())
    drafts = pack_scenes(Catalogue.default())
    assert len(drafts) > 40
    for draft in drafts:
        for code, names in draft.items.items():
            known = types.item_names(code)
            assert known is not None
            assert set(names) <= set(known), draft.id
    (market,) = [draft for draft in drafts if draft.id == "window-service"]
    assert len(market.items) > 20, "the types of one scene are joined"
    (road,) = [draft for draft in drafts if draft.id == "road-traffic"]
    assert set(road.items) == {
        "driving-licence",
        "vehicle-licence",
        "road-transport-certificate",
        "transport-practitioner-licence",
    }
    assert road.offline, "a road has no network"


async def test_scenes_are_told_to_everybody_and_stand_in_the_trust_list(running: Running) -> None:
    answer = await running.get("/api/v1/scenes")
    assert answer.status_code == 200
    told = answer.json()["scenes"]
    police = next(scene for scene in told if scene["id"] == "traffic-police-check")
    assert police["version"] == 1
    assert police["licence_types"] == ["driving-licence"]
    assert "portrait" in police["items"]["driving-licence"]
    assert (police["offline"], police["name"]["zh-CN"]) == (True, "交通警察路面查验")
    _, claims = unverified((await running.get("/api/v1/trust-list")).text)
    assert claims["scenes"] == told
    again = await running.get("/api/v1/scenes", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_an_operators_scene_follows_and_stays(running: Running) -> None:
    platform = running.platform
    (draft,) = read_scene_file(_file(SCENE))
    async with platform.database.transaction() as session:
        first = await platform.scenes.put(session, draft)
        assert await platform.scenes.put(session, draft) == first, "the same again changes nothing"
    (police,) = [one for one in pack_scenes(platform.catalogue) if one.id == "traffic-police-check"]
    changed = read_scene_file(_file({**SCENE, "id": police.id, "name": {"zh": police.name_zh, "en": police.name_en}}))
    async with platform.database.transaction() as session:
        assert (await platform.scenes.put(session, changed[0])).version == 2
    other = await Running.start(platform.settings.data_dir, running.clock, platform.database)  # seeds once more
    async with platform.database.snapshot() as session:
        assert (await platform.scenes.current(session, police.id)).items == changed[0].items
    _, claims = unverified((await running.get("/api/v1/trust-list")).text)
    assert {scene["id"]: scene["version"] for scene in claims["scenes"]}[police.id] == 2
    async with platform.database.transaction() as session:
        await platform.scenes.retire(session, police.id)
    await platform.seed_scenes()
    async with platform.database.snapshot() as session:
        with pytest.raises(SceneUnknown):
            await platform.scenes.current(session, police.id)
        assert police.id not in {scene.id for scene in await platform.scenes.all(session)}
    await other.http.aclose()


async def test_a_scene_of_changed_packs_is_the_next_version_once(running: Running) -> None:
    platform = running.platform
    (draft,) = read_scene_file(_file(SCENE))

    async def seed() -> int:
        async with platform.database.transaction() as session:
            return await platform.scenes.seed(session, [draft])

    assert sum(await asyncio.gather(*(seed() for _ in range(10)))) == 1
    (changed,) = read_scene_file(_file({**SCENE, "offline": True}))
    async with platform.database.transaction() as session:
        assert await platform.scenes.seed(session, [changed]) == 1
        assert (await platform.scenes.current(session, draft.id)).version == 2


async def test_a_scene_that_names_what_the_catalogue_lacks_is_refused(running: Running) -> None:
    items = ({"no-such-type": ["holder_name"]}, {"driving-licence": ["no_such_item"]})
    for wrong in items:
        (draft,) = read_scene_file(_file({**SCENE, "items": wrong}))
        async with running.platform.database.snapshot() as session:
            with pytest.raises(SceneInvalid):
                await running.platform.scenes.put(session, draft)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\xff",
        b"[",
        b"- &a [*a]",
        b"x" * (1 << 20) + b"x",
        _file({**SCENE, "id": "Road"}),
        _file({**SCENE, "id": "a\n"}),
        _file({**SCENE, "more": 1}),
        _file({**SCENE, "offline": "no"}),
        _file({**SCENE, "legal_basis": " "}),
        _file({**SCENE, "legal_basis": "a\tb"}),
        _file({**SCENE, "items": {}}),
        _file({**SCENE, "items": {"driving-licence": ["a", "a"]}}),
        _file({**SCENE, "items": {"driving-licence": []}}),
        _file(SCENE, SCENE),
        b"- !!python/object:os.system {}",
    ],
)
def test_a_scene_file_out_of_form_is_refused(document: bytes) -> None:
    with pytest.raises(SceneInvalid):
        read_scene_file(document)


DOCUMENTS = st.one_of(
    st.binary(max_size=60),
    st.text(st.characters(codec="utf-8"), max_size=60).map(str.encode),
    ANY_JSON.map(lambda value: ascii(value).encode()),
)


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS)
def test_any_scene_file_is_read_or_refused(document: bytes) -> None:
    try:
        read_scene_file(document)
    except SceneInvalid:
        return
