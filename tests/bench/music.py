"""`python -m tests.bench.music [SECONDS]`: what music does to a mouth, and what isolation buys.

A drawing says a sentence of a voice that training never heard, whose true mouth is known, under
music. The mouth is moved by the mix, by the voice that `audio.isolate_voice` finds in it, and by
the voice alone (as with the column `voice`). Two kinds of music: four chords and a drum that come
again every two seconds, and a melody that never comes again.
"""

import sys
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from sonic_ops import SonicPipeline
from sonic_ops.audio.isolation import isolate_voice
from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.picture.faces import find_faces
from sonic_ops.picture.landmarks import read_landmarks
from tests.bench.film_measures import FPS, correlation
from tests.bench.films import jaws, voice
from tests.bench.speech import EXAMPLES

LEVELS_DB = (0, -6, -12)
"""Of the music against the speech, both as mean power over the clip."""
_BEAT_S = 0.5
Samples = NDArray[np.float32]
Floats = NDArray[np.float64]


def loop(seconds: float) -> Samples:
    """Four chords of a plucked instrument over a drum, the same every two seconds."""
    chords = [(220, 277, 330), (247, 311, 370), (196, 247, 294), (262, 330, 392)]
    return _notes(seconds, [chords[beat % 4] for beat in range(int(seconds / _BEAT_S) + 1)])


def melody(seconds: float) -> Samples:
    """Two voices of an instrument that wander over four octaves, never the same way."""
    rng = np.random.default_rng(0)
    beats = int(seconds / _BEAT_S) + 1
    return _notes(seconds, [tuple(110 * 2 ** rng.uniform(0, 4, 2)) for _ in range(beats)])


def _notes(seconds: float, beats: list[tuple[float, ...]]) -> Samples:
    time_s = np.arange(round(_BEAT_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    drum = np.random.default_rng(1).standard_normal(len(time_s)) * np.exp(-time_s / 0.03)
    played = []
    for tones in beats:
        notes = (np.sin(2 * np.pi * n * tone * time_s) / n for tone in tones for n in range(1, 9))
        played.append(sum(notes) * np.exp(-time_s / 0.4) + drum)
    return np.concatenate(played)[: round(seconds * SAMPLE_RATE_HZ)].astype(np.float32)


def spoken(seconds: float) -> tuple[Samples, Floats]:
    """Held-out voices one after the other, and how far the true mouth is open in every frame."""
    length, seed = round(seconds * SAMPLE_RATE_HZ), 4009
    parts: list[Samples] = []
    truth: list[Floats] = []
    while sum(map(len, parts)) < length:
        clip, seed = voice(seed, seconds), seed + 1
        num_frames = len(clip.samples) * FPS // SAMPLE_RATE_HZ
        parts.append(clip.samples[: num_frames * SAMPLE_RATE_HZ // FPS])
        truth.append(jaws(clip, num_frames))
    samples = np.concatenate(parts)[:length].astype(np.float32)
    return samples, np.concatenate(truth)


def mixed(speech: Samples, music: Samples, level_db: float) -> Samples:
    """The speech over music that is so many dB louder."""
    ratio = np.square(speech).mean() / np.square(music).mean()
    return speech + music * np.float32(np.sqrt(ratio) * 10 ** (level_db / 20))


def mouth(pipe: SonicPipeline, samples: Samples) -> Floats:
    """How far the rendered mouth is open in every output frame."""
    seed = torch.Generator().manual_seed(1)
    frames = pipe(EXAMPLES / "ada.png", samples, generator=seed, output_type="np").frames
    box = find_faces(pipe.numpy_to_pil(np.asarray(frames[:1]) / 255.0)[0])[0]
    return np.array([read_landmarks(frame, box).mouth_opening for frame in np.asarray(frames)])


def rows(seconds: float) -> Iterator[tuple[str, float, float, float]]:
    """Yield kind, level, and the correlation with the true mouth by mix and by isolated voice."""
    pipe = SonicPipeline.from_pretrained("package:lite")
    speech, truth = spoken(seconds)

    def follows(samples: Samples) -> float:
        found = mouth(pipe, samples)
        return correlation(found, truth[: len(found)])[0]

    yield (
        "none",
        float("-inf"),
        follows(speech),
        follows(np.concatenate(list(isolate_voice([speech])))),
    )
    for kind, music in (("loop", loop(seconds)), ("melody", melody(seconds))):
        for level_db in LEVELS_DB:
            mix = mixed(speech, music, level_db)
            found = np.concatenate(list(isolate_voice([mix])))
            yield kind, level_db, follows(mix), follows(found)


def main(seconds: float) -> None:
    """Print the table."""
    print(f"{seconds:g} s, lite: r of the mouth with the true one\n")
    print("| music | level, dB | the mix | isolated |\n| --- | --- | --- | --- |")
    for kind, level_db, mix, isolated in rows(seconds):
        print(f"| {kind} | {level_db:g} | {mix:.2f} | {isolated:.2f} |", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 20.0)
