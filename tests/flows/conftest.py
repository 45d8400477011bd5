"""Real inputs for the tests of the flows, and rows that are made of them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from flows.preflight.checks import preflight
from flows.rows.config import RenderConfig
from flows.rows.manifest import open_manifest
from flows.rows.planned import PlannedRow
from flows.rows.rows import BadRow
from flows.state.results import RowResult

REPOSITORY = Path(__file__).parent.parent.parent
SPEECH = REPOSITORY / "examples" / "young_man.wav"
FACE = REPOSITORY / "tests" / "golden" / "faces" / "glasses.png"

Cells = dict[str, object]
WriteManifest = Callable[..., str]


@dataclass(frozen=True)
class Sorted:
    """The rows of a manifest as its preflight sorts them."""

    planned: tuple[PlannedRow, ...]
    finished: tuple[RowResult, ...]
    bad: tuple[BadRow, ...]


def sorted_rows(manifest: str, config: RenderConfig) -> Sorted:
    """The preflight of a whole manifest."""
    with open_manifest(manifest) as lines:
        outcomes = list(preflight(lines, config, weights_sha256="w"))
    return Sorted(
        tuple(row for row in outcomes if isinstance(row, PlannedRow)),
        tuple(row for row in outcomes if isinstance(row, RowResult)),
        tuple(row for row in outcomes if isinstance(row, BadRow)),
    )


def unreadable(path: Path) -> Path:
    """A file that is there and cannot be opened, even by root: a link that leads to itself."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(path.name)
    return path


@pytest.fixture
def config() -> RenderConfig:
    return RenderConfig.model_validate({"models": {"weights": "none"}})


@pytest.fixture
def good(tmp_path: Path) -> Cells:
    """The cells of a row that can be rendered."""
    output = str(tmp_path / "out" / "good.mp4")
    return {"id": "good", "portrait": str(FACE), "audio": str(SPEECH), "output": output}


@pytest.fixture
def write_manifest(tmp_path: Path) -> WriteManifest:
    """Writes rows as JSON Lines; the path of the manifest."""

    def write(*rows: Cells, name: str = "manifest.jsonl") -> str:
        path = tmp_path / name
        path.write_text("\n".join(map(json.dumps, rows)))
        return str(path)

    return write


@pytest.fixture
def blank_picture(tmp_path: Path) -> str:
    """A picture without a face."""
    path = tmp_path / "blank.png"
    Image.new("RGB", (128, 128), (90, 120, 150)).save(path)
    return str(path)
