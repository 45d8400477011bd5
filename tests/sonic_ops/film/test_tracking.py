"""Shots are told apart, and a face is followed to a small part of its width."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from sonic_ops.core.config import PortraitConfig
from sonic_ops.core.errors import NoFaceError
from sonic_ops.film.camera import reference_portrait, see
from sonic_ops.film.choice import Choice, chooser
from sonic_ops.film.takes import Take, plan_takes, untouched
from sonic_ops.film.track import EDITED, LOST, NO_FACE, FilmTrack
from sonic_ops.film.tracking import track_film
from sonic_ops.picture.faces import find_faces
from sonic_ops.picture.landmarks import read_landmarks
from sonic_ops.picture.video_frames import film_frames
from tests import films

ANYBODY = chooser((Choice(),))


def track(path: Path) -> FilmTrack:
    with path.open("rb") as file:
        return track_film(film_frames(file), ANYBODY)


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> FilmTrack:
    path = tmp_path_factory.mktemp("film") / "talk.mp4"
    return track(films.write_film(path, films.talking(40)))


def test_a_moving_face_is_followed(talk: FilmTrack) -> None:
    scene, painter = films.talking(40), films.painter("ada")
    left = (films.SIZE[0] - films.SIDE) / 2
    truth = np.array([painter.mouth_centre(pose) for pose in scene.poses]) * films.UNIT
    truth[:, 0] += left
    assert (talk.takes_N == 0).all()
    found = talk.moved_N23 @ np.array([*truth[0], 1])
    width = 2 * painter.identity.half_width * films.UNIT
    errors = np.linalg.norm(found - truth, axis=1) / width
    assert np.abs(np.diff(truth[:, 0])).max() * 25 / width > 0.1  # it moves, per second
    assert np.percentile(errors, 95) < 0.015


def test_the_mouth_is_read(talk: FilmTrack) -> None:
    jaws = [pose.jaw for pose in films.talking(40).poses]
    assert np.corrcoef(talk.openings_N, jaws)[0, 1] > 0.8


def test_a_track_survives_its_file(talk: FilmTrack) -> None:
    again = FilmTrack.from_tensors(talk.tensors())
    for name in ("ticks_N", "takes_N", "moved_N23", "openings_N", "points_KP2"):
        np.testing.assert_array_equal(getattr(again, name), getattr(talk, name))
    assert (again.duration_s, again.size) == (talk.duration_s, talk.size)


@pytest.fixture(scope="module")
def three_shots(tmp_path_factory: pytest.TempPathFactory) -> FilmTrack:
    scene = films.talking(20) + films.landscape(15) + films.talking(20, "ben")
    path = tmp_path_factory.mktemp("film") / "shots.mp4"
    return track(films.write_film(path, scene))


def test_shots_begin_where_the_film_is_cut(three_shots: FilmTrack) -> None:
    assert three_shots.shots_N.tolist() == [0] * 20 + [1] * 15 + [2] * 20


def test_every_shot_has_its_own_take(three_shots: FilmTrack) -> None:
    takes = plan_takes(three_shots, 0.5, three_shots.duration_s)
    assert [(take.start, take.stop) for take in takes] == [(0, 20), (35, 55)]
    reasons = untouched(three_shots, takes)
    assert reasons[:20].tolist() == [EDITED] * 20
    assert reasons[20:35].tolist() == [NO_FACE] * 15


def test_the_frames_of_the_model_cover_a_take(three_shots: FilmTrack) -> None:
    first, second = plan_takes(three_shots, 0.5, three_shots.duration_s)
    assert (first.first_frame, second.first_frame) == (0, 17)  # 1.4 s at 12.5 per second
    for take in (first, second):
        assert ((take.sources_F >= take.start) & (take.sources_F < take.stop)).all()
        assert take.place(take.start) >= 0
        assert take.place(take.stop - 1) <= take.num_frames - 1


def test_a_take_survives_its_file(three_shots: FilmTrack) -> None:
    (take, _) = plan_takes(three_shots, 0.5, three_shots.duration_s)
    again = Take.from_tensors(take.tensors())
    np.testing.assert_array_equal(again.camera_N23, take.camera_N23)
    assert (again.box, again.reference, again.first_frame) == (
        take.box,
        take.reference,
        take.first_frame,
    )


def test_the_camera_is_slower_than_the_head(talk: FilmTrack) -> None:
    (take,) = plan_takes(talk, 0.5, talk.duration_s)
    centres = -take.camera_N23[:, 0, 2] / take.camera_N23[:, 0, 0]
    head = take.moved_N23[:, 0, 2]
    assert np.abs(np.diff(centres, 2)).sum() < np.abs(np.diff(head, 2)).sum()


def test_the_reference_has_a_shut_mouth(talk: FilmTrack) -> None:
    (take,) = plan_takes(talk, 0.5, talk.duration_s)
    assert films.talking(40).poses[take.reference].jaw < 0.1


def test_a_film_without_a_face_is_refused(tmp_path: Path) -> None:
    path = films.write_film(tmp_path / "empty.mp4", films.landscape(10))
    with pytest.raises(NoFaceError, match="no face is seen in all of its 10 frames"):
        track(path)


def test_frames_with_a_covered_mouth_stay_as_they_are(tmp_path: Path) -> None:
    scene = films.talking(60)
    mask = np.full((80, 120, 3), (170, 205, 230), np.uint8)
    pictures = [picture.copy() for picture in scene.pictures]
    for picture, pose in zip(pictures[20:40], scene.poses[20:40], strict=True):
        x, y = np.array(films.painter("ada").mouth_centre(pose)) * films.UNIT
        left, top = int(x + (films.SIZE[0] - films.SIDE) / 2) - 60, int(y) - 40
        picture[top : top + 80, left : left + 120] = mask
    found = track(films.write_film(tmp_path / "film.mp4", replace(scene, pictures=tuple(pictures))))
    assert (found.reasons_N[21:40] == LOST).all()
    assert (found.reasons_N[:20] == EDITED).all()
    assert (found.reasons_N[45:] == EDITED).all()


def test_times_are_those_of_the_film(tmp_path: Path) -> None:
    times = [Fraction(n * n + 20 * n, 500) for n in range(12)]
    path = films.write_film(tmp_path / "vfr.mp4", films.talking(12), times_s=times)
    found = track(path)
    assert [found.time_s(n) for n in range(12)] == times


def test_a_mouth_at_rest_is_kept_in_silence(tmp_path: Path) -> None:
    """It talks for a second, then rests."""
    scene = films.talking(25, sways=0.3) + films.talking(30, sways=0.3, talks=0.0)
    found = track(films.write_film(tmp_path / "rests.mp4", scene))
    (take,) = plan_takes(found, 0.5, found.duration_s)
    assert (take.weights_N == 1).all()
    (gated,) = plan_takes(found, 0.5, found.duration_s, [(0.0, 10.0)])
    assert gated.weights_N[32:48].max() == 0
    assert gated.weights_N[:20].max() == 1
    steps = np.abs(np.diff(gated.weights_N))
    assert steps.max() <= 0.2 + 1e-9  # four frames of fade


def test_the_portrait_of_a_take_knows_where_its_face_is(talk: FilmTrack) -> None:
    """Its box and landmarks are those of what the camera sees, not of the film."""
    (take,) = plan_takes(talk, 0.5, talk.duration_s)
    shown = films.talking(40).pictures[take.reference]
    portrait = reference_portrait(take, shown, PortraitConfig(resolution=256, model_resolution=128))
    seen = see(take, take.reference, shown)
    assert find_faces(seen)[0].is_near(portrait.box)
    mouth = read_landmarks(np.asarray(seen), find_faces(seen)[0]).points[[13, 14]].mean(0)
    found = portrait.landmarks[[13, 14]].mean(0).numpy()
    assert np.abs(found - (mouth / seen.height * 2 - 1)).max() < 0.05
