"""A scene as a value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

PORTRAIT = "portrait"  # the name under which a scene asks for the holder's photo, whatever the type calls its item
SCENE_ID = re.compile(r"[a-z0-9-]{1,64}")


@dataclass(frozen=True)
class SceneDraft:
    """What a scene says, before it has a version.

    Attributes:
        items: licence type → names of the items that may be released, in the order in which they are shown; common
            claims, data items of the type, and `portrait`.
        offline: whether a check without a network is enough.
        legal_basis: the rule that allows the verifier to ask.
    """

    id: str
    name_zh: str
    name_en: str
    items: Mapping[str, tuple[str, ...]]
    offline: bool
    legal_basis: str

    def content(self) -> dict[str, object]:
        """The members by which two drafts are compared, and which the store keeps."""
        return {
            "name": {"zh-CN": self.name_zh, "en": self.name_en},
            "licence_types": sorted(self.items),
            "items": {code: list(self.items[code]) for code in sorted(self.items)},
            "offline": self.offline,
            "legal_basis": self.legal_basis,
        }


@dataclass(frozen=True)
class Scene(SceneDraft):
    """A version of a scene.

    Attributes:
        version: 1 for the first, one more with each that follows.
        by_operator: put by hand; what type packs say then counts no more.
        retired: the scene has ended; no check is made for it.
    """

    version: int
    by_operator: bool
    retired: bool

    def published(self) -> dict[str, object]:
        """As `GET /api/v1/scenes` and the trust list's member `scenes` write it."""
        return {"id": self.id, "version": self.version, **self.content()}
