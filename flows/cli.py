"""The command `sonic`.

Exit status: 0 every row is finished, 1 some rows are not, 2 nothing could start. Its supervisor
adds 130 and 143: stopped by Ctrl-C, stopped by SIGTERM.

A command is a function that imports what it needs when it runs: asking for help loads nothing.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from flows.commands import demo, media, presets, weights
from flows.commands.options import (
    DEFAULT_PRESET,
    GROUP,
    Calibration,
    Confine,
    Json,
    Limit,
    Manifest,
    OnlyFailed,
    Output,
    Overwrite,
    Preset,
    Rows,
    Settings,
    Work,
    folder,
    here,
    selected,
)
from flows.commands.render import render
from sonic_ops.core.errors import RenderError, SonicError

EXIT_DONE, EXIT_SOME_FAILED, EXIT_USAGE = 0, 1, 2

RENDER, LOOK, KEEP = "Render", "Look at it", "Files, weights and machine"

app = typer.Typer(**GROUP)
app.command(rich_help_panel=RENDER)(render)
app.command(rich_help_panel=RENDER)(media.dub)
app.command(rich_help_panel=RENDER)(media.join)
app.command(rich_help_panel=RENDER)(media.mux)
app.command(rich_help_panel=RENDER)(demo.demo)
app.add_typer(presets.app, name="presets", rich_help_panel=KEEP)
app.add_typer(weights.app, name="weights", rich_help_panel=KEEP)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from sonic_ops import __version__

        typer.echo(f"sonic-render {__version__}")
        raise typer.Exit


@app.callback()
def sonic(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Turn a portrait and an audio track into a talking video of the same length.

    \b
    sonic render examples/talks.csv
    sonic doctor

    \b
    Exit status: 0 every row is finished, nothing is wrong; 1 some rows are not, something is;
    2 nothing could start: the command, the preset or the manifest is wrong; 130 stopped by
    Ctrl-C, 143 by SIGTERM.
    """


@app.command(rich_help_panel=RENDER)
def init(
    recordings: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder with audio files and images.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Manifest to write; if unset, manifest.csv there."),
    ] = None,
    portrait: Annotated[
        Path | None, typer.Option(help="Image for all rows; if unset, found by name.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the manifest if it exists.")
    ] = False,
) -> None:
    """Write a manifest from a folder of recordings, with comments that explain its columns.

    \b
    sonic init lectures
    sonic init lectures --portrait ada.png -o lectures.csv
    """
    from flows.commands.init import init as write_manifest
    from flows.console.terminal import open_terminal

    write_manifest(recordings, output, portrait, open_terminal().say, overwrite=overwrite)


@app.command(rich_help_panel=LOOK)
def validate(
    manifest: Manifest,
    preset: Preset = DEFAULT_PRESET,
    output: Output = None,
    work: Work = None,
    rows: Rows = None,
    limit: Limit = None,
    only_failed: OnlyFailed = False,
    settings: Settings = None,
    overwrite: Overwrite = False,
    confine: Confine = False,
) -> None:
    """Check every row of a manifest without rendering anything.

    \b
    sonic validate lectures.csv
    sonic validate s3://bucket/lectures.parquet --preset sonic
    """
    from flows.console.terminal import open_terminal
    from flows.pipeline.run import RunRequest, validate

    folders = folder(output), folder(work)
    asked = selected(rows, limit, only_failed, settings)
    request = RunRequest(
        here(manifest), preset, *folders, overwrite=overwrite, confine=confine, **asked
    )
    raise typer.Exit(validate(request, open_terminal()))


@app.command(rich_help_panel=LOOK)
def plan(
    manifest: Annotated[
        str | None, typer.Argument(metavar="[MANIFEST]", help="If unset, plan --videos.")
    ] = None,
    preset: Preset = DEFAULT_PRESET,
    output: Output = None,
    work: Work = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of workers; if unset, that of the preset.")
    ] = None,
    price: Annotated[
        float | None, typer.Option(min=0, help="Price per worker and hour, in any currency.")
    ] = None,
    calibration: Calibration = None,
    rows: Rows = None,
    limit: Limit = None,
    only_failed: OnlyFailed = False,
    settings: Settings = None,
    gpu: Annotated[
        str | None, typer.Option(help="Card of another machine, such as h100, by published rates.")
    ] = None,
    videos: Annotated[int, typer.Option(min=1, help="Without a manifest: how many.")] = 1,
    length: Annotated[str, typer.Option(help="Without a manifest: how long, as 45:00.")] = "1:00",
    as_json: Json = False,
    overwrite: Overwrite = False,
    confine: Confine = False,
) -> None:
    """Estimate the time, memory, disk space and cost of a manifest, or of videos of a length.

    \b
    sonic plan lectures.csv
    sonic plan lectures.csv --preset sonic --workers 8 --price 2.5
    sonic plan --videos 300 --length 45:00 --preset sonic --gpu h100 --workers 8 --price 2.5
    """
    from flows.commands.plan import plan as plan_rows
    from flows.console.terminal import form_of, open_terminal
    from flows.pipeline.run import RunRequest
    from flows.planning.imagined import Imagined

    folders = folder(output), folder(work)
    asked = selected(rows, limit, only_failed, settings)
    request = RunRequest(
        here(manifest or "."), preset, *folders, overwrite=overwrite, confine=confine, **asked
    )
    terminal = open_terminal(form_of(json_lines=as_json))
    imagined = None if manifest else Imagined.of(videos, length)
    status = plan_rows(
        request,
        terminal,
        workers=workers,
        price=price,
        calibration=calibration,
        gpu=gpu,
        imagined=imagined,
    )
    raise typer.Exit(status)


@app.command(rich_help_panel=KEEP)
def doctor(
    preset: Preset = DEFAULT_PRESET,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Measure the speed of the preset here, for plans.")
    ] = False,
    calibration: Calibration = None,
    work: Work = None,
) -> None:
    """Check this machine: Python, disk, memory, GPU, codecs, weights, Ray, Prefect, folders.

    \b
    sonic doctor
    sonic doctor --calibrate --preset sonic
    sonic doctor --calibrate --preset cluster.yaml --work s3://bucket/work
    """
    from flows.commands.doctor import examine, measure
    from flows.console.terminal import open_terminal

    terminal = open_terminal()
    is_well = examine(preset, terminal)
    if is_well and calibrate:
        measure(preset, calibration, folder(work), terminal)
    raise typer.Exit(EXIT_DONE if is_well else EXIT_SOME_FAILED)


@app.command(rich_help_panel=LOOK)
def status(
    manifest: Manifest,
    preset: Preset = DEFAULT_PRESET,
    output: Output = None,
    work: Work = None,
    settings: Settings = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Look again every few seconds, until all is done.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show which rows are finished, missing, out of date, waiting, failed or locked.

    \b
    sonic status lectures.csv
    sonic status lectures.csv --output /data/lectures --json
    sonic status lectures.csv --watch
    """
    from flows.commands.status import show_status, watch_status
    from flows.console.terminal import open_terminal
    from flows.pipeline.run import RunRequest, config_of

    folders = folder(output), folder(work)
    request = RunRequest(here(manifest), preset, *folders, settings=tuple(settings or ()))
    config, terminal = config_of(request), open_terminal()
    show = watch_status if watch else show_status
    finished = show(request.manifest, request.output_folder, config, terminal, as_json=as_json)
    raise typer.Exit(EXIT_DONE if finished else EXIT_SOME_FAILED)


@app.command(rich_help_panel=LOOK)
def report(
    results: Annotated[
        str, typer.Argument(metavar="RESULTS|MANIFEST", help="Results table, or its manifest.")
    ],
    output: Output = None,
    syncnet: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Weights of SyncNet (syncnet_v2.model), to add its confidence and distance.",
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the report in the browser.")] = False,
) -> None:
    """Write report.html beside the results: every video with its curves and measures.

    \b
    sonic report lectures.csv --open
    sonic report lectures.csv --output /data/lectures --syncnet syncnet_v2.model
    """
    from flows.console.terminal import open_terminal
    from flows.state.results import require_results

    table = require_results(here(results), folder(output))
    # What measures videos takes seconds to load.
    from flows.report.writing import write_report

    say = open_terminal().say
    url = write_report(table, say, folder(syncnet))
    say(f"report: {url}")
    if show and typer.launch(url):
        say("no browser could be started: open the file yourself")


@app.command(rich_help_panel=KEEP)
def clean(
    target: Annotated[
        str,
        typer.Argument(metavar="FOLDER|MANIFEST", help="Folder of outputs or work, or a manifest."),
    ],
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="The --output folder of the render.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset", "-p", help="Also work of a manifest's rows for other inputs or settings."
        ),
    ] = None,
    settings: Settings = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove the files instead of listing them.")
    ] = False,
) -> None:
    """Remove work of finished rows, drafts and stale leases; without --yes, only list them.

    \b
    sonic clean lectures.csv
    sonic clean lectures.csv --preset lite
    sonic clean s3://bucket/work --yes
    """
    from flows.commands.clean import clean as clean_up
    from flows.console.terminal import open_terminal
    from flows.rows.config import load_preset

    config = load_preset(preset, settings or ()) if preset else None
    clean_up(here(target), folder(output), open_terminal().say, yes=yes, config=config)


def main() -> None:
    """Run the command line; print fatal errors as one sentence with a remedy."""
    try:
        app(prog_name="sonic")
    except SonicError as error:
        from flows.console.terminal import shown

        print(shown(f"sonic: {error}. {error.remedy}"), file=sys.stderr)
        sys.exit(EXIT_SOME_FAILED if isinstance(error, RenderError) else EXIT_USAGE)
