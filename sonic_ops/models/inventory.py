"""The names and shapes of weights: what a network needs against what a file holds."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from sonic_ops.core.errors import ConfigError
from sonic_ops.core.weights import weights_part

Shape: TypeAlias = tuple[int, ...]
NUM_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Difference:
    """What is wrong with the weights of a network; false if nothing is."""

    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    reshaped: tuple[str, ...] = ()  # in words: the shape found, and the one that is needed

    def __bool__(self) -> bool:
        return bool(self.missing or self.unknown or self.reshaped)

    def __str__(self) -> str:
        """Describe the difference, naming the first few of each kind."""
        kinds = (
            (self.missing, "missing"),
            (self.unknown, "unknown"),
            (self.reshaped, "of another shape"),
        )
        return ", ".join(f"{len(n)} weights are {kind} ({_some(n)})" for n, kind in kinds if n)


def compare(
    needed: Mapping[str, Shape], found: Mapping[str, Shape], optional: Collection[str] = ()
) -> Difference:
    """Compare the weights found with those needed; `optional` ones may be missing."""
    reshaped = (
        f"{name}: {_in_words(found[name])} and not {_in_words(shape)}"
        for name, shape in sorted(needed.items())
        if name in found and found[name] != shape
    )
    return Difference(
        missing=tuple(sorted(needed.keys() - found.keys() - set(optional))),
        unknown=tuple(sorted(found.keys() - needed.keys())),
        reshaped=tuple(reshaped),
    )


def shapes_of(weights: nn.Module | Mapping[str, Tensor]) -> dict[str, Shape]:
    """Return names and shapes of the weights of a network, which may be on the meta device."""
    named = weights.state_dict() if isinstance(weights, nn.Module) else weights
    return {name: tuple(value.shape) for name, value in named.items()}


def stored_shapes(files: Iterable[Path]) -> tuple[dict[str, Shape], set[str]]:
    """Read names, shapes and dtypes from safetensors headers. Raises ConfigError."""
    shapes: dict[str, Shape] = {}
    dtypes: set[str] = set()
    for path in files:
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - no mapping
                    part = file.get_slice(name)
                    shapes[name] = tuple(part.get_shape())
                    dtypes.add(part.get_dtype())
        except (SafetensorError, OSError) as error:
            raise unreadable(path, error) from error
    return shapes, dtypes


def read_weights(files: Iterable[Path], dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Read the tensors of safetensors files into memory of their own. Raises ConfigError."""
    weights: dict[str, Tensor] = {}
    for path in files:
        try:
            # Copies: the file may be replaced meanwhile, and lies at any multiple of 8 bytes.
            weights |= {n: value.to(dtype, copy=True) for n, value in load_file(path).items()}
        except (SafetensorError, OSError, ValueError, RuntimeError, KeyError) as error:
            raise unreadable(path, error) from error
    return weights


def read_config(folder: Path, part: str) -> dict[str, Any]:
    """Read the configuration of a part of a weights folder. Raises ConfigError."""
    name = "scheduler_config.json" if part == "scheduler" else "config.json"
    path = weights_part(folder, part) / name
    if not path.exists():
        raise ConfigError(
            f"{part}/{name} is missing from {folder}", remedy="Complete the weights folder."
        )
    try:
        return dict(json.loads(path.read_bytes()))
    except (ValueError, TypeError, OSError, RecursionError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> ConfigError:
    """Make the error of a damaged weights file."""
    reason = str(error).partition("\n")[0] or type(error).__name__
    return ConfigError(
        f"{path} cannot be read ({reason})", remedy="Fetch or convert the weights again."
    )


def _some(names: tuple[str, ...]) -> str:
    rest = len(names) - NUM_SHOWN
    return ", ".join(names[:NUM_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _in_words(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "one number"
