"""Settings of Prefect that must stand before it is imported. What the user has set is kept.

Without a server of the user's, Prefect starts a temporary one inside this run, quiet and offline.
"""

import atexit
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from threading import Lock, Thread

from flows.caches import cache_folder
from flows.supervisor.channel import watched
from flows.supervisor.watchdog import end_with_us
from sonic_ops.core.errors import ConfigError

_DEFAULTS = {
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    # Of a temporary server: nothing reads its events, most of its database, of which each of its
    # connections keeps up to 80 MB in memory. It has no automations that they could trigger.
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}
_SERVER = "prefect.server.api.server:create_app"  # of its command line
_HEARTBEAT = "flows.heartbeat_frequency"
_WATCHED: set[int] = set()
_IMPORTED = ("prefect.flows", "prefect.tasks", "prefect.artifacts")
_SHARED = "pydantic.v1"
"""Its modules import each other, so two threads that import it at once may both fail; Ray and
Prefect do."""
_CHOICES = {"PREFECT_HOME", "PREFECT_API_URL", "PREFECT_PROFILE"}


def prepare_prefect() -> None:
    """Set the environment for Prefect; nothing that is set already is changed."""
    for key, value in _DEFAULTS.items():
        os.environ.setdefault(key, value)
    if not (_CHOICES & os.environ.keys()) and not _has_profiles():
        os.environ["PREFECT_HOME"] = str(_home())
    if not _has_server():
        _lock_server()


def _lock_server() -> None:
    """Let the temporary server answer this command alone, no other user and no web page.

    The token is in the environment, which only this user can read, and new for every command.
    """
    if "PREFECT_SERVER_API_AUTH_STRING" not in os.environ:
        token = f"sonic:{secrets.token_urlsafe(32)}"
        os.environ["PREFECT_SERVER_API_AUTH_STRING"] = os.environ["PREFECT_API_AUTH_STRING"] = token
    os.environ.setdefault("PREFECT_SERVER_CORS_ALLOWED_ORIGINS", "http://127.0.0.1:1")


def _has_server() -> bool:
    """Return whether the user may have a server: by the environment, a profile, or a file here."""
    if "PREFECT_API_URL" in os.environ or Path("prefect.toml").exists() or Path(".env").exists():
        return True
    try:
        home = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect")
    except RuntimeError:  # no home
        return False
    return _names(home / "profiles.toml", "PREFECT_API_URL") or _names(
        Path("pyproject.toml"), "[tool.prefect"
    )


def _names(path: Path, words: str) -> bool:
    try:
        return words in path.read_text(errors="replace")
    except OSError:
        return False


@contextmanager
def prefect_running() -> Iterator[bool]:
    """Start the temporary server, and have it watched, or find the user's, which is not ours.

    Yields whether it is temporary. Raises ConfigError if none answers.
    """
    with ExitStack() as stack:
        stack.enter_context(watched("Prefect's temporary server", _SERVER))
        is_temporary = reach_prefect()
        if not is_temporary:
            stack.close()
        yield is_temporary


class EarlyPrefect:
    """Prefect, started in the background as soon as it is known that something will be rendered.

    Until it has been waited for, nobody else may import Prefect.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._thread: Thread | None = None
        self._error: BaseException | None = None
        self._is_temporary = False
        self._stack = ExitStack()

    def start(self) -> None:
        """Begin to import Prefect and to start its server, once; called from several threads."""
        with self._lock:
            if self._thread is None:
                prepare_prefect()
                import_module(_SHARED)
                self._thread = Thread(target=self._start, name="prefect", daemon=True)
                self._thread.start()

    def wait(self) -> None:
        """Wait until the server answers. Raises ConfigError if none does."""
        self.start()
        assert self._thread is not None
        self._thread.join()
        if self._error:
            raise self._error

    def settings(self) -> dict[str, None]:
        """Return the settings that the environment cannot give to Prefect, once it was waited for.

        A temporary server has no automation that could miss a heartbeat, and each flow would wait
        up to a second for the end of its own.
        """
        return {_HEARTBEAT: None} if self._is_temporary else {}

    def close(self) -> None:
        """Let go of the server; one that is still starting ends with this process."""
        if self._thread is None or not self._thread.is_alive():
            self._stack.close()

    def _start(self) -> None:
        try:
            for name in _IMPORTED:
                import_module(name)
            self._is_temporary = self._stack.enter_context(prefect_running())
        except BaseException as error:  # raised where it is waited for
            self._error = error


def reach_prefect() -> bool:
    """Find a server, and tell whether it is temporary. Raises ConfigError if none answers.

    A temporary server ends with this process, also if it is killed.
    """
    from prefect.client.orchestration import get_client
    from prefect.server.api.server import SubprocessASGIServer

    try:
        with get_client(sync_client=True) as client:
            client.raise_for_api_version_mismatch()
    except RuntimeError as error:
        raise ConfigError(
            f"Prefect cannot be reached: {error}",
            remedy="Start the server at PREFECT_API_URL, or unset it to use a temporary one.",
        ) from error
    server = SubprocessASGIServer().server_process
    if server is None:
        return False
    if server.pid not in _WATCHED:
        _WATCHED.add(server.pid)
        end_with_us(server.pid)
    return True


def _has_profiles() -> bool:
    """Return whether the user has configured Prefect; their settings are kept."""
    try:
        return (Path.home() / ".prefect" / "profiles.toml").is_file()
    except RuntimeError:
        return False


def _home() -> Path:
    """Return the folder of the temporary server's database, one per Prefect version."""
    folder = cache_folder(f"prefect-{version('prefect')}")
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="sonic-prefect-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o700)  # its database names rows, files and results
    return folder
