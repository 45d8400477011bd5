"""Settings of the mathematics and the media. Defaults are the values of the released model."""

from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    model_validator,
)

from sonic_ops.constants import OUTPUT_FPS, SHIFT_FRAMES, WINDOW_FRAMES
from sonic_ops.formats import VideoCodec
from sonic_ops.rates import frame_rate

Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
FrameRate = Annotated[
    Fraction,
    PlainValidator(frame_rate, json_schema_input_type=float | str),
    PlainSerializer(str, return_type=str),
]
AudioContext = Literal["blocks", "overlapped"]
"""Whether the pieces that the speech encoder hears lie side by side, or overlap."""

_CPU_FACTS = Path("/proc/cpuinfo")


class Settings(BaseModel):
    """A frozen section of the configuration; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelsConfig(Settings):
    """Which weights, where and in which precision."""

    weights: str = Field(description="`package:NAME` for weights that ship, or a folder")
    device: Annotated[str, Field(pattern=r"^(cpu|cuda(:\d+)?)$")] = "cpu"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    notice: str | None = Field(default=None, description="said whenever these weights are loaded")

    @model_validator(mode="before")
    @classmethod
    def _native(cls, values: Any) -> Any:
        """`dtype: auto` becomes a precision here, so that all workers take the same one."""
        if isinstance(values, dict) and values.get("dtype") == "auto":
            return values | {"dtype": native_dtype(str(values.get("device", "cpu")))}
        return values


def native_dtype(device: str) -> str:
    """bfloat16 where the device computes in it at full speed, else float32."""
    if device != "cpu":
        return "bfloat16"
    try:
        flags = set(_CPU_FACTS.read_text().split())
    except OSError:  # not Linux
        return "float32"
    return "bfloat16" if flags & {"avx512_bf16", "amx_bf16"} else "float32"


class PortraitConfig(Settings):
    """How the picture is cut, resized and masked."""

    resolution: Annotated[int, Field(ge=64, le=1024, multiple_of=64)] = 512
    framing: Literal["face", "full", "paste"] = "face"
    expand: NotNegative = 0.5
    mask_area: Annotated[float, Field(gt=0)] = 1.1
    max_megapixels: Annotated[float, Field(gt=0, le=178)] = Field(
        default=89, description="of a picture; larger ones are refused before they are decoded"
    )


class SamplingConfig(Settings):
    """The sampler: steps, window grid, guidance, and what it diffuses around."""

    steps: Count = 25
    window_frames: Count = WINDOW_FRAMES
    window_overlap: Annotated[int, Field(ge=0)] = 0
    shift_frames: Annotated[int, Field(ge=0)] = SHIFT_FRAMES
    image_guidance: tuple[float, float] = (2.0, 2.0)
    audio_guidance: tuple[float, float] = (7.5, 7.5)
    strength: Annotated[float, Field(gt=0, le=1)] = 1.0
    head_motion: NotNegative = 1.0
    expression: NotNegative = 1.0
    condition_noise: NotNegative = 0.0
    around: Literal["zero", "reference"] = "zero"
    residual_scale: Annotated[float, Field(gt=0)] = 1.0
    shared_noise: Share = 0.0

    @property
    def num_run(self) -> int:
        """Steps that are run: the last ones, if `strength` is below 1."""
        return int(self.steps * self.strength)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.num_run == 0:
            raise ValueError("strength leaves no step to run")
        if self.window_overlap >= self.window_frames:
            raise ValueError("window_overlap must be smaller than window_frames")
        return self


class DecodingConfig(Settings):
    """Frames that the autoencoder decodes at once, and how many more it sees on both sides.

    `context_frames: 0` with `chunk_frames: 8` is the grid of the released code. `tile` and
    `tile_overlap` count rows and columns of latents; the low-memory form decodes in tiles.
    """

    chunk_frames: Count = 8
    context_frames: Annotated[int, Field(ge=0)] = 3
    tile: Count = 32
    tile_overlap: Annotated[int, Field(ge=0)] = 8

    @model_validator(mode="after")
    def _moves_on(self) -> Self:
        if self.tile_overlap >= self.tile:
            raise ValueError("tile_overlap must be smaller than tile")
        return self


class MediaConfig(Settings):
    """How videos are encoded."""

    fps: FrameRate = Field(default=OUTPUT_FPS, description="frames per second of the video")
    codec: VideoCodec | None = Field(
        default=None, description="of containers that can hold it; None: what each usually holds"
    )
    loudness_lufs: Annotated[float, Field(ge=-70, le=0)] | None = Field(
        default=None, description="EBU R 128; None: as loud as the audio is"
    )
    crf: Annotated[int, Field(ge=0, le=51)] = 18
    speed: Literal["ultrafast", "veryfast", "faster", "fast", "medium", "slow", "slower"] = "medium"
