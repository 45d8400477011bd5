"""How much work a row is, in integers, before any of it is done."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from heapq import nlargest

from sonic_ops.core.config import SamplingConfig
from sonic_ops.core.constants import OUTPUT_FPS, SAMPLE_RATE_HZ
from sonic_ops.core.timeline import cut_segments, num_frames_of, num_output_frames_of, window_grid


@dataclass(frozen=True, slots=True)
class RowPlan:
    """Frames and seconds of the video, most windows of one step, and steps."""

    num_frames: int
    num_output_frames: int
    num_windows: int
    num_steps: int
    video_s: float

    @property
    def num_unet_calls(self) -> int:
        """Count the UNet calls: one window of one step, with all its guidance branches."""
        return self.num_windows * self.num_steps


def plan_row(duration_s: float, sampling: SamplingConfig, fps: Fraction = OUTPUT_FPS) -> RowPlan:
    """Plan `duration_s` seconds of audio, by the length in the header."""
    num_samples = round(duration_s * SAMPLE_RATE_HZ)
    num_frames = num_frames_of(num_samples)
    # With mirrors at the ends a grid that has moved has a window more; the first step has not.
    moved = min(1, sampling.num_run - 1)
    grid = window_grid(
        num_frames,
        moved,
        size=sampling.window_frames,
        overlap=sampling.window_overlap,
        shift=sampling.shift_frames,
        padding_mode=sampling.padding_mode,
    )
    num_output_frames = num_output_frames_of(num_samples, fps)
    video_s = float(num_output_frames / fps)
    return RowPlan(num_frames, num_output_frames, len(grid), sampling.num_run, video_s)


def most_workers(plans: Iterable[RowPlan], *, segment_frames: int, rows_in_flight: int) -> int:
    """Count the workers with something to do: one per segment of the longest rows in flight."""
    longest = nlargest(rows_in_flight, (plan.num_frames for plan in plans))
    return sum(len(cut_segments(num_frames, segment_frames)) for num_frames in longest)


def work_in_words(plans: Iterable[RowPlan]) -> str:
    """Describe the sum of plans."""
    rows = frames = windows = calls = 0
    seconds = 0.0
    for plan in plans:
        rows += 1
        seconds += plan.video_s
        frames += plan.num_frames
        windows += plan.num_windows
        calls += plan.num_unet_calls
    return (
        f"{rows} row{'s' * (rows != 1)} to render: {seconds:,.1f} s of video, "
        f"{frames:,} frames, {windows:,} windows a step, {calls:,} UNet calls"
    )
