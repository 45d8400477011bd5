"""Films whose face is replaced at one place: what cannot be done is told before it is computed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flows.rows.config import RenderConfig
from tests.field.media import EXAMPLES, SPEECH, SPEECH_S, ffmpeg
from tests.flows.conftest import Cells, Sorted, WriteManifest, sorted_rows

Check = Callable[[str], Sorted]
ADA = EXAMPLES / "ada.png"


def film(target: Path, x: str, seconds: float) -> str:
    """A drawn face whose left edge is at `x` of a wide picture."""
    grey = f"color=0x808890:s=640x256:r=25:d={seconds}"
    place = f"[1:v]scale=256:256[face];[0:v][face]overlay=x='{x}':y=0:shortest=1"
    ffmpeg("-f", "lavfi", "-i", grey, "-loop", "1", "-i", ADA, "-filter_complex", place, target)
    return str(target)


@pytest.fixture
def checked(config: RenderConfig, good: Cells, write_manifest: WriteManifest) -> Check:
    def check(portrait: str) -> Sorted:
        cells = good | {"portrait": portrait, "audio": str(SPEECH), "framing": "paste"}
        return sorted_rows(write_manifest(cells), config)

    return check


@pytest.mark.parametrize(
    "x", ["80*t", "if(gt(t,1.5),350,20)", "if(gt(t,1),700,20)"], ids=["walks", "cut", "leaves"]
)
def test_a_face_that_leaves_its_place_is_refused(checked: Check, tmp_path: Path, x: str) -> None:
    (row,) = checked(film(tmp_path / "a.mp4", x, 3)).bad
    (error,) = row.errors
    assert error.field == "portrait"
    assert "is not at its place any more at " in str(error)


@pytest.mark.parametrize("x", ["150", "150+10*sin(6*t)"], ids=["still", "nods"])
def test_a_face_that_stays_is_rendered(checked: Check, tmp_path: Path, x: str) -> None:
    (row,) = checked(film(tmp_path / "a.mp4", x, SPEECH_S)).planned
    assert not any("the film has" in note for note in row.notes)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(2.0, "its last frame is held"), (5.0, "the rest is left out")],
)
def test_a_dub_of_another_length_is_said_with_both(
    checked: Check, tmp_path: Path, seconds: float, said: str
) -> None:
    (row,) = checked(film(tmp_path / "a.mp4", "150", seconds)).planned
    assert f"the film has {seconds:.2f} s and the audio 2.99 s: {said}" in row.notes


def test_the_slides_of_the_example_move_and_their_face_stays(checked: Check) -> None:
    assert checked(str(EXAMPLES / "lecture" / "slide_2.mp4")).planned
