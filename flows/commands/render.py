"""`sonic render`: the rows of a manifest, or one video from an image and a recording."""

import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from flows.commands.options import (
    DEFAULT_PRESET,
    FILE_OPTIONS,
    Confine,
    Limit,
    OnlyFailed,
    Overwrite,
    Preset,
    Rows,
    Settings,
    Work,
    folder,
    here,
    log_to_stderr,
    selected,
    with_columns,
)

if TYPE_CHECKING:
    from flows.console.terminal import Terminal
    from flows.rows.config import RenderConfig

Inputs = Annotated[
    list[str],
    typer.Argument(metavar="MANIFEST | IMAGE AUDIO", help="Paths or URLs: a table, or two files."),
]
VideoOrFolder = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", help="The video; for a manifest, the folder of outputs and results."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print problems only.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print what the program does, on stderr.")
]
JsonLines = Annotated[
    bool, typer.Option("--json-lines", help="Print everything as JSON, one object per line.")
]
NoReport = Annotated[bool, typer.Option("--no-report", help="Do not write report.html.")]
Preview = Annotated[
    bool, typer.Option("--preview", help="First render a few seconds of each row, in few steps.")
]
PreviewOnly = Annotated[
    bool, typer.Option("--preview-only", help="Render the previews, then stop.")
]
Live = Annotated[
    bool,
    typer.Option(
        "--live",
        help="Watch each video while it renders: an HLS playlist, VIDEO.live/index.m3u8.",
    ),
]
Notify = Annotated[
    list[str] | None,
    typer.Option(
        metavar="URL",
        envvar="SONIC_NOTIFY",
        help="For a manifest: notify a webhook, Slack, mailto:NAME@HOST or a Prefect block when "
        "the run has ended.",
    ),
]


@with_columns
def render(
    inputs: Inputs,
    preset: Preset = DEFAULT_PRESET,
    output: VideoOrFolder = None,
    work: Work = None,
    rows: Rows = None,
    limit: Limit = None,
    only_failed: OnlyFailed = False,
    settings: Settings = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json_lines: JsonLines = False,
    no_report: NoReport = False,
    preview: Preview = False,
    preview_only: PreviewOnly = False,
    overwrite: Overwrite = False,
    confine: Confine = False,
    live: Live = False,
    notify: Notify = None,
    **cells: str | None,
) -> None:
    """Render every row of a manifest that is not finished yet, or one video.

    \b
    sonic render face.png talk.wav -o talk.mp4
    sonic render face.png talk.wav --framing paste --language de --end 10
    sonic render examples/talks.csv
    sonic render lectures.csv --preset sonic --output /data/lectures --preview
    sonic render lectures.csv --only-failed --set sampling.steps=12
    """
    from flows.supervisor.channel import is_only_for_results

    only_results = is_only_for_results()
    _check_files(inputs, output)
    _check_options(inputs, cells, preview or preview_only, bool(rows or limit or only_failed))
    terminal = _terminal(quiet=quiet, verbose=verbose, json_lines=json_lines)
    if len(inputs) == 2:
        # First of all: what comes next takes a second to import.
        terminal.say(f"checking {inputs[0]} and {inputs[1]}")
        config = _config_of_one(preset, settings, work, overwrite=overwrite, live=live)
        _render_one(inputs, output, cells, terminal, config)
    from flows.pipeline.notify import notifying
    from flows.pipeline.run import RunRequest, run

    request = RunRequest(
        here(inputs[0]),
        preset,
        folder(output),
        folder(work),
        report=not (no_report or only_results),
        previews="only" if preview_only else "first" if preview else "none",
        overwrite=overwrite,
        confine=confine,
        live=live,
        only_results=only_results,
        **selected(rows, limit, only_failed, settings),
    )
    with notifying(notify or (), request.manifest, preset) as outcome:
        status = run(request, terminal, outcome.tables.append)
    raise typer.Exit(status)


def _terminal(*, quiet: bool, verbose: bool, json_lines: bool) -> "Terminal":
    """Open the terminal in the form that is asked for."""
    from flows.console.terminal import form_of, open_terminal

    if verbose:
        log_to_stderr()
    return open_terminal(form_of(quiet=quiet, json_lines=json_lines))


def _render_one(
    files: list[str],
    output: str | None,
    cells: Mapping[str, str | None],
    terminal: "Terminal",
    config: "RenderConfig",
) -> NoReturn:
    """Render one video and end the command."""
    from flows.pipeline.single import output_of, render_video

    image, audio = map(here, files)
    target = output_of(audio, output, str(Path.cwd()))
    named = {"id": Path(target).stem, "portrait": image, "audio": audio, "output": target}
    stems = {name: folder(cells[name]) for name in FILE_OPTIONS}
    raise typer.Exit(render_video({**cells, **stems, **named}, config, terminal))


def _config_of_one(
    preset: str, settings: list[str] | None, work: str | None, *, overwrite: bool, live: bool
) -> "RenderConfig":
    from flows.rows.config import load_config

    return load_config(preset, settings or (), work=folder(work), overwrite=overwrite, live=live)


def _check_files(inputs: list[str], output: str | None) -> None:
    """Refuse files that are plainly not what is asked for. Raises a usage error."""
    kinds = [_kind(name) for name in inputs]
    if len(inputs) > 2:
        raise typer.BadParameter(
            f"{len(inputs)} files are too many: give a manifest, or an image and a recording"
        )
    if kinds == ["audio", "image"]:
        raise typer.BadParameter("the image comes first: sonic render face.png talk.wav")
    if len(inputs) == 1 and kinds[0] in ("image", "audio", "video"):
        raise typer.BadParameter(
            f"{inputs[0]} is not a manifest; one video needs an image and a recording: "
            "sonic render face.png talk.wav"
        )
    if len(inputs) == 1 and output is not None and _kind(output) == "video":
        raise typer.BadParameter(
            f"for a manifest, --output is a folder, but {output} is named like a video"
        )


def _kind(name: str) -> str:
    return (mimetypes.guess_type(name)[0] or "").partition("/")[0]


def _check_options(
    inputs: list[str], cells: Mapping[str, str | None], previews: bool, selects: bool
) -> None:
    """Refuse what does not go together. Raises a usage error."""
    if len(inputs) == 2 and previews:
        raise typer.BadParameter("--preview is for manifests; for one video, use --end 3")
    if len(inputs) == 2 and selects:
        raise typer.BadParameter("--rows, --limit and --only-failed are for manifests")
    if len(inputs) == 1 and (given := [name for name in cells if cells[name] is not None]):
        option = f"--{given[0].replace('_', '-')}"
        raise typer.BadParameter(
            f"{option} is for one video: give an image and a recording, or write the column "
            f"{given[0]} into the manifest"
        )
