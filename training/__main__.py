"""Train the embedded model, on a GPU if there is one.

python -m training OUT              makes its data with espeak-ng
python -m training BUNDLE OUT       needs nothing but torch, transformers, Pillow

Run it again to go on after a stop, or with a larger budget. With a bundle, OUT gets the weights
and curves as `sketch.tar.00`, ... of at most 15 MB each.
"""

import argparse
from pathlib import Path

from training.data.bundle import open_bundle, write_parts
from training.fit.options import PACKAGED_ENCODER, add_options, run_of


def main() -> None:
    """Run all stages and say where the weights are."""
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", type=Path, nargs="+", metavar="[BUNDLE] OUT")
    parser.add_argument("--run", type=Path, help="folder of the run of a bundle")
    add_options(parser)
    options = parser.parse_args()
    if len(options.folders) > 2:
        parser.error("give OUT, or BUNDLE and OUT")
    *bundle, out = options.folders
    folder, encoder = out, PACKAGED_ENCODER
    if bundle:
        folder = options.run or bundle[0].with_name(f"{bundle[0].name.partition('.')[0]}-run")
        encoder = open_bundle(bundle[0], folder)
    from training.fit.stages import run_all

    weights = run_all(run_of(options, folder, encoder, bundled=bool(bundle)))
    print("weights:", *(write_parts(weights, out, "sketch") if bundle else [weights]))


if __name__ == "__main__":
    main()
