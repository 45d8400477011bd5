"""Workers that die, hang or find a dead store, once, at a chosen moment: all else is real."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from cluster.video.jobs import DenoiseJob
from cluster.video.worker import RenderWorker
from sonic_ops.core.config import ModelsConfig


@dataclass(frozen=True, slots=True)
class Death:
    """The signal that ends the first worker which has done all of such a job but to return.

    Without a signal that worker blocks, and still answers pings. With `raylet`, its process number,
    only a worker of that node dies, and the node before it.
    """

    method: str
    step: int | None = None
    signal: int | None = signal.SIGKILL
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

    def dub(self, *arguments: Any, **options: Any) -> str:
        made = super().dub(*arguments, **options)
        self._die("dub")
        return made

    def _die(self, method: str, step: int | None = None) -> None:
        for death in self._deaths:
            mine = death.raylet in {None, os.getppid()}
            if mine and (death.method, death.step) == (method, step) and self._is_first(death):
                if death.raylet:
                    os.kill(death.raylet, signal.SIGKILL)
                if death.signal is not None:
                    os.kill(os.getpid(), death.signal)
                block_for_ever()

    def _is_first(self, death: Death) -> bool:
        try:
            (self._folder / f"{death.method}-{death.step}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


class SilentStore(LocalFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Local files at `silent://`; what is asked first for a file of `folder` gets no answer."""

    protocol = "silent"
    folder = ""
    marker: Path | None = None

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("silent://")))

    def exists(self, path: str, **options: Any) -> bool:
        """Answer, or wait for ever."""
        if self.marker and self.folder in str(path):
            try:
                self.marker.touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                block_for_ever()
        return bool(super().exists(path, **options))


fsspec.register_implementation("silent", SilentStore, clobber=True)


class SilentlyStoringWorker(RenderWorker):
    """A worker whose store is silent once, for all workers that share `marker`."""

    def __init__(self, folder: str, marker: str, models: ModelsConfig) -> None:
        super().__init__(models)
        SilentStore.folder, SilentStore.marker = folder, Path(marker)


def block_for_ever() -> None:
    """Do nothing, as a call of a device or a store does that never returns."""
    while True:
        time.sleep(60)
