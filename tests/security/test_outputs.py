"""With `--confine`, on for deployments, no row writes outside of the folder of the outputs."""

import csv
import shutil
from pathlib import Path

import pytest

from flows.pipeline import schedule
from flows.pipeline.run import RunRequest, config_of
from flows.preflight.checks import preflight
from flows.preflight.outputs import require_free, require_inside
from flows.rows.manifest import open_manifest
from flows.rows.planned import PlannedRow
from flows.rows.rows import BadRow
from sonic_ops.core.errors import FieldError
from tests.flows.conftest import FACE, SPEECH


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A folder for outputs in which a link leads out, beside one of somebody else."""
    for name in ("out", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path / "other")
    (tmp_path / "out" / "file.mp4").symlink_to(tmp_path / "other" / "file.mp4")
    return tmp_path


def outcome(folders: Path, output: str, *, confine: bool, folder: bool) -> PlannedRow | BadRow:
    home = folders / ("in" if folder else "out")
    home.mkdir(exist_ok=True)
    manifest = home / "m.csv"
    with manifest.open("w") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "portrait", "audio", "output"])
        rows.writerow(["a", FACE, SPEECH, output])
    output_folder = str(folders / "out") if folder else None
    request = RunRequest(str(manifest), "sketch", output_folder, confine=confine)
    with open_manifest(str(manifest)) as lines:
        (found,) = preflight(
            lines, config_of(request), weights_sha256="w", output_folder=output_folder
        )
    assert isinstance(found, PlannedRow | BadRow)
    return found


OUTSIDE = ["{}/other/a.mp4", "~/a.mp4", "file://{}/other/a.mp4", "link/a.mp4", "file.mp4"]
OUTSIDE += ["memory://other/a.mp4", "simplecache::memory://a.mp4", "local://{}/other/a.mp4"]
OUTSIDE += [
    "{}/out/../other/a.mp4",
    "{}/outside/a.mp4",
    "new/../link/a.mp4",
]


@pytest.mark.parametrize("folder", [True, False])
@pytest.mark.parametrize("output", OUTSIDE)
def test_no_output_leaves_the_folder(
    folders: Path,
    output: str,
    folder: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    monkeypatch.setenv("HOME", str(folders / "other"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))  # else in HOME
    row = outcome(folders, output.format(folders), confine=True, folder=folder)
    assert isinstance(row, BadRow)
    assert row.errors[0].field == "output"
    assert not list((folders / "other").iterdir())
    assert {p.name for p in folders.iterdir()} <= {"in", "out", "other"}


@pytest.mark.parametrize("folder", [True, False])
@pytest.mark.parametrize("output", ["a.mp4", "new/a.mp4", "./b/../a.mp4", "{}/out/a.mp4"])
def test_outputs_inside_are_rendered(folders: Path, output: str, folder: bool) -> None:
    row = outcome(folders, output.format(folders), confine=True, folder=folder)
    assert isinstance(row, PlannedRow), row.errors


def test_without_the_switch_a_row_may_write_where_it_says(folders: Path) -> None:
    row = outcome(folders, f"{folders}/other/a.mp4", confine=False, folder=True)
    assert isinstance(row, PlannedRow)


def test_a_folder_that_becomes_a_link_is_seen_before_the_video_is_published(folders: Path) -> None:
    row = outcome(folders, "new/a.mp4", confine=True, folder=True)
    assert isinstance(row, PlannedRow)
    root = str(folders / "out")
    require_free(row.row, "f", None, overwrite=False, confine_to=root)
    shutil.rmtree(folders / "out" / "new", ignore_errors=True)
    (folders / "out" / "new").symlink_to(folders / "other")
    with pytest.raises(FieldError, match="outside"):
        require_free(row.row, "f", None, overwrite=True, confine_to=root)


def test_work_beside_outputs_does_not_follow_a_link(folders: Path) -> None:
    (folders / "out" / ".sonic").symlink_to(folders / "other")
    row = outcome(folders, "a.mp4", confine=True, folder=True)
    assert isinstance(row, BadRow)


def test_other_stores_are_confined_by_their_url() -> None:
    require_inside("s3://bucket/out/a/b.mp4", "s3://bucket/out")
    for output in ("s3://bucket/out2/b.mp4", "s3://bucket/out/../b.mp4", "/out/b.mp4"):
        with pytest.raises(FieldError):
            require_inside(output, "s3://bucket/out")


def test_deployments_are_confined(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[RunRequest] = []

    def stop(request: RunRequest, *_: object) -> int:
        seen.append(request)
        return 0

    monkeypatch.setattr(schedule, "run", stop)
    assert schedule.render_one.fn("/in/m.csv", "lite", "/out") == ("", [])
    assert config_of(seen[0]).confine_to == "/out"
    schedule.render_one.fn("/in/m.csv", "lite", None)
    assert config_of(seen[1]).confine_to == "/in"
