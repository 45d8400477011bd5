"""Settings of the machines, and of one video as the workers see it."""

from typing import Annotated

from pydantic import Field

from sonic_ops.config import Count, DecodingConfig, MediaConfig, SamplingConfig, Settings


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
    max_retries: Annotated[int, Field(ge=0)] = Field(
        default=3, description="how often a job of a lost worker is run again"
    )


class VideoConfig(Settings):
    """What decides the pixels of one video."""

    sampling: SamplingConfig = SamplingConfig()
    decoding: DecodingConfig = DecodingConfig()
    media: MediaConfig = MediaConfig()
    segment_frames: Count = 100
