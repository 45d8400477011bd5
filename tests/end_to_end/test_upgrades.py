"""What each released version has left is read, or set aside and made again; never misread.

`golden/releases/VERSION` holds a finished row with its receipt, results and analysis, and a row
that was stopped before it was decoded. Where a later version changes the numbers, its fingerprints
differ, and it renders both rows again.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.end_to_end.conftest import Bench
from tests.end_to_end.test_stems import pictures
from tests.flows.conftest import FACE, REPOSITORY, SPEECH

pytestmark = pytest.mark.flow
SLIGHT = 0.5
"""Mean of steps of 255; frames in another order are 42 apart."""
RELEASES = sorted((REPOSITORY / "tests" / "golden" / "releases").iterdir())


@pytest.fixture(params=RELEASES, ids=lambda release: release.name)
def left(request: pytest.FixtureRequest, bench: Bench, tmp_path: Path) -> Path:
    """The folder in which a release has rendered one row, and begun another."""
    release: Path = request.param
    places = {"@folder@": tmp_path, "@bench@": bench.folder, "@repository@": REPOSITORY}

    def placed(text: str) -> str:
        for name, place in places.items():
            text = text.replace(name, str(place))
        return text

    def bring(name: str, target: str) -> None:
        (tmp_path / target).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / target).write_text(placed((release / name).read_text()))

    shutil.copy(release / "finished.mp4", tmp_path)
    bring("receipt.json", ".sonic/receipts/finished.mp4.json")
    bring("analysis.json", ".sonic/analysis/finished.mp4.json")
    table = pq.read_table(release / "results.parquet")
    rows = [
        {name: placed(value) if isinstance(value, str) else value for name, value in row.items()}
        for row in table.to_pylist()
    ]
    pq.write_table(pa.Table.from_pylist(rows, table.schema), tmp_path / "m.results.parquet")
    begun = placed((release / "half" / "sonic-row.json").read_text())
    own = hashlib.sha256(os.fsencode(f"half\n{tmp_path}/half.mp4")).hexdigest()[:8]
    work = tmp_path / ".sonic" / f"half-{json.loads(begun)['fingerprint'][:12]}-{own}"
    shutil.copytree(release / "half", work)
    (work / "sonic-row.json").write_text(begun)
    return tmp_path


def test_what_a_release_has_left_is_read_or_made_again(bench: Bench, left: Path) -> None:
    base: dict[str, object] = {"portrait": str(FACE), "audio": str(SPEECH), "seed": 1, "end": 0.6}
    rows = [base | {"id": name, "output": f"{name}.mp4"} for name in ("finished", "half")]
    before = (left / "finished.mp4").read_bytes()
    ran = bench.run(bench.manifest(rows, left), bench.preset())
    assert ran.status == 0, ran.text
    assert ran.results["half"]["status"] == "done"
    is_kept = (left / "finished.mp4").read_bytes() == before
    assert ran.results["finished"]["status"] == ("skipped" if is_kept else "done")
    fresh = bench.run(bench.manifest(rows, left / "fresh"), bench.preset())
    assert fresh.results["finished"]["num_frames"] == ran.results["finished"]["num_frames"]
    # The release has denoised its half on another processor, which gives other last bits.
    continued, whole = pictures(left / "half.mp4"), pictures(left / "fresh" / "half.mp4")
    assert continued.shape == whole.shape
    apart = np.abs(continued.astype(int) - whole)
    assert apart.mean() <= SLIGHT


def test_what_is_damaged_in_it_is_made_again(bench: Bench, left: Path) -> None:
    (left / ".sonic/receipts/finished.mp4.json").write_text('{"result": {"fingerprint": 7}}')
    (left / ".sonic/analysis/finished.mp4.json").write_text('{"of": 1}')
    for path in left.glob(".sonic/half-*/latents/*"):
        path.write_bytes(path.read_bytes()[:100])
    row = {"id": "half", "portrait": str(FACE), "audio": str(SPEECH), "seed": 1, "end": 0.6}
    ran = bench.run(bench.manifest([row | {"output": "half.mp4"}], left), bench.preset())
    assert ran.results["half"]["status"] == "done", ran.text
