"""Scenes (亮证场景): on which occasion which licences may be shown, and which of their items are then released.

    await scenes.seed(session, drafts_of_the_type_packs)     # at every start; changes only what nobody put by hand
    await scenes.put(session, SceneDraft.from_object(yaml_object))
    scene = await scenes.current(session, "traffic-police-check")

A scene is never changed: a new version follows. The newest version counts, and a retired one ends the scene.
"""

from presentation.scenes.errors import SceneChanged, SceneInvalid, SceneUnknown
from presentation.scenes.formats.scene_file import read_scene, read_scene_file
from presentation.scenes.models import PORTRAIT, Scene, SceneDraft
from presentation.scenes.service import Scenes

__all__ = [
    "PORTRAIT",
    "Scene",
    "SceneChanged",
    "SceneDraft",
    "SceneInvalid",
    "SceneUnknown",
    "Scenes",
    "read_scene",
    "read_scene_file",
]
