"""What is sent to a worker: plans in integers, URLs, settings. Tensors travel by reference."""

from dataclasses import dataclass

from cluster.video.film_requests import TakeRequest
from sonic_ops.core.config import AudioContext, DecodingConfig, MediaConfig, SamplingConfig
from sonic_ops.core.constants import CHUNK_OVERLAP_SAMPLES, CHUNK_SECONDS, SAMPLE_RATE_HZ
from sonic_ops.core.timeline import (
    AudioChunk,
    Ring,
    Segment,
    Window,
    cut_audio_chunks,
    num_frames_of,
)
from sonic_ops.sampling.halo import WindowFrame

_TENSORS = ".safetensors"

TAKES, SPEAKERS = "takes", "speakers"
"""Folders in the work folder of a film: one per take, and one per speaker with takes of theirs."""


def low_memory_folder(work: str) -> str:
    """Return the folder of notes on segments computed in the low-memory form (other bits)."""
    return f"{work}/low_memory"


def zeros_folder(work: str) -> str:
    """Return the folder of notes on networks that gave nothing but zeros."""
    return f"{work}/zeros"


@dataclass(frozen=True, slots=True)
class VideoRequest:
    """One video to render. `audio` and `portrait` are URLs of prepared files.

    `order` is the number of its row: rows of a lower order go first.
    """

    audio: str
    portrait: str
    num_samples: int
    work: str
    seed: int = 0
    order: int = 0
    backdrop: str | None = None  # where the whole image is kept, if frames are pasted into it
    audio_context: AudioContext = "blocks"
    audio_chunk_s: int = CHUNK_SECONDS
    label: str | None = None  # drawn on every output frame
    footage: str | None = None  # where the video is kept, if the whole image moves
    start_s: float = 0.0  # of the audio in its file, and so of the footage
    take: TakeRequest | None = None  # of a film that is dubbed

    @property
    def num_frames(self) -> int:
        return num_frames_of(self.num_samples) if self.take is None else self.take.num_frames

    @property
    def first_frame(self) -> int:
        """Return the frame of the track that the first frame of this timeline is."""
        return 0 if self.take is None else self.take.first_frame

    @property
    def chunks(self) -> tuple["AudioChunkJob", ...]:
        """Return the audio chunks of the track, and the files of their tokens."""
        overlap = CHUNK_OVERLAP_SAMPLES if self.audio_context == "overlapped" else 0
        work = self.work if self.take is None else self.take.tokens_work
        return tuple(
            AudioChunkJob(self.audio, chunk, f"{work}/tokens/{chunk.index:05}{_TENSORS}")
            for chunk in cut_audio_chunks(
                self.num_samples, self.audio_chunk_s * SAMPLE_RATE_HZ, overlap
            )
        )

    @property
    def pauses(self) -> str:
        """Return the file of the pauses in the speech."""
        return f"{self.work}/pauses{_TENSORS}"

    def checkpoints(self, step: int | None = None) -> str:
        """Return the folder of all checkpoints, or of those after `step` steps."""
        return f"{self.work}/checkpoints" + ("" if step is None else f"/{step:03}")

    def audio_condition(self, segment: Segment) -> str:
        """Return the file of the audio condition of a segment and its halo."""
        return f"{self.work}/heard/{segment.name}{_TENSORS}"

    def source(self, segment: Segment) -> str:
        """Return the file of a film's frames in a segment, as the sampler keeps them."""
        return f"{self.work}/film/{segment.name}{_TENSORS}"

    def checkpoint(self, step: int, segment: Segment) -> str:
        """Return the checkpoint of a segment after `step` steps."""
        return f"{self.checkpoints(step)}/{segment.name}{_TENSORS}"

    def colour_stats(self, segment: Segment) -> str:
        """Return the file of a segment's colour statistics."""
        return f"{self.work}/tints/{segment.name}{_TENSORS}"

    @property
    def correction(self) -> str:
        """Return the file of the colour correction of the whole video."""
        return f"{self.work}/tints/correction{_TENSORS}"

    def padded(self, segment: Segment) -> str:
        """Return the file of a padded segment's latents, kept until they are fused."""
        return f"{self.work}/stretches/{segment.name}{_TENSORS}"

    def latents(self, segment: Segment) -> str:
        """Return the file of a segment's latents."""
        return f"{self.work}/latents/{segment.name}{_TENSORS}"

    def low_memory_note(self, method: str, segment: Segment) -> str:
        """Return the note that a segment was computed in the low-memory form."""
        return f"{low_memory_folder(self.work)}/{method}-{segment.name}{_TENSORS}"

    def encoded(self, segment: Segment) -> str:
        """Return the file of an encoded segment."""
        return f"{self.work}/segments/{segment.name}.mp4"


@dataclass(frozen=True, slots=True)
class AudioChunkJob:
    """Encode an audio chunk into a token file."""

    audio: str
    chunk: AudioChunk
    target: str


@dataclass(frozen=True, slots=True)
class PausesJob:
    """Find the pauses of a track."""

    audio: str
    num_frames: int
    target: str


@dataclass(frozen=True, slots=True)
class ConditionJob:
    """Project the tokens around some frames; `tokens` are the files of all chunks.

    Frame 0 is frame `first_frame` of the track.
    """

    chunks: tuple[AudioChunk, ...]
    tokens: tuple[str, ...]
    num_tokens: int
    frames: tuple[int, ...]
    sampling: SamplingConfig
    target: str
    first_frame: int = 0


Readers = tuple[tuple[int, ...], ...]
"""The frames that each halo takes from a segment."""


@dataclass(frozen=True, slots=True)
class StartJob:
    """Draw the noise of a segment and hand it to the first step."""

    segment: Segment
    seed: int
    sampling: SamplingConfig
    readers: Readers
    first_frame: int = 0  # the noise of the segment is that of frames counted from here


@dataclass(frozen=True, slots=True)
class ResumeJob:
    """Read the checkpoint of a segment after `step` steps and hand it to the next step."""

    segment: Segment
    step: int
    source: str
    readers: Readers


@dataclass(frozen=True, slots=True)
class DenoiseJob:
    """One step of the windows of one segment, on their ring.

    Halo i of the input holds the frames `sources[i]`; halo i of the output holds `parts[i]`.
    """

    segment: Segment
    step: int
    ring: Ring
    windows: tuple[Window, ...]
    sources: tuple[tuple[int, ...], ...]
    parts: tuple[tuple[WindowFrame, ...], ...]
    sampling: SamplingConfig
    low_memory: bool
    low_memory_note: str  # where to note that it had to be


@dataclass(frozen=True, slots=True)
class FuseJob:
    """Fuse the parts of a segment: its latents after `step` steps. Hand them to the next step.

    Halo i of the input holds `parts[i]`.
    """

    segment: Segment
    parts: tuple[tuple[WindowFrame, ...], ...]
    step: int
    readers: Readers
    start: StartJob  # the noise that a film keeps


@dataclass(frozen=True, slots=True)
class StoreJob:
    """Fuse the parts of a segment and write them: its latents after `step` steps.

    After the last step they are the finished latents, before it a checkpoint.
    """

    segment: Segment
    parts: tuple[tuple[WindowFrame, ...], ...]
    step: int
    target: str
    sampling: SamplingConfig
    start: StartJob  # the noise that a film keeps


@dataclass(frozen=True, slots=True)
class BlendSource:
    """The frames `[start, start + len(weights))` of a padded segment, with their weights."""

    source: str
    padded: Segment
    start: int
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class BlendJob:
    """Fuse the padded segments that overlap a segment, once, and write its latents."""

    segment: Segment
    blend_sources: tuple[BlendSource, ...]
    target: str


@dataclass(frozen=True, slots=True)
class DecodeJob:
    """Decode the frames `[start, stop)`; `latents` are the files of the segments around them.

    They become pixels, or with `layered` the layers that they are over the portrait.
    """

    start: int
    stop: int
    num_frames: int
    segments: tuple[Segment, ...]
    latents: tuple[str, ...]
    portrait: str
    layered: bool
    decoding: DecodingConfig
    low_memory: bool
    low_memory_note: str


@dataclass(frozen=True, slots=True)
class ColourStatsJob:
    """Decode some frames of a segment and store their colour statistics."""

    segment: Segment
    frames: tuple[int, ...]
    latents: str
    portrait: str
    target: str


@dataclass(frozen=True, slots=True)
class EncodeJob:
    """Interpolate and encode one segment: output frames `[start, stop)`."""

    segment: Segment
    start: int
    stop: int
    target: str
    media: MediaConfig
    portrait: str
    backdrop: str | None = None
    footage: str | None = None
    start_s: float = 0.0  # in the footage, of output frame 0
    correction: str | None = None  # of the colours of the video, if they are held
    label: str | None = None
