"""`sonic render`: the rows of a manifest, or one video from a picture and a recording."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.options import (
    DEFAULT_PRESET,
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


@with_columns
def render(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="MANIFEST | PICTURE SOUND", help="Paths or URLs: a table, or two files."
        ),
    ],
    preset: Preset = DEFAULT_PRESET,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", help="The video; of a manifest, the folder of outputs and results."
        ),
    ] = None,
    work: Work = None,
    rows: Rows = None,
    limit: Limit = None,
    only_failed: OnlyFailed = False,
    settings: Settings = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print problems only.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print what the program does, on stderr.")
    ] = False,
    json_lines: Annotated[
        bool, typer.Option("--json-lines", help="Print everything as JSON, one object per line.")
    ] = False,
    no_report: Annotated[
        bool, typer.Option("--no-report", help="Do not measure the videos or write report.html.")
    ] = False,
    preview: Annotated[
        bool,
        typer.Option("--preview", help="First render a few seconds of each row, in few steps."),
    ] = False,
    preview_only: Annotated[
        bool, typer.Option("--preview-only", help="Render the previews, then stop.")
    ] = False,
    overwrite: Overwrite = False,
    confine: Confine = False,
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
    from flows.console.terminal import form_of, open_terminal
    from flows.pipeline.run import Previews, RunRequest, config_of, run
    from flows.supervisor.channel import is_only_for_results

    only_results = is_only_for_results()
    previews: Previews = "only" if preview_only else "first" if preview else "none"
    _check_arguments(inputs, cells, previews != "none", bool(rows or limit or only_failed))
    terminal = open_terminal(form_of(quiet=quiet, json_lines=json_lines))
    request = RunRequest(
        here(inputs[0]),
        preset,
        folder(output),
        folder(work),
        report=not (no_report or only_results),
        previews=previews,
        overwrite=overwrite,
        confine=confine,
        only_results=only_results,
        **selected(rows, limit, only_failed, settings),
    )
    if verbose:
        log_to_stderr()
    if len(inputs) == 1:
        raise typer.Exit(run(request, terminal))
    from flows.pipeline.single import output_of, render_video

    picture, sound = map(here, inputs)
    target = output_of(sound, output, str(Path.cwd()))
    named = {"id": Path(target).stem, "portrait": picture, "audio": sound, "output": target}
    files = {"subtitles": folder(cells["subtitles"])}
    raise typer.Exit(render_video({**cells, **files, **named}, config_of(request), terminal))


def _check_arguments(
    inputs: list[str], cells: Mapping[str, str | None], previews: bool, selects: bool
) -> None:
    """Refuse what does not go together. Raises a usage error."""
    if len(inputs) > 2:
        raise typer.BadParameter(
            f"{len(inputs)} files are too many: give a manifest, or a picture and a sound"
        )
    if len(inputs) == 2 and previews:
        raise typer.BadParameter("previews are those of a manifest; for one video, use --end 3")
    if len(inputs) == 2 and selects:
        raise typer.BadParameter("one video has no rows to select: --rows is for manifests")
    if len(inputs) == 1 and (given := [name for name in cells if cells[name] is not None]):
        option = f"--{given[0].replace('_', '-')}"
        raise typer.BadParameter(
            f"{option} is for one video: give a picture and a sound, or write the column "
            f"{given[0]} into the manifest"
        )
