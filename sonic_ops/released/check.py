"""Whether a weights folder is complete, fits its configuration, and is as it was written."""

from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch

from sonic_ops.core.errors import ConfigError
from sonic_ops.core.weights import weights_files, weights_part
from sonic_ops.interpolation.rife import load_flownet
from sonic_ops.models.inventory import compare, read_config, shapes_of, stored_shapes
from sonic_ops.models.loading import (
    PORTRAIT_DECODER,
    as_stored,
    build_network,
    computed_weights,
)
from sonic_ops.released.convert import CHECKSUMS, PARTS, sha256_of


@dataclass(frozen=True, slots=True)
class PartReport:
    """What a part of a weights folder holds; `problem` is empty if nothing is wrong."""

    name: str
    num_weights: int = 0
    num_parameters: int = 0
    dtypes: tuple[str, ...] = ()
    problem: str = ""

    def __str__(self) -> str:
        if self.problem:
            return f"{self.name}: WRONG, {self.problem}"
        if not self.num_weights:
            return f"{self.name}: right"
        millions, dtypes = self.num_parameters / 1e6, ", ".join(self.dtypes)
        return f"{self.name}: right, {self.num_weights} weights, {millions:.1f} million {dtypes}"


def check_weights(folder: Path) -> list[PartReport]:
    """Report on every part. Reads headers only, and checksums where they are recorded."""
    parts = [part.name for part in PARTS]
    if weights_part(folder, PORTRAIT_DECODER).is_dir():
        parts.append(PORTRAIT_DECODER)
    reports = [_check_part(folder, part) for part in parts]
    return [*reports, _check_scheduler(folder), _check_flownet(folder), *_check_sums(folder)]


def _check_part(folder: Path, part: str) -> PartReport:
    try:
        with torch.device("meta"):
            network = build_network(folder, part)
        stored, dtypes = stored_shapes(weights_files(folder, part))
    except ConfigError as error:
        return PartReport(part, problem=error.message)
    needed = shapes_of(as_stored(network))
    difference = compare(needed, stored, computed_weights(network).keys())
    size = sum(prod(shape) for shape in stored.values())
    problem = f"it does not fit its config.json: {difference}" if difference else ""
    return PartReport(part, len(stored), size, tuple(sorted(dtypes)), problem)


def _check_scheduler(folder: Path) -> PartReport:
    try:
        read_config(folder, "scheduler")
    except ConfigError as error:
        return PartReport("scheduler", problem=error.message)
    return PartReport("scheduler")


def _check_flownet(folder: Path) -> PartReport:
    try:
        load_flownet(weights_part(folder, "rife"))
    except ConfigError as error:
        return PartReport("rife", problem=error.message)
    return PartReport("rife")


def _check_sums(folder: Path) -> list[PartReport]:
    path = folder / CHECKSUMS
    if not path.is_file():
        return []
    lines = [line.partition("  ") for line in path.read_text().splitlines()]
    changed = [name for checksum, _, name in lines if not _holds(folder / name, checksum)]
    problem = f"changed since they were written: {', '.join(changed)}" if changed else ""
    return [PartReport("checksums", problem=problem)]


def _holds(path: Path, checksum: str) -> bool:
    return path.is_file() and sha256_of(path) == checksum
