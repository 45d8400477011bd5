"""A worker owns the weights of one device. Each method is one job and knows nothing of Ray.

Shape letters: F frames, C channels, H, W rows and columns of the latents or of the frame.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cluster.storage import artifacts
from cluster.storage.readers import LatentTrack, token_track
from cluster.video.checks import checked, is_low_noted
from cluster.video.compose import compose_frames
from cluster.video.film_jobs import FilmJobs, noise_of, read_source
from cluster.video.jobs import (
    AudioChunkJob,
    BlendJob,
    ColourStatsJob,
    ConditionJob,
    DecodeJob,
    DenoiseJob,
    EncodeJob,
    FuseJob,
    PausesJob,
    Readers,
    ResumeJob,
    StartJob,
    StoreJob,
)
from sonic_ops.audio.resampling import SampleFile, read_samples
from sonic_ops.core.config import ModelsConfig
from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.core.errors import DamagedFileError
from sonic_ops.core.finite import in_words
from sonic_ops.core.timeline import Segment
from sonic_ops.interpolation.flow import output_frames
from sonic_ops.interpolation.layers import Layers, PortraitLayers
from sonic_ops.media.encoding import encode_frames, settings_of
from sonic_ops.models.loading import processor_of
from sonic_ops.models.portrait_decoder import Reference
from sonic_ops.picture.colour_correction import measure_colour_stats
from sonic_ops.picture.portrait import portrait_from
from sonic_ops.pipeline import SonicPipeline
from sonic_ops.sampling.conditioning import (
    FrameCondition,
    PortraitCondition,
    condition_frames,
)
from sonic_ops.sampling.decoding import (
    decode_chunks,
    decode_frame,
    decode_frames,
    in_tiles,
    to_uint8,
)
from sonic_ops.sampling.fusion import blend, fuse
from sonic_ops.sampling.halo import WindowFrame, fusion_order

KEPT_SEGMENTS = 32
"""Segments whose conditions a worker keeps in memory from one step to the next."""

KEPT_PORTRAITS = 16
"""Portraits that a worker keeps encoded, since rows share them."""

Halos = tuple[Tensor, ...]
Frames = NDArray[np.uint8] | Layers


class RenderWorker(FilmJobs):
    """Jobs on one device; weights are loaded by the first job, which can say what is wrong."""

    def __init__(self, models: ModelsConfig) -> None:
        self._config = models
        self._read_audio_condition = lru_cache(KEPT_SEGMENTS)(_read_audio_condition)
        self._read_source = lru_cache(KEPT_SEGMENTS)(read_source)
        self._conditions: dict[tuple[str, float, int], PortraitCondition] = {}

    @cached_property
    def pipe(self) -> SonicPipeline:
        """Return the networks, and the steps of the method."""
        return SonicPipeline.load(self._config)

    def load(self) -> str:
        """Load the weights now; the kind of processor. Raises ConfigError."""
        return processor_of(str(self.pipe.compute_device))

    def encode_chunk(self, job: AudioChunkJob) -> str:
        """Write the tokens of one audio chunk; return the file."""

        def tokens() -> dict[str, Tensor]:
            samples = read_samples(job.audio, job.chunk.start, job.chunk.stop)
            return {"tokens": self.pipe.encode_chunk(samples)[: job.chunk.num_tokens]}

        chunk = job.chunk
        seconds = f"{chunk.start / SAMPLE_RATE_HZ:g} to {chunk.stop / SAMPLE_RATE_HZ:g}"
        with checked(job.target, f" for the audio from {seconds} s"):
            return artifacts.write_tensors(job.target, tokens)

    def find_pauses(self, job: PausesJob) -> str:
        """Write where nothing is said; return the file's URL."""
        # What analyses prosody takes seconds to import, and few videos ask for it.
        from sonic_ops.audio.prosody import MIN_PAUSE_S, analyse_prosody, pauses

        def found() -> dict[str, Tensor]:
            prosody = analyse_prosody(SampleFile(job.audio), job.num_frames)
            spans = [(pause.start, pause.stop) for pause in pauses(prosody, MIN_PAUSE_S)]
            return {"pauses": torch.tensor(spans, dtype=torch.int64).reshape(-1, 2)}

        return artifacts.write_tensors(job.target, found)

    def condition_portrait(self, url: str, seed: int, noise: float) -> PortraitCondition:
        """Encode the prepared portrait; one that an earlier row had is not encoded again."""
        portrait = portrait_from(artifacts.read_tensors(url))
        key = (portrait.digest, noise, seed if noise else 0)
        if key not in self._conditions:
            with checked(f"{url}/"):
                self._conditions[key] = self.pipe.encode_portrait(portrait, seed, noise)
            if len(self._conditions) > KEPT_PORTRAITS:
                self._conditions.pop(next(iter(self._conditions)))
        return self._conditions[key]

    def condition_frames(self, job: ConditionJob, portrait: PortraitCondition, *_: str) -> str:
        """Project the tokens of some frames, and scale head and expression; return the file's URL.

        A file, because the audio condition of all frames is too large to keep in memory.
        """

        def audio_condition() -> dict[str, Tensor]:
            track = token_track(job.chunks, job.tokens, job.num_tokens)
            frames = [job.first_frame + frame for frame in job.frames]
            found = condition_frames(self.pipe, track.read, frames, portrait.image_11E)
            found = replace(found, frames=tuple(f - job.first_frame for f in found.frames))
            return found.moving(job.sampling).tensors()

        with checked(job.target):
            return artifacts.write_tensors(job.target, audio_condition)

    def start(
        self, job: StartJob, portrait: PortraitCondition, source: str | None = None
    ) -> Halos | Tensor:
        """Return the starting latents of a segment, as halos for their readers."""
        reference_CHW = portrait.reference_CHW
        noise = noise_of(job, reference_CHW)
        frames = None if source is None else self._read_source(source)
        y_FCHW = self.pipe.sampler(job.sampling).start(noise, reference_CHW, frames)
        return _scatter(y_FCHW, job.segment, job.readers)

    def resume(self, job: ResumeJob, _: str | None) -> Halos | Tensor:
        """Return the latents of a checkpoint, as halos for their readers."""
        kept = artifacts.read_tensors(job.source)
        if int(kept["step"]) != job.step or len(kept["y"]) != len(job.segment):
            raise DamagedFileError(job.source)
        return _scatter(kept["y"], job.segment, job.readers)

    @torch.inference_mode()
    def denoise(
        self,
        job: DenoiseJob,
        portrait: PortraitCondition,
        audio_condition: str,
        *halos: Tensor,
        low_memory: bool = False,
    ) -> Halos | Tensor:
        """Denoise the windows of a segment by one step; return halos for the owners."""
        row_of = {frame: i for i, frame in enumerate(f for part in job.sources for f in part)}
        y_FCHW = torch.cat(halos)
        sampler, condition = (
            self.pipe.sampler(job.sampling),
            self._read_audio_condition(audio_condition),
        )
        is_low = is_low_noted(job, forced=low_memory)
        stepped = {}
        for window in job.windows:
            frames = job.ring.frames(window)
            y_TCHW = y_FCHW[[row_of[frame] for frame in frames]]
            step = sampler.steps[job.step]
            with checked(job.low_memory_note, _of(job.segment)):
                stepped[window.index] = self.pipe.denoise_window(
                    step, y_TCHW, frames, portrait, condition, sampler, low_memory=is_low
                )
        return _halos(
            torch.stack([stepped[part.window][part.position] for part in halo])
            for halo in job.parts
        )

    def fuse(
        self,
        job: FuseJob,
        portrait: PortraitCondition | None,
        source: str | None,
        *halos: Tensor,
    ) -> Halos | Tensor:
        """Fuse the window frames of a segment; return halos for the readers of the next step."""
        y_FCHW = self.keep(job, portrait, source, _fused(job.segment, job.parts, halos))
        return _scatter(y_FCHW, job.segment, job.readers)

    def store(
        self, job: StoreJob, portrait: PortraitCondition, source: str | None, *halos: Tensor
    ) -> str:
        """Fuse the parts of a segment's frames into a file; return its URL."""

        def latents() -> dict[str, Tensor]:
            y_FCHW = self.keep(job, portrait, source, _fused(job.segment, job.parts, halos))
            if job.step < job.sampling.num_run:
                return {"y": y_FCHW, "step": torch.tensor(job.step)}
            sampler = self.pipe.sampler(job.sampling)
            return {"latents": sampler.finish(y_FCHW, portrait.reference_CHW)}

        return artifacts.write_tensors(job.target, latents)

    def blend(self, job: BlendJob, *_: str) -> str:
        """Fuse the overlaps of padded segments once; return the file of latents."""

        def latents() -> dict[str, Tensor]:
            blend_sources = []
            for source in job.blend_sources:
                y_FCHW = artifacts.read_tensors(source.source)["latents"]
                weights_F = torch.tensor(source.weights)
                first = source.start - source.padded.start
                part_FCHW = y_FCHW[first : first + len(weights_F)]
                blend_sources.append((source.start - job.segment.start, part_FCHW, weights_F))
            return {"latents": blend(blend_sources, len(job.segment))}

        return artifacts.write_tensors(job.target, latents)

    def decode(self, job: DecodeJob, *_: str, low_memory: bool = False) -> tuple[Frames, Frames]:
        """Decode frames to pixels (F, H, W, 3) or layers; return them and the first one alone."""
        is_low = is_low_noted(job, forced=low_memory)
        track, span = LatentTrack(job.segments, job.latents), range(job.start, job.stop)
        place = (track.read, span, job.num_frames, job.decoding)
        reference = self._encode_reference(job.portrait)
        parts: Iterable[Frames]
        if job.layered:
            decode_layers = partial(self.pipe.decode_layers, reference=reference)
            parts = decode_chunks(decode_layers, *place)
        else:
            decode = partial(self.pipe.decode_latents, reference=reference)
            # A decoder that is given the portrait has no part of it that stands for a tile.
            tiled = is_low and reference is None
            chunks = decode_frames(in_tiles(decode, job.decoding) if tiled else decode, *place)
            parts = map(to_uint8, chunks)
        with checked(job.low_memory_note, f" of the segment of {in_words(span)}"):
            frames: Frames = np.concatenate(list(parts))
        return frames, frames[:1].copy()

    @torch.inference_mode()
    def _encode_reference(self, portrait: str) -> Reference | None:
        return self.pipe.encode_reference(portrait_from(artifacts.read_tensors(portrait)))

    def measure_colour_stats(self, job: ColourStatsJob) -> str:
        """Write the colour statistics of some frames; return the file."""

        def colour_stats() -> dict[str, Tensor]:
            track = LatentTrack((job.segment,), (job.latents,))
            portrait = portrait_from(artifacts.read_tensors(job.portrait))
            reference = self._encode_reference(job.portrait)
            decode = partial(self.pipe.decode_latents, reference=reference)
            frames = ((f, decode_frame(decode, track.read, f)) for f in job.frames)
            image_CHW = portrait.shown_image * 0.5 + 0.5
            return measure_colour_stats(frames, image_CHW, portrait.shown_face).tensors()

        return artifacts.write_tensors(job.target, colour_stats)

    def encode(self, job: EncodeJob, frames: Frames, following: Frames | None) -> str:
        """Interpolate a segment to output frames and encode them; return the file's URL."""
        decoded: Any = frames if following is None else np.concatenate([frames, following])
        if job.media.interpolation == "layers":
            portrait = portrait_from(artifacts.read_tensors(job.portrait))
            decoded = PortraitLayers(portrait.shown_image, decoded)
        stream = output_frames(
            self.pipe.interpolator(job.media.interpolation),
            decoded,
            job.segment.start,
            range(job.start, job.stop),
            job.media.fps,
        )
        settings, expected = settings_of(job.media), job.stop - job.start
        with checked(job.target, _of(job.segment)), compose_frames(stream, job) as frames_HWC:
            return artifacts.write_video(
                job.target,
                lambda path: encode_frames(frames_HWC, path, settings, expected=expected),
            )


def _of(segment: Segment) -> str:
    return f" of segment {segment.index + 1} ({in_words(range(segment.start, segment.stop))})"


def _read_audio_condition(url: str) -> FrameCondition:
    return FrameCondition.from_tensors(artifacts.read_tensors(url))


def _fused(
    segment: Segment, parts: tuple[tuple[WindowFrame, ...], ...], halos: tuple[Tensor, ...]
) -> Tensor:
    order = fusion_order(parts)
    targets = [part.frame - segment.start for halo in parts for part in halo]
    return fuse(torch.cat(halos)[order], [targets[i] for i in order], len(segment))


def _scatter(y_FCHW: Tensor, segment: Segment, readers: Readers) -> Halos | Tensor:
    return _halos(y_FCHW[[frame - segment.start for frame in frames]] for frames in readers)


def _halos(parts: Iterable[Tensor]) -> Halos | Tensor:
    """Return one result per halo, or the tensor itself if there is one."""
    halos = tuple(parts)
    return halos if len(halos) > 1 else halos[0]
