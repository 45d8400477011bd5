"""Train the portrait decoder and measure it: `python -m training.portrait_decoder OUT`.

It goes on from the weights that ship. OUT gets albums of painted people, clips that the UNet has
remade, the state of the training, `portrait_decoder/` as it ships, `table.md` and sheets of
pictures. Run it again to go on after a stop, or with a larger budget; with a budget of 0 it only
measures.
"""

import argparse
import os
from pathlib import Path
from typing import Final

import torch

from sonic_ops.core.weights import weights_folder, weights_part
from sonic_ops.models.portrait_decoder import PortraitDecoder
from sonic_ops.pipeline import SonicPipeline
from training.data.albums import KINDS, Album, people, write_album
from training.data.remade import read_remade, write_remade
from training.evaluation.decoding import measure
from training.evaluation.rendering import preset_with, renderer_of
from training.fit.device import training_device
from training.fit.export import write_part
from training.fit.loop import Budget, load_average, train_together
from training.fit.portrait_decoder import train_portrait_decoder
from training.fit.weights import load_autoencoder, start_portrait_decoder

PART: Final = "portrait_decoder"
_PEOPLE: Final = 40
"""People of an album: each is painted once, and lasts."""
_FRAMES: Final = 7
_CLIP: Final = "remade-"
_FIRST_CLIP: Final = 33_000_000


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.portrait_decoder",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path, help="folder of the run")
    parser.add_argument("--from", dest="start", default="package:lite", help="weights")
    parser.add_argument("--budget-min", type=float, default=60)
    parser.add_argument("--people", type=int, default=240, help="of each kind, to learn from")
    parser.add_argument("--clips", type=int, default=200, help="that the UNet remakes")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--held-out", type=int, default=16, help="of each kind, to measure")
    parser.add_argument("--blocks", type=int, nargs=5, help="of each stage, if more than there are")
    parser.add_argument("--rate", type=float, default=3e-4, help="the learning rate")
    parser.add_argument("--mix", type=float, default=1.0, help="share of what was learnt in OUT")
    options = parser.parse_args()
    pipe = renderer_of(preset_with("lite", options.start)).pipe
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.budget_min > 0:
        _make_clips(pipe, options.out, options.clips)
        _albums(options.out, options.people)
        together = 1 if torch.cuda.is_available() else options.processes
        train_together(_train, (options,), num_processes=together, folder=options.out)
        pipe.portrait_decoder = _trained(options).eval()
    table = measure(pipe, options.out, options.held_out)
    (options.out / "table.md").write_text(table)
    print(table)


def _train(options: argparse.Namespace) -> None:
    """Train on what is painted, as one of the processes that do so together."""
    folder, device = weights_folder(options.start), training_device()
    decoder = start_portrait_decoder(weights_part(folder, PART), options.blocks)
    decoder.to(device, memory_format=torch.channels_last)
    vae = load_autoencoder(weights_part(folder, "vae")).to(device).requires_grad_(False)
    train_portrait_decoder(
        decoder,
        vae,
        _albums(options.out, options.people),
        read_remade(sorted(options.out.glob(f"{_CLIP}[0-9]*[0-9]"))),
        options.out,
        Budget(seconds=60 * options.budget_min),
        rate=options.rate,
    )


def _trained(options: argparse.Namespace) -> PortraitDecoder:
    """Write what was learnt, and return it."""
    folder = weights_folder(options.start)
    decoder = start_portrait_decoder(weights_part(folder, PART), options.blocks)
    start = {name: weight.clone() for name, weight in decoder.state_dict().items()}
    load_average(decoder, options.out)
    # A mean of weights (arXiv:2203.05482) is nearly as accurate as what was learnt, and sharper.
    learnt = decoder.state_dict()
    decoder.load_state_dict({k: torch.lerp(start[k], learnt[k], options.mix) for k in start})
    write_part(options.out / PART, decoder)
    return decoder


def _make_clips(pipe: SonicPipeline, out: Path, count: int) -> None:
    """Let the UNet remake people who speak; what is there is kept."""
    for seed in people(_FIRST_CLIP, count, held_out=False):
        write_remade(out / f"{_CLIP}{seed}", pipe, seed)


def _albums(out: Path, num_people: int) -> list[Album]:
    """Return an album of each kind."""
    albums = []
    for kind in KINDS:
        seeds = people(1_000_000, num_people, held_out=False)
        parts = [seeds[i : i + _PEOPLE] for i in range(0, num_people, _PEOPLE)]
        folders = [out / f"{kind}-{part[0]}-{len(part)}" for part in parts]
        out.mkdir(parents=True, exist_ok=True)
        for target, part in zip(folders, parts, strict=True):
            write_album(target, kind, part, _FRAMES)
            print(f"painted: {target.name}", flush=True)
        albums.append(Album.joined(folders))
    return albums


if __name__ == "__main__":
    main()
