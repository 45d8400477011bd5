"""A worker without weights, in a module of its own: its processes start without the networks."""

import os
import signal
import time

import cv2
import torch
from torch import Tensor

from sonic_ops.core.config import ModelsConfig
from sonic_ops.core.errors import ConfigError

LARGE = 1 << 17
"""Numbers of a tensor that is too large to travel with a message: Ray keeps it by machine."""


class Counter:
    """A worker without weights."""

    def __init__(self, models: ModelsConfig) -> None:
        self._weights = models.weights

    def load(self) -> str:
        if self._weights == "wrong":
            raise ConfigError("these weights are wrong", remedy="Take others.")
        return "no processor"

    def numbers(self, first: int) -> Tensor:
        return torch.arange(first, first + LARGE)

    def add(self, *parts: Tensor) -> Tensor:
        return torch.stack(parts).sum(0)

    def slowly(self, part: Tensor, pause_s: float) -> Tensor:
        time.sleep(pause_s)
        return part

    def total(self, part: Tensor) -> int:
        return int(part.sum())

    def threads(self) -> tuple[int, int]:
        return torch.get_num_threads(), cv2.getNumThreads()

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def wrong(self) -> None:
        raise ValueError("this never works")

    def hungry(self, need: int, *, low_memory: bool = False) -> str:
        if need > (10 if low_memory else 1):
            raise MemoryError
        return "little memory" if low_memory else "much memory"
