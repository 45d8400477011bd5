"""Train the embedded model, on a GPU if there is one.

python -m sonic_ops.training OUT              makes its data with flite and espeak-ng
python -m sonic_ops.training BUNDLE OUT       needs nothing but torch and transformers

Run it again to go on after a stop, or with a larger budget. With a bundle, OUT gets the weights
and curves as `sketch.tar.00`, ... of at most 15 MB each.
"""

import argparse
from pathlib import Path

from sonic_ops.training.bundle import open_bundle, write_parts

_WEIGHTS = Path(__file__).parent.parent / "weights"
_PACKAGED = "package:"


def main() -> None:
    """Run all stages and say where the weights are."""
    options = _parser().parse_args()
    bundle, out = options.folders if len(options.folders) == 2 else (None, options.folders[0])
    folder, encoder = out, _WEIGHTS / "sketch" / "speech_encoder"
    if bundle:
        folder = options.run or bundle.with_name(f"{bundle.stem}-run")
        encoder = open_bundle(bundle, folder)
    # The stages need packages that may have come with the bundle.
    from sonic_ops.training.stages import Run, run_all

    run = Run(
        folder=folder,
        speech_encoder=encoder,
        budget_s=60 * options.budget_min,
        start=_weights(options.start),
        bundled=bundle is not None,
        clips=options.clips,
        image_shards=options.image_shards,
        window_shards=options.window_shards,
    )
    weights = run_all(run)
    print("weights:", *(write_parts(weights, out, "sketch") if bundle else [weights]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sonic_ops.training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", type=Path, nargs="+", metavar="[BUNDLE] OUT")
    parser.add_argument("--budget-min", type=float, default=100.0, help="minutes of training")
    parser.add_argument("--from", dest="start", help="weights to go on from: package:sketch, ...")
    parser.add_argument("--run", type=Path, help="folder of the run of a bundle")
    parser.add_argument("--clips", type=int, default=240, help="clips of speech")
    parser.add_argument("--image-shards", type=int, default=10, help="of 500 people each")
    parser.add_argument("--window-shards", type=int, default=24, help="of 100 people each")
    return parser


def _weights(name: str | None) -> Path | None:
    if name is None:
        return None
    packaged = name.startswith(_PACKAGED)
    return _WEIGHTS / name.removeprefix(_PACKAGED) if packaged else Path(name)


if __name__ == "__main__":
    main()
