"""The recipes of `examples/`: their manifests are rendered as they are, only shorter."""

import csv
from pathlib import Path

import av
import pytest

from sonic_ops.media.inspection import probe_video
from tests.certificates import write_signer
from tests.end_to_end.conftest import Bench, Ran
from tests.flows.conftest import REPOSITORY

pytestmark = pytest.mark.flow

TALKS, DUBS = ("de", "es", "fr"), ("film-de", "film-es")
FACES = ("drawn", "rendered", "photograph")
RECIPES = sorted((REPOSITORY / "examples").glob("*/**/*.csv"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recipes")


@pytest.fixture(scope="module")
def ran(bench: Bench, folder: Path) -> Ran:
    rows = [row for recipe in RECIPES for row in shortened(recipe, folder)]
    columns = dict.fromkeys(key for row in rows for key in row)
    rows = [columns | row for row in rows]
    signer = write_signer(folder)
    files = {"key": str(signer.key), "certificate": str(signer.certificate)}
    preset = bench.preset("recipes", provenance={"label": "AI generated"} | files)
    return bench.run(bench.manifest(rows, folder), preset)


def shortened(recipe: Path, folder: Path) -> list[dict[str, object]]:
    """The rows of a recipe, 0.24 s long or a film of 0.8 s, with their videos in another folder."""
    rows: list[dict[str, object]] = []
    with recipe.open(newline="") as file:
        for row in csv.DictReader(file):
            named = {
                k: str(recipe.parent / row[k])
                for k in ("portrait", "video", "audio", "background", "subtitles")
                if row.get(k)
            }
            output = str(folder / Path(row["output"]).name)
            end = "0.8" if "video" in row else "0.24"
            rows.append(row | named | {"output": output, "end": end})
    return rows


def test_every_row_of_every_recipe_is_rendered(ran: Ran) -> None:
    assert {recipe.parent.name for recipe in RECIPES} == {
        "lecture",
        "dubbing",
        "dubbing-film",
        "faces",
        "inbox",
    }
    assert ran.status == 0, ran.text
    assert {line["status"] for line in ran.results.values()} == {"done"}
    assert set(ran.results) == {"slide-1", "slide-2", *TALKS, *DUBS, *FACES, "monday"}


def test_a_slide_that_moves_goes_on_beside_the_face(ran: Ran, folder: Path) -> None:
    """Its bar grows from left to right; a picture has 6 of its 84 frames."""
    assert (probe_video(folder / "slide_2.mp4").width, len(bars(folder / "slide_2.mp4"))) == (
        1280,
        6,
    )
    expected = [1280 * (number + 1) / 84 for number in range(6)]
    assert bars(folder / "slide_2.mp4") == pytest.approx(expected, abs=2)
    assert bars(folder / "slide_1.mp4") == [1280] * 6


def bars(video: Path) -> list[int]:
    """The width of the dark bar at the top of every output frame."""
    with av.open(str(video)) as container:
        return [int((f.to_ndarray()[6, :1280] < 160).sum()) for f in container.decode(video=0)]


def test_a_film_is_dubbed_in_two_languages(ran: Ran, folder: Path) -> None:
    for name, language in zip(DUBS, ("deu", "spa"), strict=True):
        dub = probe_video(folder / f"{name}.mp4")
        assert (dub.width, dub.height, dub.num_frames) == (640, 360, 20)
        assert (dub.language, dub.num_subtitles) == (language, 1)
        assert "dubbed" in ran.results[name]["notes"]


def test_slides_stay_whole_and_languages_are_named(ran: Ran, folder: Path) -> None:
    slide = probe_video(folder / "slide_1.mp4")
    assert (slide.width, slide.height, slide.num_frames) == (1280, 720, 6)
    for tag, language in (("de", "deu"), ("es", "spa"), ("fr", "fra")):
        dub = probe_video(folder / f"{tag}.mp4")
        assert (dub.language, dub.num_subtitles) == (language, 1)
        assert ran.results[tag]["consent"] == "a drawn face: nobody to ask"
        assert ran.results[tag]["provenance"] == "metadata, XMP, C2PA"
