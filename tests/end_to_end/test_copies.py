"""An output that is renamed is copied from the video it was, and not rendered again."""

from pathlib import Path

import pytest

from tests.end_to_end.conftest import Bench
from tests.flows.conftest import FACE, SPEECH

pytestmark = pytest.mark.flow

ROW: dict[str, object] = {"portrait": str(FACE), "audio": str(SPEECH), "end": 0.5, "language": "en"}


def test_a_renamed_output_is_copied_unless_the_old_one_has_changed(
    bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / "talk.srt").write_text("1\n00:00:00,100 --> 00:00:00,400\nHallo\n")
    row = ROW | {"id": "a", "output": "old/a.mp4", "subtitles": "talk.srt"}
    manifest, preset = bench.manifest([row], tmp_path), bench.preset()
    assert bench.run(manifest, preset).status == 0
    old = tmp_path / "old" / "a.mp4"
    bench.manifest([row | {"output": "new/b.mp4"}], tmp_path)
    ran = bench.run(manifest, preset)
    assert ran.status == 0
    assert ran.results["a"]["notes"].endswith(f"copied from {old}, which has the same content")
    assert ran.results["a"]["worker_s"] == 0
    new = tmp_path / "new" / "b.mp4"
    assert new.read_bytes() == old.read_bytes()
    assert new.with_suffix(".en.srt").read_bytes() == old.with_suffix(".en.srt").read_bytes()
    assert {path.name for path in (tmp_path / "new" / ".sonic").iterdir()} == {"leases", "receipts"}
    assert "nothing to do" in bench.run(manifest, preset).text

    new.write_bytes(b"changed by the user")
    bench.manifest([row | {"output": "again.mp4"}], tmp_path)
    ran = bench.run(manifest, preset)
    assert ran.status == 0
    assert "copied" not in ran.results["a"]["notes"]
    assert (tmp_path / "again.mp4").read_bytes() == old.read_bytes()
    assert new.read_bytes() == b"changed by the user"
