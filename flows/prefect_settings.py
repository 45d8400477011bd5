"""Settings of Prefect that must stand before it is imported. What the user has set is kept.

Without a server of the user's, Prefect starts a temporary one inside this run, quiet and offline.
"""

import os
import tempfile
from importlib.metadata import version
from pathlib import Path

from flows.caches import cache_folder

_DEFAULTS = {
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "DO_NOT_TRACK": "1",
}
_CHOICES = {"PREFECT_HOME", "PREFECT_API_URL", "PREFECT_PROFILE"}


def prepare_prefect() -> None:
    """Set the environment for Prefect; nothing that is set already is changed."""
    for key, value in _DEFAULTS.items():
        os.environ.setdefault(key, value)
    if not (_CHOICES & os.environ.keys()) and not _has_profiles():
        os.environ["PREFECT_HOME"] = str(_home())


def _has_profiles() -> bool:
    """Whether the user has a Prefect of their own, whose settings count."""
    try:
        return (Path.home() / ".prefect" / "profiles.toml").is_file()
    except RuntimeError:
        return False


def _home() -> Path:
    """A folder for the temporary server's database; one per version, which its tables follow."""
    folder = cache_folder(f"prefect-{version('prefect')}")
    return folder or Path(tempfile.mkdtemp(prefix="sonic-prefect-"))
