"""The rehearsal of the preset `sonic`, with tiny networks in place of full-size ones."""

from contextlib import closing
from pathlib import Path

import pytest

from tests.bench.rehearsal import rehearse


def test_its_first_command_fetches_what_its_hub_has(tmp_path: Path) -> None:
    with closing(rehearse(tmp_path, "tiny", "float32")) as costs:
        fetched = next(costs)
    assert fetched.name == "sonic weights fetch"
    assert fetched.wall_s > 0
    hub = {path.name for path in (tmp_path / "hub").rglob("*.*")}
    assert hub <= {path.name for path in (tmp_path / "weights" / "released").rglob("*")}
    assert fetched.written_bytes > sum(p.stat().st_size for p in (tmp_path / "hub").rglob("*.*"))


@pytest.mark.slow
def test_every_command_runs_from_the_download_to_a_video(tmp_path: Path) -> None:
    costs = list(rehearse(tmp_path, "tiny", "float32"))
    commands = ["sonic weights fetch", "sonic weights convert", "sonic weights check"]
    assert [cost.name for cost in costs] == [*commands, "sonic plan", "sonic render"]
    assert all(cost.held_bytes > 100e6 for cost in costs[1:])  # each has imported torch
    assert (tmp_path / "ada.mp4").is_file()
