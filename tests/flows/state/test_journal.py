"""What became of a row is on the disk as soon as it is known, and reaches the table in the end."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from flows.rows.config import RenderConfig
from flows.state.journal import Journal, folder_of, journaled
from flows.state.leases import Leases
from flows.state.results import RowResult
from flows.state.row_store import RowStore
from sonic_ops.core.files import names_in
from tests.flows.conftest import Cells, WriteManifest, sorted_rows, unreadable

LONG_S = 3600.0
DONE = RowResult(1, "a", "done", output="/a.mp4", fingerprint="f", video_s=2.0)
FAILED = RowResult(2, "b", "failed", output="/b.mp4", fingerprint="g", error="it failed")


@pytest.fixture(params=["local", "remote"])
def results(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    local = request.param == "local"
    return f"{tmp_path if local else f'memory://journal/{tmp_path.name}'}/m.results.parquet"


def test_results_can_be_read_while_the_run_goes_on(results: str) -> None:
    assert list(journaled(results)) == []
    journal = Journal(results, Leases(LONG_S))
    journal.record(DONE)
    assert list(journaled(results)) == [DONE]
    journal.record(FAILED)
    assert list(journaled(results)) == [DONE, FAILED]
    with journal.alone():
        journal.close(journal.ended())
    assert names_in(folder_of(results)) == frozenset()


def test_a_run_removes_what_a_dead_one_left_and_not_what_a_living_one_writes(results: str) -> None:
    dead, living, own = (Journal(results, Leases(s)) for s in (0.0, LONG_S, LONG_S))
    for journal in (dead, living, own):
        journal.record(DONE)
    own.close(own.ended())
    assert list(journaled(results)) == [DONE]
    living.close(living.ended())
    assert list(journaled(results)) == []


def test_what_is_written_after_the_table_was_made_stays(results: str) -> None:
    own, late = (Journal(results, Leases(s)) for s in (LONG_S, 0.0))
    own.record(DONE)
    ended = own.ended()
    late.record(FAILED)
    own.close(ended)
    assert list(journaled(results)) == [FAILED]


def test_of_two_runs_that_end_one_waits_for_the_other(results: str) -> None:
    first, second = (Journal(results, Leases(LONG_S)) for _ in range(2))
    order: list[str] = []

    def end() -> None:
        with second.alone():
            order.append("second")

    with ThreadPoolExecutor(1) as threads:
        with first.alone():
            waits = threads.submit(end)
            with pytest.raises(TimeoutError):
                waits.result(0.3)
            order.append("first")
        waits.result()
    assert order == ["first", "second"]
    assert names_in(folder_of(results)) == frozenset()


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    results = str(tmp_path / "m.results.parquet")
    Journal(results, Leases(LONG_S)).record(DONE)
    (file,) = Path(folder_of(results)).glob("*.jsonl")
    file.write_text(file.read_text() + '{"row": 2, "id": "b", "sta')
    assert list(journaled(results)) == [DONE]


def test_a_line_that_could_not_be_written_can_be_tried_again(tmp_path: Path) -> None:
    results, leases = str(tmp_path / "m.results.parquet"), Leases(LONG_S)
    journal = Journal(results, leases)
    file = unreadable(Path(folder_of(results)) / f"{leases.owner}.jsonl")
    with pytest.raises(OSError, match="symbolic links"):
        journal.record(DONE)
    file.unlink()
    file.write_text('{"row": 1, "id": "a", "sta')  # what a full disk took of it
    journal.record(DONE)
    journal.record(FAILED)
    assert list(journaled(results)) == [DONE, FAILED]


def test_a_journal_that_cannot_be_read_is_not_taken_for_empty(tmp_path: Path) -> None:
    results = str(tmp_path / "m.results.parquet")
    unreadable(Path(folder_of(results)) / "b.jsonl")
    with pytest.raises(OSError, match="symbolic links"):
        list(journaled(results))


@pytest.fixture
def store(config: RenderConfig, good: Cells, write_manifest: WriteManifest) -> RowStore:
    """A store with one row to render."""
    store = RowStore()
    for planned in sorted_rows(write_manifest(good), config).planned:
        store.plan(planned)
    return store


def told(store: RowStore, **cells: object) -> RowResult:
    """What another run says of the one row."""
    (planned,) = store.planned()
    content = {"output": planned.row.output, "fingerprint": planned.fingerprint}
    return RowResult(7, planned.row.id, **content | cells)  # type: ignore[arg-type]


def test_planned_rows_come_back_as_they_were(
    config: RenderConfig, good: Cells, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    boxed = {"id": "boxed", "output": str(tmp_path / "b.mp4"), "face_box": [10, 10, 90, 90.5]}
    rows = sorted_rows(write_manifest(good, good | boxed | {"seed": 3}), config).planned
    store = RowStore()
    for planned in rows:
        store.plan(planned)
    assert tuple(store.planned()) == rows


def test_a_row_that_was_not_reached_is_waiting(store: RowStore) -> None:
    (result,) = store.results()
    assert (result.row, result.id, result.status) == (1, "good", "waiting")


def test_what_an_earlier_run_said_counts_until_this_one_says_something(store: RowStore) -> None:
    store.remember(told(store, status="failed", error="it failed"))
    (result,) = store.results()
    assert (result.row, result.status, result.error) == (1, "failed", "it failed")
    store.record(replace(told(store, status="done"), row=1))
    (result,) = store.results()
    assert result.status == "done"


def test_what_was_said_of_another_form_of_the_row_does_not_count(store: RowStore) -> None:
    store.remember(told(store, status="failed", fingerprint="another"))
    (result,) = store.results()
    assert result.status == "waiting"


def test_a_video_of_another_form_of_the_row_hides_nothing(store: RowStore) -> None:
    store.remember(told(store, status="done", fingerprint="another"))
    store.remember(told(store, status="failed", error="first"))
    store.remember(told(store, status="failed", error="last"))
    store.remember(told(store, status="done", fingerprint="another"))
    (result,) = store.results()
    assert (result.status, result.error) == ("failed", "last")


def test_a_row_locked_by_is_done_if_that_command_says_so(store: RowStore) -> None:
    own = told(store, status="locked")
    store.record(replace(own, row=1))
    store.remember(replace(own, status="done", video_s=2.0))
    store.remember(replace(own, status="failed"))
    (result,) = store.results()
    assert (result.row, result.status, result.video_s) == (1, "done", 2.0)
    assert [planned.row.id for planned in store.planned("locked")] == ["good"]
