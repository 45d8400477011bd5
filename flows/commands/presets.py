"""The commands `sonic presets`: which there are, and what they say."""

import json
from typing import Annotated

import typer

from flows.commands.options import GROUP, Json, Settings

app = typer.Typer(help="List presets, and show all their keys.", **GROUP)


@app.command("list")
def list_presets(as_json: Json = False) -> None:
    """List the presets that ship, with what they are for.

    \b
    sonic presets list
    sonic presets list --json
    """
    from sonic_ops.core.presets import preset_names, preset_path

    for name in preset_names():
        lines = preset_path(name).read_text("utf-8").splitlines()
        about = " ".join(line[1:].strip() for line in lines if line.startswith("#"))
        about = about.partition(". ")[0].rstrip(".")
        facts = json.dumps({"preset": name, "about": about})
        typer.echo(facts if as_json else f"{name:12} {about}")


@app.command()
def show(
    preset: Annotated[str, typer.Argument(help="Name of a preset, or path of a YAML file.")],
    settings: Settings = None,
) -> None:
    """Print every key of a preset with its value, as a YAML file that can be used as one.

    \b
    sonic presets show lite
    sonic presets show sonic --set sampling.steps=12
    """
    import yaml

    from flows.rows.config import load_preset

    config = load_preset(preset, settings or ())
    typer.echo(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False), nl=False)
