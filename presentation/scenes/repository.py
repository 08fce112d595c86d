"""All SQL of scenes."""

from datetime import datetime
from typing import Any

from sqlalchemy import Table, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from presentation.scenes.models import Scene, SceneDraft
from presentation.scenes.tables import SceneRow

SCENE: Table = SceneRow.__table__  # type: ignore[attr-defined]


async def newest(session: AsyncSession, scene_id: str | None = None) -> list[Scene]:
    """The newest version of every scene, or of one, retired ones too; by id."""
    last = select(SCENE.c.id, func.max(SCENE.c.version).label("version")).group_by(SCENE.c.id)
    if scene_id is not None:
        last = last.where(SCENE.c.id == scene_id)
    newest = last.subquery()
    statement = (
        select(SCENE)
        .join(newest, (SCENE.c.id == newest.c.id) & (SCENE.c.version == newest.c.version))
        .order_by(SCENE.c.id)
    )
    return [scene_of(row) for row in await session.execute(statement)]


async def add(
    session: AsyncSession, draft: SceneDraft, version: int, now: datetime, *, by_operator: bool, retired: bool = False
) -> bool:
    """Insert a version; False when another process was first."""
    statement = insert(SCENE).values(
        id=draft.id,
        version=version,
        content=draft.content(),
        by_operator=by_operator,
        retired=retired,
        created_at=now,
    )
    first = statement.on_conflict_do_nothing(index_elements=["id", "version"]).returning(SCENE.c.id)
    return (await session.execute(first)).first() is not None


def scene_of(row: Any) -> Scene:
    """A row as a value."""
    content = row.content
    return Scene(
        id=row.id,
        name_zh=content["name"]["zh-CN"],
        name_en=content["name"]["en"],
        items={code: tuple(names) for code, names in content["items"].items()},
        offline=content["offline"],
        legal_basis=content["legal_basis"],
        version=row.version,
        by_operator=row.by_operator,
        retired=row.retired,
    )
