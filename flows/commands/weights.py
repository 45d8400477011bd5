"""The commands `sonic weights`: fetch, convert and check the released model."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.options import GROUP
from sonic_ops.core.errors import ConfigError

RELEASED = Path("weights/released")
CONVERTED = "weights/sonic"

app = typer.Typer(**GROUP)


@app.callback()
def weights() -> None:
    """Fetch, convert and check the released Sonic weights.

    \b
    sonic weights fetch --accept-licences
    sonic weights check package:sketch
    """


@app.command()
def fetch(
    folder: Annotated[Path, typer.Argument(help="Folder for the released files.")] = RELEASED,
    accept_licences: Annotated[
        bool, typer.Option("--accept-licences", help="Accept the licences, after reading them.")
    ] = False,
) -> None:
    """Download the released files, resuming if needed, and check them.

    \b
    sonic weights fetch --accept-licences
    sonic weights fetch /data/released --accept-licences
    """
    from sonic_ops.released import fetch as released

    released.require_acceptance(accept_licences, print)
    released.fetch(folder, print)
    print(f"next: sonic weights convert {folder}")


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="Folder of the released files.")] = RELEASED,
    target: Annotated[Path, typer.Argument(help="Weights folder to write.")] = Path(CONVERTED),
) -> None:
    """Write the weights folder that the preset sonic loads.

    \b
    sonic weights convert
    sonic weights convert checkpoints weights/sonic
    """
    from sonic_ops.released.convert import convert as convert_released
    from sonic_ops.released.sources import NOTICE

    convert_released(source, target, print)
    print(f"weights: {target}\n{NOTICE}")


@app.command()
def check(
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="Weights folder, or package:NAME.")
    ] = CONVERTED,
) -> None:
    """Check that every network of a weights folder is complete, fits and is unchanged.

    \b
    sonic weights check
    sonic weights check package:sketch
    """
    from sonic_ops.core.weights import weights_folder
    from sonic_ops.released.check import check_weights

    reports = check_weights(weights_folder(folder))
    print(*reports, sep="\n")
    if wrong := [report.name for report in reports if report.problem]:
        raise ConfigError(
            f"The weights in {folder} are wrong: {', '.join(wrong)}",
            remedy="Fetch and convert them again.",
        )
