"""Shards of pictures: made ahead, or by other processes while one trains on a GPU."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from torch import multiprocessing

from training.data import dataset
from training.data.samples import LATENTS, finished
from training.data.sitters import World

_MOST_UNUSED: Final = 160
"""Shards that wait to be used: 20 GB of windows."""
_STOP_WITHIN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of shard: so many people, with so many frames each."""

    name: str
    first_seed: int
    """The seed of shard 0; no other kind has one between this and the last shard's."""
    people: int
    frames: int
    whole_windows: bool
    """Neighbouring frames of one clip; else each from another clip and moment."""
    world: World = "drawn"


def make_shards(folder: Path, kind: Kind, numbers: Iterable[int], speech: dataset.Speech) -> None:
    """Paint the shards of these numbers that are not there yet."""
    choose = (dataset.window_frames if kind.whole_windows else dataset.single_frames)(
        speech, kind.frames
    )
    for number in numbers:
        target = folder / f"{kind.name}-{number}"
        if not target.exists() and not target.with_name(LATENTS + target.name).exists():
            dataset.write_pictures(
                target,
                speech,
                choose,
                shard=kind.first_seed + number,
                num_people=kind.people,
                world=kind.world,
            )


@contextmanager
def shard_workers(folder: Path, kind: Kind, num_workers: int, speech: list[Path]) -> Iterator[None]:
    """`num_workers` processes that paint shard after shard until the end of the block.

    They read the `speech` themselves: to hand it over would wait for each of them to start.
    """
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(
            target=_make_on,
            args=(folder, kind, first, num_workers, speech, os.getpid()),
            name=_name_of(kind),
        )
        for first in range(num_workers)
    ]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join(_STOP_WITHIN_S)


def are_working(kind: Kind) -> bool:
    """Tell whether any process of this one paints shards of a kind."""
    return any(child.name == _name_of(kind) for child in multiprocessing.active_children())


def _name_of(kind: Kind) -> str:
    return f"shard worker of {kind.name}"


def _make_on(
    folder: Path, kind: Kind, first: int, step: int, shards: list[Path], parent: int
) -> None:
    """Paint the shards first, first + step, ... as they are used, while the parent lives."""
    speech = dataset.read_speech(shards, load_features=False)
    for number in count(first, step):
        while len(finished(folder, kind.name)) >= _MOST_UNUSED:
            time.sleep(0.2)
            if os.getppid() != parent:
                return
        if os.getppid() != parent:
            return
        make_shards(folder, kind, [number], speech)
