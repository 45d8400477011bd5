"""Facts of the README and of the links in all pages."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageSequence

from flows.rows.config import load_preset
from sonic_ops.pipeline import SonicPipeline
from tests.flows.conftest import sorted_rows
from tests.pages.source import REPOSITORY

README = REPOSITORY / "README.md"
PAGES = sorted(
    REPOSITORY / name
    for name in subprocess.run(
        ["git", "ls-files", "*.md"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.split()
)
MOST_LINES, MOST_CHARACTERS = 120, 120
MOST_BYTES = 1_000_000


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of the README in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copy the examples, without what renders left there."""
    for path in (REPOSITORY / "examples").iterdir():
        if path.suffix in {".png", ".wav"} or path.name == "manifest.parquet":
            (tmp_path / "examples").mkdir(exist_ok=True)
            shutil.copy2(path, tmp_path / "examples")
    return tmp_path


def run_python(code: str, folder: Path) -> None:
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)


def test_the_readme_is_short() -> None:
    lines = README.read_text("utf-8").splitlines()
    assert len(lines) <= MOST_LINES
    assert [line for line in lines if len(line) > MOST_CHARACTERS] == []
    assert (REPOSITORY / "examples" / "preview.webp").stat().st_size < MOST_BYTES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_architecture_names_what_is_there() -> None:
    text = (REPOSITORY / "ARCHITECTURE.md").read_text("utf-8")
    for path in re.findall(r"`((?:flows|cluster|sonic_ops|training|tests)/[\w/.]+)`", text):
        assert (REPOSITORY / path).exists(), path
    for path, name in re.findall(r"`([\w/]+\.py)`: `(\w+)`", text):
        assert re.search(rf"\b{name}\b", (REPOSITORY / path).read_text("utf-8")), name


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.M)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {word.replace(" ", "-") for word in words}


def test_all_rows_of_the_manifest_are_right(folder: Path) -> None:
    (text,) = blocks("csv")
    manifest = folder / "examples" / "four.csv"
    manifest.write_text(text, "utf-8")
    found = sorted_rows(str(manifest), load_preset("sketch"))
    assert [bad.errors for bad in found.bad] == []
    assert len(found.planned) == len(text.splitlines()) - 1 == 4


@pytest.mark.slow
def test_the_pipeline_makes_what_the_page_says(folder: Path) -> None:
    (code,) = (block for block in blocks("python") if SonicPipeline.__name__ in block)
    run_python(code, folder)
    with Image.open(folder / "ada.webp") as image:
        durations_ms = []
        for frame in ImageSequence.Iterator(image):
            frame.load()
            durations_ms.append(frame.info["duration"])
        assert (sum(durations_ms), image.size) == (3000, (256, 256))


@pytest.mark.slow
@pytest.mark.flow
def test_the_renderer_makes_what_the_page_says(folder: Path) -> None:
    (code,) = (block for block in blocks("python") if "from flows import render" in block)
    run_python(code, folder)
    assert sorted(path.name for path in (folder / "out").glob("*.mp4")) == ["ada.mp4", "ben.mp4"]
