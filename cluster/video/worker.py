"""A worker owns the weights of one device. Each method is one job and knows nothing of Ray.

Shape letters: F frames, C channels, H, W rows and columns of the latents or of the picture.
"""

from collections.abc import Iterable
from functools import cached_property, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cluster.storage import artifacts
from cluster.storage.readers import LatentTrack, token_track
from cluster.video.compose import shown
from cluster.video.jobs import (
    BlendJob,
    ConditionJob,
    DecodeJob,
    DenoiseJob,
    EncodeJob,
    FuseJob,
    PausesJob,
    PieceJob,
    Readers,
    ResumeJob,
    StartJob,
    StoreJob,
    TintJob,
)
from sonic_ops.audio.resampling import SampleFile, read_samples
from sonic_ops.core.config import ModelsConfig
from sonic_ops.core.errors import DamagedFileError
from sonic_ops.core.timeline import Segment
from sonic_ops.interpolation.flow import output_frames
from sonic_ops.media.encoding import encode_frames, settings_of
from sonic_ops.models.loading import processor_of
from sonic_ops.picture.colour_correction import measure_tints
from sonic_ops.picture.portrait import portrait_from
from sonic_ops.pipeline import SonicPipeline
from sonic_ops.sampling.conditioning import (
    FrameCondition,
    PortraitCondition,
    condition_frames,
)
from sonic_ops.sampling.decoding import as_pictures, decode_frame, decode_frames, in_tiles
from sonic_ops.sampling.fusion import blend, fuse
from sonic_ops.sampling.halo import Part, fusion_order
from sonic_ops.sampling.sampler import video_noise

KEPT_SEGMENTS = 16
"""Segments whose conditions a worker keeps in memory from one step to the next."""

KEPT_PORTRAITS = 16
"""Portraits that a worker keeps encoded, since rows share them."""

Parcels = tuple[Tensor, ...]


class RenderWorker:
    """Jobs on one device; weights are loaded by the first job, which can say what is wrong."""

    def __init__(self, models: ModelsConfig) -> None:
        self._config = models
        self._read_heard = lru_cache(KEPT_SEGMENTS)(_read_heard)
        self._conditions: dict[tuple[str, float, int], PortraitCondition] = {}

    @cached_property
    def pipe(self) -> SonicPipeline:
        """The networks, and the steps of the method."""
        return SonicPipeline.load(self._config)

    def load(self) -> str:
        """Load the weights now; the kind of processor. Raises ConfigError."""
        return processor_of(str(self.pipe.compute_device))

    def encode_piece(self, job: PieceJob) -> str:
        """Write the tokens of one piece that count; its address."""

        def tokens() -> dict[str, Tensor]:
            samples = read_samples(job.audio, job.piece.start, job.piece.stop)
            return {"tokens": self.pipe.encode_chunk(samples)[: job.piece.num_tokens]}

        return artifacts.write_tensors(job.target, tokens)

    def find_pauses(self, job: PausesJob) -> str:
        """Write where nothing is said; the address."""
        # What analyses prosody takes seconds to import, and few videos ask for it.
        from sonic_ops.audio.prosody import MIN_PAUSE_S, analyse_prosody, pauses

        def found() -> dict[str, Tensor]:
            prosody = analyse_prosody(SampleFile(job.audio), job.num_frames)
            spans = [(pause.start, pause.stop) for pause in pauses(prosody, MIN_PAUSE_S)]
            return {"pauses": torch.tensor(spans, dtype=torch.int64).reshape(-1, 2)}

        return artifacts.write_tensors(job.target, found)

    def condition_portrait(self, address: str, seed: int, noise: float) -> PortraitCondition:
        """Encode the prepared portrait; one that an earlier row had is not encoded again."""
        portrait = portrait_from(artifacts.read_tensors(address))
        key = (portrait.digest, noise, seed if noise else 0)
        if key not in self._conditions:
            self._conditions[key] = self.pipe.encode_portrait(portrait, seed, noise)
            if len(self._conditions) > KEPT_PORTRAITS:
                self._conditions.pop(next(iter(self._conditions)))
        return self._conditions[key]

    def condition_frames(self, job: ConditionJob, portrait: PortraitCondition) -> str:
        """Project the tokens of some frames, and scale head and expression; the file's address.

        A file, because what all frames hear is too much to keep in memory for all steps.
        """

        def heard() -> dict[str, Tensor]:
            track = token_track(job.pieces, job.tokens, job.num_tokens)
            heard = condition_frames(self.pipe, track.read, job.frames, portrait.image_11E)
            return heard.moving(job.sampling).tensors()

        return artifacts.write_tensors(job.target, heard)

    def start(self, job: StartJob, portrait: PortraitCondition) -> Parcels | Tensor:
        """The noisiest latents of a segment, as parcels for their readers."""
        frames = range(job.segment.start, job.segment.stop)
        shape = portrait.reference_CHW.shape
        noise = video_noise(job.seed, frames, shape, job.sampling)
        y_FCHW = self.pipe.sampler(job.sampling).start(noise, portrait.reference_CHW)
        return _hand_out(y_FCHW, job.segment, job.readers)

    def resume(self, job: ResumeJob, _: str | None) -> Parcels | Tensor:
        """The latents of a checkpoint, as parcels for their readers; it is given when written."""
        kept = artifacts.read_tensors(job.source)
        if int(kept["step"]) != job.step or len(kept["y"]) != len(job.segment):
            raise DamagedFileError(job.source)
        return _hand_out(kept["y"], job.segment, job.readers)

    @torch.inference_mode()
    def denoise(
        self,
        job: DenoiseJob,
        portrait: PortraitCondition,
        heard: str,
        *parcels: Tensor,
        low_memory: bool = False,
    ) -> Parcels | Tensor:
        """One step of the windows of a segment, as parcels for their owners."""
        row_of = {frame: i for i, frame in enumerate(f for part in job.sources for f in part)}
        y_FCHW = torch.cat(parcels)
        sampler, condition = self.pipe.sampler(job.sampling), self._read_heard(heard)
        is_low = _is_low(job, forced=low_memory)
        stepped = {}
        for window in job.windows:
            frames = job.ring.frames(window)
            y_TCHW = y_FCHW[[row_of[frame] for frame in frames]]
            step = sampler.steps[job.step]
            stepped[window.index] = self.pipe.denoise_window(
                step, y_TCHW, frames, portrait, condition, sampler, low_memory=is_low
            )
        return _parcels(
            torch.stack([stepped[part.window][part.position] for part in parcel])
            for parcel in job.parts
        )

    def fuse(self, job: FuseJob, *parcels: Tensor) -> Parcels | Tensor:
        """Fuse the parts of a segment's frames, as parcels for the readers of the next step."""
        y_FCHW = _fused(job.segment, job.parts, parcels)
        return _hand_out(y_FCHW, job.segment, job.readers)

    def store(self, job: StoreJob, portrait: PortraitCondition, *parcels: Tensor) -> str:
        """Fuse the parts of a segment's frames into a file; its address."""

        def latents() -> dict[str, Tensor]:
            y_FCHW = _fused(job.segment, job.parts, parcels)
            if job.step < job.sampling.num_run:
                return {"y": y_FCHW, "step": torch.tensor(job.step)}
            sampler = self.pipe.sampler(job.sampling)
            return {"latents": sampler.finish(y_FCHW, portrait.reference_CHW)}

        return artifacts.write_tensors(job.target, latents)

    def blend(self, job: BlendJob, *_: str) -> str:
        """Fuse the overlaps of stretches once; the address of the latents."""

        def latents() -> dict[str, Tensor]:
            takes = []
            for take in job.takes:
                y_FCHW = artifacts.read_tensors(take.source)["latents"]
                weights_F = torch.tensor(take.weights)
                first = take.start - take.stretch.start
                part_FCHW = y_FCHW[first : first + len(weights_F)]
                takes.append((take.start - job.segment.start, part_FCHW, weights_F))
            return {"latents": blend(takes, len(job.segment))}

        return artifacts.write_tensors(job.target, latents)

    def decode(
        self, job: DecodeJob, *, low_memory: bool = False
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The pictures of some frames (F, H, W, 3), and the first of them alone (1, H, W, 3)."""
        track = LatentTrack(job.segments, job.latents)
        span, decode = range(job.start, job.stop), self.pipe.decode_latents
        tiled = in_tiles(decode, job.decoding)
        chunks = decode_frames(
            tiled if _is_low(job, forced=low_memory) else decode,
            track.read,
            span,
            job.num_frames,
            job.decoding,
        )
        frames = np.concatenate([as_pictures(chunk) for chunk in chunks])
        return frames, frames[:1].copy()

    def measure_tints(self, job: TintJob) -> str:
        """Write the tints of some frames; the address."""

        def tints() -> dict[str, Tensor]:
            track = LatentTrack((job.segment,), (job.latents,))
            portrait = portrait_from(artifacts.read_tensors(job.portrait))
            decode = self.pipe.decode_latents
            frames = ((f, decode_frame(decode, track.read, f)) for f in job.frames)
            return measure_tints(frames, portrait.image_CHW * 0.5 + 0.5, portrait.face_HW).tensors()

        return artifacts.write_tensors(job.target, tints)

    def encode(
        self, job: EncodeJob, frames: NDArray[np.uint8], following: NDArray[np.uint8] | None
    ) -> str:
        """Interpolate a segment to output frames and encode them; the address of the file."""
        pictures = frames if following is None else np.concatenate([frames, following])
        stream = output_frames(
            self.pipe.interpolator(job.media.interpolation),
            pictures,
            job.segment.start,
            range(job.start, job.stop),
            job.media.fps,
        )
        settings, expected = settings_of(job.media), job.stop - job.start
        with shown(stream, job) as pictures_HWC:
            return artifacts.write_video(
                job.target,
                lambda path: encode_frames(pictures_HWC, path, settings, expected=expected),
            )


def _is_low(job: DenoiseJob | DecodeJob, *, forced: bool) -> bool:
    """Whether a job takes the low-memory form. If that is forced, and not what the preset says, a
    note comes first: files with such bits may be all that is left of a run."""
    if forced and not job.low_memory:
        artifacts.write_tensors(job.lowered, dict)
    return forced or job.low_memory


def _read_heard(address: str) -> FrameCondition:
    return FrameCondition.from_tensors(artifacts.read_tensors(address))


def _fused(
    segment: Segment, parts: tuple[tuple[Part, ...], ...], parcels: tuple[Tensor, ...]
) -> Tensor:
    order = fusion_order(parts)
    targets = [part.frame - segment.start for parcel in parts for part in parcel]
    return fuse(torch.cat(parcels)[order], [targets[i] for i in order], len(segment))


def _hand_out(y_FCHW: Tensor, segment: Segment, readers: Readers) -> Parcels | Tensor:
    return _parcels(y_FCHW[[frame - segment.start for frame in frames]] for frames in readers)


def _parcels(parts: Iterable[Tensor]) -> Parcels | Tensor:
    """One result per parcel; a single one is itself the result."""
    parcels = tuple(parts)
    return parcels if len(parcels) > 1 else parcels[0]
