"""What is sent to a worker: plans in integers, addresses, settings. Tensors travel by reference."""

from dataclasses import dataclass

from sonic_ops.config import DecodingConfig, MediaConfig, SamplingConfig
from sonic_ops.constants import PIECE_SAMPLES
from sonic_ops.exchange import Part
from sonic_ops.timeline import Segment, Window, cut_pieces, num_frames_of, num_output_frames_of


@dataclass(frozen=True, slots=True)
class VideoRequest:
    """One video to render. `audio` and `portrait` are addresses of prepared files.

    `order` is the number of its row: rows of a lower order go first.
    """

    audio: str
    portrait: str
    num_samples: int
    work: str
    seed: int = 0
    order: int = 0

    @property
    def num_frames(self) -> int:
        return num_frames_of(self.num_samples)

    @property
    def num_output_frames(self) -> int:
        return num_output_frames_of(self.num_samples)

    @property
    def pieces(self) -> tuple["PieceJob", ...]:
        """The 30 s pieces of the track and where their tokens are kept."""
        return tuple(
            PieceJob(self.audio, piece.start, piece.stop, self._file("tokens", piece.index))
            for piece in cut_pieces(self.num_samples, PIECE_SAMPLES)
        )

    def heard(self, segment: Segment) -> str:
        """Where it is kept what the frames of a segment and its halo hear."""
        return self._file("heard", segment.index)

    def latents(self, segment: Segment) -> str:
        """Where the latents of a segment are kept."""
        return self._file("latents", segment.index)

    def encoded(self, segment: Segment) -> str:
        """Where an encoded segment is kept."""
        return self._file("segments", segment.index, "mp4")

    def _file(self, folder: str, index: int, ending: str = "safetensors") -> str:
        return f"{self.work}/{folder}/{index:05}.{ending}"


@dataclass(frozen=True, slots=True)
class PieceJob:
    """Encode samples `[start, stop)` of a track into a token file."""

    audio: str
    start: int
    stop: int
    target: str


@dataclass(frozen=True, slots=True)
class ConditionJob:
    """Project the tokens around some frames; `pieces` are the token files of the track."""

    pieces: tuple[str, ...]
    num_tokens: int
    frames: tuple[int, ...]
    sampling: SamplingConfig
    target: str


@dataclass(frozen=True, slots=True)
class StartJob:
    """Draw the noise of a segment; `readers[i]` are the frames that parcel i takes."""

    segment: Segment
    seed: int
    sampling: SamplingConfig
    readers: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class DenoiseJob:
    """One step of the windows of one segment.

    Parcel i of the input holds the frames `sources[i]`; parcel i of the output holds `parts[i]`.
    """

    step: int
    num_frames: int
    windows: tuple[Window, ...]
    sources: tuple[tuple[int, ...], ...]
    parts: tuple[tuple[Part, ...], ...]
    sampling: SamplingConfig


@dataclass(frozen=True, slots=True)
class FuseJob:
    """Fuse the parts of a segment and hand them to the next step.

    Parcel i of the input holds `parts[i]`; parcel i of the output takes the frames `readers[i]`.
    """

    segment: Segment
    parts: tuple[tuple[Part, ...], ...]
    readers: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class StoreJob:
    """Write the finished latents of a segment."""

    target: str
    sampling: SamplingConfig


@dataclass(frozen=True, slots=True)
class DecodeJob:
    """Decode the frames `[start, stop)`; `latents` are the files of all segments."""

    start: int
    stop: int
    num_frames: int
    segments: tuple[Segment, ...]
    latents: tuple[str, ...]
    decoding: DecodingConfig


@dataclass(frozen=True, slots=True)
class EncodeJob:
    """Interpolate and encode one segment: output frames `[start, stop)`."""

    segment: Segment
    start: int
    stop: int
    target: str
    media: MediaConfig
