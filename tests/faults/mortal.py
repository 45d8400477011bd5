"""A worker that dies of a signal at a chosen moment, once: everything else of it is real."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.video.jobs import DenoiseJob
from cluster.video.worker import RenderWorker
from sonic_ops.core.config import ModelsConfig


@dataclass(frozen=True, slots=True)
class Death:
    """The signal that ends the first worker which has done all of such a job but to return.

    With `raylet`, its process number, only a worker of that node dies, and the node before it.
    """

    method: str
    step: int | None = None
    signal: int = signal.SIGKILL
    raylet: int | None = None


class MortalWorker(RenderWorker):
    """`folder` remembers which deaths have been died, for the workers that come after."""

    def __init__(self, deaths: tuple[Death, ...], folder: str, models: ModelsConfig) -> None:
        super().__init__(models)
        self._deaths = deaths
        self._folder = Path(folder)

    def denoise(self, job: DenoiseJob, *arguments: Any, **options: Any) -> Any:
        made = super().denoise(job, *arguments, **options)
        self._die("denoise", job.step)
        return made

    def decode(self, *arguments: Any, **options: Any) -> Any:
        made = super().decode(*arguments, **options)
        self._die("decode")
        return made

    def encode(self, *arguments: Any, **options: Any) -> str:
        made = super().encode(*arguments, **options)
        self._die("encode")
        return made

    def _die(self, method: str, step: int | None = None) -> None:
        for death in self._deaths:
            mine = death.raylet in {None, os.getppid()}
            if mine and (death.method, death.step) == (method, step) and self._is_first(death):
                if death.raylet:
                    os.kill(death.raylet, signal.SIGKILL)
                os.kill(os.getpid(), death.signal)

    def _is_first(self, death: Death) -> bool:
        try:
            (self._folder / f"{death.method}-{death.step}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True
