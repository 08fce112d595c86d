"""Scenes: the part of the trust list that says which licences are checked where, and what of them is looked at."""

import re
from collections.abc import Mapping

from ._fault import Fault
from ._json import as_array, as_integer, as_object, as_text
from .errors import CannotTell, NotValid
from .models import Label, Scene

_ID = re.compile(r"[a-z0-9-]{1,64}")


def read(value: object) -> Mapping[str, Scene]:
    """The `scenes` of a trust list by id, each in its newest version. Raises `Fault`."""
    scenes: dict[str, Scene] = {}
    for entry in as_array(value):
        scene = _scene(as_object(entry))
        if scene.id not in scenes or scenes[scene.id].version < scene.version:
            scenes[scene.id] = scene
    return scenes


def label(value: object) -> Label:
    """A text in both languages. Raises `Fault`."""
    names = as_object(value)
    return Label(zh=as_text(names.get("zh-CN")), en=as_text(names.get("en")))


def for_checking_offline(scenes: Mapping[str, Scene], scene_id: str | None) -> Scene | None:
    """The scene asked for, if a check without a network is enough in it; None when none was asked for.

    Raises:
        CannotTell: `scene_unknown`, `scene_needs_network`.
    """
    if scene_id is None:
        return None
    scene = scenes.get(scene_id)
    if scene is None:
        raise CannotTell("scene_unknown", "the trust list held has no scene of this id")
    if not scene.offline:
        raise CannotTell("scene_needs_network", f"scene {scene.id} version {scene.version} is checked on line only")
    return scene


def expect_type(scene: Scene | None, type_code: str) -> None:
    """Check that licences of a type belong to the scene.

    Raises:
        NotValid: `scene_type`.
    """
    if scene is not None and type_code not in scene.licence_types:
        raise NotValid("scene_type", f"{type_code} is not of scene {scene.id}")


def _scene(entry: Mapping[str, object]) -> Scene:
    scene_id, offline = as_text(entry.get("id")), entry.get("offline")
    if not _ID.fullmatch(scene_id):
        raise Fault("a scene's id has another form")
    if not isinstance(offline, bool):
        raise Fault("a scene does not say whether it is for checks without a network")
    return Scene(
        id=scene_id,
        version=as_integer(entry.get("version")),
        name=label(entry.get("name")),
        licence_types=_texts(entry.get("licence_types")),
        items={code: _texts(names) for code, names in as_object(entry.get("items")).items()},
        offline=offline,
        legal_basis=as_text(entry.get("legal_basis")),
    )


def _texts(value: object) -> frozenset[str]:
    return frozenset(as_text(each) for each in as_array(value))
