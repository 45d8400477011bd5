"""What a training run is told on the command line."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sonic_ops

if TYPE_CHECKING:
    from training.fit.stages import Run

_PACKAGED: Final = "package:"
_WEIGHTS: Final = Path(sonic_ops.__file__).parent / "weights"
PACKAGED_ENCODER: Final = _WEIGHTS / "sketch" / "speech_encoder"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add options for how long, from what, and with how much data."""
    parser.add_argument("--budget-min", type=float, default=100.0, help="minutes of training")
    parser.add_argument("--from", dest="start", help="weights to go on from: package:sketch, ...")
    parser.add_argument("--clips", type=int, default=240, help="clips of speech")
    parser.add_argument("--image-shards", type=int, default=10, help="of 500 people each")
    parser.add_argument("--window-shards", type=int, default=24, help="of 100 people each")
    parser.add_argument("--head-shards", type=int, default=0, help="of 20 rendered heads each")
    parser.add_argument("--processes", type=int, help="that make data and train; all cores")
    parser.add_argument("--guided-rate", type=float, default=6e-4, help="of the last stage")
    parser.add_argument(
        "--frozen", nargs="*", default=(), help="parts of the names of layers of the UNet to keep"
    )
    parser.add_argument(
        "--shares",
        type=_shares,
        help="parts of the budget, such as decoder=1,guided=4; what is not named is not trained on",
    )


def run_of(
    options: argparse.Namespace,
    folder: Path,
    speech_encoder: Path = PACKAGED_ENCODER,
    *,
    bundled: bool = False,
) -> "Run":
    """Return the run that the options describe."""
    # The stages need packages that may have come with a bundle.
    from training.fit.stages import Run

    return Run(
        folder=folder,
        speech_encoder=speech_encoder,
        budget_s=60 * options.budget_min,
        start=_weights(options.start) if options.start else None,
        bundled=bundled,
        clips=options.clips,
        image_shards=options.image_shards,
        window_shards=options.window_shards,
        head_shards=options.head_shards,
        frozen=tuple(options.frozen),
        guided_rate=options.guided_rate,
        **({"shares": options.shares} if options.shares else {}),
        **({"processes": options.processes} if options.processes else {}),
    )


def _shares(text: str) -> dict[str, float]:
    from training.fit.stages import SHARES

    pairs = (part.partition("=") for part in text.split(","))
    try:
        shares = {name: float(part or "nan") for name, _, part in pairs}
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not all(part >= 0 for part in shares.values()) or not sum(shares.values()):
        raise argparse.ArgumentTypeError("give each stage a number, and one of them more than 0")
    if unknown := shares.keys() - SHARES.keys():
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(SHARES)}")
    return shares


def _weights(name: str) -> Path:
    packaged = name.startswith(_PACKAGED)
    return _WEIGHTS / name.removeprefix(_PACKAGED) if packaged else Path(name)
