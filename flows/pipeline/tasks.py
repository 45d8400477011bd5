"""The tasks of a row, from audio and portrait to the finished video, as plain functions.

Between tasks travel paths and integers, never tensors; what already exists is not made again. A
task is tried again if the machine was at fault (RenderError), never if the row is (InputError).
`rendering.py` says what comes after what, `prefect_tasks.py` makes tasks of Prefect of them.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial, wraps
from pathlib import Path
from shutil import copyfileobj
from typing import Concatenate, ParamSpec, TypeVar

from torch import Tensor

from cluster.storage import artifacts
from cluster.video import render as cluster_render
from cluster.video.jobs import VideoRequest
from flows.pipeline.audio_sources import soundtrack_of, write_driving_audio
from flows.pipeline.live import published
from flows.pipeline.runs import RowRun
from flows.preflight.inputs import backdrop_of, portrait_of
from flows.preflight.outputs import require_free
from flows.preflight.subtitle_files import write_side_car
from flows.rows.rows import Row, in_column
from flows.state.outcome import Rendered
from flows.state.receipts import announce, lease_target, write_owner
from sonic_ops.audio.resampling import num_samples_in, write_mono
from sonic_ops.core.config import SamplingConfig
from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.core.errors import DamagedFileError, RenderError
from sonic_ops.core.files import fetched, open_url, storage_fault, written
from sonic_ops.core.scratch import scratch_folder
from sonic_ops.core.timeline import Segment, num_output_frames_of
from sonic_ops.media import muxing
from sonic_ops.media.content import Expected
from sonic_ops.media.finishing import Finish, mux_video
from sonic_ops.media.subtitles import Cue, cut, read_subtitles
from sonic_ops.picture.compositing import backdrop_from, backdrop_tensors
from sonic_ops.picture.portrait import portrait_from, portrait_tensors
from sonic_ops.provenance.c2pa import signer_of

P = ParamSpec("P")
R = TypeVar("R")

AUDIO = "sound.wav"
"""What moves the mouth, in the work folder of a row."""
PLAIN_PORTRAIT = 0.02
"""The deviation of a portrait, of values from -1 to 1, that shows nothing."""


@dataclass(frozen=True)
class Audio:
    """The track of a row at 16 kHz, and what the cluster is asked to render of it."""

    request: VideoRequest


@dataclass(frozen=True)
class PortraitFiles:
    """The cropped portrait, and the whole image it is pasted into, if it is."""

    portrait: str
    backdrop: str | None


@dataclass(frozen=True)
class AudioContext:
    """Whisper's tokens of the whole track, a file per chunk: every segment reads all of it."""

    tokens: tuple[str, ...]


@dataclass(frozen=True)
class Latents:
    """Finished latents, a file per segment."""

    audio: Audio
    segments: tuple[Segment, ...]
    files: tuple[str, ...]


@dataclass(frozen=True)
class Clips:
    """Encoded segments without audio, in their order."""

    audio: Audio
    files: tuple[str, ...]


@dataclass(frozen=True)
class Stitched:
    """The whole video without audio."""

    audio: Audio
    file: str


def stage(function: Callable[Concatenate[RowRun, P], R]) -> Callable[Concatenate[RowRun, P], R]:
    """Name faults of the storage, and count the tries of a row that fail."""

    @wraps(function)
    def counted(row: RowRun, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with _storage_faults():
                return function(row, *args, **kwargs)
        except DamagedFileError:
            raise
        except RenderError:
            row.num_failures += 1
            row.pool.cancel_row(row.row.number)
            raise

    return counted


@contextmanager
def _storage_faults() -> Iterator[None]:
    """Name a full disk, or a store that does not answer, as a fault of the machine."""
    try:
        yield
    except OSError as error:
        raise storage_fault(error) from error


@stage
def decode_audio(row: RowRun) -> Audio:
    """Decode what moves the mouth to a mono WAV at 16 kHz, as long as the audio of the row.

    The first task of a row: the work folder says from now on whose it is.
    """
    target, voice = row.path(AUDIO), row.row.voice
    row.advance("sound")
    write_owner(row.planned.work, row.output, row.planned.fingerprint)
    with in_column("audio" if voice is None else "voice"):
        artifacts.write_audio(target, partial(write_driving_audio, row))
    with artifacts.fetched_whole(target):  # whole: what follows reads parts and sees no checksum
        return Audio(row.request(num_samples_in(target)))


@stage
def prepare_portrait(row: RowRun) -> PortraitFiles:
    """Find the face and crop the image."""
    cells, settings = row.row, row.config.portrait
    target, backdrop, footage = (
        row.path(name) for name in ("portrait.safetensors", "backdrop.safetensors", "footage.mp4")
    )
    row.advance("portrait")

    def portrait() -> dict[str, Tensor]:
        return portrait_tensors(portrait_of(cells.shown, cells.face_box, settings, cells.face))

    def whole_image() -> dict[str, Tensor]:
        shown = portrait_from(artifacts.read_tensors(target))
        return backdrop_tensors(backdrop_of(cells.shown, cells.face_box, settings, shown))

    def copy_video(path: Path) -> None:
        copy_file(cells.shown, path)

    with in_column("portrait"):
        artifacts.write_tensors(target, portrait)
        if not row.is_pasted:
            return PortraitFiles(target, None)
        kept = artifacts.read_tensors(artifacts.write_tensors(backdrop, whole_image))
        if backdrop_from(kept).moves:
            artifacts.write_video(footage, copy_video)
    return PortraitFiles(target, backdrop)


def copy_file(url: str, path: Path) -> None:
    """Copy a file of the user. Raises MissingFileError."""
    with open_url(url) as source, path.open("wb") as copy:
        copyfileobj(source, copy)


@stage
def encode_audio_context(row: RowRun, audio: Audio) -> AudioContext:
    """Encode the whole track with Whisper, once for all segments.

    If the video is watched, each chunk is encoded when a segment needs it.
    """
    if row.config.live:
        return AudioContext(tuple(job.target for job in audio.request.chunks))
    return AudioContext(
        tuple(cluster_render.encode_audio(row.pool, audio.request, row.on_progress))
    )


@stage
def split(row: RowRun, audio: Audio) -> tuple[Segment, ...]:
    """Cut the video into overlapping segments: integers only."""
    return cluster_render.split_video(row.pool, audio.request, row.cutting)


@stage
def denoise(
    row: RowRun,
    audio: Audio,
    segments: tuple[Segment, ...],
    context: AudioContext,
    portrait: PortraitFiles,
) -> Latents:
    """Denoise all segments on the workers; overlaps are fused at every step.

    If the video is watched, its segments are also encoded, and published at once.
    """
    assert context.tokens
    assert portrait.portrait == audio.request.portrait
    where = (row.pool, audio.request, row.config, row.on_progress, segments)
    if row.config.live:
        with published(row) as on_encoded:
            files = cluster_render.stream_video(*where, on_encoded)
    else:
        files = cluster_render.denoise_video(*where)
    return Latents(audio, segments, tuple(files))


@stage
def decode(row: RowRun, latents: Latents) -> Clips:
    """Decode, interpolate and encode every segment on the workers."""
    files = cluster_render.encode_video(
        row.pool, latents.audio.request, row.config, row.on_progress, latents.segments
    )
    return Clips(latents.audio, tuple(files))


@stage
def stitch(row: RowRun, clips: Clips) -> Stitched:
    """Join the clips by copying their packets."""
    row.advance("finish")

    def join(path: Path) -> None:
        with artifacts.all_fetched(clips.files) as paths:
            muxing.stitch(paths, path, row.config.media.fps)

    return Stitched(clips.audio, artifacts.write_video(row.path("stitched.mp4"), join))


@stage
def mux(row: RowRun, video: Stitched) -> Rendered:
    """Add the original audio, check the file, and give it its final name."""
    return publish(row, video, partial(_finish, row, video.audio.request))


def publish(row: RowRun, video: Stitched, finish_of: Callable[[Path], Finish]) -> Rendered:
    """Add the audio, check the file, and give it its final name; `finish_of` is given the WAV."""
    request = video.audio.request
    row.advance("finish")
    config = row.config
    guard = partial(
        require_free,
        row.row,
        row.planned.fingerprint,
        config.work,
        overwrite=config.overwrite,
        confine_to=config.confine_to,
    )
    with ExitStack() as stack, written(row.output, guard) as target:
        scratch = stack.enter_context(scratch_folder())
        silent = stack.enter_context(artifacts.fetched_whole(video.file))
        finish = _with_reference(
            row, finish_of(stack.enter_context(fetched(request.audio))), scratch
        )
        with in_column("audio"):
            info = mux_video(silent, target, finish)
        # To finish takes long: a command that has lost the lease meanwhile must not publish.
        row.run.leases.check(lease_target(row.output))
        guard()
        write_side_car(row.row, finish.subtitles, overwrite=config.overwrite)
        announce(row.planned.work, target)
    return Rendered(request.num_frames, info)


def _with_reference(row: RowRun, finish: Finish, scratch: Path) -> Finish:
    """Name the audio to compare the finished file with, where another one moves the mouth."""
    if not row.is_driven_apart and finish.track.background is None:
        return finish
    wav = scratch / "reference.wav"
    write_mono(finish.track.blocks(), wav, finish.track.source)
    return replace(finish, wav=wav, voice=finish.wav)


def _finish(row: RowRun, request: VideoRequest, wav: Path) -> Finish:
    cells, media = row.row, row.config.media
    return Finish(
        track=soundtrack_of(row),
        wav=wav,
        num_samples=request.num_samples,
        num_output_frames=num_output_frames_of(request.num_samples, media.fps),
        codec=media.codec,
        fps=media.fps,
        subtitles=subtitles_of(cells, request),
        mark=row.config.provenance.mark,
        signer=signer_of(row.config.provenance),
        expected=_expected(request, row.config.sampling),
    )


def _expected(request: VideoRequest, sampling: SamplingConfig) -> Expected:
    """Say what the video may lack: a plain portrait shows nothing, motion scaled to 0 stands."""
    image_CHW = artifacts.read_tensors(request.portrait)["image_CHW"]
    return Expected(
        plain=float(image_CHW.std()) < PLAIN_PORTRAIT,
        still=sampling.head_motion == sampling.expression == 0,
    )


def subtitles_of(row: Row, request: VideoRequest) -> tuple[Cue, ...]:
    """Return the cues of the part that is rendered."""
    if row.subtitles is None:
        return ()
    start_s = row.start or 0.0
    with in_column("subtitles"):
        cues = read_subtitles(row.subtitles, row.language).cues
    return cut(cues, start_s, start_s + request.num_samples / SAMPLE_RATE_HZ)
