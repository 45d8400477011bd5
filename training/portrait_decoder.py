"""Train the portrait decoder and measure it: `python -m training.portrait_decoder OUT`.

It goes on from the weights that ship. OUT gets albums of painted people, rollouts of the UNet, the
states of what is trained (the reader of poses, the layers, and the rig with `--rig`, since the
layers have to learn another rig anew), `portrait_decoder/` as it ships, `table.md` and sheets of
pictures. Run it again to go on after a stop, or with a larger budget; with a budget of 0 it only
measures.
"""

import argparse
import os
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import load_file, save_file

from sonic_ops.core.weights import weights_folder, weights_part
from sonic_ops.models.portrait_decoder import PortraitDecoder
from sonic_ops.pipeline import SonicPipeline
from training.data.albums import KINDS, Album, Encoded, encode_album, people, write_album
from training.data.rollouts import Rollout, read_rollouts, write_rollout
from training.evaluation.decoding import measure
from training.evaluation.rendering import preset_with, renderer_of
from training.fit.device import training_device
from training.fit.export import write_part
from training.fit.face_rig import People, train_rig
from training.fit.loop import Budget, load_average, train_together
from training.fit.portrait_decoder import train_portrait_decoder
from training.fit.pose_reader import calibrate_reader, train_pose_reader
from training.fit.weights import fill

PART: Final = "portrait_decoder"
_PEOPLE: Final = 40
"""People of an album: each is painted once, and lasts."""
_FRAMES: Final = 7
_COPIES: Final = 3
"""How often everybody is encoded, each time altered in another way."""
_RIG: Final = "rig.safetensors"
_RIG_STEPS: Final = 6000
_READER: Final = 0.25
"""Share of the budget for the reader of poses."""
_FIRST_ROLLOUT: Final = 20_000_000


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
    parser.add_argument("--rollouts", type=int, default=100, help="clips that the UNet makes")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--held-out", type=int, default=16, help="of each kind, to measure")
    parser.add_argument("--rig", action="store_true", help="make a new rig of the people")
    parser.add_argument("--rate", type=float, default=3e-4, help="the learning rate")
    options = parser.parse_args()
    pipe = renderer_of(preset_with("lite", options.start)).pipe
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.budget_min > 0:
        _paint(pipe, options.out, options.people)
        _roll(pipe, options.out, options.rollouts)
        if options.rig:
            _make_rig(options)
        together = 1 if torch.cuda.is_available() else options.processes
        train_together(_train, (options,), num_processes=together, folder=options.out)
        pipe.portrait_decoder = _trained(options)
    table = measure(pipe, options.out, options.held_out)
    (options.out / "table.md").write_text(table)
    print(table)


def _train(options: argparse.Namespace) -> None:
    """Train on what is painted, as one of the processes that do so together."""
    decoder, out, device = _start(options), options.out, training_device()
    decoder.to(device, memory_format=torch.channels_last)
    seconds = 60 * options.budget_min
    folders = [_folders(out, options.people, kind) for kind in KINDS]
    encoded = [Encoded.joined([_encoded(folder) for folder in part]) for part in folders]
    budget = Budget(seconds=_READER * seconds)
    train_pose_reader(decoder.reader, encoded, _rollouts(out), out / "reader", budget)
    budget = Budget(seconds=(1 - _READER) * seconds)
    albums = [Album.joined(part) for part in folders]
    order = People(albums).order
    train_portrait_decoder(decoder, albums, order, out / "layers", budget, rate=options.rate)


def _start(options: argparse.Namespace) -> PortraitDecoder:
    folder = weights_part(weights_folder(options.start), PART)
    empty: PortraitDecoder = PortraitDecoder.from_config(PortraitDecoder.load_config(folder))
    decoder: PortraitDecoder = fill(empty, folder.parent, folder.name)
    if (options.out / _RIG).exists():
        decoder.rig.load_state_dict(load_file(options.out / _RIG))
    return decoder


def _trained(options: argparse.Namespace) -> PortraitDecoder:
    """Write what was learnt, and return it."""
    decoder, out = _start(options), options.out
    load_average(decoder.reader, out / "reader")
    load_average(decoder, out / "layers")
    calibrate_reader(decoder, _rollouts(out))
    write_part(out / PART, decoder)
    decoder.eval()
    return decoder


def _make_rig(options: argparse.Namespace) -> None:
    """Train the rig; an existing one is kept."""
    if (options.out / _RIG).exists():
        return
    torch.manual_seed(0)
    albums = [Album.joined(_folders(options.out, options.people, kind)) for kind in KINDS]
    rig = _start(options).rig
    train_rig(rig, albums, options.out / "rig", Budget(steps=_RIG_STEPS))
    save_file(rig.state_dict(), options.out / _RIG)


def _paint(pipe: SonicPipeline, out: Path, num_people: int) -> None:
    """Paint and encode people; existing albums are kept."""
    for kind in KINDS:
        folders = _folders(out, num_people, kind)
        seeds = people(1_000_000, num_people, held_out=False)
        for number, folder in enumerate(folders):
            part = seeds[number * _PEOPLE :][:_PEOPLE]
            write_album(folder, kind, part, _FRAMES)
            encode_album(_encoded(folder), folder, pipe.vae, copies=_COPIES)
            print(f"painted: {folder.name}", flush=True)


def _folders(out: Path, num_people: int, kind: str) -> list[Path]:
    seeds = people(1_000_000, num_people, held_out=False)
    return [
        out / f"{kind}-{seeds[first]}-{len(seeds[first : first + _PEOPLE])}"
        for first in range(0, num_people, _PEOPLE)
    ]


def _encoded(album: Path) -> Path:
    return album.with_name(f"encoded-{album.name}")


def _roll(pipe: SonicPipeline, out: Path, count: int) -> None:
    """Write rollouts of people who speak; existing ones are kept."""
    for seed in people(_FIRST_ROLLOUT, count, held_out=False):
        write_rollout(out / f"rollout-{seed}", pipe, pipe.settings.sampling, seed)


def _rollouts(out: Path) -> list[Rollout]:
    return read_rollouts(sorted(out.glob("rollout-[0-9]*[0-9]")))


if __name__ == "__main__":
    main()
