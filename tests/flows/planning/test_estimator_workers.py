"""How many workers a run starts."""

from dataclasses import replace
from itertools import count

import pytest

from cluster.config import ClusterConfig
from flows.planning.estimator import Estimator, most_workers_of
from flows.rows.config import RenderConfig
from flows.rows.planned import PlannedRow
from flows.state.row_store import RowStore
from tests.flows.conftest import Cells, WriteManifest, sorted_rows
from tests.flows.planning.test_estimate import CALIBRATION


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


@pytest.mark.parametrize(
    ("cluster", "num_workers", "is_alone"),
    [
        (ClusterConfig(), 1, True),
        (ClusterConfig(), 2, False),
        (ClusterConfig(workers=1), 1, False),  # of Ray, since it was asked for
        (ClusterConfig(workers=0), 1, True),
        (ClusterConfig(address="127.0.0.1:6379"), 1, False),
    ],
)
def test_a_run_without_ray_starts_sooner(
    cluster: ClusterConfig, num_workers: int, is_alone: bool, config: RenderConfig
) -> None:
    estimator = Estimator(config, replace(CALIBRATION, start_s=2, alone_start_s=1))
    estimator.config = config.model_copy(update={"cluster": cluster})
    assert estimator.start_s(num_workers) == (1 if is_alone else 2)
