"""What a row and a run will take: seconds of workers, wall time, memory, disk, money.

A row costs what its plan says, by the costs of a calibration. Costs of frames grow with their
pixels. The wall time is that of the start, and then of all work shared by the workers, or of the
longest row, whose segments are shared by whole ones, whatever is longer.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from flows.planning.calibration import Calibration
from flows.rows.config import RenderConfig
from flows.rows.plan import RowPlan
from sonic_ops.core.config import SamplingConfig
from sonic_ops.core.constants import CHUNK_OVERLAP_SAMPLES, SAMPLE_RATE_HZ
from sonic_ops.core.formats import VideoCodec
from sonic_ops.core.guidance import branches_of, guidance_scales
from sonic_ops.core.timeline import AudioChunk, cut_audio_chunks

STAGES = ("encode audio", "denoise", "decode", "encode")

_PIXEL_BYTES: dict[VideoCodec, float] = {
    "h264": 0.03, "hevc": 0.025, "vp9": 0.025, "av1": 0.02, "prores": 0.6,
}  # fmt: skip
"""Bytes of a finished video per pixel that moves in an output frame (measured 2026-11-30)."""

_STILL_BYTES = 0.004  # of a pixel that stands still, against one that moves
_PORTRAIT_BYTES = 900_000  # of its tensors
STILL = 0.2
"""What a pixel that stands still costs the encoder against one that moves: H.264, a slide of
1280 x 720 pixels around a face (tests/bench/RESULTS.md)."""

_SAMPLE_BYTES = {"flac": 2.0, "pcm_s24le": 2.0}  # 16 bits are the usual ones
_CHANNEL_BYTES = 12_000
"""Bytes of a sample of audio that is kept exactly, and of a second of a channel that is not."""
_WAV_SECOND_BYTES = 4 * SAMPLE_RATE_HZ  # of the audio in the work folder


@dataclass(frozen=True, slots=True)
class Sizes:
    """Pixels of what is animated, encoded, and pasted, and the share of the encoded that moves.

    `audio_second` are the bytes of a second of audio in the finished file.
    """

    animated: int
    encoded: int
    pasted: int = 0
    moving: float = 1.0
    audio_second: float = _CHANNEL_BYTES


def audio_second_bytes(codec: str, form: tuple[int, int]) -> float:
    """Estimate the bytes of a second of audio in a finished file, from its source's form."""
    rate_hz, num_channels = form
    exact = _SAMPLE_BYTES.get(codec)
    return exact * rate_hz if exact else num_channels * _CHANNEL_BYTES if codec else 0.0


@dataclass(frozen=True, slots=True)
class RowEstimate:
    """What a row will take; `driver_s` is outside of the workers.

    `num_segments` is no whole number where the last one is shorter.
    """

    stages_s: Mapping[str, float]
    driver_s: float
    num_segments: float
    memory_bytes: Mapping[str, int]
    work_bytes: int
    output_bytes: int

    @property
    def worker_s(self) -> float:
        """Return the seconds of workers."""
        return sum(self.stages_s.values())

    @property
    def peak_bytes(self) -> int:
        """Return the most memory that a worker holds."""
        return max(self.memory_bytes.values())


def estimate_row(
    plan: RowPlan, config: RenderConfig, sizes: Sizes, calibration: Calibration
) -> RowEstimate:
    """Estimate the cost of a row; `config` is that of the row."""
    costs = calibration.costs
    area, pasted = sizes.animated / costs.pixels, sizes.pasted / costs.pixels
    moving = sizes.encoded * (sizes.moving + STILL * (1 - sizes.moving))  # in pixels that move
    codec = config.media.codec or "h264"
    chunks = _chunks(plan, config)
    denoise_s = (
        plan.num_windows * num_branches(config.sampling) * costs.branch_s
        + plan.num_frames * plan.num_steps * costs.step_frame_s
    )
    stages_s = {
        "encode audio": len(chunks) * costs.piece_s + plan.num_frames * costs.frame_s,
        "denoise": area * (costs.portrait_s + denoise_s),
        "decode": area * _num_decoded(plan, config) * costs.decode_s,
        "encode": area * plan.num_frames * costs.middle_s
        + pasted * plan.num_output_frames * costs.paste_s
        + moving / costs.pixels * plan.num_output_frames * costs.encode_s[codec],
    }
    changing = sizes.encoded * (sizes.moving + _STILL_BYTES * (1 - sizes.moving))
    if changing > sizes.animated:  # what was enlarged is smooth
        changing = math.sqrt(changing * sizes.animated)
    video_bytes = plan.num_output_frames * changing * _PIXEL_BYTES[codec]
    output_bytes = int(video_bytes + plan.video_s * sizes.audio_second)
    backdrop_bytes = 3 * sizes.encoded if sizes.pasted else 0
    return RowEstimate(
        stages_s,
        costs.driver_row_s + plan.video_s * costs.driver_second_s,
        plan.num_frames / config.segment_frames,
        {
            stage: int(calibration.kept_bytes + area * max(peak - calibration.kept_bytes, 0))
            for stage, peak in calibration.peak_bytes.items()
        },
        int(sum(chunk.num_tokens for chunk in chunks) * calibration.work_token_bytes)
        + int(area * plan.num_frames * calibration.work_frame_bytes)
        + int(plan.video_s * _WAV_SECOND_BYTES + area * _PORTRAIT_BYTES + backdrop_bytes)
        + output_bytes,
        output_bytes,
    )


def _num_decoded(plan: RowPlan, config: RenderConfig) -> int:
    """Return frames that are decoded, those twice of which the tint is measured."""
    if not config.media.colour_correction:
        return plan.num_frames
    from sonic_ops.picture.colour_correction import stats_frames  # late: it loads torch

    return plan.num_frames + len(stats_frames(0, plan.num_frames, plan.num_frames))


def _chunks(plan: RowPlan, config: RenderConfig) -> tuple[AudioChunk, ...]:
    """Return the audio chunks that the speech encoder reads."""
    overlap = CHUNK_OVERLAP_SAMPLES if config.audio_context == "overlapped" else 0
    piece_samples = config.audio_chunk_s * SAMPLE_RATE_HZ
    return cut_audio_chunks(round(plan.video_s * SAMPLE_RATE_HZ), piece_samples, overlap)


def num_branches(sampling: SamplingConfig) -> int:
    """Return guidance branches that are computed, over all steps of a window."""
    scales = (sampling.image_guidance, sampling.audio_guidance)
    return _num_branches(*scales, sampling.guidance_interval, sampling.num_run)


@lru_cache
def _num_branches(
    image: tuple[float, float],
    audio: tuple[float, float],
    interval: tuple[float, float],
    num_steps: int,
) -> int:
    scales = (guidance_scales(pair, num_steps, interval) for pair in (image, audio))
    return sum(len(branches_of(*pair)) for pair in zip(*scales, strict=True))


@dataclass(slots=True)
class RunEstimate:
    """The sum of the estimates of rows.

    Work of finished rows is removed, so disk and memory are the most that rows in flight need.

    `_longest` has the row with the most work by its number of segments: their number, seconds of
    workers, and of the driver.
    """

    num_rows: int = 0
    worker_s: float = 0.0
    driver_s: float = 0.0
    output_bytes: int = 0
    stages_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    peak_bytes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STAGES, 0))
    largest_work_bytes: int = 0
    _longest: dict[int, tuple[float, float, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[RowEstimate]) -> "RunEstimate":
        """Add up the estimates of rows."""
        run = cls()
        for row in rows:
            run.add(row)
        return run

    def add(self, row: RowEstimate) -> None:
        """Count a row."""
        self.num_rows += 1
        self.worker_s += row.worker_s
        self.driver_s += row.driver_s
        self.output_bytes += row.output_bytes
        self.largest_work_bytes = max(self.largest_work_bytes, row.work_bytes)
        known, own = self._longest.get(int(row.num_segments)), row.worker_s
        if known is None or known[1] < own:
            self._longest[int(row.num_segments)] = row.num_segments, own, row.driver_s
        for stage in STAGES:
            self.stages_s[stage] += row.stages_s[stage]
            self.peak_bytes[stage] = max(self.peak_bytes[stage], row.memory_bytes.get(stage, 0))

    def work_bytes(self, rows_in_flight: int) -> int:
        """Return the peak disk space of the rows in flight."""
        return self.largest_work_bytes * min(rows_in_flight, self.num_rows)

    def wall_s(self, num_workers: int, start_s: float) -> float:
        """Estimate the wall time of the run on a number of workers."""
        if not self.num_rows:
            return 0.0
        shared_s = self.worker_s / num_workers
        shared_s += self.driver_s / min(num_workers, self.num_rows)
        alone_s = max(
            worker_s * busiest_share(num_segments, num_workers) + driver_s
            for num_segments, worker_s, driver_s in self._longest.values()
        )
        return start_s + max(shared_s, alone_s)


def busiest_share(num_segments: float, num_workers: int) -> float:
    """Return the share of a row on its busiest worker; the last segment is shorter."""
    whole, more = divmod(int(num_segments), num_workers)
    return (whole + (1 if more else num_segments % 1)) / num_segments
