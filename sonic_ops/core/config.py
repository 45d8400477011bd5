"""Settings of the mathematics and the media. Defaults are the values of the released model."""

import logging
from fractions import Fraction
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    model_validator,
)

from sonic_ops.core.constants import OUTPUT_FPS, SHIFT_FRAMES, WINDOW_FRAMES
from sonic_ops.core.formats import VideoCodec
from sonic_ops.core.native import native_dtype
from sonic_ops.core.rates import frame_rate
from sonic_ops.core.sizes import MAX_VIDEO_SIDE, MIN_SCALE
from sonic_ops.core.timeline import PaddingMode

Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
AudioContext = Literal["blocks", "overlapped"]
"""Whether the pieces that the speech encoder hears lie side by side, or overlap."""
Interpolation = Literal["flow", "dis", "blend", "layers"]
"""How pictures in between are made: by RIFE, by dense inverse search, by laying both over, or by
mixing the layers that both are over the portrait."""
FrameRate = Annotated[
    Fraction,
    PlainValidator(frame_rate, json_schema_input_type=float | str),
    PlainSerializer(str, return_type=str),
]

OLD_KEYS: Final = {
    "around": "latent_origin",
    "edges": "padding_mode",
    "reuse_every": "cache_interval",
    "hold_colour": "colour_correction",
    "audio_piece_s": "audio_chunk_s",
}
"""Preset keys of version 0.1, which work for one more release."""

_log = logging.getLogger(__name__)


class Settings(BaseModel):
    """A frozen section of the configuration; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _rename_old_keys(cls, values: Any) -> Any:
        """Accept keys and values of version 0.1, and print what they are called now."""
        if not isinstance(values, dict):
            return values
        known = {
            OLD_KEYS[key] if OLD_KEYS.get(key) in cls.model_fields else key: value
            for key, value in values.items()
        }
        for key, now in zip(values, known, strict=False):
            if key != now:
                _log.warning("the preset key `%s` is now called `%s`", key, now)
        if known.get("padding_mode") == "wrap":
            _log.warning("`padding_mode: wrap` is now called `padding_mode: circular`")
            known["padding_mode"] = "circular"
        return known


class ModelsConfig(Settings):
    """Which weights, where and in which precision."""

    weights: str = Field(
        description="`package:NAME` for weights that ship, or a folder in diffusers layout, such "
        "as `sonic weights convert` writes; a relative one counts from the current folder"
    )
    device: Annotated[str, Field(pattern=r"^(cpu|cuda(:\d+)?)$")] = Field(
        default="cpu", description="where the networks run", examples=["cpu", "cuda", "cuda:1"]
    )
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32",
        description="precision of the networks, but for the speech side, which is always float32; "
        "`auto` is `bfloat16` where the device computes in it natively, else `float32`",
    )
    vae_dtype: Literal["float32", "bfloat16", "float16"] | None = Field(
        default=None,
        description="precision of the autoencoder; none: that of `dtype`, but `float32` with "
        "`bfloat16`, which has fewer bits than a picture shows; `auto` as for `dtype`",
    )
    flow_dtype: Literal["float32", "bfloat16"] | None = Field(
        default=None,
        description="precision of the network that interpolates; none: `bfloat16` with "
        "`bfloat16`, else `float32`, as in the released code. Flow and pixels stay `float32`",
    )
    offload: Literal["none", "parts"] = Field(
        default="none",
        description="`parts`: on the device are only the networks of the stage that runs, and the "
        "others wait in the memory of the CPU, for small cards. It changes no bit",
    )
    notice: str | None = Field(
        default=None,
        description="a sentence that is said whenever these weights are loaded; none: the first "
        "line of `NOTICE` in their folder, where there is one",
    )

    @model_validator(mode="before")
    @classmethod
    def _native(cls, values: Any) -> Any:
        """`auto` becomes a precision here, so that all workers take the same one."""
        if not isinstance(values, dict):
            return values
        native = native_dtype(str(values.get("device", "cpu")))
        wanted = [key for key in ("dtype", "vae_dtype") if values.get(key) == "auto"]
        return values | dict.fromkeys(wanted, native)


class PortraitConfig(Settings):
    """How the picture is cut, resized and masked."""

    resolution: Annotated[int, Field(ge=64, le=1024, multiple_of=64)] = Field(
        default=512, description="short side of what is animated, in pixels"
    )
    model_resolution: Annotated[int, Field(ge=64, le=1024, multiple_of=64)] | None = Field(
        default=None,
        description="short side of what the networks see, in pixels, where the decoder is given "
        "the portrait and shows it at `resolution`; none: `resolution`",
    )
    framing: Literal["face", "full", "paste"] = Field(
        default="face",
        description="`face`: the square around the face; `full`: the picture as it is, at most "
        "2048 pixels a side; `paste`: the square put back into the whole picture (at most 4096 "
        "pixels a side), with a soft border and its colours; of a video, into the picture of the "
        "moment that is heard",
    )
    expand: NotNegative = Field(
        default=0.5, description="how far the square grows beyond the face, in sizes of the face"
    )
    mask_area: Annotated[float, Field(gt=0)] = Field(
        default=1.1, description="size of the face mask against the face"
    )
    max_megapixels: Annotated[float, Field(gt=0, le=178)] = Field(
        default=89, description="of a picture; larger ones are refused before they are decoded"
    )

    @property
    def read_resolution(self) -> int:
        """Short side of what the networks see."""
        return self.model_resolution or self.resolution


class SamplingConfig(Settings):
    """The sampler: steps, window grid, guidance, and what it diffuses around."""

    steps: Count = Field(default=25, description="noise levels")
    solver: Literal["euler", "multistep"] = Field(
        default="euler",
        description="`euler`: one slope a step, as in the released code; `multistep`: "
        "DPM-Solver++ of second order, which follows the clean latents from step to step and needs "
        "about half as many steps",
    )
    cache_interval: Count = Field(
        default=1,
        description="n: all levels of the UNet but the finest are computed in every n-th step, and "
        "the steps between reuse what came of it for each frame. That goes where latents go, and "
        "is larger than they are: 40 times per guidance branch with `sonic`, 3 times with `sketch`",
    )
    window_frames: Count = Field(default=WINDOW_FRAMES, description="frames of a UNet call")
    window_overlap: Annotated[int, Field(ge=0)] = Field(
        default=0, description="frames that two windows of a step have in common"
    )
    shift_frames: Annotated[int, Field(ge=0)] = Field(
        default=SHIFT_FRAMES, description="how far the grid of windows moves at every step"
    )
    padding_mode: PaddingMode = Field(
        default="circular",
        description="what a window finds past the first and the last frame: `wrap`: the other end "
        "of the video, as in the released code; `reflect`: the frames again in a mirror, which "
        "costs up to one more window a step",
    )
    image_guidance: tuple[float, float] = Field(
        default=(2.0, 2.0),
        description="towards the portrait, at the first and the last step; a branch that has no "
        "weight is not computed",
    )
    audio_guidance: tuple[float, float] = Field(
        default=(7.5, 7.5), description="towards the sound, at the first and the last step"
    )
    guidance_interval: tuple[Share, Share] = Field(
        default=(0.0, 1.0),
        description="between which shares of the steps that are run there is guidance; outside, "
        "only the branch that sees and hears is computed",
    )
    strength: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0, description="share of the steps that is run"
    )
    head_motion: NotNegative = Field(
        default=1.0, description="how much the head moves: scales its motion bucket"
    )
    expression: NotNegative = Field(
        default=1.0, description="how much the face moves: scales its motion bucket"
    )
    motion_buckets: tuple[NotNegative, NotNegative] | None = Field(
        default=None,
        description="motion buckets of head and of expression for all frames, before they are "
        "scaled, such as [16, 16]; none: what the motion controller hears in the speech",
    )
    condition_noise: NotNegative = Field(
        default=0.0, description="noise on the picture before it conditions the UNet"
    )
    latent_origin: Literal["zero", "reference"] = Field(
        default="zero",
        description="what is diffused: the latents, or their difference to the portrait's",
    )
    residual_scale: Annotated[float, Field(gt=0)] = Field(
        default=1.0, description="the scale of what is diffused"
    )
    shared_noise: Share = Field(
        default=0.0, description="share of the noise that all frames have in common"
    )
    noise_span: Annotated[int, Field(ge=1, le=100)] = Field(
        default=1,
        description="frames over which the rest of the noise of a frame is spread: head and brows "
        "move slowly and do not flicker",
    )

    @property
    def num_run(self) -> int:
        """Steps that are run: the last ones, if `strength` is below 1."""
        return int(self.steps * self.strength)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.num_run == 0:
            raise ValueError("strength leaves no step to run")
        if self.guidance_interval[0] > self.guidance_interval[1]:
            raise ValueError("guidance_interval must begin before it ends")
        if self.window_overlap >= self.window_frames:
            raise ValueError("window_overlap must be smaller than window_frames")
        return self


class DecodingConfig(Settings):
    """Frames that the autoencoder decodes at once, and how many more it sees on both sides.

    `context_frames: 0` with `chunk_frames: 8` is the grid of the released code. `tile` and
    `tile_overlap` count rows and columns of latents; the low-memory form decodes in tiles.
    """

    chunk_frames: Count = Field(default=8, description="frames decoded at once")
    context_frames: Annotated[int, Field(ge=0)] = Field(
        default=3,
        description="frames seen on both sides of those; 0 is the grid of the released code",
    )
    tile: Count = Field(
        default=32,
        description="rows and columns of latents that the low-memory form decodes at once",
    )
    tile_overlap: Annotated[int, Field(ge=0)] = Field(
        default=8, description="how many of them two tiles have in common"
    )

    @model_validator(mode="after")
    def _moves_on(self) -> Self:
        if self.tile_overlap >= self.tile:
            raise ValueError("tile_overlap must be smaller than tile")
        return self


class ProvenanceConfig(Settings):
    """What a finished file says of its making."""

    mark: bool = Field(
        default=True,
        description="mark every file as made with AI: a comment, and XMP with IPTC's "
        "`DigitalSourceType` where the container has a place for it (all but MKV and WebM, which "
        "take it as a tag)",
    )
    key: str | None = Field(
        default=None,
        description="file with the private key (PEM) that signs a C2PA manifest in every MP4, "
        "MOV, GIF and WebP; none: the mark is not signed",
    )
    certificate: str | None = Field(
        default=None, description="file with the chain of certificates of the key (PEM)"
    )
    require_consent: bool = Field(
        default=False, description="refuse rows that say nothing in the column `consent`"
    )
    label: Annotated[str, Field(pattern=r"^[!-~]([ -~]{0,38}[!-~])?$")] | None = Field(
        default=None,
        description="text drawn in a corner of every frame, up to 40 characters of ASCII, such as "
        "`AI generated`",
    )

    @model_validator(mode="after")
    def _key_fits_certificate(self) -> Self:
        if (self.key is None) != (self.certificate is None):
            raise ValueError("key and certificate need each other")
        if self.key is not None and not self.mark:
            raise ValueError("what is not marked cannot be signed")
        return self


class MediaConfig(Settings):
    """How videos are encoded."""

    fps: FrameRate = Field(
        default=OUTPUT_FPS,
        description="frames per second of the video, from 20 to 120, also fractions such as "
        "`24000/1001` (which 23.976 means); what is between two frames of the model "
        "is interpolated for its moment. GIF and WebP keep their 12.5",
    )
    interpolation: Interpolation = Field(
        default="flow",
        description="what is seen between two frames of the model: `flow`: what has moved half "
        "way, by RIFE; `dis`: the same by dense inverse search, at a twentieth of the time, and "
        "at 128 pixels nearer to the truth; `blend`: both, by their distance, which costs nothing "
        "and shows fast motion twice; `layers`: the half of the motion that the decoder itself has "
        "found, for weights whose decoder is given the portrait (`lite`)",
    )
    scale_to: Annotated[int, Field(ge=MIN_SCALE, le=MAX_VIDEO_SIDE, multiple_of=2)] | None = Field(
        default=None,
        description="short side of the finished video in pixels; 4096 is the most for its long "
        "side; `paste` scales the whole picture; none: as it is rendered",
    )
    colour_correction: bool = Field(
        default=False,
        description="draw the colours of the whole video to those of the portrait, slowly and "
        "without the mouth, so that a long video does not drift; one frame in 25 is decoded twice",
    )
    codec: VideoCodec | None = Field(
        default=None,
        description="codec of every container that can hold it; none: the usual one of each",
    )
    loudness_lufs: Annotated[float, Field(ge=-70, le=0)] | None = Field(
        default=None,
        description="EBU R 128 loudness of the sound, such as -23; the peak stays below -1 dB; "
        "none: as it is",
    )
    encoder: Literal["cpu", "auto", "nvenc"] = Field(
        default="cpu",
        description="what encodes H.264 and H.265: `cpu`; `nvenc`, the encoder of NVIDIA's cards "
        "(A100, H100 and H200 have none), whose files are larger and not the same on every card; "
        "`auto`: `nvenc` if the machine of the command has it, else `cpu`; it decides the bytes: "
        "where the other is found, finished rows are rendered again",
    )
    crf: Annotated[int, Field(ge=0, le=51)] = Field(
        default=18,
        description="quality in the terms of x264, for all codecs but ProRes; H.264 and H.265 take "
        "the constant quantisers that are as good, so that no border of segments shows; `nvenc` "
        "has a variable rate instead and takes the number as its `cq`, a scale of its own (not "
        "measured here) on which 0 means automatic and not lossless: borders of segments may show",
    )
    speed: Literal["ultrafast", "veryfast", "faster", "fast", "medium", "slow", "slower"] = Field(
        default="medium", description="speed of the encoder in the terms of x264"
    )
