"""Settings of the machines, and of one video as the workers see it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sonic_ops.config import (
    AudioContext,
    Count,
    DecodingConfig,
    MediaConfig,
    SamplingConfig,
    Settings,
)


class ClusterConfig(Settings):
    """Where the mathematics runs. None of these values changes a bit of the result but
    `threads_per_worker`, because sums inside a matrix product are cut by threads."""

    workers: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="0: in this process; none: as many as the machine can hold"
    )
    threads_per_worker: Count = 1
    cpus_per_worker: Annotated[float, Field(gt=0)] = 1.0
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0.0
    address: str | None = Field(default=None, description="a Ray cluster; none: one is started")
    start_timeout_s: Annotated[float, Field(gt=0)] = 600
    worker_timeout_s: Annotated[float, Field(gt=0)] = Field(
        default=60, description="a worker that answers no ping for so long counts as lost"
    )
    max_retries: Annotated[int, Field(ge=0)] = Field(
        default=3, description="how often a job of a lost worker is run again"
    )


class VideoConfig(Settings):
    """What decides the pixels of one video, and how its work is cut."""

    sampling: SamplingConfig = SamplingConfig()
    decoding: DecodingConfig = DecodingConfig()
    media: MediaConfig = MediaConfig()
    audio_context: AudioContext = Field(
        default="blocks", description="how the 30 s pieces that the speech encoder hears follow"
    )
    segment_frames: Count = 100
    fusion: Literal["every_step", "at_end"] = Field(
        default="every_step", description="at_end: segments are denoised alone, which is not exact"
    )
    overlap: Annotated[int, Field(ge=0)] = Field(
        default=12, description="at_end: frames that two segments have in common"
    )
    border_tolerance_frames: Annotated[int, Field(ge=0)] = Field(
        default=0, description="how far a border between segments may move into a pause"
    )
    checkpoint_every: Annotated[int, Field(ge=0)] = Field(
        default=4, description="steps after which the latents are kept in the work folder; 0: never"
    )
    low_memory: bool = Field(
        default=False, description="guidance branches one by one, and decoding in tiles"
    )

    @property
    def deciding(self) -> frozenset[str]:
        """The keys that show in the video."""
        idle = {"checkpoint_every"}
        if self.fusion == "every_step":
            idle |= {"overlap", "border_tolerance_frames"}
        return frozenset(VideoConfig.model_fields) - idle

    @model_validator(mode="after")
    def _borders_stay_apart(self) -> Self:
        if 2 * self.border_tolerance_frames >= self.segment_frames:
            raise ValueError("border_tolerance_frames must be below half of segment_frames")
        return self
