"""Settings of the machines that render."""

from typing import Annotated

from pydantic import Field

from sonic_ops.core.config import Count
from sonic_ops.core.settings import Settings


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
    job_timeout_s: Annotated[float, Field(gt=0)] = Field(
        default=1800,
        description="a job that takes longer counts as hung and runs on another worker; after the "
        "first of its kind the limit is 20 times their mean, or `worker_timeout_s` if that is more",
    )
    mixed_processors: bool = Field(
        default=False,
        description="also use workers on another kind of processor than the first worker's; then "
        "the same command may give other bits",
    )
    memory_per_worker_gb: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="memory that Ray reserves for a worker. If unset, Ray does not look at memory",
    )
    max_retries: Annotated[int, Field(ge=0)] = Field(
        default=3, description="how often a job is retried after losing its worker"
    )

    def may_be_alone(self, device: str) -> bool:
        """Tell whether one process of this machine may do all the work: nobody asked for more."""
        return self.workers is None and self.address is None and device == "cpu"

    @property
    def memory_bytes(self) -> int | None:
        """Memory that Ray reserves for a worker."""
        return None if self.memory_per_worker_gb is None else int(self.memory_per_worker_gb * 1e9)
