"""A film is dubbed with the same bits in any cut, with its own times and untouched frames."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cluster.config import ClusterConfig
from cluster.pool.base import LocalPool, Pool
from cluster.storage import artifacts
from cluster.video import films as render
from cluster.video.film_requests import DubJob, Film, TrackJob
from cluster.video.films import FilmPlan
from cluster.video.jobs import VideoRequest
from sonic_ops.core.config import MediaConfig, ModelsConfig, PortraitConfig
from sonic_ops.core.presets import VideoConfig
from sonic_ops.film.compositing import planes_of
from sonic_ops.film.footage import Footage
from sonic_ops.media.film_encoding import stitch_film
from tests import films
from tests.cluster.conftest import Prepare
from tests.cluster.video import test_modes
from tests.cluster.video.test_exact import latents_of, quiet

SETTINGS = PortraitConfig(resolution=64)
LENGTH = 36
"""Frames of the model: 2.88 s of audio."""


@dataclass(frozen=True)
class Work:
    request: VideoRequest
    film: Film


MakeWork = Callable[[Path], Work]


@pytest.fixture(scope="session")
def film_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shots with somebody, one without, at uneven times."""
    scene = films.talking(22) + films.landscape(10) + films.talking(25, "ben")
    times = [Fraction(n, 25) + Fraction(n % 3, 200) for n in range(len(scene.pictures))]
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return films.write_film(path, scene, times_s=times)


@pytest.fixture
def make_work(prepare: Prepare, film_file: Path) -> MakeWork:
    def make(folder: Path) -> Work:
        request = replace(prepare(LENGTH, folder), portrait="")
        url = artifacts.write_video(f"{folder}/film.mp4", lambda path: shutil.copy(film_file, path))
        return Work(request, Film(url, Footage(Fraction(57, 25))))

    return make


def plan_of(pool: Pool, work: Work) -> FilmPlan:
    job = TrackJob(work.film, f"{work.request.work}/track.safetensors")
    track = render.track_film(pool, work.request, job)
    return render.plan_film(pool, work.request, work.film, track, SETTINGS)


def latents(pool: Pool, work: Work, video: VideoConfig, segment_frames: int) -> list[Tensor]:
    plan = plan_of(pool, work)
    config = video.model_copy(update={"segment_frames": segment_frames})
    cuts = render.denoise_film(pool, plan, config, quiet)
    return [
        latents_of([own.latents(segment) for segment in cut])
        for own, cut in zip(plan.requests, cuts, strict=True)
    ]


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, prepare: Prepare, film_file: Path, local_pool: Pool
) -> list[Tensor]:
    from tests.cluster.conftest import small_video

    folder = tmp_path_factory.mktemp("whole")
    request = replace(prepare(LENGTH, folder), portrait="")
    url = artifacts.write_video(f"{folder}/film.mp4", lambda path: shutil.copy(film_file, path))
    work = Work(request, Film(url, Footage(Fraction(57, 25))))
    return latents(local_pool, work, small_video(), 1000)


@pytest.mark.parametrize("segment_frames", [pytest.param(6, marks=pytest.mark.slow), 3])
def test_a_take_has_the_same_bits_in_any_cut(
    segment_frames: int,
    tmp_path: Path,
    make_work: MakeWork,
    video: VideoConfig,
    local_pool: Pool,
    whole: list[Tensor],
) -> None:
    found = latents(local_pool, make_work(tmp_path), video, segment_frames)
    assert len(found) == len(whole) == 2
    for one, other in zip(found, whole, strict=True):
        assert torch.equal(one, other)


def test_a_film_goes_on_from_its_checkpoints(
    tmp_path: Path, make_work: MakeWork, video: VideoConfig, local_pool: Pool, whole: list[Tensor]
) -> None:
    work = make_work(tmp_path)
    often = video.model_copy(update={"checkpoint_every": 1})
    latents(local_pool, work, often, 6)
    files = list(tmp_path.glob("takes/*/latents/*"))
    assert files
    for file in files:
        file.unlink()
    assert list(tmp_path.glob("takes/*/checkpoints/*/*"))
    for one, other in zip(latents(local_pool, work, often, 6), whole, strict=True):
        assert torch.equal(one, other)


def test_around_what_is_made_the_latents_are_those_of_the_film(
    tmp_path: Path, make_work: MakeWork, video: VideoConfig, local_pool: Pool, whole: list[Tensor]
) -> None:
    work = make_work(tmp_path)
    latents(local_pool, work, video, 1000)
    for take, made in zip(sorted(tmp_path.glob("takes/*")), whole, strict=True):
        (file,) = (take / "film").glob("*")
        source = artifacts.read_tensors(str(file))
        is_made = source["is_made"].bool().expand_as(made)
        assert 0.05 < is_made.float().mean() < 0.6
        kept, own = made[~is_made], source["latents"][~is_made]
        torch.testing.assert_close(kept, own, rtol=1e-4, atol=1e-4)
        assert not torch.allclose(made[is_made], source["latents"][is_made], atol=0.01)


def test_the_finished_film_keeps_what_is_not_made(
    tmp_path: Path, make_work: MakeWork, video: VideoConfig, local_pool: Pool, film_file: Path
) -> None:
    """Encoded without loss, so that the pixels before encoding are seen."""
    work = make_work(tmp_path)
    plan = plan_of(local_pool, work)
    lossless = MediaConfig(crf=0, interpolation="blend")
    config = video.model_copy(update={"segment_frames": 12, "media": lossless})
    cuts = render.denoise_film(local_pool, plan, config, quiet)
    parts = render.encode_film(local_pool, work.request, plan, cuts, config, quiet)
    assert len(parts) == 3
    out = tmp_path / "out.mp4"
    stitch_film([(start_s, Path(file)) for start_s, file in parts], out)
    assert films.times_of(out) == films.times_of(film_file)
    before, after = films.frames_of(film_file), films.frames_of(out)
    assert after[0].format.name == before[0].format.name
    num_changed = 0
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        changed = [(a != b).any() for a, b in zip(planes_of(old), planes_of(new), strict=True)]
        in_take = any(take.start <= number < take.stop for take in plan.takes)
        assert in_take or not any(changed)
        num_changed += bool(changed[0])
        differs = planes_of(old)[0] != planes_of(new)[0]
        assert differs[:60].sum() == 0  # above the face
    assert num_changed == 47
    assert np.isfinite(plan.track.openings_N[:20]).all()


class Narrow(test_modes.Narrow):
    """A worker that has room for the low-memory form alone, of films too."""

    def dub(self, job: DubJob, *, low_memory: bool = False) -> str:
        if not (low_memory or job.low_memory):
            raise MemoryError
        return super().dub(job, low_memory=low_memory)


def test_what_memory_forces_is_noted_of_every_take_and_of_the_film(
    tmp_path: Path, make_work: MakeWork, video: VideoConfig, models: ModelsConfig
) -> None:
    work, pool = make_work(tmp_path), LocalPool(ClusterConfig(workers=0), Narrow(models))
    plan = plan_of(pool, work)
    cuts = render.denoise_film(pool, plan, video, quiet)
    render.encode_film(pool, work.request, plan, cuts, video, quiet)
    notes = {str(path.relative_to(tmp_path)) for path in tmp_path.glob("**/low_memory/*")}
    assert notes == {
        "low_memory/dub-0000000-0000057.safetensors",
        *(
            f"takes/{number:04}/low_memory/denoise-0000000-{take.num_frames:07}.safetensors"
            for number, take in enumerate(plan.takes)
        ),
    }


def test_a_turned_film_in_full_range_is_pasted_at_its_place(
    tmp_path: Path, prepare: Prepare, video: VideoConfig, local_pool: Pool
) -> None:
    """As phones write them; to name its range, the frame is made anew."""
    scene = films.talking(20)
    lying = tuple(np.ascontiguousarray(np.rot90(p, -1)) for p in scene.pictures)
    turned = replace(scene, pictures=lying)
    film = films.write_turned(tmp_path / "turned.mp4", turned, 90, pix_fmt="yuvj420p")
    request = replace(prepare(LENGTH, tmp_path / "work"), portrait="")
    url = artifacts.write_video(f"{request.work}/film.mp4", lambda path: shutil.copy(film, path))
    plan = plan_of(local_pool, Work(request, Film(url, Footage(Fraction(20, 25)))))
    lossless = MediaConfig(crf=0, interpolation="blend")
    config = video.model_copy(update={"media": lossless})
    cuts = render.denoise_film(local_pool, plan, config, quiet)
    ((_, part),) = render.encode_film(local_pool, request, plan, cuts, config, quiet)
    frames = (films.frames_of(file)[9] for file in (film, Path(part)))
    before, after = (np.rot90(planes_of(frame)[0].astype(int)) for frame in frames)
    rows, columns = np.nonzero(np.abs(before - after) > 3)
    mouth = np.array(films.painter("ada").mouth_centre(scene.poses[9])) * films.UNIT
    assert np.median(columns) == pytest.approx(mouth[0] + (films.SIZE[0] - films.SIDE) / 2, abs=20)
    assert np.median(rows) == pytest.approx(mouth[1], abs=25)
