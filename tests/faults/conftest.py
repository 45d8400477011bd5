"""The bench of the end-to-end tests serves the faults too."""

from tests.end_to_end.conftest import bench
from tests.flows.conftest import prefect_home

__all__ = ["bench", "prefect_home"]
