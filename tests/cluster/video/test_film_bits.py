"""A film of several people has the same bits on any workers, in any cut, killed and begun again."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import pytest

from cluster.config import ClusterConfig
from cluster.pool.base import Pool
from cluster.storage import artifacts
from cluster.video import films as render
from cluster.video.film_requests import Film, TrackJob
from cluster.video.films import FilmPlan, join_plans
from cluster.video.jobs import VideoRequest
from cluster.video.pools import open_pool
from sonic_ops.core.config import MediaConfig, ModelsConfig, PortraitConfig
from sonic_ops.core.errors import FieldError
from sonic_ops.core.presets import VideoConfig
from sonic_ops.film.choice import Choice
from sonic_ops.film.compositing import planes_of
from sonic_ops.film.footage import Footage
from sonic_ops.film.track import EDITED, NOT_HERE
from sonic_ops.media.film_encoding import stitch_film
from tests import films
from tests.cluster.conftest import Prepare, small_video
from tests.cluster.video.test_checkpoints import StoppedError, Watched
from tests.cluster.video.test_exact import quiet
from tests.faults.mortal import Death, MortalWorker

SETTINGS = PortraitConfig(resolution=64)
SOUND_FRAMES = 36
PEOPLE = {
    "anna": (Choice(face=1, start_s=0.0, end_s=0.5, must_fit=True),),
    "ben": (
        Choice(face=2, start_s=0.2, end_s=0.8, must_fit=True),
        Choice(face=1, start_s=1.3, end_s=2.2, must_fit=True),
    ),
}
LOSSLESS = {"media": MediaConfig(crf=0, interpolation="blend")}


@dataclass(frozen=True)
class Work:
    """The request of the film, and one for the voice of every speaker."""

    request: VideoRequest
    voices: tuple[VideoRequest, ...]
    film: Film


MakeWork = Callable[[Path], Work]


@pytest.fixture(scope="session")
def film_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people in one picture, then nobody, then one of them; at uneven times."""
    wall = films.cropped(films.landscape(25), films.SIZE[0], 0, *films.SIZE)
    alone = films.beside(films.talking(25, "ben"), wall)
    nobody = films.beside(films.landscape(10), films.landscape(10))
    scene = films.beside(films.talking(22), films.talking(22, "ben")) + nobody + alone
    times = [Fraction(n, 25) + Fraction(n % 3, 200) for n in range(len(scene.pictures))]
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return films.write_film(path, scene, times_s=times)


@pytest.fixture(scope="session")
def make_work(prepare: Prepare, film_file: Path) -> MakeWork:
    def make(folder: Path) -> Work:
        request = replace(prepare(SOUND_FRAMES, folder), portrait="")
        voices = (prepare(SOUND_FRAMES, folder / f"speakers/{n}") for n in range(len(PEOPLE)))
        url = artifacts.write_video(f"{folder}/film.mp4", lambda path: shutil.copy(film_file, path))
        film = Film(url, Footage(Fraction(57, 25)))
        return Work(request, tuple(replace(voice, portrait="") for voice in voices), film)

    return make


def plan_of(pool: Pool, work: Work) -> FilmPlan:
    plans = []
    for (name, choices), voice in zip(PEOPLE.items(), work.voices, strict=True):
        job = TrackJob(work.film, f"{voice.work}/track.safetensors", choices)
        track = render.track_film(pool, voice, job)
        plans.append((name, render.plan_film(pool, voice, work.film, track, SETTINGS)))
    return join_plans(plans)


def pixels(pool: Pool, work: Work, video: VideoConfig, segment_frames: int) -> str:
    """Dub the film in segments of some frames; the hash of all its pixels before encoding."""
    config = video.model_copy(update={"segment_frames": segment_frames} | LOSSLESS)
    plan = plan_of(pool, work)
    cuts = render.denoise_film(pool, plan, config, quiet)
    parts = render.encode_film(pool, work.request, plan, cuts, config, quiet)
    out = Path(work.request.work) / "out.mp4"
    stitch_film([(start_s, Path(file)) for start_s, file in parts], out)
    content = hashlib.sha256()
    for frame in films.frames_of(out):
        content.update(b"".join(plane.tobytes() for plane in planes_of(frame)))
    return content.hexdigest()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, make_work: MakeWork, local_pool: Pool) -> str:
    return pixels(local_pool, make_work(tmp_path_factory.mktemp("whole")), small_video(), 1000)


def test_everybody_is_followed_in_their_shots(
    tmp_path: Path, make_work: MakeWork, local_pool: Pool
) -> None:
    plan = plan_of(local_pool, make_work(tmp_path))
    (_, anna), (_, ben) = plan.people
    assert [(take.start, take.stop) for take in anna.takes] == [(0, 22)]
    assert [(take.start, take.stop) for take in ben.takes] == [(0, 22), (32, 57)]
    assert anna.track.reasons_N[22:].tolist() == [NOT_HERE] * 35
    assert ben.track.reasons_N[22:32].tolist() == [NOT_HERE] * 10
    assert ben.track.reasons_N[32:].tolist() == [EDITED] * 25
    left, right = anna.takes[0].box, ben.takes[0].box
    assert left.x + left.width < films.SIZE[0] < right.x
    assert len(plan.takes) == len(plan.requests) == 3


def test_two_people_have_two_faces(tmp_path: Path, make_work: MakeWork, local_pool: Pool) -> None:
    work = make_work(tmp_path)
    job = TrackJob(work.film, f"{work.voices[0].work}/track.safetensors", PEOPLE["anna"])
    track = render.track_film(local_pool, work.voices[0], job)
    plan = render.plan_film(local_pool, work.voices[0], work.film, track, SETTINGS)
    with pytest.raises(FieldError, match=r"anna and ben have one face at 0\.5 s") as caught:
        join_plans([("anna", plan), ("ben", plan)])
    assert caught.value.field == "speakers"


@pytest.mark.parametrize("segment_frames", [pytest.param(6, marks=pytest.mark.slow), 3])
def test_any_cut_gives_the_same_pixels(
    segment_frames: int,
    tmp_path: Path,
    make_work: MakeWork,
    video: VideoConfig,
    local_pool: Pool,
    whole: str,
) -> None:
    """Takes of 9 to 13 frames: one segment, two or three, and up to five."""
    assert pixels(local_pool, make_work(tmp_path), video, segment_frames) == whole


@pytest.mark.ray
@pytest.mark.parametrize(
    "segment_frames", [*(pytest.param(n, marks=pytest.mark.slow) for n in (1000, 6)), 3]
)
def test_any_workers_give_the_same_pixels(
    segment_frames: int,
    tmp_path: Path,
    make_work: MakeWork,
    video: VideoConfig,
    ray_pool: Pool,
    whole: str,
) -> None:
    assert pixels(ray_pool, make_work(tmp_path), video, segment_frames) == whole


@pytest.mark.parametrize(
    ("method", "lives"), [("denoise", 7), pytest.param("dub", 1, marks=pytest.mark.slow)]
)
def test_a_run_that_was_stopped_goes_on(
    method: str,
    lives: int,
    tmp_path: Path,
    make_work: MakeWork,
    video: VideoConfig,
    local_pool: Pool,
    whole: str,
) -> None:
    work, often = make_work(tmp_path), video.model_copy(update={"checkpoint_every": 1})
    with pytest.raises(StoppedError):
        pixels(Watched(local_pool, method, lives), work, often, 6)
    again = Watched(local_pool)
    assert pixels(again, work, often, 6) == whole
    undisturbed = Watched(local_pool)
    pixels(undisturbed, make_work(tmp_path / "undisturbed"), often, 6)
    assert again.jobs.total() < undisturbed.jobs.total()


@pytest.mark.ray
@pytest.mark.slow
def test_killed_workers_are_replaced(
    tmp_path: Path, make_work: MakeWork, models: ModelsConfig, video: VideoConfig, whole: str
) -> None:
    deaths, work = (Death("denoise", 1), Death("dub")), make_work(tmp_path / "work")
    folder = tmp_path / "deaths"
    folder.mkdir()
    make = partial(MortalWorker, deaths, str(folder))
    with open_pool(ClusterConfig(workers=2), models, make_worker=make) as pool:
        assert pixels(pool, work, video, 3) == whole
        assert pool.pop_costs(work.request.order).retries == {"denoise": 1, "dub": 1}
