"""The command `sonic`.

Exit status: 0 every row is finished, 1 some rows are not, 2 nothing could start, 130 stopped.
"""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flows import weights
from flows.addresses import resolve
from flows.clean import clean as clean_up
from flows.config import DEFAULT_PRESET
from flows.progress import say_to
from flows.run import EXIT_SOME_FAILED, RunRequest, run
from sonic_ops.errors import RenderError, SonicError

EXIT_USAGE = 2
EXIT_STOPPED = 130

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(weights.app, name="weights")


@app.callback()
def sonic() -> None:
    """One portrait and one audio track in, a talking video of the same length out."""


@app.command()
def render(
    manifest: Annotated[
        str, typer.Argument(metavar="MANIFEST", help="Parquet, CSV or JSON Lines; a path or a URL.")
    ],
    preset: Annotated[
        str, typer.Option(help="A preset by name, or the path of a YAML file.")
    ] = DEFAULT_PRESET,
    output: Annotated[
        str | None, typer.Option(help="Folder for relative outputs and for the results.")
    ] = None,
    work: Annotated[
        str | None, typer.Option(help="Folder for work in progress: a path or a URL such as s3://.")
    ] = None,
) -> None:
    """Render every row of a manifest that is not finished yet.

    \b
    sonic render examples/manifest.parquet
    sonic render lectures.csv --preset sonic --output /data/lectures
    """
    here = str(Path.cwd())
    folders = [None if folder is None else resolve(folder, here) for folder in (output, work)]
    try:
        status = run(RunRequest(resolve(manifest, here), preset, *folders), Console())
    except KeyboardInterrupt:
        print("sonic: stopped; the same command goes on from here", file=sys.stderr)
        status = EXIT_STOPPED
    raise typer.Exit(status)


@app.command()
def clean(
    target: Annotated[
        str, typer.Argument(metavar="FOLDER|MANIFEST", help="Where outputs or work lie.")
    ],
    output: Annotated[
        str | None, typer.Option(help="Folder for relative outputs, as it was rendered with.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it, and do not only say it.")] = False,
) -> None:
    """Remove the work of finished rows, drafts and stale leases; without --yes, say what it would.

    \b
    sonic clean lectures.csv
    sonic clean s3://bucket/work --yes
    """
    here = str(Path.cwd())
    folder = None if output is None else resolve(output, here)
    clean_up(resolve(target, here), folder, say_to(Console()), yes=yes)


def main() -> None:
    """Run the command line; an error that stops everything is one sentence and a remedy."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app(prog_name="sonic")
    except SonicError as error:
        print(f"sonic: {error}. {error.remedy}", file=sys.stderr)
        sys.exit(EXIT_SOME_FAILED if isinstance(error, RenderError) else EXIT_USAGE)
