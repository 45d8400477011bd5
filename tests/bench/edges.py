"""`python -m tests.bench.edges`: what a mirror at both ends of the video changes.

The embedded model renders every recording of a folder with either `padding_mode`. The mouth is
measured in the finished videos (`sonic_ops/quality`): its correlation with the voice in the first
second, the last one and between, over all recordings. The loop is the change from the last output
frame to the first one, against that between neighbours: near 1 the video goes round.
"""

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from cluster.config import ClusterConfig
from cluster.pool.base import Pool
from cluster.storage import artifacts
from cluster.video.jobs import VideoRequest
from cluster.video.pools import open_pool
from cluster.video.render import denoise_video, encode_audio, encode_video
from flows.preflight.inputs import portrait_of
from flows.rows.config import RenderConfig, load_preset
from sonic_ops.core.constants import OUTPUT_FPS, SAMPLE_RATE_HZ
from sonic_ops.media.muxing import stitch
from sonic_ops.picture.portrait import portrait_tensors
from sonic_ops.quality.frame_analysis import analyse_frames, frames_of
from sonic_ops.quality.speech import analyse_speech
from tests.bench.speech import EXAMPLES, recordings

SECOND = int(OUTPUT_FPS)
PLACES = {
    "first second": slice(0, SECOND),
    "last second": slice(-SECOND, None),
    "between": slice(SECOND, -SECOND),
}
Floats = NDArray[np.float32]


def render(pool: Pool, config: RenderConfig, samples: Floats, folder: Path) -> Path:
    """The silent video of some speech."""
    folder.mkdir()
    soundfile.write(folder / "sound.wav", samples, SAMPLE_RATE_HZ, subtype="FLOAT")
    portrait = portrait_of(str(EXAMPLES / "ada.png"), None, config.portrait)
    url = artifacts.write_tensors(
        str(folder / "portrait.safetensors"), lambda: portrait_tensors(portrait)
    )
    request = VideoRequest(str(folder / "sound.wav"), url, len(samples), str(folder), seed=1)
    encode_audio(pool, request, lambda progress: None)
    denoise_video(pool, request, config, lambda progress: None)
    with ExitStack() as stack:
        encoded = encode_video(pool, request, config, lambda progress: None)
        segments = [stack.enter_context(artifacts.fetched_whole(each)) for each in encoded]
        stitch(segments, folder / "video.mp4")
    return folder / "video.mp4"


class Figures:
    """What was seen of all videos of one mode."""

    def __init__(self) -> None:
        self.pictures: list[Floats] = []
        self.mouth: list[Floats] = []
        self.voice: list[Floats] = []

    def add(self, video: Path) -> None:
        pictures = np.stack([shown.frame_HW3 for shown in frames_of(video)]).astype(np.float32)
        speech = analyse_speech(video.with_name("sound.wav"), len(pictures), OUTPUT_FPS)
        tracks = analyse_frames(video)
        self.pictures.append(pictures)
        self.mouth.append(np.asarray(tracks.mouth_N, np.float32))
        self.voice.append(speech.voice_db_N)

    def sync(self, place: slice) -> float:
        """The correlation of mouth and voice in a place, over all videos."""
        mouth, voice = (
            np.concatenate([each[place] for each in kind]) for kind in (self.mouth, self.voice)
        )
        return float(np.corrcoef(mouth, voice)[0, 1])

    def loop(self) -> float:
        closing = np.mean([np.abs(each[-1] - each[0]).mean() for each in self.pictures])
        return float(closing / np.mean([np.abs(np.diff(p, axis=0)).mean() for p in self.pictures]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", type=Path, default=EXAMPLES)
    options = parser.parse_args()
    preset, seen = load_preset("sketch"), {"circular": Figures(), "reflect": Figures()}
    torch.set_num_threads(1)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_pool(ClusterConfig(workers=0), preset.models) as pool,
    ):
        for index, samples in enumerate(recordings(options.recordings)):
            for padding_mode, figures in seen.items():
                sampling = preset.sampling.model_copy(update={"padding_mode": padding_mode})
                config = preset.model_copy(update={"sampling": sampling})
                figures.add(render(pool, config, samples, Path(folder) / f"{index}-{padding_mode}"))
    print(
        "| `padding_mode` | "
        + " | ".join(f"mouth and voice, {place}" for place in PLACES)
        + " | loop |"
    )
    print("| --- | --- | --- | --- | --- |")
    for padding_mode, figures in seen.items():
        sync = " | ".join(f"{figures.sync(place):.2f}" for place in PLACES.values())
        print(f"| `{padding_mode}` | {sync} | {figures.loop():.2f} |")
    for place, span in PLACES.items():
        pairs = zip(seen["circular"].pictures, seen["reflect"].pictures, strict=True)
        apart = [float(np.abs(a[span] - b[span]).mean()) for a, b in pairs]
        print(f"apart in the {place}: {np.mean(apart):.2f} grey levels")


if __name__ == "__main__":
    main()
