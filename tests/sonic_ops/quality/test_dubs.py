"""A dubbed film is judged shot by shot: what was dubbed, and which voice its mouth follows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.film.choice import Choice, chooser
from sonic_ops.film.takes import plan_takes
from sonic_ops.film.track import NO_FACE, REASONS, SILENT
from sonic_ops.film.tracking import track_film
from sonic_ops.picture.video_frames import film_frames
from sonic_ops.quality.dubs import Dub, Shot, leak_of, measure_shots, shots_of, summary
from tests import films

NUM = 50


def voiced(path: Path, levels: list[float]) -> Path:
    """Noise that is as loud as said, 25 values a second."""
    rng = np.random.default_rng(0)
    envelope = np.repeat(0.02 + np.array(levels), SAMPLE_RATE_HZ // 25)
    samples = 0.3 * envelope * rng.standard_normal(len(envelope))
    soundfile.write(path, samples.astype(np.float32), SAMPLE_RATE_HZ, subtype="FLOAT")
    return path


@pytest.fixture(scope="module")
def dub(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Dub]:
    """A result whose mouth follows the new voice, and two shots of which one shows nobody."""
    folder = tmp_path_factory.mktemp("dub")
    scene = films.talking(NUM) + films.landscape(15)
    film = films.write_film(folder / "film.mp4", scene)
    with film.open("rb") as file:
        track = track_film(film_frames(file), chooser((Choice(),)))
    takes = plan_takes(track, 0.5, track.duration_s)
    new = voiced(folder / "new.wav", [pose.jaw for pose in scene.poses])
    other = np.random.default_rng(1).uniform(0, 0.5, len(scene.poses) // 5)
    return film, Dub(track, takes, new, voiced(folder / "old.wav", np.repeat(other, 5).tolist()))


def test_every_shot_says_what_was_dubbed_and_why_not(dub: tuple[Path, Dub]) -> None:
    _, known = dub
    first, second = shots_of(known.track, known.takes)
    assert (first.start_s, first.stop_s, first.dubbed_s) == (0, 2, 2)
    assert first.kept == ()
    assert (second.dubbed_s, second.kept_s) == pytest.approx((0, 0.6))
    assert second.kept[0][0] == REASONS[NO_FACE]
    said = summary([first, second])
    assert said == "2 shots: 2.0 s dubbed, 0.6 s left as they are (no face is seen 0.6 s)"


def test_frames_that_keep_their_mouth_are_told_apart(dub: tuple[Path, Dub]) -> None:
    _, known = dub
    (take,) = known.takes
    weights_N = take.weights_N.copy()
    weights_N[10:20] = 0
    (first, _) = shots_of(known.track, [replace(take, weights_N=weights_N)])
    assert first.dubbed_s == pytest.approx(1.6)
    ((reason, seconds),) = first.kept
    assert reason == REASONS[SILENT]
    assert seconds == pytest.approx(0.4)


def test_the_mouth_follows_the_new_voice(dub: tuple[Path, Dub]) -> None:
    first, second = measure_shots(*dub)
    assert first.sync is not None
    assert first.lag_ms is not None
    assert first.leak is not None
    assert first.sync > 0.6
    assert abs(first.lag_ms) <= 60
    assert abs(first.leak) < 0.3
    assert (second.sync, second.leak) == (None, None)


def test_a_mouth_that_follows_the_old_voice_is_told(dub: tuple[Path, Dub]) -> None:
    film, known = dub
    assert known.old is not None
    first, _ = measure_shots(film, replace(known, new=known.old, old=known.new))
    assert first.leak is not None
    assert first.leak > 0.5
    (first, _) = measure_shots(film, replace(known, old=None))
    assert (first.old, first.leak) == (None, None)


def test_what_two_voices_share_is_no_leak() -> None:
    assert leak_of(0.35, 0.7, 0.5) == pytest.approx(0)
    assert leak_of(0.7, 0.35, 0.5) > 0.6


def test_a_shot_adds_up() -> None:
    shot = Shot(0, 3, 1, (("a", 1.5), ("b", 0.5)))
    assert shot.kept_s == 2
