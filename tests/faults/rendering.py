"""One small video in a process that may kill itself: `python -m tests.faults.rendering JSON`.

The argument holds the fields of `VideoRequest` under `request`, the weights, the settings of the
cluster, and under `until` the stage and the number of its progress at which the process ends by
SIGKILL. Progress goes to standard output, a line each.
"""

import json
import os
import signal
import sys
from typing import Any

from cluster.config import ClusterConfig
from cluster.video.jobs import VideoRequest
from cluster.video.pools import open_pool
from cluster.video.progress import Progress
from cluster.video.render import denoise_video, encode_video
from sonic_ops.core.config import DecodingConfig, MediaConfig, ModelsConfig, SamplingConfig
from sonic_ops.core.errors import SonicError
from sonic_ops.core.presets import VideoConfig

STEPS = 8
CHECKPOINT_EVERY = 3
CONFIG = VideoConfig(
    sampling=SamplingConfig(steps=STEPS, window_frames=6, shift_frames=2),
    decoding=DecodingConfig(chunk_frames=4, context_frames=1),
    media=MediaConfig(speed="ultrafast"),
    segment_frames=5,
    checkpoint_every=CHECKPOINT_EVERY,
)


def main(told: dict[str, Any]) -> None:
    stage, until = told["until"] or ("", 0)

    def say(progress: Progress) -> None:
        print(progress.stage, progress.done, flush=True)
        if progress.stage == stage and progress.done >= until:
            os.kill(os.getpid(), signal.SIGKILL)

    request = VideoRequest(**told["request"])
    models = ModelsConfig(weights=told["weights"])
    with open_pool(ClusterConfig(**told["cluster"]), models) as pool:
        denoise_video(pool, request, CONFIG, say)
        encode_video(pool, request, CONFIG, say)


if __name__ == "__main__":
    try:
        main(json.loads(sys.argv[1]))
    except SonicError as error:
        print(f"{type(error).__name__}: {error} {error.remedy}", flush=True)
        sys.exit(1)
