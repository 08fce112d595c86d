"""Scenes: on which occasion which licences may be checked, and what is released then."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from presentation.scenes import SceneDraft, SceneInvalid, read_scene_file
from wallet_api.cli.console import console, fail, opened, run

app = typer.Typer(no_args_is_help=True, help=__doc__)


@app.command("list")
def list_scenes() -> None:
    """Show every scene in its newest version."""
    run(_list())


@app.command()
def put(file: Annotated[Path, typer.Argument(help="YAML, as presentation/scenes/formats/scene_file.py says.")]) -> None:
    """Take scenes from a file; each that differs becomes the next version of its scene."""
    try:
        drafts = read_scene_file(file.read_bytes())
    except SceneInvalid as error:
        fail(f"{file.name}: {error.detail}")
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    run(_put(drafts))


@app.command()
def retire(scene_id: Annotated[str, typer.Argument(help="Id of the scene.")]) -> None:
    """End a scene: no check is made for it any more."""
    run(_retire(scene_id))
    console.print(f"[green]✓[/] {escape(scene_id)} is retired")


async def _list() -> None:
    async with opened() as platform, platform.database.snapshot() as session:
        scenes = await platform.scenes.all(session)
    for scene in scenes:
        where = "offline too" if scene.offline else "on line only"
        console.print(
            f"[bold]{scene.id}[/] v{scene.version}  {escape(scene.name_zh)}  {escape(scene.name_en)}  {where}"
        )
        console.print(f"    {escape(scene.legal_basis)}")
        for code, items in scene.items.items():
            console.print(f"    {code}: {', '.join(items)}")


async def _put(drafts: Sequence[SceneDraft]) -> None:
    async with opened() as platform:
        async with platform.database.transaction() as session:
            scenes = [await platform.operators.put_scene(session, draft) for draft in drafts]
        await platform.publish_trust()
    for scene in scenes:
        console.print(f"[green]✓[/] {scene.id} version {scene.version}")


async def _retire(scene_id: str) -> None:
    async with opened() as platform:
        async with platform.database.transaction() as session:
            await platform.operators.retire_scene(session, scene_id)
        await platform.publish_trust()
