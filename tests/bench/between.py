"""`python -m tests.bench.between`: what is seen between two frames, against what is there.

People who speak are painted at 25 frames per second; every other picture is left out and made
again from its neighbours. Peak signal to noise ratio of what is made, of all and of the mouth and
what is around it, the variance of the Laplacian of the mouth against that of the truth, and the
CPU time per picture. Hold is the frame before.
"""

import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from sonic_ops.core.constants import OUTPUT_FPS
from sonic_ops.core.native import native_dtype
from sonic_ops.interpolation.flow import Interpolator, output_frames
from sonic_ops.interpolation.rife import load_flownet
from training.data.dataset import SIZE
from training.evaluation.cases import centred, held_out_speech
from training.evaluation.measures import psnr_db
from training.people.examples import PORTRAITS
from training.people.faces import Portraitist
from training.people.motion import animate, perform
from training.people.mouth import STEPS_PER_SECOND
from training.people.people import draw_identity

Bytes = NDArray[np.uint8]
SECONDS = 2.0
MOUTH = (slice(None), slice(64, 112), slice(36, 92))  # of a portrait of 128 pixels


def painted(name: str, seed: int) -> Bytes:
    """A person who speaks, at 25 frames per second: N H W 3."""
    identity = draw_identity(PORTRAITS[name])
    (spoken,) = held_out_speech(seed, 1, SECONDS)
    clip = animate(spoken, np.random.default_rng(seed))
    num_frames = int(SECONDS * OUTPUT_FPS) - 1  # odd, so that the last one has no middle after it
    steps = (np.arange(num_frames) * STEPS_PER_SECOND / float(OUTPUT_FPS)).astype(int)
    painter = Portraitist(identity, size=SIZE, framing=centred(identity))
    return np.stack([painter.paint(pose) for pose in perform(clip.stored[steps], 1.0, 1.0)])


def middles(way: Interpolator, kept: Bytes) -> Bytes:
    """The pictures between some pictures."""
    return np.stack(list(output_frames(way, kept, 0, range(2 * len(kept) - 2)))[1::2])


def padding_mode(pictures: Bytes) -> float:
    """The mean variance of the Laplacian of pictures N H W 3."""
    greys = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures)
    return float(np.mean([cv2.Laplacian(grey, cv2.CV_64F).var() for grey in greys]))


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    ways: dict[str, Callable[[Bytes], Bytes]] = {
        "`flow`, float32": lambda kept: middles(load_flownet(), kept),
        "`dis`": lambda kept: middles("dis", kept),
        "`blend`": lambda kept: middles("blend", kept),
        "hold": lambda kept: kept[:-1],
    }
    people = ("ada", "ben", "ada", "ben")
    if native_dtype("cpu") == "bfloat16":
        ways["`flow`, bfloat16"] = lambda kept: middles(load_flownet().bfloat16(), kept)
    clips = [painted(name, seed) for seed, name in enumerate(people, start=5)]
    true = np.concatenate([clip[1::2] for clip in clips])
    print("| | all, dB | mouth, dB | sharpness of the mouth | CPU ms |\n|" + " --- |" * 5)
    for label, way in ways.items():
        start = time.process_time()
        made = np.concatenate([way(clip[::2]) for clip in clips])
        taken_ms = 1000 * (time.process_time() - start) / len(made)
        all_db, mouth_db = psnr_db(made, true), psnr_db(made[MOUTH], true[MOUTH])
        sharp = padding_mode(made[MOUTH]) / padding_mode(true[MOUTH])
        print(f"| {label} | {all_db:.2f} | {mouth_db:.2f} | {sharp:.2f} | {taken_ms:.1f} |")


if __name__ == "__main__":
    main()
