"""The plan of a video in integers: windows, segments, halos. Nothing here touches a tensor.

Glossary of the project:

row           one line of the manifest: one video to render
frame         one model frame, 12.5 per second; an *output frame* (25 per second) is always so named
tick          one output frame's worth of audio, 640 samples at 16 kHz
token         one Whisper encoder position, 50 per second
piece         the 30 s of audio that the Whisper encoder hears at once
window        the 25 frames of one UNet call; on the ring it may run past the last frame
shift         frames by which the window grid moves to the left between two steps (7)
ring          frames counted modulo their number, so that the end of the video touches its start
segment       frames `[start, stop)` that one worker owns
halo          frames that a segment reads, or computes, but does not own
overlap       frames computed by more than one window or segment, which fusion reconciles
fusion        making one latent out of every overlap
part          one frame as one window computed it; fusion averages the parts of a frame
parcel        the frames, or parts, that one segment hands to another
step          one noise level, over all windows
stitch        joining encoded segments without encoding again; *mux* adds the audio
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sonic_ops.constants import (
    OUTPUT_FRAMES_PER_FRAME,
    SAMPLES_PER_TICK,
    SHIFT_FRAMES,
    TICKS_PER_FRAME,
    WINDOW_FRAMES,
)


def num_frames_of(num_samples: int) -> int:
    """Frames of an audio track of `num_samples` at 16 kHz; an odd tick at the end makes none."""
    return (num_samples // SAMPLES_PER_TICK) // TICKS_PER_FRAME


def num_output_frames_of(num_samples: int) -> int:
    """Output frames that last as long as the audio, to within half an output frame."""
    return max(1, round(num_samples / SAMPLES_PER_TICK))


@dataclass(frozen=True, slots=True)
class Window:
    """Frames `start, start + 1, ...` on the ring; `index` is its place in the grid of the step."""

    index: int
    start: int
    size: int

    def frames(self, num_frames: int) -> tuple[int, ...]:
        """The frames of the UNet call, in order; they repeat if the video is shorter."""
        return tuple((self.start + j) % num_frames for j in range(self.size))


def window_grid(
    num_frames: int,
    step: int,
    *,
    size: int = WINDOW_FRAMES,
    overlap: int = 0,
    shift: int = SHIFT_FRAMES,
) -> tuple[Window, ...]:
    """Cover the ring with windows, moved to the left by `shift * step`.

    If the grid does not divide the ring, the last window wraps and some frames are covered twice.
    Source: time-aware position shift, Sonic (arXiv:2411.16331), section 3.4.
    """
    assert num_frames > 0
    assert 0 <= overlap < size
    starts = range(0, num_frames, size - overlap)
    return tuple(
        Window(index, (start - shift * step) % num_frames, size)
        for index, start in enumerate(starts)
    )


@dataclass(frozen=True, slots=True)
class Segment:
    """Frames `[start, stop)`, owned by one worker."""

    index: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def __contains__(self, frame: object) -> bool:
        return isinstance(frame, int) and self.start <= frame < self.stop

    def output_frames(self, num_frames: int, num_output_frames: int) -> range:
        """Output frames of this segment; the last segment holds its last frame to the end."""
        last = self.stop == num_frames
        stop = num_output_frames if last else OUTPUT_FRAMES_PER_FRAME * self.stop
        return range(min(OUTPUT_FRAMES_PER_FRAME * self.start, stop), stop)


def cut_segments(num_frames: int, segment_frames: int) -> tuple[Segment, ...]:
    """Cut a video into segments of `segment_frames`; the last one takes the rest.

    The cut depends on the length of the video alone, never on the number of workers.
    """
    assert num_frames > 0
    assert segment_frames > 0
    starts = range(0, num_frames, segment_frames)
    return tuple(
        Segment(index, start, min(start + segment_frames, num_frames))
        for index, start in enumerate(starts)
    )


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples `[start, stop)` that the speech encoder hears at once."""

    index: int
    start: int
    stop: int


def cut_pieces(num_samples: int, piece_samples: int) -> Iterator[Piece]:
    """Cut audio into pieces without overlap; the last one is what is left."""
    for index, start in enumerate(range(0, num_samples, piece_samples)):
        yield Piece(index, start, min(start + piece_samples, num_samples))
