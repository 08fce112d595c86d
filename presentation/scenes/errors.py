"""Errors of scenes."""

from presentation.errors import PresentationError


class SceneUnknown(PresentationError):
    """There is no such scene, or it is retired."""

    code = "scene_unknown"


class SceneChanged(PresentationError):
    """Somebody else changed the scene first."""

    code = "scene_changed"


class SceneInvalid(PresentationError):
    """A scene is out of form, or names types or items that the catalogue does not have."""

    code = "scene_invalid"
