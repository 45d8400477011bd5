"""A folder of this user for what may be lost at any time; none if the home is read-only."""

import os
import tempfile
from pathlib import Path


def cache_folder(name: str) -> Path | None:
    """`~/.cache/sonic-render/<name>`, made if need be; None if nothing can be written there."""
    try:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = root / "sonic-render" / name
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):  # Path.home() raises RuntimeError where there is no home
        return None
