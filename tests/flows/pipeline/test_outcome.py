"""What became of a row is always known, also where nothing more can be written down."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from flows.rows.config import RenderConfig
from flows.rows.planned import FilmTiming, PlannedRow
from flows.state.leases import Leases
from flows.state.outcome import Rendered, RunCosts, done, failed, finish_work
from flows.state.receipts import lease_target, write_owner
from sonic_ops.media.inspection import VideoInfo
from tests.flows.conftest import Cells, WriteManifest, sorted_rows

SPENT = RunCosts(wall_s=1.0, num_failures=0)


@pytest.fixture
def planned(config: RenderConfig, good: Cells, write_manifest: WriteManifest) -> PlannedRow:
    return sorted_rows(write_manifest(good), config).planned[0]


def odd_error() -> ValueError:
    """An error with a traceback."""
    try:
        raise ValueError("odd")
    except ValueError as error:
        return error


def test_the_traceback_of_an_error_that_nobody_expected_is_kept(planned: PlannedRow) -> None:
    result = failed(planned, odd_error(), SPENT)
    assert (result.status, result.error_class, result.attempts) == ("failed", "ValueError", 1)
    kept = Path(planned.work) / "error.txt"
    assert result.error == f"odd (see {kept})"
    assert result.remedy is not None
    assert "report it" in result.remedy
    assert "Traceback" in kept.read_text()


@pytest.mark.parametrize(("lease_s", "stays"), [(3600.0, False), (0.0, True)])
def test_who_has_lost_the_lease_leaves_the_work_to_others(
    planned: PlannedRow, lease_s: float, stays: bool
) -> None:
    leases = Leases(lease_s)
    leases.take(lease_target(planned.row.output))
    Path(planned.row.output).write_bytes(b"a video")
    write_owner(planned.work, planned.row.output, planned.fingerprint)
    rendered = Rendered(
        25, VideoInfo(64, 64, 25, Fraction(25), 1.0, 1.0, "h264", "aac", "yuv420p", True, True)
    )
    result = finish_work(planned, done(planned, rendered, SPENT), SPENT, leases, keep_work=False)
    assert (result.status, result.notes) == ("done", "")
    assert Path(planned.work).exists() == stays


def test_what_an_earlier_run_made_in_the_low_memory_form_is_said(planned: PlannedRow) -> None:
    folder = Path(planned.work) / "low_memory"
    folder.mkdir(parents=True)
    names = (
        ".1.draft",
        "denoise-0000100-0000200.safetensors",
        "decode-0000000-0000100.safetensors",
    )
    for name in names:
        (folder / name).touch()
    notes = failed(planned, odd_error(), SPENT).notes
    assert notes.endswith("computed in the low-memory form: decode 0-100, denoise 100-200")


@pytest.mark.parametrize(("who", "named"), [("", ""), ("speakers/0/", " of speaker 1")])
def test_what_was_made_of_a_film_in_the_low_memory_form_is_said(
    planned: PlannedRow, who: str, named: str
) -> None:
    names = {
        f"{who}takes/0009/low_memory": "denoise-0000000-0000020.safetensors",
        f"{who}takes/0010/low_memory": "denoise-0000020-0000030.safetensors",
        f"{who}takes/0011/zeros": "unet",
        f"{who}takes/notes/low_memory": "of somebody else.txt",
        "low_memory": "dub-0000000-0000050.safetensors",
    }
    for folder, name in names.items():
        path = Path(planned.work) / folder / name
        path.parent.mkdir(parents=True)
        path.touch()
    notes = failed(replace(planned, film=FilmTiming("2")), odd_error(), SPENT).notes
    takes = f"denoise 0-20 of take 10{named}, denoise 20-30 of take 11{named}"
    assert f"computed in the low-memory form: dub 0-50, {takes}; " in notes
    assert notes.endswith("gave nothing but zeros, which no trained network does: unet")


def test_a_row_is_recorded_although_its_traceback_cannot_be_kept(planned: PlannedRow) -> None:
    Path(planned.work).parent.mkdir(parents=True)
    Path(planned.work).write_text("a file where a folder should be")
    result = failed(planned, odd_error(), SPENT)
    assert result.status == "failed"
    assert result.error is not None
    assert result.error.startswith("odd (its traceback could not be kept: ")
