"""Rows of scenes."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, DateTime
from sqlmodel import Field, SQLModel


class SceneRow(SQLModel, table=True):
    """A version of a scene, never changed. `content` is `SceneDraft.content()`."""

    __tablename__ = "scene"

    id: str = Field(primary_key=True, max_length=64)
    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    content: dict[str, Any] = Field(sa_type=JSON)
    by_operator: bool
    retired: bool
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
