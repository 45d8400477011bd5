"""Options that several commands share, and those that stand for the columns of a manifest."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from flows import DEFAULT_PRESET
from flows.rows.about import ABOUT

__all__ = ["DEFAULT_PRESET"]

GROUP: Final[dict[str, Any]] = {
    "no_args_is_help": True,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
"""What all groups of commands have in common."""

PRESET_PANEL = "Preset"
ROWS_PANEL = "Which rows"
ROW_PANEL = "What a column of a manifest says, for one video"
IN_ARGUMENTS = ("id", "portrait", "audio", "output", "video", "length", "speakers")
"""Columns without an option: arguments say them, or `sonic dub` does, as for films."""

FILE_OPTIONS = ("subtitles", "voice", "background")
"""Columns with an option that name a file of the current folder."""

Manifest = Annotated[
    str, typer.Argument(metavar="MANIFEST", help="CSV, Excel, Parquet, JSON Lines: a path or URL.")
]


def _complete_preset(incomplete: str) -> list[str]:
    from sonic_ops.core.presets import preset_names

    return [name for name in preset_names() if name.startswith(incomplete)]


Preset = Annotated[
    str,
    typer.Option(
        "--preset",
        "-p",
        help="Name of a preset, or path of a YAML file.",
        rich_help_panel=PRESET_PANEL,
        autocompletion=_complete_preset,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a key of the preset, such as sampling.steps=4; may be given again.",
        rich_help_panel=PRESET_PANEL,
    ),
]
Rows = Annotated[
    list[str] | None,
    typer.Option(
        "--rows", metavar="ID,ID", help="Only rows with these ids.", rich_help_panel=ROWS_PANEL
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Only the first so many rows that are not finished.",
        rich_help_panel=ROWS_PANEL,
    ),
]
OnlyFailed = Annotated[
    bool,
    typer.Option(
        "--only-failed",
        help="Only rows whose last result is a failure.",
        rich_help_panel=ROWS_PANEL,
    ),
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
Confine = Annotated[
    bool, typer.Option("--confine", help="Refuse outputs outside of the --output folder.")
]
Calibration = Annotated[
    str | None,
    typer.Option(envvar="SONIC_CALIBRATION", help="Calibration file; if unset, the cached one."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object per line.")]


def with_columns(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for every column that no argument stands for.

    The command takes them as `**cells`; None where an option is not given.
    """
    signature = inspect.signature(command)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_option(a))
        for name, a in ABOUT.items()
        if name not in IN_ARGUMENTS
    ]
    # What typer reads; the function itself is called as it is.
    command.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in [*own, *added]}
    return command


def _option(about: str) -> object:
    text = f"{about[0].upper()}{about[1:]}."
    return Annotated[str | None, typer.Option(help=text, rich_help_panel=ROW_PANEL)]


def here(url: str) -> str:
    """Resolve a path or URL against the current folder."""
    from flows.urls import resolve

    return resolve(url, str(Path.cwd()))


def folder(url: str | None) -> str | None:
    """Resolve the URL of a folder that may not be given."""
    return None if url is None else here(url)


def selected(
    rows: list[str] | None, limit: int | None, only_failed: bool, settings: list[str] | None
) -> dict[str, Any]:
    """Turn the options that select rows and change keys into fields of a request."""
    from flows.rows.selection import split_ids

    return {
        "ids": tuple(split_ids(rows or ())),
        "limit": limit,
        "only_failed": only_failed,
        "settings": tuple(settings or ()),
    }


def log_to_stderr() -> None:
    """Log what the rooms of this program do."""
    import logging

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    for name in ("flows", "cluster", "sonic_ops"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
