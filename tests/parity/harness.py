"""A folder of golden cases, and what one comparison with it gave."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tests.parity import recipe


@dataclass(frozen=True, slots=True)
class Outcome:
    """One quantity of one case against its golden value."""

    case: str
    quantity: str
    max_error: float
    mean_error: float
    max_allowed: float
    mean_allowed: float

    @property
    def passed(self) -> bool:
        return self.max_error <= self.max_allowed and self.mean_error <= self.mean_allowed


def compare(
    case: str,
    quantity: str,
    ours: Tensor,
    golden: Tensor,
    *,
    max_allowed: float,
    mean_allowed: float | None = None,
) -> Outcome:
    """Absolute differences; another shape or a value that is not finite is infinitely wrong."""
    allowed = (max_allowed, max_allowed if mean_allowed is None else mean_allowed)
    if ours.shape != golden.shape or not bool(torch.isfinite(ours.double()).all()):
        return Outcome(case, quantity, float("inf"), float("inf"), *allowed)
    error = (ours.double() - golden.double()).abs()
    if error.numel() == 0:
        return Outcome(case, quantity, 0.0, 0.0, *allowed)
    return Outcome(case, quantity, error.max().item(), error.mean().item(), *allowed)


def same(case: str, quantity: str, ours: object, golden: object) -> Outcome:
    """Integers, shapes and digests are equal or infinitely wrong."""
    error = 0.0 if ours == golden else float("inf")
    return Outcome(case, quantity, error, error, 0.0, 0.0)


class Cases:
    """A folder in the format of the golden cases; a file that is not there reads as empty."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def configs(self) -> dict[str, Any]:
        return dict(self.json("configs.json"))

    def json(self, name: str) -> Any:
        path = self.folder / name
        return json.loads(path.read_text()) if path.exists() else []

    def tensors(self, name: str) -> dict[str, Tensor]:
        path = self.folder / name
        return load_file(path) if path.exists() else {}

    def fill(self, name: str, module: nn.Module) -> nn.Module:
        """Load the weights file of `name` in float32, or the recipe's weights without one."""
        weights = {k: v.float() for k, v in self.tensors(f"weights/{name}.safetensors").items()}
        if weights:
            module.load_state_dict(weights, strict=True)
        else:
            overrides: Mapping[str, Any] = self.configs.get("overrides", {})
            recipe.fill_(module, self.configs["weights_seed"], overrides.get(name, ()))
        return module.eval()
