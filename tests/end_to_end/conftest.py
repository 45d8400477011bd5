"""A whole run at the smallest size: real files, real networks with random weights, real Prefect.

Prefect's temporary server is started by the first flow and serves all tests of the session.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from rich.console import Console

from flows.console.terminal import open_terminal
from flows.pipeline.run import Previews, RunRequest, run
from tests.tiny import make_tiny_weights

NOTICE = "These weights are random numbers."
SIZE = {"resolution": 64, "expand": 0.5}
FAST = {
    "portrait": SIZE,
    "sampling": {"steps": 2, "window_frames": 6, "shift_frames": 2},
    "decoding": {"chunk_frames": 4, "context_frames": 1},
    "media": {"speed": "ultrafast", "interpolation": "blend"},
    "segment_frames": 5,
}


@dataclass(frozen=True)
class Ran:
    """What a run gave: exit status, text, and the results table by row id."""

    status: int
    text: str
    results: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Bench:
    """A folder with a preset of tiny weights."""

    folder: Path

    def preset(self, name: str = "tiny", **settings: object) -> str:
        path = self.folder / f"{name}.yaml"
        weights = {"models": {"weights": str(self.folder / "weights"), "notice": NOTICE}}
        path.write_text(yaml.safe_dump(weights | FAST | {"cluster": {"workers": 0}} | settings))
        return str(path)

    def manifest(self, rows: list[dict[str, object]], folder: Path) -> str:
        folder.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), folder / "m.parquet")
        return str(folder / "m.parquet")

    def run(
        self,
        manifest: str,
        preset: str,
        output_folder: str | None = None,
        previews: Previews = "none",
    ) -> Ran:
        text = io.StringIO()
        status = run(
            RunRequest(manifest, preset, output_folder, previews=previews),
            open_terminal(console=Console(file=text, width=80)),
        )
        ending = ".preview-results.parquet" if previews == "only" else ".results.parquet"
        name = Path(manifest).with_suffix(ending).name
        folder = Path(output_folder or Path(manifest).parent)
        table = pq.read_table(folder / name).to_pylist()
        return Ran(status, text.getvalue(), {str(line["id"]): line for line in table})


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("bench")
    make_tiny_weights(folder / "weights")
    return Bench(folder)
