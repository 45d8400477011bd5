"""Finished videos to one, with chapters: frames are copied, audio becomes one track.

Shape letters: C channels, S samples.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from sonic_ops.audio.decoding import AudioBlock
from sonic_ops.audio.reading import read_audio
from sonic_ops.core.errors import FieldError, VideoUnreadableError
from sonic_ops.core.files import fetched
from sonic_ops.core.formats import VideoCodec, format_of
from sonic_ops.core.scratch import scratch_folder
from sonic_ops.media.inspection import VideoInfo, verify_video
from sonic_ops.media.muxing import Chapter, mux, stitch
from sonic_ops.media.soundtrack import Soundtrack
from sonic_ops.media.subtitles import Cue, cut, read_subtitles
from sonic_ops.provenance.marks import has_tags, mark_file, provenance_of, tags_of

AUDIO_HZ = 48_000
MAX_CHANNELS = 2


@dataclass(frozen=True, slots=True)
class JoinedVideo:
    """A video to join: its URL, its chapter, and its subtitles beside it, if it has some."""

    video: str
    title: str
    subtitles: str | None = None


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a part must share with the others, and its length in frames."""

    form: tuple[str, int, int, Fraction]
    header: bytes
    num_frames: int
    is_marked: bool


def join_videos(
    parts: Sequence[JoinedVideo],
    target: Path,
    *,
    language: str | None = None,
    loudness_lufs: float | None = None,
) -> VideoInfo:
    """Join finished videos in their order, in the format of `target`; no frame is encoded again.

    Every part begins at its first frame, and is a chapter. Audio is cut or filled to its
    frames, encoded once, and made equally loud if `loudness_lufs` is given. The file is marked as
    made with AI once if a part is. Raises InputError: a file is missing or unreadable, or the
    frames of two parts differ in codec, size or rate.
    """
    with ExitStack() as stack, scratch_folder() as scratch:
        files = [stack.enter_context(fetched(part.video)) for part in parts]
        facts = [_facts(part, file) for part, file in zip(parts, files, strict=True)]
        _require_alike(parts, facts)
        codec, _, _, fps = facts[0].form
        _check_format(codec, target)
        starts_s = _starts_s(facts, fps)
        silent, audio = scratch / "silent.mp4", scratch / "audio.wav"
        stitch(files, silent, fps)
        _write_audio(parts, facts, fps, audio)
        track = Soundtrack(str(audio), language=language, loudness_lufs=loudness_lufs)
        chapters = [
            Chapter(part.title, start_s, stop_s)
            for part, start_s, stop_s in zip(parts, starts_s, starts_s[1:], strict=False)
        ]
        is_marked, form = any(fact.is_marked for fact in facts), format_of(target.name)
        tags = tags_of(form) if is_marked else {}
        mux(silent, track, target, _cues(parts, starts_s, language), tags, chapters)
    if is_marked:
        mark_file(target)
    num_frames = sum(fact.num_frames for fact in facts)
    info = verify_video(
        target,
        num_output_frames=num_frames,
        duration_s=float(starts_s[-1]),
        codec=cast("VideoCodec", codec),
        fps=fps,
    )
    return replace(info, provenance=provenance_of(target))


def _facts(part: JoinedVideo, file: Path) -> _Facts:
    try:
        with av.open(str(file)) as container:
            stream = container.streams.video[0]
            context, rate = stream.codec_context, stream.average_rate
            num_frames = sum(packet.pts is not None for packet in container.demux(stream))
            is_marked = has_tags(container.metadata)
    except (OSError, ValueError, IndexError) as error:
        raise VideoUnreadableError(
            f"The frames of {part.video} cannot be read: {error}",
            remedy="Give videos that this program has rendered.",
        ) from error
    if not num_frames or rate is None:
        raise VideoUnreadableError(
            f"{part.video} has no frames", remedy="Give videos that this program has rendered."
        )
    form = (context.codec.canonical_name, context.width, context.height, Fraction(rate))
    return _Facts(form, bytes(context.extradata or b""), num_frames, is_marked)


def _require_alike(parts: Sequence[JoinedVideo], facts: Sequence[_Facts]) -> None:
    for part, fact in zip(parts, facts, strict=True):
        if (fact.form, fact.header) != (facts[0].form, facts[0].header):
            same = " encoded in another way" if fact.form == facts[0].form else ""
            raise FieldError(
                f"{part.video} has {_in_words(fact)}{same}, and {parts[0].video} "
                f"{_in_words(facts[0])}: their frames cannot be copied into one video",
                remedy="Render all of them with one preset, `fps` and `scale_to`.",
            )


def _check_format(codec: str, target: Path) -> None:
    if codec not in format_of(target.name).video:
        raise FieldError(
            f"{target.name} cannot hold the frames of the videos, which are {codec}",
            remedy="Give it the ending of the videos, or .mkv.",
            field="output",
        )


def _in_words(fact: _Facts) -> str:
    codec, width, height, rate = fact.form
    return f"{width} x {height} pixels in {codec} at {float(rate):g} a second"


def _starts_s(facts: Sequence[_Facts], fps: Fraction) -> list[Fraction]:
    """Return when each part begins, and the end of the last."""
    frames = np.cumsum([0, *(fact.num_frames for fact in facts)]).tolist()
    return [number / fps for number in frames]


def _write_audio(
    parts: Sequence[JoinedVideo], facts: Sequence[_Facts], fps: Fraction, target: Path
) -> None:
    """Write the audio tracks of all parts one after another, each as long as its frames."""
    end_s, position = Fraction(0), 0
    with soundfile.SoundFile(target, "w", AUDIO_HZ, MAX_CHANNELS, "FLOAT") as file:
        for part, fact in zip(parts, facts, strict=True):
            end_s += fact.num_frames / fps
            num_left = round(end_s * AUDIO_HZ) - position
            position += num_left
            for samples_SC in _resampled(read_audio(part.video, 0.0, None)):
                file.write(samples_SC[:num_left])
                num_left -= min(num_left, len(samples_SC))
            file.write(np.zeros((num_left, MAX_CHANNELS), np.float32))


def _resampled(blocks: Iterable[AudioBlock]) -> Iterator[NDArray[np.float32]]:
    """Give the samples in two channels at one rate, block by block."""
    stream, rate_hz = None, 0
    for block in blocks:
        if stream is None or block.sample_rate_hz != rate_hz:
            if stream is not None:
                yield stream.resample_chunk(np.zeros((0, MAX_CHANNELS), np.float32), last=True)
            rate_hz = block.sample_rate_hz
            stream = soxr.ResampleStream(rate_hz, AUDIO_HZ, MAX_CHANNELS, dtype="float32")
        yield stream.resample_chunk(_in_stereo(block.samples))
    if stream is not None:
        yield stream.resample_chunk(np.zeros((0, MAX_CHANNELS), np.float32), last=True)


def _in_stereo(samples_CS: NDArray[np.float32]) -> NDArray[np.float32]:
    if len(samples_CS) != MAX_CHANNELS:  # one channel on both sides, or all of them mixed
        samples_CS = np.repeat(samples_CS.mean(axis=0, keepdims=True), MAX_CHANNELS, axis=0)
    return np.ascontiguousarray(samples_CS.T, np.float32)


def _later(cue: Cue, start_s: float) -> Cue:
    start_ms = round(1000 * start_s)
    return replace(cue, start_ms=cue.start_ms + start_ms, end_ms=cue.end_ms + start_ms)


def _cues(
    parts: Sequence[JoinedVideo], starts_s: Sequence[Fraction], language: str | None
) -> list[Cue]:
    """Return the subtitles of all parts at their times in the whole."""
    cues = []
    for part, start_s, stop_s in zip(parts, starts_s, starts_s[1:], strict=False):
        if part.subtitles is not None:
            found = read_subtitles(part.subtitles, language).cues
            cues += [_later(cue, float(start_s)) for cue in cut(found, 0, float(stop_s - start_s))]
    return cues
