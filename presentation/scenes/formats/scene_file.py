"""Scenes as operators write them: a YAML sequence.

- id: traffic-police-check
  name: {zh: 交通警察路面查验, en: Roadside check by the traffic police}
  offline: true
  legal_basis: 《道路交通安全法》第十九条
  items:
    driving-licence: [holder_name, certificate_number, vehicle_class, portrait]
"""

from collections.abc import Sequence
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from presentation.scenes.errors import SceneInvalid
from presentation.scenes.models import SCENE_ID, SceneDraft

MAX_FILE_BYTES = 1 << 20  # hundreds of scenes; the shipped ones together take 30 kB
_NAME = r"^[a-z][a-z0-9_]{0,63}$"

_Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _Name(_Strict):
    zh: _Text
    en: _Text


class _SceneEntry(_Strict):
    id: Annotated[str, Field(pattern=f"^{SCENE_ID.pattern}$")]
    name: _Name
    offline: bool
    legal_basis: Annotated[str, Field(min_length=1, max_length=1000, pattern=r"\S")]
    items: Annotated[
        dict[
            Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")],
            Annotated[list[Annotated[str, Field(pattern=_NAME)]], Field(min_length=1, max_length=80)],
        ],
        Field(min_length=1, max_length=500),
    ]


class _SceneFile(_Strict):
    scenes: Annotated[list[_SceneEntry], Field(min_length=1, max_length=1000)]


def read_scene_file(document: bytes) -> Sequence[SceneDraft]:
    """The scenes of a file.

    Raises:
        SceneInvalid: too large, not YAML, not such a sequence, an id twice, an item twice, text that cannot be printed.
            Whether types and items exist is not checked here.
    """
    if len(document) > MAX_FILE_BYTES:
        raise SceneInvalid(f"more than {MAX_FILE_BYTES} bytes")
    try:
        text = document.decode("utf-8")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise SceneInvalid("aliases are not allowed")
        entries = _SceneFile.model_validate({"scenes": yaml.safe_load(text)}).scenes
    except ValidationError as error:
        raise _out_of_form(error) from error
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError, TypeError) as error:
        raise SceneInvalid("not YAML in UTF-8") from error
    drafts = [_draft(entry) for entry in entries]
    if len({draft.id for draft in drafts}) < len(drafts):
        raise SceneInvalid("an id stands twice in the file")
    return drafts


def read_scene(value: object) -> SceneDraft:
    """One scene, as an object with the members of a file's entry.

    Raises:
        SceneInvalid: not of the form. Whether types and items exist is not checked here.
    """
    try:
        return _draft(_SceneEntry.model_validate(value))
    except ValidationError as error:
        raise _out_of_form(error) from error


def _out_of_form(error: ValidationError) -> SceneInvalid:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if isinstance(part, int) or part.isidentifier())
    return SceneInvalid(f"{place}: {first['msg']}")


def _draft(entry: _SceneEntry) -> SceneDraft:
    for text in (entry.name.zh, entry.name.en, entry.legal_basis):
        if not text.isprintable():
            raise SceneInvalid(f"{entry.id}: text that cannot be printed")
    for names in entry.items.values():
        if len(set(names)) < len(names):
            raise SceneInvalid(f"{entry.id}: an item stands twice")
    items = {code: tuple(names) for code, names in entry.items.items()}
    return SceneDraft(entry.id, entry.name.zh, entry.name.en, items, entry.offline, entry.legal_basis)
