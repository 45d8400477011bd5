"""A video as a silent animation: GIF or WebP at 12.5 frames per second."""

from collections.abc import Iterator
from pathlib import Path

import av
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream
from PIL import Image, UnidentifiedImageError

from sonic_ops.core.constants import MODEL_FPS, OUTPUT_FRAMES_PER_FRAME
from sonic_ops.core.containers import open_own_container
from sonic_ops.core.files import draft_of
from sonic_ops.core.formats import format_of
from sonic_ops.media.encoding import create_file
from sonic_ops.media.inspection import VideoInfo, probe_video, wrong

MAX_SIDE = 480
WEBP_QUALITY = "75"
_FRAME_TIME = 1 / MODEL_FPS
_PLAYED_FOR_EVER = {"loop": "0"}


def write_animation(video: Path, target: Path) -> None:
    """Write every other output frame, at most 480 pixels wide and high, as GIF or WebP."""
    with draft_of(target) as draft:
        if format_of(target.name).muxer == "gif":
            palette = _palette(video)
            _write(_with_palette(video, palette), draft, "gif", "gif", "pal8")
        else:
            frames = _small_frames(video, "bgra")
            _write(frames, draft, "webp", "libwebp_anim", "bgra", {"quality": WEBP_QUALITY})


def verify_animation(path: Path, *, num_output_frames: int) -> VideoInfo:
    """Check the frames of an animation. Raises VerifyError."""
    if path.suffix.lower() == ".webp":
        return _webp_info(path, num_output_frames)
    info = probe_video(path)
    _check(path, info.num_frames, num_output_frames)
    return info


def _check(path: Path, num_frames: int, num_output_frames: int) -> None:
    planned = -(-num_output_frames // OUTPUT_FRAMES_PER_FRAME)
    if num_frames != planned:
        raise wrong(path, f"has {num_frames} frames and not {planned}")


def _webp_info(path: Path, num_output_frames: int) -> VideoInfo:
    # FFmpeg writes these files, and cannot read them.
    try:
        with Image.open(path, formats=("WEBP",)) as image:
            width, height = image.size
            num_frames = getattr(image, "n_frames", 1)
    except (OSError, UnidentifiedImageError) as error:
        raise wrong(path, f"cannot be read: {error}") from error
    _check(path, num_frames, num_output_frames)
    return VideoInfo(
        width=width,
        height=height,
        num_frames=num_frames,
        fps=MODEL_FPS,
        duration_s=float(num_frames / MODEL_FPS),
        audio_duration_s=0.0,
        video_codec="webp",
        audio_codec="",
        pix_fmt="",
        is_constant_rate=True,
        is_bt709=False,
    )


def _small_frames(video: Path, pixel_format: str) -> Iterator[av.VideoFrame]:
    with open_own_container(video) as container:
        stream = container.streams.video[0]
        width, height = _small(stream.codec_context.width, stream.codec_context.height)
        for index, frame in enumerate(container.decode(stream)):
            if index % OUTPUT_FRAMES_PER_FRAME == 0:
                small = frame.reformat(
                    width=width,
                    height=height,
                    format=pixel_format,
                    src_colorspace=Colorspace.ITU709,
                )
                small.pts, small.time_base = index // OUTPUT_FRAMES_PER_FRAME, _FRAME_TIME
                yield small


def _small(width: int, height: int) -> tuple[int, int]:
    scale = min(MAX_SIDE / max(width, height), 1)
    even_width, even_height = (max(2 * round(side * scale / 2), 2) for side in (width, height))
    return even_width, even_height


def _palette(video: Path) -> av.VideoFrame:
    """Choose 256 colours for all frames together, so that they do not flicker."""
    graph: Graph | None = None
    for frame in _small_frames(video, "rgb24"):
        if graph is None:
            graph = Graph()
            _chain(_input(graph, frame), graph.add("palettegen", "reserve_transparent=0"))
            graph.configure()
        graph.push(frame)
    assert graph is not None, "a video has at least one output frame"
    graph.push(None)
    palette = graph.pull()
    assert isinstance(palette, av.VideoFrame)
    return palette


def _with_palette(video: Path, palette: av.VideoFrame) -> Iterator[av.VideoFrame]:
    graph: Graph | None = None
    source: FilterContext | None = None
    for frame in _small_frames(video, "rgb24"):
        if graph is None or source is None:
            graph = Graph()
            source, colours = _input(graph, frame), _input(graph, palette)
            use = graph.add("paletteuse", "dither=bayer:bayer_scale=4:diff_mode=rectangle")
            colours.link_to(use, 0, 1)
            _chain(source, use)
            graph.configure()
            colours.push(palette)
            colours.push(None)
        source.push(frame)
        yield from _pulled(graph)
    if graph is not None and source is not None:
        source.push(None)
        yield from _pulled(graph)


def _input(graph: Graph, frame: av.VideoFrame) -> FilterContext:
    return graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=_FRAME_TIME
    )


def _chain(source: FilterContext, last: FilterContext) -> None:
    source.link_to(last)
    last.link_to(last.graph.add("buffersink"))


def _pulled(graph: Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        assert isinstance(frame, av.VideoFrame)
        yield frame


def _write(
    frames: Iterator[av.VideoFrame],
    target: Path,
    muxer: str,
    encoder: str,
    pixel_format: str,
    options: dict[str, str] | None = None,
) -> None:
    with create_file(target, muxer, _PLAYED_FOR_EVER) as output:
        stream: VideoStream | None = None
        for index, frame in enumerate(frames):
            if stream is None:
                added = output.add_stream(encoder, rate=MODEL_FPS, options=options)
                assert isinstance(added, VideoStream)
                stream = added
                context = stream.codec_context
                context.width, context.height = frame.width, frame.height
                context.pix_fmt, context.thread_count = pixel_format, 1
                context.time_base = _FRAME_TIME
            frame.pts, frame.time_base = index, _FRAME_TIME
            output.mux(stream.encode(frame))
        assert stream is not None, "a video has at least one output frame"
        output.mux(stream.encode(None))
