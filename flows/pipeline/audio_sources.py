"""The two audio tracks of a row: what moves the mouth, and what is heard in the video."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

from flows.pipeline.runs import RowRun
from flows.rows.rows import in_column
from flows.rows.speakers import Speaker
from sonic_ops.audio.mixing import Background
from sonic_ops.audio.reading import read_audio
from sonic_ops.audio.resampling import decode_audio, fitted, write_mono
from sonic_ops.audio.turns import Samples, in_turns
from sonic_ops.core.scratch import scratch_folder
from sonic_ops.media.soundtrack import Soundtrack


def soundtrack_of(row: RowRun) -> Soundtrack:
    """Return what is heard: the audio of the row, over its background until the film ends."""
    cells, config, film = row.row, row.config, row.planned.film
    background = None
    if cells.background is not None:
        background = Background(cells.background, config.audio.background_gain)
    return Soundtrack(
        cells.audio,
        cells.start or 0.0,
        row.audio_end_s,
        cells.language,
        config.media.loudness_lufs,
        background,
        0.0 if film is None else float(Fraction(film.stop_s or film.film_s)),
    )


def write_driving_audio(row: RowRun, target: Path) -> None:
    """Write what moves the mouth as `decode_audio` does, with as many samples as the audio has.

    That is the column `voice`, the audio without its music, or the audio as it is. Raises
    MissingFileError, AudioUnreadableError and AudioTooShortError.
    """
    cells = row.row
    span = (cells.start or 0.0, row.audio_end_s)
    if cells.voice is not None:
        with scratch_folder() as scratch, in_column("audio"):
            num = decode_audio(cells.audio, scratch / "a.wav", start_s=span[0], end_s=span[1])
        write_mono(
            read_audio(cells.voice, *span), target, cells.voice, partial(fitted, num_samples=num)
        )
    elif row.config.audio.isolate_voice:
        from sonic_ops.audio.isolation import isolate_voice  # late: it loads librosa

        write_mono(read_audio(cells.audio, *span), target, cells.audio, isolate_voice)
    else:
        decode_audio(cells.audio, target, start_s=span[0], end_s=span[1])


def write_voice(speaker: Speaker, audio: Path, num_samples: int, target: Path) -> None:
    """Write what moves the mouth of one of several people, as long as the whole recording.

    That is their own voice, or `audio`, which moves all mouths, while they speak. Raises
    MissingFileError, AudioUnreadableError and AudioTooShortError.
    """
    source = speaker.voice or str(audio)
    spans_s = [(turn.start_s, turn.end_s) for turn in speaker.turns]

    def spoken(samples: Iterable[Samples]) -> Iterator[Samples]:
        return in_turns(fitted(samples, num_samples), spans_s)

    write_mono(read_audio(source), target, source, spoken)
