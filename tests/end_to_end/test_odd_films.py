"""Films as they come: each is dubbed with its own times, or gets a sentence; the others go on."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
import pytest
import soundfile

from sonic_ops.film.compositing import planes_of
from sonic_ops.picture.video_frames import FilmFrame, film_frames
from tests import films
from tests.end_to_end.conftest import Bench, Ran

pytestmark = [pytest.mark.flow, pytest.mark.slow]

NUM: Final = 20
RATE_HZ: Final = 16_000
SECONDS: Final = 2  # of audio
ADA: Final = films.talking(NUM)
Write = Callable[[Path], Path]


def edited(scene: films.Scene, **how: object) -> Write:
    return lambda path: films.write_film(path, scene, **how)  # type: ignore[arg-type]


UNEVEN: Final = [Fraction(n * n + 20 * n, 500) / 2 for n in range(NUM)]
GOOD: Final[dict[str, Write]] = {
    "two-faces": edited(films.beside(ADA, films.talking(NUM, "ben"))),
    "cut-off-by-the-border": edited(films.cropped(ADA, 130, 0, *films.SIZE)),
    "mask-larger-than-the-picture": edited(films.cropped(ADA, 110, 50, 100, 120)),
    "chin-below-the-picture": edited(films.cropped(ADA, 0, -90, *films.SIZE)),
    "fade-from-black": edited(films.faded(films.talking(40), 12)),
    "cuts": edited(ADA + films.talking(NUM, "ben") + ADA),
    "interlaced": edited(ADA, options={"x264-params": "tff=1"}),
    "anamorphic": edited(ADA, sample_aspect_ratio=Fraction(16, 11)),
    "rotated": lambda path: films.write_turned(path, ADA, 90),
    "uneven": edited(ADA, times_s=UNEVEN),
    "deep": edited(ADA, pix_fmt="yuv420p10le"),
    "damaged-middle": lambda path: films.write_damaged(path, films.talking(40), range(26, 29)),
    "broken-first-frame": lambda path: films.write_damaged(path, films.talking(50), [0]),
}
BAD: Final[dict[str, tuple[Write, str]]] = {
    "hdr": (
        edited(ADA, pix_fmt="yuv420p10le", color_primaries=9, color_trc=16, colorspace=9),
        "the film is HDR",
    ),
    "one-picture": (edited(films.talking(1)), "it has a single frame"),
    "nobody": (edited(films.landscape(NUM)), "No face was found in the film"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("odd")


@pytest.fixture(scope="module")
def ran(bench: Bench, folder: Path) -> Ran:
    noise = 0.1 * np.random.default_rng(0).standard_normal(SECONDS * RATE_HZ)
    soundfile.write(folder / "sound.wav", noise.astype(np.float32), RATE_HZ)
    writers = GOOD | {name: write for name, (write, _) in BAD.items()}
    rows: list[dict[str, object]] = [
        {
            "id": name,
            "video": str(write(folder / f"{name}.mov")),
            "audio": "sound.wav",
            "length": "cut",
            "output": f"{name}.mp4",
        }
        for name, write in writers.items()
    ]
    rows.append(rows[0] | {"id": "mute", "audio": "uneven.mov", "output": "mute.mp4"})
    return bench.run(bench.manifest(rows, folder), bench.preset("odd", media={"crf": 0}))


def decoded(path: Path) -> list[FilmFrame]:
    """The frames that can be decoded."""
    with path.open("rb") as file:
        return list(film_frames(file))


@pytest.mark.parametrize("name", list(GOOD))
def test_it_is_dubbed_with_its_own_times(name: str, ran: Ran, folder: Path) -> None:
    assert ran.results[name]["status"] == "done", ran.results[name]
    before, after = (decoded(folder / f"{name}{ending}") for ending in (".mov", ".mp4"))
    times = [frame.time_s for frame in before if frame.time_s < SECONDS]
    assert [frame.time_s for frame in after] == times
    old, new = before[0], after[0]
    assert new.raw.format.name == old.raw.format.name
    assert (new.raw.width, new.raw.rotation) == (old.raw.width, old.raw.rotation)
    assert (new.shown_size, new.pixel_shape) == (old.shown_size, old.pixel_shape)
    changed = [
        (planes_of(one.raw)[0] != planes_of(other.raw)[0]).mean()
        for one, other in zip(before, after, strict=False)
    ]
    assert 0 < max(changed) < 0.6


@pytest.mark.parametrize("name", list(BAD))
def test_it_is_refused_in_a_sentence(name: str, ran: Ran, folder: Path) -> None:
    result = ran.results[name]
    assert result["status"] == "failed"
    assert result["error"].startswith("column video: ")
    assert BAD[name][1] in result["error"]
    assert result["remedy"]
    assert not (folder / f"{name}.mp4").exists()


def test_a_film_without_audio_says_nothing(ran: Ran) -> None:
    assert ran.status == 1
    assert "column audio: " in ran.results["mute"]["error"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("two-faces", "2 faces in the film: the largest of each shot is dubbed"),
        ("interlaced", "the film is interlaced"),
        ("cuts", "the film has 2.40 s and the audio 2.00 s: the rest of the film is left out"),
    ],
)
def test_what_the_user_should_know_is_noted(name: str, said: str, ran: Ran) -> None:
    assert said in ran.results[name]["notes"]
