"""Real speech with the times of its phones: recordings and their words, by forced alignment.

The acoustic model and the dictionary (American English) come with pocketsphinx (extra `training`).
"""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sonic_ops.audio.resampling import decode_audio, read_samples
from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.core.errors import ConfigError
from training.speech.speech import Phone, Utterance

TRANSCRIPTION: Final = "transcription"
_LINE: Final = re.compile(r"^(?:<s>)?\s*(?P<words>.*?)\s*(?:</s>)?\s*\((?P<name>[^()]+)\)\s*$")
_FRAMES_PER_SECOND: Final = 100
_PAUSE: Final = "pau"


def read_recordings(folder: Path) -> list[tuple[str, Utterance]]:
    """Return the name of every recording, its sound and its phones.

    `folder` holds `NAME.wav` files and a file `transcription` with lines `words (NAME)`, as
    CMU Sphinx has them. Raises ConfigError, MissingFileError, AudioUnreadableError.
    """
    return [
        (name, align(_read_sound(folder / f"{name}.wav"), words))
        for name, words in _transcriptions(folder)
    ]


def align(samples: NDArray[np.float32], words: str) -> Utterance:
    """Find when each phone of known words is said. Raises ConfigError."""
    decoder = _decoder()
    sound = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    try:
        decoder.set_align_text(words)
        _listen(decoder, sound)
        decoder.set_alignment()  # the second pass refines words to phones
        _listen(decoder, sound)
        phones = tuple(_phone(part) for word in decoder.get_alignment() for part in word)
    except (RuntimeError, TypeError) as error:
        raise ConfigError(
            f"The words {words!r} do not fit the sound: {error}",
            remedy="Give the words exactly as they are said, in the words of cmudict.",
        ) from error
    return Utterance(samples, phones)


def _decoder() -> Any:
    try:
        from pocketsphinx import Decoder
    except ImportError as error:
        raise ConfigError(
            "Recordings cannot be aligned without pocketsphinx",
            remedy="Install it: .venv/bin/pip install -c constraints.txt -e '.[training]'",
        ) from error
    return Decoder(samprate=SAMPLE_RATE_HZ, bestpath=False, loglevel="FATAL")


def _listen(decoder: Any, sound: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(sound, full_utt=True)
    decoder.end_utt()


def _phone(part: Any) -> Phone:
    """Return a phone by its ARPAbet name in lower case; silence and noises are pauses."""
    name = part.name.lower()
    start_s = part.start / _FRAMES_PER_SECOND
    stop_s = start_s + part.duration / _FRAMES_PER_SECOND
    return Phone(name if name.isalpha() and name != "sil" else _PAUSE, start_s, stop_s)


def _transcriptions(folder: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = (folder / TRANSCRIPTION).read_text().splitlines()
    except OSError as error:
        raise ConfigError(
            f"{folder} has no readable file `{TRANSCRIPTION}`",
            remedy="Write a line `words (NAME)` for every recording NAME.wav.",
        ) from error
    for line in filter(str.strip, lines):
        match = _LINE.match(line)
        if match is None:
            raise ConfigError(
                f"{folder / TRANSCRIPTION}: the line {line!r} names no recording",
                remedy="Write each line as `words (NAME)`.",
            )
        yield match["name"], match["words"]


def _read_sound(path: Path) -> NDArray[np.float32]:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "sound.wav"
        return read_samples(target, 0, decode_audio(str(path), target))
