"""Stems of a row: one moves the mouth, another is heard, for pictures and for films."""

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests import films
from tests.end_to_end.conftest import Bench, Ran
from tests.flows.conftest import FACE, SPEECH

pytestmark = pytest.mark.flow

RATE_HZ = 16_000
SECONDS = 1.0
FILM_S = 1.4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stems")


def recordings() -> dict[str, NDArray[np.float32]]:
    """A second of speech, more of music, and both."""
    speech, _ = soundfile.read(SPEECH, dtype="float32")
    speech = speech[: round(SECONDS * RATE_HZ)]
    time_S = np.arange(round(FILM_S * RATE_HZ)) / RATE_HZ
    music = np.asarray(0.2 * np.sin(2 * np.pi * 440 * time_S), np.float32)
    return {"speech": speech, "music": music, "mix": speech + music[: len(speech)]}


@pytest.fixture(scope="module")
def ran(bench: Bench, folder: Path) -> Ran:
    for name, samples in recordings().items():
        soundfile.write(folder / f"{name}.wav", samples, RATE_HZ, subtype="FLOAT")
    films.write_film(folder / "film.mp4", films.talking(round(25 * FILM_S)))
    cells: dict[str, dict[str, object]] = {
        "face": {"portrait": str(FACE), "video": None, "length": None},
        "film": {"portrait": None, "video": "film.mp4", "length": "pad"},
    }
    under = {"background": "music.wav", "background_gain": -6.0}
    stems: dict[str, dict[str, object]] = {
        "plain": {"audio": "speech.wav"} | dict.fromkeys(("voice", *under)),
        "stems": {"audio": "mix.wav", "voice": "speech.wav"} | under,
    }
    rows = [
        {"id": f"{kind}-{name}", "output": f"{kind}-{name}.mov"} | cells[kind] | given
        for kind in cells
        for name, given in stems.items()
    ]
    return bench.run(bench.manifest(rows, folder), bench.preset("stems"))


def pictures(path: Path) -> NDArray[np.uint8]:
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def heard(path: Path) -> NDArray[np.float32]:
    with av.open(str(path)) as container:
        return np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])


@pytest.mark.parametrize("kind", ["face", "film"])
def test_the_voice_moves_the_mouth_and_the_mix_is_heard(kind: str, ran: Ran, folder: Path) -> None:
    assert ran.status == 0, ran.text
    plain, stems = (pictures(folder / f"{kind}-{name}.mov") for name in ("plain", "stems"))
    np.testing.assert_array_equal(stems, plain)
    made = recordings()
    under = 10 ** (-6 / 20) * made["music"]
    length = len(made["mix"] if kind == "face" else under)  # a film goes on after its speech
    mix = np.pad(made["mix"], (0, length - len(made["mix"]))) + under[:length]
    found = heard(folder / f"{kind}-stems.mov") / 2**31
    assert len(found) == pytest.approx(length, abs=16)
    np.testing.assert_allclose(found[: len(mix)], mix[: len(found)], atol=1e-3)
