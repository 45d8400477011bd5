"""Dub drawn films whose mouths, heads and masks are known, and measure what must hold.

`python -m tests.bench.films [--seconds 8] [--people ada ben 49] [--write]`: people that training
never saw sway by 12 % of the face width a second and talk; other speech and silence are given to
each, and two of them speak in turn in one picture. The other speech is one of 24 whose mouth is
most unlike the old one's, so that what a mouth follows can be told. `--write` puts the table into
RESULTS.md.
"""

import argparse
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from cluster.config import ClusterConfig
from cluster.storage import artifacts
from cluster.video import films as render
from cluster.video.film_requests import Film, TrackJob
from cluster.video.films import join_plans
from cluster.video.jobs import VideoRequest
from cluster.video.pools import open_pool
from cluster.video.render import encode_audio
from flows.rows.config import RenderConfig, load_preset
from sonic_ops.audio.resampling import decode_audio, num_samples_in
from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.film.choice import Choice, chooser
from sonic_ops.film.footage import Footage
from sonic_ops.film.tracking import track_film
from sonic_ops.media.film_encoding import stitch_film
from sonic_ops.picture.video_frames import film_frames
from tests import films
from tests.bench.film_measures import (
    FPS,
    Dubbed,
    correlation,
    follows,
    other_times,
    outside,
    pictures_measured,
    position,
)
from tests.bench.tables import RESULTS, origin, write_table
from training.people.faces import Pose
from training.people.motion import Clip, animate
from training.speech.speech import draw_clip

PEOPLE: Final = ("ada", "ben", "49")
"""Who is dubbed; numbers are seeds of held-out people."""
NUM_VOICES: Final = 24
Floats = NDArray[np.float64]

MEASURES: Final = {
    "outside": ("outside of the mask, before encoding: largest difference", "0"),
    "times": ("frames at other times than the film's", "0"),
    "sync": ("mouth against the new voice, r", ">= 0.6"),
    "lag": ("its lag, ms", "-40 to 40"),
    "old": ("mouth against the old voice, r", "-0.15 to 0.15"),
    "voices": ("the two voices against each other, r", ""),
    "own": ("the film's own mouth against its voice, r", ""),
    "silence": ("silent sound: spread of the mouth / the film's", "<= 0.2"),
    "gradient": ("gradient along the border / the film's", "<= 1.1"),
    "change": ("change inside from frame to frame / the truth's", "<= 1.3"),
    "position": ("place of the mouth, 95 %, % of the face width", "<= 1.5"),
}
"""What is measured, and its bar."""
IN_TURN: Final = {
    "sync": ("mouth against the own voice, r", ">= 0.6"),
    "other": ("mouth against the voice of the other, r", "-0.15 to 0.15"),
    "rest": ("spread of the mouth while the other speaks / the film's", "<= 0.2"),
}
"""The same, of two people who speak in turn in one picture."""


@dataclass(frozen=True)
class Said:
    """Speech, and how the true face moves with it, every 10 ms."""

    samples: NDArray[np.float32]
    track: NDArray[np.float32]

    @property
    def jaws(self) -> Floats:
        """How far the mouth is open at every frame of the film."""
        num = len(self.samples) * FPS // SAMPLE_RATE_HZ
        return np.asarray(self.track[np.arange(num) * 100 // FPS, 0], np.float64)


def voice(seed: int, seconds: float) -> Clip:
    """Speech of a voice and of sentences that training never heard, with its true poses."""
    return animate(draw_clip(seed, held_out=True, max_s=seconds), np.random.default_rng(seed))


def jaws(clip: Clip, num_frames: int) -> Floats:
    """How far the mouth is open at every frame; shut after the end."""
    steps = np.arange(num_frames) * 100 // FPS
    return np.asarray(np.pad(clip.track[:, 0], (0, 10_000))[steps], np.float64)


def said(seed: int, seconds: float) -> Said:
    """Clips one after the other, until so many seconds are said."""
    samples, tracks, num = list[NDArray[np.float32]](), list[NDArray[np.float32]](), 0
    while num < seconds * SAMPLE_RATE_HZ:
        clip, seed = voice(seed, seconds), seed + 1000
        steps = min(len(clip.samples) * 100 // SAMPLE_RATE_HZ, len(clip.track))
        samples.append(clip.samples[: steps * SAMPLE_RATE_HZ // 100])
        tracks.append(clip.track[:steps])
        num += len(samples[-1])
    length = round(seconds * SAMPLE_RATE_HZ)
    track = np.concatenate(tracks)[: round(seconds * 100)]
    return Said(np.concatenate(samples)[:length].astype(np.float32), track)


def unlike(old: Said, seed: int, seconds: float) -> Said:
    """Of some other speech, the one whose mouth follows the old one least."""
    others = (said(seed + number, seconds) for number in range(NUM_VOICES))
    return min(others, key=lambda other: abs(follows(other.jaws, old.jaws)))


def scene_of(name: str, speech: Said, first: int = 0) -> films.Scene:
    """Somebody says something and sways."""
    poses, pictures = [], []
    for number, mouth in enumerate(speech.track[:: 100 // FPS, :6]):
        swaying = films.pose_at((first + number) / FPS, talks=0)
        pose = swaying._replace(**dict(zip(Pose._fields[:6], map(float, mouth), strict=True)))
        poses.append(pose)
        pictures.append(films.placed(films.painter(name).paint(pose)))
    return films.Scene(tuple(pictures), tuple(poses))


Voice = tuple[NDArray[np.float32], Choice]
"""What moves a mouth, and whose it is."""


def dub(film: Path, voices: Sequence[Voice], folder: Path, config: RenderConfig) -> Dubbed:
    """Dub a film in this process, with as many voices as it has people."""
    folder.mkdir()
    copy, tracks = f"{folder}/film.mp4", []
    artifacts.write_video(copy, lambda path: shutil.copy(film, path))
    source = Film(copy, Footage(Fraction(len(films.times_of(film)), FPS)))
    lossless = config.media.model_copy(update={"crf": 0})
    config = config.model_copy(update={"media": lossless})
    with open_pool(ClusterConfig(workers=0), config.models) as pool:
        plans = []
        for number, (samples, choice) in enumerate(voices):
            request = request_of(samples, folder / str(number), config)
            job = TrackJob(source, f"{request.work}/track.safetensors", (choice,))
            track = render.track_film(pool, request, job)
            encode_audio(pool, request, lambda _: None)
            plans.append(
                (str(number), render.plan_film(pool, request, source, track, config.portrait))
            )
        plan = join_plans(plans)
        cuts = render.denoise_film(pool, plan, config, lambda _: None)
        parts = render.encode_film(pool, request, plan, cuts, config, lambda _: None)
    out = folder / "out.mp4"
    stitch_film([(start_s, Path(file)) for start_s, file in parts], out)
    for _, choice in voices:
        with out.open("rb") as file:
            tracks.append(track_film(film_frames(file), chooser((choice,))))
    return Dubbed(film, out, plan, tracks)


def request_of(samples: NDArray[np.float32], folder: Path, config: RenderConfig) -> VideoRequest:
    """What the cluster is asked to make of a voice."""
    folder.mkdir()
    soundfile.write(folder / "new.wav", samples, SAMPLE_RATE_HZ, subtype="FLOAT")
    wav = f"{folder}/sound.wav"
    artifacts.write_audio(wav, lambda path: decode_audio(str(folder / "new.wav"), path))
    context = {"audio_context": config.audio_context, "audio_chunk_s": config.audio_chunk_s}
    return VideoRequest(wav, "", num_samples_in(wav), str(folder), seed=1, **context)  # type: ignore[arg-type]


def alone(name: str, number: int, seconds: float, config: RenderConfig) -> dict[str, float]:
    """Give somebody other speech, and silence; measure what became of them."""
    old = said(3009 + number, seconds)
    new = unlike(old, 4009 + 100 * number, seconds)
    scene, truth = scene_of(name, old), scene_of(name, new)
    with tempfile.TemporaryDirectory() as folder:
        film = films.write_film(Path(folder) / "film.mp4", scene)
        done = dub(film, [(new.samples, Choice())], Path(folder) / "spoken", config)
        mute = [(np.zeros_like(new.samples), Choice())]
        silent = dub(film, mute, Path(folder) / "silent", config)
        (_, plan), mouth = done.plan.people[0], done.tracks[0].openings_N
        (take,), own = plan.takes, plan.track.openings_N
        sync, lag_ms = correlation(mouth, new.jaws)
        return {
            "outside": outside(done),
            "times": other_times(done),
            "sync": sync,
            "lag": lag_ms,
            "old": follows(mouth, old.jaws),
            "voices": follows(new.jaws, old.jaws),
            "own": correlation(own, old.jaws)[0],
            "silence": float(np.nanstd(silent.tracks[0].openings_N) / np.nanstd(own)),
            "position": position(take, scene, name, (films.SIZE[0] - films.SIDE) / 2),
            **pictures_measured(done, truth, take),
        }


def in_turn(seconds: float, config: RenderConfig) -> list[dict[str, float]]:
    """Two people beside each other speak in turn, in the film and in the new sound."""
    names, half = PEOPLE[:2], round(seconds / 2 * SAMPLE_RATE_HZ)
    olds = [said(3109 + number, seconds) for number in range(2)]
    news = [unlike(old, 4109 + 100 * n, seconds) for n, old in enumerate(olds)]
    turns = [slice(0, half), slice(half, 2 * half)]
    olds, news = ([_only(s, t) for s, t in zip(all_, turns, strict=True)] for all_ in (olds, news))
    scene = films.beside(*(scene_of(n, old) for n, old in zip(names, olds, strict=True)))
    with tempfile.TemporaryDirectory() as folder:
        film = films.write_film(Path(folder) / "film.mp4", scene)
        voices = [(new.samples, Choice(face=n + 1, must_fit=True)) for n, new in enumerate(news)]
        done = dub(film, voices, Path(folder) / "both", config)
    found = []
    for number, ((_, plan), track) in enumerate(zip(done.plan.people, done.tracks, strict=True)):
        mouth, own = track.openings_N, plan.track.openings_N
        rests = slice(turns[1 - number].start * FPS // SAMPLE_RATE_HZ, None)
        rests = slice(rests.start, rests.start + half * FPS // SAMPLE_RATE_HZ)
        found.append(
            {
                "sync": correlation(mouth, news[number].jaws)[0],
                "other": follows(mouth[rests], news[1 - number].jaws[rests]),
                "rest": float(np.nanstd(mouth[rests]) / np.nanstd(own)),
            }
        )
    return found


def _only(speech: Said, span: slice) -> Said:
    """Speech of a span of samples; else silence, and a face at rest."""
    samples, track = np.zeros_like(speech.samples), np.zeros_like(speech.track)
    steps = slice(*(each * 100 // SAMPLE_RATE_HZ for each in (span.start, span.stop)))
    samples[span], track[steps] = speech.samples[span], speech.track[steps]
    return Said(samples, track)


def table(
    measures: Mapping[str, tuple[str, str]],
    found: Sequence[Mapping[str, float]],
    names: Sequence[str],
) -> list[str]:
    """Lines of a table with a column for each person; what misses its bar is bold."""
    lines = [f"| measure | {' | '.join(names)} | mean | bar |", "|---" * (len(names) + 3) + "|"]
    for key, (label, bar) in measures.items():
        values = [each[key] for each in found]
        cells = [_cell(value, bar) for value in (*values, float(np.mean(values)))]
        lines.append(f"| {label} | {' | '.join(cells)} | {bar} |")
    return lines


def _cell(value: float, bar: str) -> str:
    text = f"{value:.3g}" if abs(value) >= 10 or value == round(value) else f"{value:.2f}"
    low, high = -np.inf, np.inf
    if bar.startswith(">= "):
        low = float(bar[3:])
    elif bar.startswith("<= "):
        high = float(bar[3:])
    elif bar:
        low, high = (float(each) for each in (bar.split(" to ") * 2)[:2])
    return text if low <= value <= high else f"**{text}**"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--preset", default="lite")
    parser.add_argument("--people", nargs="+", default=PEOPLE, help="names or seeds")
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    given = parser.parse_args()
    config = load_preset(given.preset)
    found = []
    for number, name in enumerate(given.people):
        found.append(alone(name, number, given.seconds, config))
        print(name, {key: round(value, 3) for key, value in found[-1].items()}, flush=True)
    both = in_turn(given.seconds, config)
    command = f"python -m tests.bench.films --seconds {given.seconds:g} --preset {given.preset}"
    command += "" if given.people == PEOPLE else f" --people {' '.join(given.people)}"
    lines = [
        origin(f"{command} --write"),
        "",
        *table(MEASURES, found, given.people),
        "",
        "Two people in one picture, who speak in turn:",
        "",
        *table(IN_TURN, both, PEOPLE[:2]),
    ]
    print("\n".join(lines))
    if given.write:
        write_table(RESULTS, "films", lines)


if __name__ == "__main__":
    main()
