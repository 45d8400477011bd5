"""Settings of the machines, and of one video as the workers see it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sonic_ops.core.config import (
    AudioContext,
    Count,
    DecodingConfig,
    MediaConfig,
    SamplingConfig,
    Settings,
)
from sonic_ops.core.constants import (
    FADE_TOKENS,
    PIECE_OVERLAP_SAMPLES,
    PIECE_SECONDS,
    SAMPLE_RATE_HZ,
    TOKENS_PER_SECOND,
)


class ClusterConfig(Settings):
    """Where the mathematics runs. None of these values changes a bit of the result but
    `threads_per_worker`, because sums inside a matrix product are cut by threads."""

    workers: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="0: in this process; none: as many as the machine holds"
    )
    threads_per_worker: Count = Field(
        default=1,
        description="CPU threads; part of the numerics, so the same on every worker",
    )
    cpus_per_worker: Annotated[float, Field(gt=0)] = Field(
        default=1.0,
        description="CPUs that Ray reserves for a worker",
    )
    gpus_per_worker: Annotated[float, Field(ge=0)] = Field(
        default=0.0,
        description="GPUs that Ray reserves for a worker",
    )
    address: str | None = Field(
        default=None, description="a Ray cluster to join; none: one is started on this machine"
    )
    start_timeout_s: Annotated[float, Field(gt=0)] = Field(
        default=600,
        description="how long workers may wait for room in the cluster and for their weights",
    )
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
        default="blocks",
        description="`blocks`: the speech encoder hears 30 s after 30 s, as the released code "
        "does, and what it hears jumps at every border; `overlapped`: its pieces "
        "overlap by 5 s and fade into each other; the same bits up to 30 s",
    )
    audio_piece_s: Annotated[int, Field(ge=1, le=PIECE_SECONDS)] = Field(
        default=PIECE_SECONDS,
        description="seconds of sound that the speech encoder hears at once, filled up to 30 with "
        "silence: fewer give it less to go by; above 5 where pieces overlap",
    )
    segment_frames: Count = Field(
        default=100,
        description="frames that one worker owns; it changes no latent, but where the video has "
        "key frames",
    )
    fusion: Literal["every_step", "at_end"] = Field(
        default="every_step",
        description="`every_step`: neighbours exchange frames at every step, and the result is "
        "exact; `at_end`: segments are denoised alone and their overlaps fused once, "
        "for slow links (the bench log says how far that is from exact)",
    )
    overlap: Annotated[int, Field(ge=0)] = Field(
        default=12, description="with `at_end`: frames that two neighbours have in common"
    )
    border_tolerance_frames: Annotated[int, Field(ge=0)] = Field(
        default=0,
        description="how far a border of the segments that are denoised may move into a pause of "
        "the speech; below half of `segment_frames`. With `every_step` it changes no "
        "bit",
    )
    checkpoint_every: Annotated[int, Field(ge=0)] = Field(
        default=4,
        description="steps after which the latents are kept in the work folder, so that a "
        "restart redoes no more than these; 0: only when they are finished. It "
        "changes no bit",
    )
    low_memory: bool = Field(
        default=False,
        description="guidance branches one by one and decoding in tiles; nearly the same "
        "pictures. A worker that runs out of memory falls back to it for one "
        "segment, and the results say so",
    )

    @property
    def deciding(self) -> frozenset[str]:
        """The keys that show in the video."""
        idle = {"checkpoint_every"}
        if self.fusion == "every_step":
            idle |= {"overlap", "border_tolerance_frames"}
        return frozenset(VideoConfig.model_fields) - idle

    @model_validator(mode="after")
    def _pieces_move_on(self) -> Self:
        # The last piece begins earlier than its place: two fades must still fit between.
        fades_s = 2 * FADE_TOKENS // TOKENS_PER_SECOND
        least_s = PIECE_OVERLAP_SAMPLES // SAMPLE_RATE_HZ + fades_s
        if self.audio_context == "overlapped" and self.audio_piece_s < least_s:
            raise ValueError(f"audio_piece_s must be {least_s} or more where pieces overlap")
        return self

    @model_validator(mode="after")
    def _borders_stay_apart(self) -> Self:
        if 2 * self.border_tolerance_frames >= self.segment_frames:
            raise ValueError("border_tolerance_frames must be below half of segment_frames")
        return self
