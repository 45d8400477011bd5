"""Settings of the mathematics and the media. Defaults are the values of the released model."""

from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    PlainSerializer,
    PlainValidator,
    model_validator,
)

from sonic_ops.core.constants import OUTPUT_FPS, SHIFT_FRAMES, WINDOW_FRAMES
from sonic_ops.core.formats import VideoCodec
from sonic_ops.core.native import native_dtype
from sonic_ops.core.rates import frame_rate
from sonic_ops.core.settings import Settings
from sonic_ops.core.sizes import MAX_VIDEO_SIDE, MIN_SCALE
from sonic_ops.core.timeline import PaddingMode

Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
AudioContext = Literal["blocks", "overlapped"]
"""Whether the audio chunks that Whisper encodes lie side by side or overlap."""
LengthPolicy = Literal["refuse", "cut", "hold", "loop", "bounce", "pad"]
"""What is done if a film and its new audio are not as long as each other."""
Interpolation = Literal["flow", "dis", "blend", "layers"]
"""How in-between frames are made: by RIFE, by dense inverse search, by laying both over, or by
mixing the layers that both are over the portrait."""
FrameRate = Annotated[
    Fraction,
    PlainValidator(frame_rate, json_schema_input_type=float | str),
    PlainSerializer(str, return_type=str),
]


class ModelsConfig(Settings):
    """Which weights, where and in which precision."""

    weights: str = Field(
        description="`package:NAME` for weights that ship, or a folder in diffusers layout as "
        "written by `sonic weights convert`. A relative path counts from the "
        "current folder"
    )
    device: Annotated[str, Field(pattern=r"^(cpu|cuda(:\d+)?)$")] = Field(
        default="cpu", description="where the networks run", examples=["cpu", "cuda", "cuda:1"]
    )
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32",
        description="precision of the networks; Whisper is always float32. `auto` is "
        "`bfloat16` if the device supports it natively, else `float32`",
    )
    vae_dtype: Literal["float32", "bfloat16", "float16"] | None = Field(
        default=None,
        description="precision of the autoencoder. If unset, that of `dtype`, but `float32` "
        "with `bfloat16`, whose 8 bits show in frames. `auto` as for `dtype`",
    )
    flow_dtype: Literal["float32", "bfloat16"] | None = Field(
        default=None,
        description="precision of the interpolation network. If unset, `bfloat16` with "
        "`bfloat16`, else `float32` as in the released code. Flow and pixels stay "
        "`float32`",
    )
    offload: Literal["none", "parts"] = Field(
        default="none",
        description="`parts`: keep only the networks of the current stage on the device, for "
        "small cards. Changes no bit",
    )
    notice: str | None = Field(
        default=None,
        description="a sentence shown whenever these weights are loaded. If unset, the first "
        "line of `NOTICE` in their folder",
    )

    @model_validator(mode="before")
    @classmethod
    def _native(cls, values: Any) -> Any:
        """Resolve `auto` to a precision here, so that all workers use the same one."""
        if not isinstance(values, dict):
            return values
        native = native_dtype(str(values.get("device", "cpu")))
        wanted = [key for key in ("dtype", "vae_dtype") if values.get(key) == "auto"]
        return values | dict.fromkeys(wanted, native)


class PortraitConfig(Settings):
    """How the image is cut, resized and masked."""

    resolution: Annotated[int, Field(ge=64, le=1024, multiple_of=64)] = Field(
        default=512, description="short side of the animated part, in pixels"
    )
    model_resolution: Annotated[int, Field(ge=64, le=1024, multiple_of=64)] | None = Field(
        default=None,
        description="short side of what the networks see, for decoders that show the portrait "
        "at `resolution` (`lite`). If unset, `resolution`",
    )
    framing: Literal["face", "full", "paste"] = Field(
        default="face",
        description="`face`: a square around the face; `full`: the whole image, at most "
        "2048 pixels a side; `paste`: the square pasted back into the whole "
        "image (at most 4096 pixels a side) with a soft border. If the portrait "
        "is a video, it is pasted into the frame of the same moment",
    )
    expand: NotNegative = Field(
        default=0.5, description="how far the square extends beyond the face, in face sizes"
    )
    mask_area: Annotated[float, Field(gt=0)] = Field(
        default=1.1, description="size of the face mask relative to the face"
    )
    max_megapixels: Annotated[float, Field(gt=0, le=178)] = Field(
        default=89, description="largest portrait; larger ones are refused before they are decoded"
    )

    @property
    def read_resolution(self) -> int:
        """Short side of what the networks see."""
        return self.model_resolution or self.resolution


class SamplingConfig(Settings):
    """The sampler: steps, window grid, guidance, and what it diffuses around."""

    steps: Count = Field(default=25, description="denoising steps")
    solver: Literal["euler", "multistep"] = Field(
        default="euler",
        description="`euler`: as in the released code; `multistep`: DPM-Solver++ of second "
        "order, which needs about half as many steps",
    )
    cache_interval: Count = Field(
        default=1,
        description="n: compute the deep levels of the UNet only in every n-th step and reuse "
        "their features in between. The features travel and are stored like "
        "latents, but are larger: 40 times per guidance branch with `sonic`, 3 "
        "times with `sketch`",
    )
    window_frames: Count = Field(default=WINDOW_FRAMES, description="frames of a UNet call")
    window_overlap: Annotated[int, Field(ge=0)] = Field(
        default=0, description="frames shared by neighbouring windows of a step"
    )
    shift_frames: Annotated[int, Field(ge=0)] = Field(
        default=SHIFT_FRAMES, description="frames by which the window grid moves at every step"
    )
    padding_mode: PaddingMode = Field(
        default="circular",
        description="what windows see beyond the first and last frame. `circular`: the other "
        "end of the video, as in the released code; `reflect`: the frames "
        "mirrored, which costs up to one more window per step",
    )
    image_guidance: tuple[float, float] = Field(
        default=(2.0, 2.0),
        description="guidance towards the portrait at the first and last step; a branch "
        "without weight is not computed",
    )
    audio_guidance: tuple[float, float] = Field(
        default=(7.5, 7.5), description="guidance towards the audio at the first and last step"
    )
    guidance_interval: tuple[Share, Share] = Field(
        default=(0.0, 1.0),
        description="the part of the steps that uses guidance; outside it only the "
        "conditional branch is computed",
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
        description="motion buckets of head and expression for all frames before scaling, "
        "such as [16, 16]. If unset, the motion controller predicts them from the "
        "speech",
    )
    condition_noise: NotNegative = Field(
        default=0.0, description="noise added to the image that conditions the UNet"
    )
    latent_origin: Literal["zero", "reference"] = Field(
        default="zero",
        description="what is diffused: the latents, or their difference from the portrait's",
    )
    residual_scale: Annotated[float, Field(gt=0)] = Field(
        default=1.0, description="scale of what is diffused"
    )
    shared_noise: Share = Field(
        default=0.0, description="share of the noise that all frames have in common"
    )
    noise_span: Annotated[int, Field(ge=1, le=100)] = Field(
        default=1,
        description="frames over which the remaining noise is smoothed, so that head and "
        "brows move slowly and do not flicker",
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
        description="extra frames decoded on both sides of a chunk; 0 is the grid of the "
        "released code",
    )
    tile: Count = Field(
        default=32,
        description="latent rows and columns that the low-memory form decodes at once",
    )
    tile_overlap: Annotated[int, Field(ge=0)] = Field(
        default=8, description="how many of them two tiles share"
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
        "`DigitalSourceType` (in MKV and WebM a tag instead)",
    )
    key: str | None = Field(
        default=None,
        description="PEM file with the private key that signs a C2PA manifest in every MP4, "
        "MOV, GIF and WebP. If unset, nothing is signed",
    )
    certificate: str | None = Field(
        default=None, description="PEM file with the certificate chain of the key"
    )
    require_consent: bool = Field(
        default=False, description="refuse rows whose column `consent` is empty"
    )
    label: Annotated[str, Field(pattern=r"^[!-~]([ -~]{0,38}[!-~])?$")] | None = Field(
        default=None,
        description="text drawn into a corner of every frame: up to 40 ASCII characters, such "
        "as `AI generated`",
    )

    @model_validator(mode="after")
    def _key_fits_certificate(self) -> Self:
        if (self.key is None) != (self.certificate is None):
            raise ValueError("key and certificate need each other")
        if self.key is not None and not self.mark:
            raise ValueError("what is not marked cannot be signed")
        return self


class FilmConfig(Settings):
    """How films are dubbed."""

    length: LengthPolicy = Field(
        default="refuse",
        description="if a film and its audio differ by more than 0.1 s. `refuse`: the row fails; "
        "`cut`: the longer one is cut; `pad`: silence follows shorter audio; `hold`, `loop`, "
        "`bounce`: after a shorter film its last frame is held, it begins anew, or it runs "
        "backwards and forwards; a longer film is cut",
    )


class MediaConfig(Settings):
    """How videos are encoded."""

    fps: FrameRate = Field(
        default=OUTPUT_FPS,
        description="frames per second of the video, from 20 to 120, also as a fraction such "
        "as `24000/1001` (23.976 is read as that). Frames between those of the "
        "model are interpolated. GIF and WebP always have 12.5",
    )
    interpolation: Interpolation = Field(
        default="flow",
        description="how frames between those of the model are made. `flow`: RIFE; `dis`: "
        "dense inverse search, 20 times faster and more accurate at 128 pixels; "
        "`blend`: a cross-fade, which is free but shows fast motion twice; "
        "`layers`: half the motion predicted by the decoder, only for `lite`",
    )
    scale_to: Annotated[int, Field(ge=MIN_SCALE, le=MAX_VIDEO_SIDE, multiple_of=2)] | None = Field(
        default=None,
        description="short side of the finished video in pixels; the long side may have 4096. "
        "With `paste`, the whole image is scaled. If unset, the video is not "
        "scaled",
    )
    colour_correction: bool = Field(
        default=False,
        description="pull slow colour changes back to the portrait, so that long videos do "
        "not drift; one frame in 25 is decoded twice",
    )
    codec: VideoCodec | None = Field(
        default=None,
        description="video codec, for every container that supports it. If unset, the usual "
        "one of each",
    )
    loudness_lufs: Annotated[float, Field(ge=-70, le=0)] | None = Field(
        default=None,
        description="EBU R 128 loudness of the audio, such as -23, with peaks below -1 dB. If "
        "unset, unchanged",
    )
    encoder: Literal["cpu", "auto", "nvenc"] = Field(
        default="cpu",
        description="encoder for H.264 and H.265. `cpu`; `nvenc`: NVIDIA's (not on A100, "
        "H100, H200), with larger files that differ between cards; `auto`: "
        "`nvenc` if the machine of the command has it. The bytes depend on it, so "
        "a change renders finished rows again",
    )
    crf: Annotated[int, Field(ge=0, le=51)] = Field(
        default=18,
        description="quality in x264's terms, for all codecs but ProRes. H.264 and H.265 use "
        "equally good constant quantisers, so that segment borders do not show. "
        "`nvenc` takes the number as its `cq`, another scale on which 0 means "
        "automatic; there segment borders may show",
    )
    speed: Literal["ultrafast", "veryfast", "faster", "fast", "medium", "slow", "slower"] = Field(
        default="medium", description="encoder speed in x264's terms"
    )
