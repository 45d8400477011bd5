"""Reading a file of weights without running anything that is in it."""

import pickle
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sonic_ops.core.errors import ConfigError
from sonic_ops.models.inventory import unreadable


def read_checkpoint(path: Path, prefix: str = "") -> dict[str, Tensor]:
    """Load the weights whose names start with `prefix`, without it.

    They stay in the file until they are used. Raises ConfigError if the file is damaged or holds
    anything but tensors: a pickle is never executed.
    """
    try:
        held = load_file(path) if path.suffix == ".safetensors" else _read_pth(path)
    except pickle.UnpicklingError as error:
        raise _not_plain(path) from error
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise unreadable(path, error) from error
    if not isinstance(held, dict) or not all(_is_weight(*entry) for entry in held.items()):
        raise _not_plain(path)
    return {name[len(prefix) :]: held[name] for name in held if name.startswith(prefix)}


def _read_pth(path: Path) -> object:
    lazily = zipfile.is_zipfile(path)  # only the newer form can be mapped into memory
    return torch.load(path, map_location="cpu", weights_only=True, mmap=lazily)


def _is_weight(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, Tensor)


def _not_plain(path: Path) -> ConfigError:
    return ConfigError(
        f"{path} contains more than tensors and was not opened",
        remedy="Download it again from its authors; never use pickles of unknown origin.",
    )
