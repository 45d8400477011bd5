"""The bench of the end-to-end tests, and the small video of the cluster's, serve the faults too."""

from tests.cluster.conftest import local_pool, models, portrait_file, prepare
from tests.end_to_end.conftest import bench

__all__ = ["bench", "local_pool", "models", "portrait_file", "prepare"]
