"""A folder of this user for what may be lost at any time; none if the home is read-only."""

import os
import tempfile
from pathlib import Path


def cache_folder(name: str) -> Path | None:
    """Create `~/.cache/sonic-render/<name>` and return it; None if it is not writable."""
    try:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = root / "sonic-render" / name
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):  # Path.home() raises RuntimeError where there is no home
        return None
