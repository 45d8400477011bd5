"""The jobs of a film: follow a face, show it to the model, and paste what the model made.

Shape letters: F frames of the model, C channels, H, W rows and columns.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from torch import Tensor

from cluster.storage import artifacts
from cluster.storage.footage import open_footage
from cluster.storage.readers import LatentTrack
from cluster.video.checks import checked, is_low_noted
from cluster.video.film_requests import DubJob, Film, MadeFrames, SourceJob, TakeJob, TrackJob
from cluster.video.jobs import FuseJob, StartJob, StoreJob
from sonic_ops.core.finite import in_words
from sonic_ops.film.camera import made_mask, reference_portrait, see
from sonic_ops.film.casts import READ_S, Casts
from sonic_ops.film.choice import chooser
from sonic_ops.film.compositing import Patch, lay, paste
from sonic_ops.film.takes import Take
from sonic_ops.film.tracking import shot_starts, track_film
from sonic_ops.interpolation.flow import interpolate_at
from sonic_ops.interpolation.layers import PortraitLayers
from sonic_ops.media.encoding import GOP_S, EncodeSettings, settings_of
from sonic_ops.media.film_encoding import encode_film, native
from sonic_ops.picture.portrait import Portrait, portrait_from, portrait_tensors, square_tensor
from sonic_ops.picture.video_frames import FilmFrame
from sonic_ops.pipeline import SonicPipeline
from sonic_ops.sampling.conditioning import PortraitCondition
from sonic_ops.sampling.decoding import decode_chunks, decode_frames, in_tiles, to_uint8
from sonic_ops.sampling.sampler import SourceFrames, video_noise


class _HasPipe(Protocol):
    @property
    def pipe(self) -> SonicPipeline: ...


class _Keeps(_HasPipe, Protocol):
    @property
    def _read_source(self) -> Callable[[str], SourceFrames]: ...


class FilmJobs:
    """What a worker does for films."""

    def track_film(self, job: TrackJob) -> str:
        """Write the track of a face through a film. Raises NoFaceError, ImageUnreadableError."""

        def track() -> dict[str, Tensor]:
            is_for_all = all(choice.is_for_all for choice in job.choices)
            shots_s = [] if is_for_all else shot_starts(_read(job.film))
            return track_film(_read(job.film), chooser(job.choices, shots_s)).tensors()

        return artifacts.write_tensors(job.target, track)

    def prepare_take(self, job: TakeJob) -> str:
        """Write the reference frame of a take as a portrait."""

        def portrait() -> dict[str, Tensor]:
            take = read_take(job.take)
            _, frame = next(_frames(job.film, take, [take.reference]))
            return portrait_tensors(reference_portrait(take, frame.shown(), job.portrait))

        return artifacts.write_tensors(job.target, portrait)

    def encode_source(self: _HasPipe, job: SourceJob) -> str:
        """Encode the frames of a film under a segment, each by itself, and write their masks."""

        def source() -> dict[str, Tensor]:
            take = read_take(job.take)
            wanted = take.sources_F[job.segment.start : job.segment.stop].tolist()
            side = portrait_from(artifacts.read_tensors(job.portrait)).image_CHW.shape[1]
            latents, masks = {}, {}
            for number, frame in _frames(job.film, take, wanted):
                image_CHW = square_tensor(see(take, number, frame.shown()), side)
                encoded_CHW = _encode(self.pipe, image_CHW)
                latents[number] = encoded_CHW * self.pipe.latent_scale
                height, width = encoded_CHW.shape[1:]
                masks[number] = made_mask(take, number, (height, width))[None]
            return {
                "latents": torch.stack([latents[number] for number in wanted]),
                "is_made": torch.stack([masks[number] for number in wanted]).to(torch.uint8),
            }

        segment = range(job.segment.start, job.segment.stop)
        with checked(job.target, f" of the film in {in_words(segment)}"):
            return artifacts.write_tensors(job.target, source)

    def keep(
        self: _Keeps,
        job: FuseJob | StoreJob,
        portrait: PortraitCondition | None,
        source: str | None,
        y_FCHW: Tensor,
    ) -> Tensor:
        """Put the frames of a film around what is made in them, if there is a film."""
        if source is None or portrait is None:
            return y_FCHW
        reference_CHW, frames = portrait.reference_CHW, self._read_source(source)
        noise = noise_of(job.start, reference_CHW)
        return self.pipe.sampler(job.start.sampling).keep(
            job.step, y_FCHW, noise, reference_CHW, frames
        )

    def dub(self: _HasPipe, job: DubJob, *, low_memory: bool = False) -> str:
        """Paste what was made into frames of a film and encode them; return the file's URL."""
        is_low = is_low_noted(job, forced=low_memory)
        with checked(job.target):
            return artifacts.write_video(
                job.target,
                lambda path: encode_film(
                    _dubbed(self.pipe, job, low_memory=is_low), path, _settings(job), job.form
                ),
            )


def _settings(job: DubJob) -> EncodeSettings:
    gop_frames = max(round(GOP_S * job.fps), 1)
    return replace(settings_of(job.media), fps=job.fps, gop_frames=gop_frames)


def _read(
    film: Film, start_s: Fraction = Fraction(0), stop_s: Fraction | None = None
) -> Iterator[FilmFrame]:
    return film.footage.frames(open_footage(film.url), start_s, stop_s)


def read_source(url: str) -> SourceFrames:
    """Read the frames of a film from their file."""
    tensors = artifacts.read_tensors(url)
    return SourceFrames(tensors["latents"], tensors["is_made"].bool())


def noise_of(job: StartJob, reference_CHW: Tensor) -> Tensor:
    """Draw the noise of a segment; its frames count from the start of the track."""
    first, segment = job.first_frame, job.segment
    frames = range(first + segment.start, first + segment.stop)
    return video_noise(job.seed, frames, reference_CHW.shape, job.sampling)


def read_take(url: str) -> Take:
    """Read a take from its file."""
    return Take.from_tensors(artifacts.read_tensors(url))


@torch.inference_mode()
def _encode(pipe: SonicPipeline, image_CHW: Tensor) -> Tensor:
    return pipe.encode_image(image_CHW[None])[0]


def _frames(film: Film, take: Take, wanted: Iterable[int]) -> Iterator[tuple[int, FilmFrame]]:
    """Yield some frames of a take with their numbers, in the order of the film."""
    numbers = set(wanted)
    times = {float(take.times_N[n - take.start]): n for n in numbers}
    first, last = (_moment(time) for time in (min(times), max(times)))
    for frame in _read(film, first):
        number = times.get(float(frame.time_s))
        if number is not None:
            yield number, frame
        if frame.time_s >= last:
            return


def _dubbed(pipe: SonicPipeline, job: DubJob, *, low_memory: bool) -> Iterator[VideoFrame]:
    """Yield the frames of a job as they are encoded.

    They wait until the colours of the half second after them are known.
    """
    made = [_Made(pipe, made, job, low_memory=low_memory) for made in job.made]
    codec, waiting = job.media.codec or "h264", deque[_Waiting]()
    first_s = max(job.start_s - READ_S, Fraction(0))
    for film in _read(job.film, first_s, job.stop_s + READ_S):
        raw = native(film.raw, codec)
        patches = tuple(part.laid(film, raw) for part in made)
        waiting.append(_Waiting(film.time_s, raw, patches))
        while waiting[0].time_s + READ_S < film.time_s:
            yield from _finished(waiting.popleft(), made, job)
    for frame in waiting:
        yield from _finished(frame, made, job)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A frame of the film, and what is to be pasted into it, of every take."""

    time_s: Fraction
    raw: VideoFrame
    patches: tuple[Patch | None, ...]


def _finished(frame: _Waiting, made: Sequence["_Made"], job: DubJob) -> Iterator[VideoFrame]:
    """Yield a frame with all that is pasted into it, if it is one of the job."""
    if not job.start_s <= frame.time_s < job.stop_s:
        return
    raw = frame.raw
    for part, patch in zip(made, frame.patches, strict=True):  # two people may be in one frame
        if patch is not None:
            raw = part.pasted(raw, patch)
    assert raw.time_base is not None
    raw.pts = round(frame.time_s / raw.time_base)  # it may be shown more than once
    yield raw


class _Made:
    """What was made of a take for the frames of a job, decoded as it is asked for."""

    def __init__(
        self, pipe: SonicPipeline, made: MadeFrames, job: DubJob, *, low_memory: bool
    ) -> None:
        self._take = take = read_take(made.take)
        self._numbers = list(take.around(job.start_s, job.stop_s))
        self._of_time = {float(take.times_N[n - take.start]): n for n in self._numbers}
        self._numbered = self._decoded(pipe, made, job, low_memory=low_memory)
        self._casts = Casts()

    def laid(self, film: FilmFrame, raw: VideoFrame) -> Patch | None:
        """Lay what was made over a frame; None if it is not of this take."""
        number = self._of_time.get(float(film.time_s))
        if number is None:
            return None
        while (known := next(self._numbered))[0] != number:
            pass  # a frame that could be decoded before, and cannot now
        patch = lay(raw, film.to_raw, number, self._take, known[1])
        if patch is not None:
            self._casts.add(self._time_s(number), patch.cast_PGG)
        return patch

    def pasted(self, raw: VideoFrame, patch: Patch) -> VideoFrame:
        """Return a frame with its patch, once those around it are laid."""
        weight = float(self._take.weights_N[patch.frame - self._take.start])
        return paste(raw, patch, weight, self._casts.at(self._time_s(patch.frame)))

    def _time_s(self, number: int) -> float:
        return float(self._take.times_N[number - self._take.start])

    def _decoded(
        self, pipe: SonicPipeline, made: MadeFrames, job: DubJob, *, low_memory: bool
    ) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        take = self._take
        places = [take.place(number) for number in self._numbers]
        first = min(int(places[0]), take.num_frames - 1)
        span = range(first, min(int(places[-1]) + 2, take.num_frames))
        portrait = portrait_from(artifacts.read_tensors(made.portrait))
        decoded = decode_made(pipe, portrait, made, span, take.num_frames, job, low=low_memory)
        way = pipe.interpolator(job.media.interpolation)
        local = (place - first for place in places)
        yield from zip(self._numbers, interpolate_at(way, decoded, span.start, local), strict=True)


@torch.inference_mode()
def decode_made(
    pipe: SonicPipeline,
    portrait: Portrait,
    made: MadeFrames,
    span: range,
    num_frames: int,
    job: DubJob,
    *,
    low: bool,
) -> Any:
    """Decode some frames of a take to pixels, or to layers over its portrait."""
    track, reference = LatentTrack(made.segments, made.latents), pipe.encode_reference(portrait)
    place = (track.read, span, num_frames, job.decoding)
    if job.media.interpolation == "layers":
        decode_layers = partial(pipe.decode_layers, reference=reference)
        layers = np.concatenate(list(decode_chunks(decode_layers, *place)))
        return PortraitLayers(portrait.shown_image, layers)
    decode = partial(pipe.decode_latents, reference=reference)
    tiled = low and reference is None
    chunks = decode_frames(in_tiles(decode, job.decoding) if tiled else decode, *place)
    return np.concatenate([to_uint8(chunk) for chunk in chunks])


def _moment(time_s: float) -> Fraction:
    return Fraction(time_s).limit_denominator(10**7)
