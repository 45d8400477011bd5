"""Output frames to segments: closed groups of pictures, the same bytes on every machine.

Equal frames give equal bytes: one encoder thread, bit-exact conversion, no dates in the file.
Shape letters: H, W, C rows, columns, RGB.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from platform import machine

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation
from av.video.stream import VideoStream
from numpy.typing import NDArray

from sonic_ops.config import MediaConfig
from sonic_ops.constants import OUTPUT_FPS
from sonic_ops.files import draft_of
from sonic_ops.formats import VideoCodec

GOP_S = 2
_MAX_CRF = 51  # of x264, whose scale the settings use
# The macroblock tree of x264 reads memory that it never wrote, in its AVX-512 code at widths that
# are no multiple of 128: equal frames gave other bytes. SSE4 gives the bits of AVX2.
_X264_PARAMS = "open-gop=0" + (":asm=SSE4" if machine() in {"x86_64", "AMD64"} else "")
_EXACT = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.BITEXACT
)
# x264's names of speeds in the numbers of VP9.
_VP9_SPEEDS = {
    "ultrafast": 8, "veryfast": 6, "faster": 5, "fast": 4, "medium": 3, "slow": 2, "slower": 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Encoder:
    """How FFmpeg writes a codec: the encoder, its pixels, and the container of the segments."""

    name: str
    pixel_format: str = "yuv420p"
    muxer: str = "mp4"
    tag: str = ""  # for players that know the codec only by this one


ENCODERS: dict[VideoCodec, Encoder] = {
    "h264": Encoder("libx264"),
    "hevc": Encoder("libx265", tag="hvc1"),
    "prores": Encoder("prores_ks", "yuv422p10le", "mov"),
    "vp9": Encoder("libvpx-vp9"),
}


@dataclass(frozen=True, slots=True)
class EncodeSettings:
    """How segments are encoded; equal for all segments of a video, or they cannot be stitched."""

    codec: VideoCodec = "h264"
    crf: int = 18  # on the scale of x264, from 0 to 51; ProRes has none
    preset: str = "medium"
    gop_frames: int = 50
    threads: int = 1
    fps: Fraction = OUTPUT_FPS

    @property
    def encoder(self) -> Encoder:
        return ENCODERS[self.codec]


def settings_of(config: MediaConfig) -> EncodeSettings:
    """The settings of a configuration."""
    return EncodeSettings(
        config.codec or "h264",
        config.crf,
        config.speed,
        gop_frames=round(GOP_S * config.fps),
        fps=config.fps,
    )


def encode_frames(
    frames: Iterable[NDArray[np.uint8]], target: Path, settings: EncodeSettings
) -> int:
    """Encode RGB output frames (H W C) as one segment of closed GOPs; the number of frames."""
    num_frames = 0
    with draft_of(target) as draft, create_file(draft, settings.encoder.muxer) as container:
        stream: VideoStream | None = None
        for frame_HWC in frames:
            stream = stream or _add_video(container, frame_HWC.shape, settings)
            picture = _to_bt709(frame_HWC, settings.encoder.pixel_format)
            picture.pts, picture.time_base = num_frames, 1 / settings.fps
            container.mux(stream.encode(picture))
            num_frames += 1
        assert stream is not None, "a segment has at least one output frame"
        container.mux(stream.encode(None))
    return num_frames


def create_file(
    path: Path, muxer: str, options: Mapping[str, str] | None = None
) -> OutputContainer:
    """An empty container whose bytes will not depend on the day; for streaming where it can."""
    options = {"fflags": "+bitexact", **(options or {})}
    if muxer in {"mp4", "mov"}:
        options["movflags"] = "+faststart"
    container: OutputContainer = av.open(str(path), "w", format=muxer, options=options)
    return container


def _add_video(
    container: OutputContainer, shape_HWC: Sequence[int], settings: EncodeSettings
) -> VideoStream:
    height, width, _ = shape_HWC
    assert height % 2 == 0
    assert width % 2 == 0
    encoder = settings.encoder
    stream = container.add_stream(encoder.name, rate=settings.fps, options=_options(settings))
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = width, height, encoder.pixel_format
    context.time_base, context.gop_size = 1 / settings.fps, settings.gop_frames
    context.thread_count = settings.threads
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
    if encoder.tag:
        context.codec_tag = encoder.tag
    return stream


def _options(settings: EncodeSettings) -> dict[str, str]:
    crf, preset, gop = str(settings.crf), settings.preset, settings.gop_frames
    match settings.codec:
        case "h264":
            return {"crf": crf, "preset": preset, "x264-params": _X264_PARAMS}
        case "hevc":
            params = f"open-gop=0:keyint={gop}:pools=none:frame-threads=1:info=0:log-level=error"
            return {"crf": crf, "preset": preset, "x265-params": params}
        case "prores":
            return {"profile": "hq", "vendor": "apl0"}
        case "vp9":
            quality = str(round(settings.crf * 63 / _MAX_CRF))  # VP9 counts to 63
            return {"crf": quality, "b": "0", "cpu-used": str(_VP9_SPEEDS[preset]), "row-mt": "0"}


def _to_bt709(frame_HWC: NDArray[np.uint8], pixel_format: str) -> av.VideoFrame:
    rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame_HWC), format="rgb24")
    return rgb.reformat(
        format=pixel_format,
        dst_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        interpolation=_EXACT,
        threads=1,
    )
