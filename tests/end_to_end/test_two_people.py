"""Two people in one picture speak in turn; who is named wrong fails alone."""

from pathlib import Path
from typing import Final

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from sonic_ops.film.compositing import planes_of
from tests import films
from tests.end_to_end.conftest import Bench, Ran

pytestmark = [pytest.mark.flow, pytest.mark.slow]

NUM: Final = 50
RATE_HZ: Final = 16_000
TURNS: Final = "start,end,speaker,face\n0,1,anna,1\n1,2,ben,2\n"
OTHERS: Final = "start,end,speaker,face\n0,1,ben,2\n1,2,anna,1\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("two")
    both = films.beside(films.talking(NUM), films.talking(NUM, "ben"))
    films.write_film(made / "two.mp4", both)
    noise = 0.1 * np.random.default_rng(0).standard_normal(2 * RATE_HZ)
    soundfile.write(made / "sound.wav", noise.astype(np.float32), RATE_HZ)
    (made / "turns.csv").write_text(TURNS)
    (made / "others.csv").write_text(OTHERS)
    (made / "typo.csv").write_text(TURNS + "1.5,2,bem,\n")
    (made / "three.csv").write_text(TURNS + "1.95,2,clara,3\n")
    return made


@pytest.fixture(scope="module")
def ran(bench: Bench, folder: Path) -> Ran:
    rows: list[dict[str, object]] = [
        {
            "id": name,
            "video": "two.mp4",
            "audio": "sound.wav",
            "speakers": f"{name}.csv",
            "output": f"{name}.mp4",
        }
        for name in ("typo", "turns", "others", "three")
    ]
    return bench.run(bench.manifest(rows, folder), bench.preset("two", media={"crf": 0}))


def halves(path: Path) -> NDArray[np.int16]:
    """The luma of all frames, left and right: frames, 2, rows, columns."""
    luma = np.stack([planes_of(frame)[0] for frame in films.frames_of(path)]).astype(np.int16)
    return np.stack(np.split(luma, [films.SIZE[0]], axis=2), axis=1)


def test_both_faces_of_an_image_are_dubbed(ran: Ran, folder: Path) -> None:
    assert ran.results["turns"]["status"] == "done", ran.results["turns"]
    changed = (halves(folder / "two.mp4") != halves(folder / "turns.mp4")).mean(axis=(2, 3))
    assert (changed.max(axis=0) > 0.005).all()
    assert (changed < 0.3).all()
    notes = ran.results["turns"]["notes"]
    assert "anna: 1 shot: " in notes
    assert "ben: 1 shot: " in notes


def test_everybody_speaks_in_their_turn(ran: Ran, folder: Path) -> None:
    """With the same audio the mouths differ, if the turns are those of the others."""
    one, other = (halves(folder / f"{name}.mp4") for name in ("turns", "others"))
    differs = np.abs(one - other).max(axis=(2, 3))
    assert (np.median(differs[5:20], axis=0) > 4).all()
    assert (np.median(differs[30:45], axis=0) > 4).all()


def test_who_is_named_wrong_fails_alone(ran: Ran, folder: Path) -> None:
    typo = ran.results["typo"]
    assert typo["status"] == "failed"
    assert typo["error"] == "column speakers: typo.csv line 4: nothing says which face 'bem' is"
    assert typo["remedy"].startswith("Did you mean 'ben'? ")
    assert not (folder / "typo.mp4").exists()


def test_who_is_never_seen_is_told(ran: Ran) -> None:
    three = ran.results["three"]
    assert three["status"] == "done"
    assert "clara: No face of the film can be dubbed" in three["notes"]
