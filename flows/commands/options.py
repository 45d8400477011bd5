"""Options that several commands share, and those that stand for the columns of a manifest."""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from flows import DEFAULT_PRESET
from flows.rows.about import ABOUT

__all__ = ["DEFAULT_PRESET"]

ROW_PANEL = "What a column of a manifest says, for one video"
IN_ARGUMENTS = ("id", "portrait", "audio", "output")

Manifest = Annotated[
    str, typer.Argument(metavar="MANIFEST", help="CSV, Excel, Parquet, JSON Lines: a path or URL.")
]
Preset = Annotated[
    str, typer.Option("--preset", "-p", help="Name of a preset, or path of a YAML file.")
]
Output = Annotated[
    str | None, typer.Option("--output", "-o", help="Folder for relative outputs and the results.")
]
Work = Annotated[
    str | None, typer.Option(help="Folder for work in progress: a path, or a URL such as s3://.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace outputs that this program did not write.")
]
Calibration = Annotated[
    str | None,
    typer.Option(envvar="SONIC_CALIBRATION", help="Calibration file; if unset, the cached one."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object per line.")]


def with_columns(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for every column that no argument stands for.

    The command takes them as the mapping `cells`; None where an option is not given.
    """
    names = [name for name in ABOUT if name not in IN_ARGUMENTS]
    signature = inspect.signature(command)
    own = [p for p in signature.parameters.values() if p.name != "cells"]
    added = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_option(ABOUT[name])
        )
        for name in names
    ]

    @wraps(command)
    def run(*args: Any, **given: Any) -> None:
        cells = {name: given.pop(name) for name in names}
        command(*args, **given, cells=cells)

    run.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in [*own, *added]}
    return run


def _option(about: str) -> object:
    text = f"{about[0].upper()}{about[1:]}."
    return Annotated[str | None, typer.Option(help=text, rich_help_panel=ROW_PANEL)]


def here(address: str) -> str:
    """Resolve an address against the current folder."""
    from flows.addresses import resolve

    return resolve(address, str(Path.cwd()))


def folder(address: str | None) -> str | None:
    """Resolve the address of a folder that may not be given."""
    return None if address is None else here(address)
