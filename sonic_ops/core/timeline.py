"""The plan of a video in integers: windows, segments, halos. Nothing here touches a tensor.

Glossary of the project:

row           one line of the manifest: one video to render
frame         one model frame, 12.5 per second; an *output frame* (25 per second, or the requested
              rate) is always called so
tick          1/25 s of audio, 640 samples at 16 kHz
token         one Whisper encoder position, 50 per second
audio chunk   up to 30 s of audio that Whisper encodes at once; chunks may overlap, and their
              tokens then cross-fade
audio         what one frame gets from the audio: projected tokens, and motion buckets
condition
window        the 25 frames of one UNet call; it may run past the ends of the ring
window frame  one frame as one window computed it; fusion averages the window frames of a frame
shift         frames by which the window grid moves to the left between two steps (7)
ring          frames counted modulo their number, so that the end touches the start: all frames of
              the video, or those of a padded segment
padding mode  what a window sees past the ends of a ring: the other end (circular), or the frames
              mirrored (reflect)
segment       frames `[start, stop)` that one worker owns
padded        a segment with its overlaps, denoised alone and fused at the end
segment
halo          frames that a segment reads or computes but does not own; neighbours exchange them
overlap       frames computed by more than one window or segment, which fusion reconciles
fusion        making one latent out of every overlap
blend source  the frames of a padded segment, with their weights in fusion at the end
step          one noise level, over all windows
checkpoint    the latents of a segment after some steps, in a file
stitch        joining encoded segments without encoding again; *mux* adds the audio
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil
from typing import Literal, TypeAlias

from sonic_ops.core.constants import (
    FADE_TOKENS,
    MODEL_FPS,
    MOTION_BEFORE_TOKENS,
    MOTION_SPAN_TOKENS,
    OUTPUT_FPS,
    SAMPLE_RATE_HZ,
    SAMPLES_PER_TICK,
    SAMPLES_PER_TOKEN,
    SHIFT_FRAMES,
    SPEECH_BEFORE_TOKENS,
    SPEECH_SPAN_TOKENS,
    TICKS_PER_FRAME,
    TOKENS_PER_FRAME,
    TOKENS_PER_TICK,
    WINDOW_FRAMES,
)

BLOCK_FRAMES = 25
"""Frames that the adapters see at once. Blocks lie on a fixed grid, because the last bits of a
matrix product depend on its size, and no cut of the video may change them."""

PaddingMode: TypeAlias = Literal["circular", "reflect"]


def num_frames_of(num_samples: int) -> int:
    """Count the frames of `num_samples` at 16 kHz; an odd tick at the end makes none."""
    return (num_samples // SAMPLES_PER_TICK) // TICKS_PER_FRAME


def num_tokens_of(num_samples: int) -> int:
    """Return tokens of an audio track of `num_samples` at 16 kHz that belong to whole ticks."""
    return num_samples // SAMPLES_PER_TICK * TOKENS_PER_TICK


def num_output_frames_of(num_samples: int, fps: Fraction = OUTPUT_FPS) -> int:
    """Output frames that last as long as the audio, to within half an output frame."""
    return max(1, round(num_samples * fps / SAMPLE_RATE_HZ))


@dataclass(frozen=True, slots=True)
class Window:
    """Places `start, start + 1, ...` on a ring; `index` is its place in the grid of the step."""

    index: int
    start: int
    size: int


def window_grid(
    num_frames: int,
    step: int,
    *,
    size: int = WINDOW_FRAMES,
    overlap: int = 0,
    shift: int = SHIFT_FRAMES,
    padding_mode: PaddingMode = "circular",
) -> tuple[Window, ...]:
    """Cover the ring with windows, moved to the left by `shift * step`.

    If the grid does not divide a ring that goes round, the last window wraps and some frames are
    covered twice. Where the ends are mirrors, windows begin and end in these.
    Source: time-aware position shift, Sonic (arXiv:2411.16331), section 3.4.
    """
    assert num_frames > 0
    assert 0 <= overlap < size
    stride, moved = size - overlap, shift * step
    starts: Sequence[int] = range(-(moved % stride), num_frames, stride)
    if padding_mode == "circular":
        starts = [(start - moved) % num_frames for start in range(0, num_frames, stride)]
    return tuple(Window(index, start, size) for index, start in enumerate(starts))


@dataclass(frozen=True, slots=True)
class Ring:
    """Frames `[first, first + num_frames)`, whose end touches their start, unless it is a mirror.

    Places count from the first frame. What a window sees in a mirror is only seen: no part of it
    is fused.
    """

    first: int
    num_frames: int
    padding_mode: PaddingMode = "circular"

    def frames(self, window: Window) -> tuple[int, ...]:
        """Return the frames of a UNet call in order, repeated if the ring is shorter."""
        return tuple(map(self._frame, range(window.start, window.start + window.size)))

    def parts(self, window: Window) -> Iterator[tuple[int, int]]:
        """Yield (position in the window, frame) of every frame a window computes, in order."""
        for position, frame in enumerate(self.frames(window)):
            if self.padding_mode == "circular" or 0 <= window.start + position < self.num_frames:
                yield position, frame

    def around(self, start: int, stop: int) -> tuple[int, ...]:
        """Return the frames at places `[start, stop)`, ascending, each once."""
        return tuple(sorted({self._frame(place - self.first) for place in range(start, stop)}))

    def _frame(self, place: int) -> int:
        """Return the frame at a place."""
        if self.padding_mode == "circular":
            return self.first + place % self.num_frames
        there_and_back = max(2 * (self.num_frames - 1), 1)
        place %= there_and_back
        return self.first + min(place, there_and_back - place)


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

    @property
    def name(self) -> str:
        """Return the name of its files, which says the frames: another cut means other files."""
        return f"{self.start:07}-{self.stop:07}"

    def output_frames(
        self, num_frames: int, num_output_frames: int, fps: Fraction = OUTPUT_FPS
    ) -> range:
        """Output frames of moments in this segment; the last one holds its last frame."""
        per_frame = fps / MODEL_FPS
        last = self.stop == num_frames
        stop = num_output_frames if last else ceil(self.stop * per_frame)
        return range(min(ceil(self.start * per_frame), stop), stop)


def cut_segments(
    num_frames: int, segment_frames: int, *, pauses: Sequence[range] = (), tolerance: int = 0
) -> tuple[Segment, ...]:
    """Cut a video into segments of `segment_frames`; the last one takes the rest.

    A border moves by up to `tolerance` frames, to where a pause of speech is widest around it.
    The cut depends on the video alone, never on the number of workers.
    """
    assert num_frames > 0
    assert segment_frames > 2 * tolerance
    inner = range(segment_frames, num_frames, segment_frames)
    moved = (_moved(border, pauses, tolerance, num_frames) for border in inner)
    borders = [0, *moved, num_frames]
    return tuple(
        Segment(index, start, stop) for index, (start, stop) in enumerate(pairwise(borders))
    )


def _moved(border: int, pauses: Sequence[range], tolerance: int, num_frames: int) -> int:
    """Find the frame near a border that is furthest from speech."""
    first, last = border - tolerance, min(border + tolerance, num_frames - 1)
    near = [pause for pause in pauses if pause.start < last and pause.stop > first]

    def preference(frame: int) -> tuple[int, int]:
        depth = max((min(frame - p.start, p.stop - frame) for p in near), default=0)
        return max(depth, 0), -abs(frame - border)

    return max(range(first, last + 1), key=preference)


def pad_segments(
    segments: Sequence[Segment], overlap: int, window_frames: int
) -> tuple[Segment, ...]:
    """Extend every segment by half an overlap on both sides.

    A padded segment has a whole window wherever the video has one.
    """
    num_frames = segments[-1].stop
    before, after = overlap // 2, overlap - overlap // 2
    padded = []
    for segment in segments:
        stop = min(segment.stop + after, num_frames)
        start = max(0, min(segment.start - before, stop - window_frames))
        padded.append(Segment(segment.index, start, max(stop, min(window_frames, num_frames))))
    return tuple(padded)


def ramp(segment: Segment, frame: int, num_frames: int, overlap: int) -> float:
    """Return the fusion weight of a padded segment at a frame: 1, falling across overlaps.

    Across one overlap the weights of both sides have the sum 1.
    """
    before, after = overlap // 2, overlap - overlap // 2
    rise = 1.0 if segment.start == 0 else (frame - segment.start + before + 1) / (overlap + 1)
    last = segment.stop == num_frames
    fall = 1.0 if last else (segment.stop + after - frame) / (overlap + 1)
    return max(0.0, min(1.0, rise, fall))


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Samples `[start, stop)` that the speech encoder hears at once, and where its tokens count.

    They come in across the tokens `rise` of the track and go out across `fall`, where the next
    chunk comes in. Without overlap these are empty: the borders are hard.
    """

    index: int
    start: int
    stop: int
    rise: range
    fall: range

    @property
    def first_token(self) -> int:
        """Return the token of the track that the first one of the chunk is."""
        return self.start // SAMPLES_PER_TOKEN

    @property
    def num_tokens(self) -> int:
        """Count the tokens to keep, from its first one on: the encoder gives 30 s of them."""
        return self.fall.stop - self.first_token

    def share(self, token: int) -> float:
        """Return the weight of a chunk at a token; the weights of all chunks add up to 1."""
        if not self.rise.start <= token < self.fall.stop:
            return 0.0
        if token in self.rise:
            return _risen(self.rise, token)
        return 1.0 - _risen(self.fall, token) if token in self.fall else 1.0


def _risen(span: range, token: int) -> float:
    return (token - span.start + 0.5) / len(span)


def cut_audio_chunks(
    num_samples: int, chunk_samples: int, overlap_samples: int = 0
) -> tuple[AudioChunk, ...]:
    """Cut audio into chunks, each of which overlaps the next one.

    They change over in the middle of an overlap. Without overlap the last chunk is the rest;
    else it begins earlier, so that it is as long as the others.
    """
    assert 0 <= overlap_samples < chunk_samples
    assert overlap_samples % SAMPLES_PER_TOKEN == 0
    starts = range(0, max(num_samples - overlap_samples, 1), chunk_samples - overlap_samples)
    latest = num_samples - chunk_samples if overlap_samples else num_samples
    latest = -(-max(latest, 0) // SAMPLES_PER_TOKEN) * SAMPLES_PER_TOKEN
    spans = [range(min(start, latest), min(start + chunk_samples, num_samples)) for start in starts]
    num_tokens = -(-num_samples // SAMPLES_PER_TOKEN)
    inner = [_change(before, after) for before, after in pairwise(spans)]
    changes = [range(0, 0), *inner, range(num_tokens, num_tokens)]
    return tuple(
        AudioChunk(index, span.start, span.stop, rise, fall)
        for index, (span, (rise, fall)) in enumerate(zip(spans, pairwise(changes), strict=True))
    )


def _change(before: range, after: range) -> range:
    """Return the tokens across which one chunk fades into the next."""
    middle = (before.stop + after.start) // 2 // SAMPLES_PER_TOKEN
    half = min(FADE_TOKENS, (before.stop - after.start) // SAMPLES_PER_TOKEN) // 2
    return range(middle - half, middle + half)


def block_frames(block: int) -> range:
    """Return the frames that the adapters see at once."""
    return range(block * BLOCK_FRAMES, (block + 1) * BLOCK_FRAMES)


def tokens_read(frames: Sequence[int]) -> Iterator[range]:
    """Yield the tokens of the track that the adapters read for some frames, block by block."""
    before = max(SPEECH_BEFORE_TOKENS, MOTION_BEFORE_TOKENS)
    after = max(
        SPEECH_SPAN_TOKENS - SPEECH_BEFORE_TOKENS, MOTION_SPAN_TOKENS - MOTION_BEFORE_TOKENS
    )
    for block in sorted({frame // BLOCK_FRAMES for frame in frames}):
        span = block_frames(block)
        yield range(TOKENS_PER_FRAME * span.start - before, TOKENS_PER_FRAME * span.stop + after)
