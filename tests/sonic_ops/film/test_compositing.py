"""What was made is pasted, and nothing else changes."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from sonic_ops.film.camera import made_mask, see
from sonic_ops.film.choice import Choice, chooser
from sonic_ops.film.compositing import lay, paste, planes_of
from sonic_ops.film.grain import grain_like, noise_level
from sonic_ops.film.takes import Take, chained, plan_takes
from sonic_ops.film.tracking import track_film
from sonic_ops.picture.video_frames import FilmFrame, film_frames
from tests import films

FRAME = 9


@pytest.fixture(scope="module", params=["yuv420p", "yuv420p10le", "yuv444p"])
def seen(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Take, FilmFrame]:
    path = tmp_path_factory.mktemp("film") / "talk.mp4"
    films.write_film(path, films.talking(20), pix_fmt=request.param)
    return take_of(path)


def take_of(path: Path) -> tuple[Take, FilmFrame]:
    with path.open("rb") as file:
        track = track_film(film_frames(file), chooser((Choice(),)))
        (take,) = plan_takes(track, 0.5, track.duration_s)
        return take, list(film_frames(file))[FRAME]


def composite(film: FilmFrame, take: Take, made_HW3: NDArray[np.uint8]) -> VideoFrame:
    """A frame with what was made for it, in the colours of the film as it is in this frame."""
    patch = lay(film.raw, film.to_raw, FRAME, take, made_HW3)
    assert patch is not None
    weight = float(take.weights_N[FRAME - take.start])
    return paste(film.raw, patch, weight, patch.cast_PGG)


def outside(take: Take, film: FilmFrame) -> NDArray[np.bool_]:
    """Where no luma may change."""
    from sonic_ops.film.camera import draw

    place = chained(film.to_raw, take.moved_N23[FRAME - take.start])
    region = take.region_P2 @ place[:, :2].T + place[:, 2]
    return draw(region, (film.raw.height, film.raw.width)) == 0


def test_nothing_changes_outside_of_the_region(seen: tuple[Take, FilmFrame]) -> None:
    take, film = seen
    before = planes_of(film.raw)
    rng = np.random.default_rng(0)
    made = composite(film, take, rng.integers(0, 256, (128, 128, 3)).astype(np.uint8))
    after, kept = planes_of(made), outside(take, film)
    assert (after[0][kept] == before[0][kept]).all()
    assert (after[0][~kept] != before[0][~kept]).mean() > 0.5
    down, across = (kept.shape[n] // before[1].shape[n] for n in (0, 1))
    whole = kept.reshape(before[1].shape[0], down, before[1].shape[1], across).all(axis=(1, 3))
    for plane in (1, 2):
        assert (after[plane][whole] == before[plane][whole]).all()


def test_the_film_itself_comes_back(seen: tuple[Take, FilmFrame]) -> None:
    take, film = seen
    made = np.asarray(see(take, FRAME, film.shown()))
    take = replace(take, sources_F=np.full_like(take.sources_F, FRAME))
    before, after = planes_of(film.raw), planes_of(composite(film, take, made))
    peak = 2 ** film.raw.format.components[0].bits - 1
    worst = np.abs(after[0].astype(int) - before[0].astype(int)) / peak
    assert np.percentile(worst, 99.5) < 0.03


def test_weight_0_changes_nothing(seen: tuple[Take, FilmFrame]) -> None:
    take, film = seen
    none = replace(take, weights_N=np.zeros_like(take.weights_N))
    made = composite(film, none, np.zeros((64, 64, 3), np.uint8))
    for one, other in zip(planes_of(film.raw), planes_of(made), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_mask_covers_the_mouth_and_not_the_eyes(seen: tuple[Take, FilmFrame]) -> None:
    take, _ = seen
    painter, pose = films.painter("ada"), films.talking(20).poses[take.start]
    mask = made_mask(take, take.start, (64, 64)).numpy()
    left = (films.SIZE[0] - films.SIDE) / 2

    def is_made(place: tuple[float, float]) -> bool:
        shown = np.array(place) * films.UNIT + (left, 0)
        x, y = take.camera_N23[0] @ np.array([*shown, 1])
        return bool(mask[int(y * 64), int(x * 64)])

    assert is_made(painter.mouth_centre(pose))
    assert not is_made(painter.eye_centre(pose))


def grainy(scene: films.Scene, deviation: float) -> films.Scene:
    rng = np.random.default_rng(3)
    noisy = (p + rng.normal(0, deviation, p.shape[:2])[..., None] for p in scene.pictures)
    made = tuple(np.rint(p).clip(0, 255).astype(np.uint8) for p in noisy)
    return replace(scene, pictures=made)


def test_what_is_made_has_the_grain_of_the_film(tmp_path: Path) -> None:
    """A smooth mouth is put into a film with grain, and into one without."""
    smooth = films.write_film(tmp_path / "smooth.mp4", films.talking(20))
    take, plain = take_of(smooth)
    made = np.asarray(see(take, FRAME, plain.shown()))
    grain = films.write_film(tmp_path / "grain.mp4", grainy(films.talking(20), 5.0))
    with grain.open("rb") as file:
        film = list(film_frames(file))[FRAME]
    both = (film.raw, composite(film, take, made))
    before, after = (planes_of(frame)[0].astype(np.float32) for frame in both)
    deep = cv2.erode((~outside(take, film)).astype(np.uint8), np.ones((9, 9), np.uint8))
    assert 0.75 < noise_level(after, deep) / noise_level(before, deep) < 1.25
    again = planes_of(composite(film, take, made))[0]
    np.testing.assert_array_equal(again, after)
    clean = planes_of(composite(plain, take, made))[0].astype(np.float32)
    assert noise_level(clean, deep) < 0.3 * noise_level(after, deep)


def test_a_mouth_does_not_shine_in_a_fade(tmp_path: Path) -> None:
    bright = films.write_film(tmp_path / "bright.mp4", films.talking(20))
    take, film = take_of(bright)
    made = np.asarray(see(take, FRAME, film.shown()))
    dark = films.write_film(tmp_path / "dark.mp4", films.faded(films.talking(20), 3 * FRAME))
    with dark.open("rb") as file:
        faint = list(film_frames(file))[FRAME]
    before, after = (planes_of(f)[0] for f in (faint.raw, composite(faint, take, made)))
    inside = ~outside(take, faint)
    assert before[inside].mean() < 0.6 * planes_of(film.raw)[0][inside].mean()
    assert after[inside].mean() == pytest.approx(before[inside].mean(), abs=6)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_turned_films_are_pasted_upright(quarters: int, tmp_path: Path) -> None:
    """A phone writes frames on their side and says how to turn them."""
    scene = films.talking(12)
    lying = tuple(np.ascontiguousarray(np.rot90(p, -quarters)) for p in scene.pictures)
    path = films.write_turned(
        tmp_path / "turned.mp4", replace(scene, pictures=lying), 90 * quarters
    )
    with path.open("rb") as file:
        film = list(film_frames(file))[5]
    back = film.to_raw @ np.array([100, 80, 1])
    x, y = (round(float(v)) for v in back)
    shown = film.shown()
    assert shown.shape == scene.pictures[5].shape
    raw = film.raw.to_ndarray(format="rgb24").astype(int)
    assert np.abs(raw[y, x] - shown[80, 100].astype(int)).max() < 12


def test_grain_is_new_in_every_frame_and_the_same_on_every_worker() -> None:
    film_HW = np.random.default_rng(3).normal(0.5, 0.02, (64, 64)).astype(np.float32)
    flat_HW, everywhere_HW = np.full((64, 64), 0.5, np.float32), np.ones((64, 64), bool)
    first, again, second = (
        grain_like(film_HW, everywhere_HW, flat_HW, everywhere_HW, 1, frame) for frame in (4, 4, 5)
    )
    np.testing.assert_array_equal(first, again)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.1
    assert first.std() == pytest.approx(0.02, rel=0.2)
