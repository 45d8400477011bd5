"""Dub a drawn film whose mouth, head and mask are known, and measure what must hold.

`python -m tests.bench.films [SECONDS]`: a person that training never saw sways by 12 % of the face
width a second and talks; other speech and silence are given to it.
"""

import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import soundfile
from numpy.typing import NDArray

from cluster.config import ClusterConfig
from cluster.storage import artifacts
from cluster.video import films as render
from cluster.video.film_requests import Film, TrackJob
from cluster.video.films import FilmPlan
from cluster.video.jobs import VideoRequest
from cluster.video.pools import open_pool
from cluster.video.render import encode_audio
from flows.rows.config import RenderConfig, load_preset
from sonic_ops.audio.resampling import decode_audio, num_samples_in
from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.film.camera import draw
from sonic_ops.film.footage import Footage
from sonic_ops.film.takes import Take, chained
from sonic_ops.film.track import FilmTrack
from sonic_ops.film.tracking import track_film
from sonic_ops.media.film_encoding import stitch_film
from sonic_ops.picture.video_frames import film_frames
from sonic_ops.quality.dubs import leak_of
from tests import films
from training.people.faces import Pose
from training.people.motion import Clip, animate
from training.speech.speech import draw_clip

FPS = 25
MAX_LAG = 5  # frames
Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Dubbed:
    """The film and what became of it, frame by frame, with its plan."""

    before: Sequence[Bytes]
    after: Sequence[Bytes]
    plan: FilmPlan
    track: FilmTrack  # of the result


def voice(seed: int, seconds: float) -> Clip:
    """Speech of a voice and of sentences that training never heard, with its true poses."""
    return animate(draw_clip(seed, held_out=True, max_s=seconds), np.random.default_rng(seed))


def jaws(clip: Clip, num_frames: int) -> Floats:
    """How far the mouth is open at every frame; shut after the end."""
    steps = np.arange(num_frames) * 100 // FPS
    return np.asarray(np.pad(clip.track[:, 0], (0, 10_000))[steps], np.float64)


def scene_of(clip: Clip, num_frames: int) -> films.Scene:
    """The drawn person says a clip and sways."""
    track = np.pad(clip.track, ((0, 10_000), (0, 0)))
    poses, pictures = [], []
    for number in range(num_frames):
        mouth = track[number * 100 // FPS]
        swaying = films.pose_at(number / FPS, talks=0)
        pose = swaying._replace(**dict(zip(Pose._fields[:6], map(float, mouth[:6]), strict=True)))
        poses.append(pose)
        pictures.append(films.placed(films.painter("ada").paint(pose)))
    return films.Scene(tuple(pictures), tuple(poses))


def dub(film: Path, samples: NDArray[np.float32], folder: Path, config: RenderConfig) -> Dubbed:
    """Dub a film in this process."""
    folder.mkdir()
    soundfile.write(folder / "new.wav", samples, SAMPLE_RATE_HZ, subtype="FLOAT")
    wav, copy = f"{folder}/sound.wav", f"{folder}/film.mp4"
    artifacts.write_sound(wav, lambda path: decode_audio(str(folder / "new.wav"), path))
    artifacts.write_video(copy, lambda path: shutil.copy(film, path))
    request = VideoRequest(
        wav,
        "",
        num_samples_in(wav),
        str(folder),
        seed=1,
        audio_context=config.audio_context,
        audio_chunk_s=config.audio_chunk_s,
    )
    source = Film(copy, Footage(Fraction(len(films.times_of(film)), FPS)))
    with open_pool(ClusterConfig(workers=0), config.models) as pool:
        track = render.track_film(pool, request, TrackJob(source, f"{folder}/track.safetensors"))
        encode_audio(pool, request, lambda _: None)
        plan = render.plan_film(pool, request, source, track, config.portrait)
        cuts = render.denoise_film(pool, plan, config, lambda _: None)
        parts = render.encode_film(pool, request, plan, cuts, config, lambda _: None)
    out = folder / "out.mp4"
    stitch_film([(start_s, Path(file)) for start_s, file in parts], out)
    with out.open("rb") as file:
        after = track_film(film_frames(file), lambda faces: faces[0])
    pictures = [[f.to_ndarray(format="rgb24") for f in films.frames_of(p)] for p in (film, out)]
    return Dubbed(pictures[0], pictures[1], plan, after)


def correlation(openings: Floats, truth: Floats) -> tuple[float, float]:
    """The largest correlation within 0.2 s, and the lag in ms at which the mouth follows."""
    found = {}
    for lag in range(-MAX_LAG, MAX_LAG + 1):
        shifted = np.roll(openings, -lag)
        inner = slice(MAX_LAG, -MAX_LAG)
        pair = np.nan_to_num(shifted[inner]), truth[inner]
        found[lag] = float(np.corrcoef(*pair)[0, 1]) if min(map(np.std, pair)) else 0.0
    best = max(found, key=lambda lag: found[lag])
    return found[best], 1000 * best / FPS


def region(take: Take, frame: int, size: tuple[int, int]) -> Bytes:
    """What was made of a frame (255)."""
    moved = take.moved_N23[frame - take.start]
    return draw(take.region_P2 @ moved[:, :2].T + moved[:, 2], size)


def pictures_measured(done: Dubbed, truth: films.Scene) -> dict[str, float]:
    """Edges along the border, and change from frame to frame, against the source and the truth."""
    (take,) = done.plan.takes
    size = done.before[0].shape[:2]
    edges, changes, outside = [], [], 0
    for frame in range(take.start + 1, take.stop):
        mask = region(take, frame, (size[0], size[1]))
        kernel = np.ones((5, 5), np.uint8)
        rim = cv2.dilate(mask, kernel) - cv2.erode(mask, kernel) > 0
        edges.append([_gradient(p[frame])[rim].mean() for p in (done.after, done.before)])
        inside = mask > 0
        pairs = ((p[frame], p[frame - 1]) for p in (done.after, truth.pictures))
        changes.append([np.abs(a.astype(float) - b)[inside].mean() for a, b in pairs])
        far = cv2.dilate(mask, np.ones((9, 9), np.uint8)) == 0
        difference = done.after[frame].astype(int) - done.before[frame]
        outside = max(outside, int(np.abs(difference)[far].mean() * 1000))
    edge, change = np.array(edges).mean(0), np.array(changes).mean(0)
    return {
        "gradient along the border / the film's": float(edge[0] / edge[1]),
        "change inside / the truth's": float(change[0] / change[1]),
        "outside, mean difference after encoding (levels)": outside / 1000,
    }


def _gradient(picture: Bytes) -> Floats:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))


def position(done: Dubbed, truth: films.Scene) -> float:
    """95th percentile of how far the place of the mouth is off, in % of the face width."""
    (take,) = done.plan.takes
    painter, left = films.painter("ada"), (films.SIZE[0] - films.SIDE) / 2
    places = np.array([painter.mouth_centre(p) for p in truth.poses]) * films.UNIT + (left, 0)
    start = places[take.start]
    found = chained(take.moved_N23[0], np.eye(2, 3)) @ np.array([*start, 1])
    errors = []
    for frame in range(take.start, take.stop):
        # The mouth of the reference, as the model makes it and the film moves it.
        moved = take.moved_N23[frame - take.start] @ np.array([*start, 1])
        errors.append(np.linalg.norm(moved - places[frame] - (found - start)))
    width = 2 * painter.identity.half_width * films.UNIT
    return float(100 * np.percentile(errors, 95) / width)


def main(seconds: float, preset: str) -> None:
    """Print the table."""
    config, num = load_preset(preset), round(seconds * FPS)
    old, new = voice(3009, seconds), voice(4009, seconds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scene, truth = scene_of(old, num), scene_of(new, num)
        film = films.write_film(folder / "film.mp4", scene)
        length = round(seconds * SAMPLE_RATE_HZ)
        spoken = np.pad(new.samples, (0, length))[:length]
        done = dub(film, spoken, folder / "spoken", config)
        silent = dub(film, np.zeros(length, np.float32), folder / "silent", config)
    mouth = done.track.openings_N
    r, lag_ms = correlation(mouth, jaws(new, num))
    old_r = float(np.corrcoef(np.nan_to_num(mouth), jaws(old, num))[0, 1])
    voices_r = float(np.corrcoef(jaws(new, num), jaws(old, num))[0, 1])
    new_r = float(np.corrcoef(np.nan_to_num(mouth), jaws(new, num))[0, 1])
    # Two voices are alike by chance: what the old one explains beyond the new one is a leak.
    leak = leak_of(old_r, new_r, voices_r)
    own = done.plan.track.openings_N
    rows = {
        "mouth against the new voice, r": r,
        "its lag, ms": lag_ms,
        "mouth against the old voice, r": old_r,
        "the same, without what both voices share": leak,
        "the film's own mouth against its voice, r": correlation(own, jaws(old, num))[0],
        "new voice against the old one, r": voices_r,
        "spread of the mouth in silence / the film's": float(
            np.nanstd(silent.track.openings_N) / np.nanstd(own)
        ),
        "place of the mouth, 95 %, % of the face": position(done, scene),
        **pictures_measured(done, truth),
    }
    print(f"{seconds:g} s, {preset}\n\n| measure | value |\n|---|---|")
    for measure, value in rows.items():
        print(f"| {measure} | {value:.3f} |")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 8.0, (*sys.argv[2:], "lite")[0])
