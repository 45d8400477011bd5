"""How many workers a run starts."""

from dataclasses import replace
from itertools import count

import pytest

from flows.pipeline.launch import most_workers_of
from flows.rows.config import RenderConfig
from flows.rows.planned import PlannedRow
from flows.state.row_store import RowStore
from tests.flows.conftest import Cells, WriteManifest, sorted_rows


@pytest.fixture
def planned(config: RenderConfig, good: Cells, write_manifest: WriteManifest) -> PlannedRow:
    return sorted_rows(write_manifest(good), config).planned[0]


@pytest.mark.parametrize(
    ("costs_s", "num_workers"),
    [
        ([3.0, 3.0], 1),  # done before Ray would have started two
        ([3.0, 30.0], 2),
        ([3.0, None], 2),  # not known
        ([0.1] * 17, 17),
    ],
)
def test_a_little_work_starts_no_second_worker(
    costs_s: list[float | None], num_workers: int, planned: PlannedRow, config: RenderConfig
) -> None:
    store, numbers = RowStore(), count(1)
    for cost_s in costs_s:
        row = replace(planned.row, number=next(numbers))
        store.plan(replace(planned, row=row, planned_worker_s=cost_s))
    assert most_workers_of(store, config) == num_workers
