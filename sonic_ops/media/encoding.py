"""Output frames to segments: closed GOPs, the same bytes on every machine.

Equal frames give equal bytes: one encoder thread, bit-exact conversion, no dates in the file.
H.264 and H.265 have constant quantisers on a CPU: nothing of a group depends on the groups before
it, so what begins a segment is bit for bit what an uncut video has there. A rate control, as NVENC
has one, starts anew with every segment, and its first frame can be told from other key frames.
Shape letters: H, W, C rows, columns, RGB.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation
from av.video.stream import VideoStream
from numpy.typing import NDArray

from sonic_ops.core.config import MediaConfig
from sonic_ops.core.constants import OUTPUT_FPS
from sonic_ops.core.files import draft_of
from sonic_ops.core.formats import VideoCodec
from sonic_ops.media.nvenc import require_nvenc

GOP_S = 4  # the segments of both presets begin on this grid
_SVT_PARAMS = "lp=1"  # one thread
_MAX_CRF = 51  # of x264, whose scale the settings use
# Quantisers of H.264 and H.265 against crf, for files as good (tests/bench/RESULTS.md). A key frame
# pulses by what its neighbours have not kept of the source. So x264 makes the last frame of a group
# as fine as the key frame that follows; x265 cannot, and has finer P-frames. P-frames follow what
# drifts, and B-frames fade it in.
_FINEST, _X264_P_FRAME, _X265_P_FRAME, _B_FRAME = -14, -2, -6, 8
_B_FRAMES = 15  # between two others, always: an encoder that chooses looks at the groups before
_PATTERN = f"bframes={_B_FRAMES}:b-adapt=0:rc-lookahead={_B_FRAMES + 5}:scenecut=0"
# `direct=auto` would look at them too. Another reason for constant quantisers: with a rate control
# the macroblock tree of x264 reads memory that it never wrote, in AVX-512 code, at some widths.
_X264_PARAMS = "open-gop=0:direct=spatial:b-pyramid=none"
EXACT = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.BITEXACT
)
# x264's names of speeds in the numbers of VP9 and of AV1, which both count quality to 63.
_VP9_SPEEDS = {
    "ultrafast": 8, "veryfast": 6, "faster": 5, "fast": 4, "medium": 3, "slow": 2, "slower": 1,
}  # fmt: skip
_AV1_SPEEDS = {
    "ultrafast": 12, "veryfast": 10, "faster": 9, "fast": 8, "medium": 6, "slow": 4, "slower": 3,
}  # fmt: skip
_NVENC_SPEEDS = {
    "ultrafast": "p1", "veryfast": "p2", "faster": "p3", "fast": "p4", "medium": "p5", "slow": "p6",
    "slower": "p7",
}  # fmt: skip
_MAX_QUALITY = 63


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
    "prores": Encoder("prores_ks", "yuv422p10le", "mov", tag="apch"),
    "vp9": Encoder("libvpx-vp9"),
    "av1": Encoder("libsvtav1"),
}
NVENC_ENCODERS: dict[VideoCodec, Encoder] = {
    "h264": Encoder("h264_nvenc"),
    "hevc": Encoder("hevc_nvenc", tag="hvc1"),
}


@dataclass(frozen=True, slots=True)
class EncodeSettings:
    """How segments are encoded; equal for all segments of a video, or they cannot be stitched."""

    codec: VideoCodec = "h264"
    crf: int = 18  # on the scale of x264, from 0 to 51; ProRes has none
    preset: str = "medium"
    gop_frames: int = round(GOP_S * OUTPUT_FPS)
    threads: int = 1
    fps: Fraction = OUTPUT_FPS
    nvenc: bool = False  # for the codecs that it has

    @property
    def encoder(self) -> Encoder:
        usual = ENCODERS[self.codec]
        return NVENC_ENCODERS.get(self.codec, usual) if self.nvenc else usual


def settings_of(config: MediaConfig) -> EncodeSettings:
    """Return the settings of a configuration."""
    return EncodeSettings(
        config.codec or "h264",
        config.crf,
        config.speed,
        gop_frames=round(GOP_S * config.fps),
        fps=config.fps,
        nvenc=config.encoder == "nvenc",
    )


def encode_frames(
    frames: Iterable[NDArray[np.uint8]],
    target: Path,
    settings: EncodeSettings,
    *,
    expected: int | None = None,
) -> int:
    """Encode RGB output frames (H W C) as one segment of closed GOPs; the number of frames.

    If that is known before, as `expected`, the change to the next segment shows less.
    Raises ConfigError if the settings ask for NVENC where there is none.
    """
    num_frames = 0
    if settings.encoder != ENCODERS[settings.codec]:
        require_nvenc()
    with draft_of(target) as draft, create_file(draft, settings.encoder.muxer) as container:
        stream: VideoStream | None = None
        for frame_HWC in frames:
            stream = stream or _add_video(container, frame_HWC.shape, settings, expected or 0)
            video_frame = _to_bt709(frame_HWC, settings.encoder.pixel_format)
            video_frame.pts, video_frame.time_base = num_frames, 1 / settings.fps
            container.mux(stream.encode(video_frame))
            num_frames += 1
        assert stream is not None, "a segment has at least one output frame"
        container.mux(last_packets(stream, num_frames))
    return num_frames


def last_packets(stream: VideoStream, num_frames: int) -> "list[Packet[Any]]":
    """Flush an encoder.

    x265 does not set when a lone frame is decoded: it is what was in memory, mostly one tick before
    it is shown (seen with PyAV 18.1, and some of these times are refused by muxers).
    """
    packets = stream.encode(None)
    if num_frames == 1 and stream.codec_context.name == "libx265":
        for packet in packets:
            assert packet.pts is not None
            packet.dts = packet.pts - 1
    return packets


def create_file(
    path: Path, muxer: str, options: Mapping[str, str] | None = None
) -> OutputContainer:
    """Create a container whose bytes do not depend on the date, for streaming if possible."""
    options = {"fflags": "+bitexact", **(options or {})}
    if muxer in {"mp4", "mov"}:
        options["movflags"] = "+faststart"
    container: OutputContainer = av.open(str(path), "w", format=muxer, options=options)
    return container


def _add_video(
    container: OutputContainer, shape_HWC: Sequence[int], settings: EncodeSettings, num_frames: int
) -> VideoStream:
    height, width, _ = shape_HWC
    assert height % 2 == 0
    assert width % 2 == 0
    encoder = settings.encoder
    stream = container.add_stream(
        encoder.name, rate=settings.fps, options=options_of(settings, num_frames)
    )
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


def options_of(settings: EncodeSettings, num_frames: int) -> dict[str, str]:
    """Return the options of an encoder; `num_frames` if they are known."""
    crf, preset, gop = str(settings.crf), settings.preset, settings.gop_frames
    if settings.encoder != ENCODERS[settings.codec]:
        speed = _NVENC_SPEEDS[preset]
        return {"preset": speed, "rc": "vbr", "cq": crf, "b": "0", "bf": "0", "forced-idr": "1"}
    match settings.codec:
        case "h264":
            params = f"{_X264_PARAMS}:{_quantisers(settings.crf, _X264_P_FRAME)}"
            params += _last_frames(settings, num_frames)
            return {"preset": preset, "x264-params": params}
        case "hevc":
            params = f"open-gop=0:keyint={gop}:pools=none:frame-threads=1:info=0:log-level=error"
            params += f":b-pyramid=0:{_quantisers(settings.crf, _X265_P_FRAME)}"
            return {"preset": preset, "x265-params": params}
        case "prores":
            return {"profile": "hq", "vendor": "apl0"}
        case "vp9":
            speed = str(_VP9_SPEEDS[preset])
            return {"crf": _quality(settings), "b": "0", "cpu-used": speed, "row-mt": "0"}
        case "av1":
            os.environ.setdefault("SVT_LOG", "1")  # the only way to let it say nothing but errors
            speed = str(_AV1_SPEEDS[preset])
            return {"crf": _quality(settings), "preset": speed, "svtav1-params": _SVT_PARAMS}


def _quantisers(crf: int, p_frame: int) -> str:
    """Return the quantisers of each kind of frame; crf 0 stays lossless."""
    if not crf:
        return "qp=0"
    finest, p_frame, b_frame = (max(crf + more, 1) for more in (_FINEST, p_frame, _B_FRAME))
    ratios = f"ipratio={_ratio(p_frame - finest)}:pbratio={_ratio(b_frame - p_frame)}"
    return f"qp={min(p_frame, _MAX_CRF)}:{ratios}:{_PATTERN}"


def _last_frames(settings: EncodeSettings, num_frames: int) -> str:
    """Return the quantiser of the last frames of groups, for x264."""
    crf, gop = settings.crf, settings.gop_frames
    last = {*range(gop - 1, num_frames, gop), num_frames - 1} if num_frames and crf else set()
    last -= {*range(0, num_frames, gop)}  # key frames are as fine already
    zones = "/".join(f"{frame},{frame},q={max(crf + _FINEST, 1)}" for frame in sorted(last))
    return f":zones={zones}" if zones else ""


def _ratio(quantisers: int) -> str:
    """Return how much coarser a number of quantiser steps is."""
    return f"{2 ** (quantisers / 6):.4f}"


def _quality(settings: EncodeSettings) -> str:
    return str(round(settings.crf * _MAX_QUALITY / _MAX_CRF))


def _to_bt709(frame_HWC: NDArray[np.uint8], pixel_format: str) -> av.VideoFrame:
    rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame_HWC), format="rgb24")
    return rgb.reformat(
        format=pixel_format,
        dst_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        interpolation=EXACT,
        threads=1,
    )
