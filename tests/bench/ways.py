"""One video from its sound to its file, in our way and in the released one, with its CPU time."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import torch
from torch import Tensor

from cluster.config import ClusterConfig
from cluster.pool.base import LocalPool
from cluster.storage import artifacts
from cluster.video.jobs import VideoRequest
from cluster.video.progress import Progress
from cluster.video.render import denoise_video, encode_audio, encode_video
from cluster.video.worker import RenderWorker
from flows.preflight.inputs import portrait_of
from flows.rows.config import RenderConfig
from sonic_ops.audio.resampling import decode_audio, read_samples
from sonic_ops.core.timeline import num_frames_of, num_output_frames_of
from sonic_ops.media.finishing import Finish, finish_video
from sonic_ops.media.soundtrack import Soundtrack
from sonic_ops.picture.portrait import portrait_tensors
from sonic_ops.pipeline import SonicPipeline
from sonic_ops.sampling.sampler import Sampler
from tests.bench import released
from training.evaluation.rendering import Stopwatch

PARTS: Final = ("audio", "denoise", "decode")
"""From the sound to tokens; from these to latents; from these to the finished file."""


@dataclass(frozen=True, slots=True)
class Shot:
    """What is rendered."""

    sound: Path
    portrait: Path
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Made:
    """A finished video, its latents (F, C, H, W), and the CPU seconds of its parts."""

    video: Path
    latents_FCHW: Tensor
    seconds: dict[str, float]

    @property
    def whole_s(self) -> float:
        return sum(self.seconds.values())


class Way(Protocol):
    """A way to make a video."""

    def make(self, shot: Shot, folder: Path) -> Made:
        """Render in a folder that does not exist yet."""
        ...


class Ours:
    """What `sonic render` does to a row, in this process, without its manifest and its report."""

    def __init__(self, config: RenderConfig) -> None:
        self.config = config
        self._pool = LocalPool(ClusterConfig(workers=0), RenderWorker(config.models))
        self._pool.submit("load")

    def make(self, shot: Shot, folder: Path) -> Made:
        folder.mkdir()
        watch, config, wav = Stopwatch(), self.config, folder / "sound.wav"
        with watch.part("audio"):
            num_samples = decode_audio(str(shot.sound), wav)
            request = VideoRequest(
                str(wav), str(folder / "portrait.safetensors"), num_samples, str(folder), shot.seed,
                audio_context=config.audio_context,
            )  # fmt: skip
            encode_audio(self._pool, request, _say_nothing)
        with watch.part("denoise"):
            portrait = portrait_of(str(shot.portrait), None, config.portrait)
            artifacts.write_tensors(request.portrait, lambda: portrait_tensors(portrait))
            latents = denoise_video(self._pool, request, config, _say_nothing)
        with watch.part("decode"):
            video = self._finish(shot, request, folder / "video.mp4")
        parts = [artifacts.read_tensors(url)["latents"] for url in latents]
        return Made(video, torch.cat(parts), watch.seconds)

    def _finish(self, shot: Shot, request: VideoRequest, target: Path) -> Path:
        encoded = encode_video(self._pool, request, self.config, _say_nothing)
        num_output_frames = num_output_frames_of(request.num_samples, self.config.media.fps)
        finish = Finish(
            Soundtrack(str(shot.sound)), Path(request.audio), request.num_samples, num_output_frames
        )
        with ExitStack() as stack:
            paths = [stack.enter_context(artifacts.fetched_whole(url)) for url in encoded]
            finish_video(paths, target, finish)
        return target


class Released:
    """The released way with the weights of a preset, in its own precision.

    `needed_only`: without the guidance branches that weigh nothing, which the release computes.
    """

    def __init__(self, config: RenderConfig, *, needed_only: bool = False) -> None:
        self.config, self._needed_only = config, needed_only
        # The flow network of the release is float32 beside a UNet in half precision.
        update = {"flow_dtype": "float32"}
        self._models = released.released_models(
            SonicPipeline.load(config.models.model_copy(update=update))
        )
        self._sampler = Sampler(
            self._models.scheduler, config.sampling, self._models.latent_channels
        )

    def make(self, shot: Shot, folder: Path) -> Made:
        folder.mkdir()
        watch, wav, target = Stopwatch(), folder / "sound.wav", folder / "video.mp4"
        with watch.part("audio"):
            num_samples = decode_audio(str(shot.sound), wav)
            tokens_LKD = released.hear(self._models, read_samples(wav, 0, num_samples))
        with watch.part("denoise"):
            latents_FCHW = released.denoise(
                self._models,
                self._sampler,
                portrait_of(str(shot.portrait), None, self.config.portrait),
                tokens_LKD,
                num_frames_of(num_samples),
                shot.seed,
                needed_only=self._needed_only,
            )
        with watch.part("decode"):
            released.finish(self._models, latents_FCHW, shot.sound, target)
        return Made(target, latents_FCHW, watch.seconds)


def _say_nothing(_: Progress) -> None:
    pass
