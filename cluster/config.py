"""Settings of the machines that render."""

from typing import Annotated

from pydantic import Field

from sonic_ops.core.config import Count, Settings


class ClusterConfig(Settings):
    """Where the mathematics runs.

    Only `threads_per_worker` changes bits: threads split the sums of a matrix product.
    """

    workers: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="0: run in this process. If unset, as many as fit the machine"
    )
    threads_per_worker: Count = Field(
        default=1,
        description="CPU threads; they decide the last bits, so every worker has the same number",
    )
    cpus_per_worker: Annotated[float, Field(gt=0)] = Field(
        default=1.0,
        description="CPUs that Ray reserves per worker",
    )
    gpus_per_worker: Annotated[float, Field(ge=0)] = Field(
        default=0.0,
        description="GPUs that Ray reserves per worker",
    )
    address: str | None = Field(
        default=None, description="Ray cluster to join. If unset, one is started on this machine"
    )
    start_timeout_s: Annotated[float, Field(gt=0)] = Field(
        default=600,
        description="how long workers may wait for resources and for loading their weights",
    )
    worker_timeout_s: Annotated[float, Field(gt=0)] = Field(
        default=60, description="a worker that answers no ping for so long counts as lost"
    )
    max_retries: Annotated[int, Field(ge=0)] = Field(
        default=3, description="how often a job is retried after losing its worker"
    )
