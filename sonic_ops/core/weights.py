"""Folders of weights: whole, or over a base whose parts they share.

Nothing but the standard library is imported here: training may run where there is no fsspec.
"""

import json
from pathlib import Path

from sonic_ops.core.errors import ConfigError

PACKAGE_WEIGHTS = Path(__file__).parent.parent / "weights"
PACKAGED = "package:"
BASE = "base.json"
"""In a weights folder: `{"weights": "../sketch"}` names another for the parts that are not here."""
CHANGES = "changes.safetensors"
"""In the folder of a part: the weights in which it differs from that of the base."""


def weights_folder(weights: str) -> Path:
    """Return the folder of `models.weights`: `package:NAME`, or a path. Raises ConfigError."""
    folder = Path(weights)
    if weights.startswith(PACKAGED):
        folder = PACKAGE_WEIGHTS / weights.removeprefix(PACKAGED)
    if not (weights_part(folder, "unet") / "config.json").is_file():
        raise ConfigError(
            f"There are no weights in {folder}",
            remedy="Set models.weights in the preset to a folder with unet/, vae/ and so on.",
        )
    return folder


def weights_part(folder: Path, part: str) -> Path:
    """Return the folder of one part of some weights: their own, or that of their base."""
    base, own = weights_base(folder), folder / part
    is_whole = own.is_dir() and not (own / CHANGES).is_file()
    return own if base is None or is_whole else base / part


def weights_files(folder: Path, part: str) -> list[Path]:
    """Return the safetensors files of one part; what a later one holds replaces earlier weights."""
    files, changes = (
        sorted(weights_part(folder, part).glob("*.safetensors")),
        folder / part / CHANGES,
    )
    return [*files, *([changes] if changes.is_file() and changes not in files else [])]


def weights_base(folder: Path) -> Path | None:
    """Return the weights folder that `base.json` names for the parts that this one lacks."""
    file = folder / BASE
    return folder / str(json.loads(file.read_bytes())["weights"]) if file.is_file() else None


def weights_notice(weights: str) -> str | None:
    """Return the first line of the weights' NOTICE, to print when they are used."""
    notice = weights_folder(weights) / "NOTICE"
    return notice.read_text("utf-8").partition("\n")[0] if notice.is_file() else None
