"""The last step of a row: from its segments to a finished file that was measured."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from sonic_ops.audio.alignment import compare_audio, is_audible
from sonic_ops.core.constants import OUTPUT_FPS, SAMPLE_RATE_HZ
from sonic_ops.core.formats import VideoCodec, format_of
from sonic_ops.media.animations import verify_animation, write_animation
from sonic_ops.media.content import MOVING, Expected, broken, check_frames
from sonic_ops.media.film_encoding import FilmForm
from sonic_ops.media.inspection import VideoInfo, verify_film, verify_video, wrong
from sonic_ops.media.muxing import mux, stitch
from sonic_ops.media.soundtrack import Soundtrack
from sonic_ops.media.subtitles import Cue
from sonic_ops.provenance.c2pa import Signer
from sonic_ops.provenance.marks import mark_file, provenance_of, tags_of

MAX_OFFSET_S = 0.001


@dataclass(frozen=True, slots=True)
class FilmFinish:
    """When the frames of a dubbed film are shown, and what it keeps beside them."""

    times_s: tuple[Fraction, ...]
    form: FilmForm
    source: Path | None = None  # the film, if a signature can name it: MP4 or MOV


@dataclass(frozen=True, slots=True)
class Finish:
    """What the finished file is to be."""

    track: Soundtrack
    wav: Path  # the track as a mono WAV at 16 kHz
    num_samples: int  # of it that the video is planned for
    num_output_frames: int
    codec: VideoCodec | None = None  # None: the usual one of the format
    subtitles: tuple[Cue, ...] = ()
    fps: Fraction = OUTPUT_FPS
    mark: bool = True  # as made with AI
    signer: Signer | None = None  # of the mark
    expected: Expected = MOVING
    film: FilmFinish | None = None  # of a film that was dubbed
    voice: Path | None = None  # a WAV of what moved the mouth; if unset, the track did

    @property
    def duration_s(self) -> float:
        return self.num_samples / SAMPLE_RATE_HZ


def finish_video(segments: Sequence[Path], target: Path, finish: Finish) -> VideoInfo:
    """Stitch the segments and mux them. Raises as `mux_video`."""
    silent = target.with_name(f"silent-{target.stem}.mp4")
    try:
        stitch(segments, silent, finish.fps)
        return mux_video(silent, target, finish)
    finally:
        silent.unlink(missing_ok=True)


def mux_video(silent: Path, target: Path, finish: Finish) -> VideoInfo:
    """Add audio and subtitles in the format of `target`, mark the file and measure it.

    Raises VerifyError if the file is not what was planned: codecs, frames, their times, lengths,
    and the offset of the audio against the original; BrokenOutputError if it shows nothing, stands,
    or has lost its audio. MissingFileError and AudioUnreadableError
    are about the original audio, ConfigError is about the key of the mark.
    """
    form = format_of(target.name)
    if form.is_animation:
        write_animation(silent, target)
    else:
        tags = tags_of(form, edited=finish.film is not None) if finish.mark else {}
        matrix = None if finish.film is None else finish.film.form.display_matrix
        mux(silent, finish.track, target, finish.subtitles, tags, display_matrix=matrix)
    if finish.mark:
        film = finish.film
        source = None if film is None else film.source
        mark_file(target, finish.signer, source, edited=film is not None)
    return replace(_verified(target, finish), provenance=provenance_of(target))


def _verified(target: Path, finish: Finish) -> VideoInfo:
    info, expected = _measured(target, finish), finish.expected
    if not is_audible(finish.voice or finish.wav, finish.num_samples):
        expected = replace(expected, still=True)
    return replace(info, notes=check_frames(target, finish.duration_s, expected))


def _measured(target: Path, finish: Finish) -> VideoInfo:
    if format_of(target.name).is_animation:
        return verify_animation(target, num_output_frames=finish.num_output_frames)
    if finish.film is not None:
        info = verify_film(target, finish.film.times_s)
        return _with_audio(info, target, finish)
    info = verify_video(
        target,
        num_output_frames=finish.num_output_frames,
        duration_s=finish.duration_s,
        codec=finish.codec,
        fps=finish.fps,
    )
    return _with_audio(info, target, finish)


def _with_audio(info: VideoInfo, target: Path, finish: Finish) -> VideoInfo:
    """Compare the audio of a file with what it was made of."""
    audio = compare_audio(target, finish.wav, finish.num_samples)
    if audio.lost_s is not None:
        raise broken(target, f"is silent at {audio.lost_s:.1f} s, where its audio is not")
    offset_s = audio.offset_s
    if offset_s is not None and abs(offset_s) > MAX_OFFSET_S:
        raise wrong(target, f"has its audio {1000 * offset_s:+.1f} ms off")
    return replace(info, audio_offset_s=offset_s)
