"""The catalogue of scenes: seeded by type packs, kept by operators, read by everybody who checks."""

from collections.abc import Iterable, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from presentation.scenes import repository
from presentation.scenes.errors import SceneChanged, SceneInvalid, SceneUnknown
from presentation.scenes.models import SCENE_ID, Scene, SceneDraft
from presentation.scenes.ports import Clock, LicenceTypes


class Scenes:
    """Versions of scenes. Every method works in the caller's session."""

    def __init__(self, types: LicenceTypes, clock: Clock) -> None:
        self._types = types
        self._clock = clock

    async def all(self, session: AsyncSession) -> Sequence[Scene]:
        """The newest version of every scene that is not retired, by id."""
        return [scene for scene in await repository.newest(session) if not scene.retired]

    async def current(self, session: AsyncSession, scene_id: str) -> Scene:
        """The newest version of one scene.

        Raises:
            SceneUnknown: there is none, or it is retired.
        """
        known = await repository.newest(session, scene_id) if SCENE_ID.fullmatch(scene_id) else []
        if not known or known[0].retired:
            raise SceneUnknown("there is no such scene, or it is retired")
        return known[0]

    async def every(self, session: AsyncSession) -> Sequence[Scene]:
        """The newest version of every scene, retired ones too, by id."""
        return await repository.newest(session)

    async def put(self, session: AsyncSession, draft: SceneDraft, replaces: int | None = None) -> Scene:
        """Make a draft the newest version of its scene; one that says the same already stands, changes nothing.

        Args:
            replaces: the version that the operator has before them, 0 for a scene that is new; None: whatever it is.

        Raises:
            SceneInvalid: it names a type or an item that the catalogue does not have.
            SceneChanged: another version stands now.
        """
        self._check(draft)
        known = await repository.newest(session, draft.id)
        if replaces is not None and replaces != (known[0].version if known else 0):
            raise SceneChanged("somebody else changed this scene; look again")
        if known and known[0].by_operator and not known[0].retired and known[0].content() == draft.content():
            return known[0]
        version = known[0].version + 1 if known else 1
        if not await repository.add(session, draft, version, self._clock.now(), by_operator=True):
            raise SceneChanged("somebody else changed this scene just now; look again")
        return await self.current(session, draft.id)

    async def retire(self, session: AsyncSession, scene_id: str) -> None:
        """End a scene: its next version is a retired one.

        Raises:
            SceneUnknown: there is none, or it is retired already.
            SceneChanged: somebody else changes it at this moment.
        """
        scene, now = await self.current(session, scene_id), self._clock.now()
        if not await repository.add(session, scene, scene.version + 1, now, by_operator=True, retired=True):
            raise SceneChanged("somebody else changed this scene just now; look again")

    async def seed(self, session: AsyncSession, drafts: Iterable[SceneDraft]) -> int:
        """Take over what the type packs say; scenes that an operator put or retired stay. Safe in many processes.

        Returns:
            How many versions were added.
        """
        newest = {scene.id: scene for scene in await repository.newest(session)}
        added = 0
        for draft in drafts:
            known = newest.get(draft.id)
            if known and (known.by_operator or known.content() == draft.content()):
                continue
            version = known.version + 1 if known else 1
            added += await repository.add(session, draft, version, self._clock.now(), by_operator=False)
        return added

    def _check(self, draft: SceneDraft) -> None:
        for type_code, names in draft.items.items():
            known = self._types.item_names(type_code)
            if known is None:
                raise SceneInvalid(f"{draft.id}: no licence type has the code {type_code}")
            unknown = [name for name in names if name not in known]
            if unknown:
                raise SceneInvalid(f"{draft.id}: {type_code} has no item {unknown[0]}")
