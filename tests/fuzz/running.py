"""Feed a reader in a process of its own: it may not hang, die, eat memory or touch other files."""

import multiprocessing
import os
import random
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sonic_ops.core.errors import SonicError
from tests.fuzz.kinds import KINDS, check, seeds_of
from tests.fuzz.mutations import mutated

TIMEOUT_S = 10.0
MAX_MB = 2048
_WRITES = {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.symlink", "os.link", "os.truncate"}
_REFUSED = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect"}
_SECRETS = ("/etc/passwd", "/etc/shadow", "/dev/zero", "/dev/random")


@dataclass(frozen=True)
class Find:
    """An input that a reader does not take as it should, and what it did."""

    kind: str
    number: int
    what: str


def content_of(kind: str, seed: int, number: int) -> bytes:
    """Make the input of a number."""
    dice = random.Random(f"{kind} {seed} {number}")
    return mutated(seeds_of(kind), dice, is_text=KINDS[kind].is_text)


def finds(kind: str, seed: int, count: int, start: int = 0) -> Iterator[Find]:
    """Read many inputs; yield those that are not taken as they should."""
    numbers = range(start, start + count)
    yield from _finds(kind, ((n, content_of(kind, seed, n)) for n in numbers))


def finds_in(kind: str, contents: list[bytes]) -> list[Find]:
    """Read given inputs."""
    return list(_finds(kind, enumerate(contents)))


def _finds(kind: str, contents: Iterable[tuple[int, bytes]]) -> Iterator[Find]:
    context = multiprocessing.get_context("fork")
    seeds_of(kind)
    worker: Any = None
    pipe: Connection | None = None
    for number, content in contents:
        if worker is None or pipe is None:
            pipe, theirs = context.Pipe()
            worker = context.Process(target=_work, args=(kind, theirs), daemon=True)
            worker.start()
            theirs.close()
        pipe.send_bytes(content)
        try:
            what = pipe.recv() if pipe.poll(TIMEOUT_S) else f"a hang of {TIMEOUT_S:g} s"
        except EOFError:
            worker.join()
            what = f"its process died ({worker.exitcode})"
        if what:
            yield Find(kind, number, what)
        if what and ("hang" in what or "died" in what):
            worker.kill()
            worker = None
    if worker is not None:
        worker.kill()


def _work(kind: str, pipe: Connection) -> None:
    """Read inputs until there are none; answer what is wrong with each reading, if anything is."""
    touched: list[str] = []
    with tempfile.TemporaryDirectory(prefix="sonic-fuzz-") as folder:
        tempfile.tempdir = folder
        path = Path(folder) / f"m.{KINDS[kind].ending}"
        sys.addaudithook(lambda event, args: _watch(event, args, folder, touched))
        while True:
            try:
                path.write_bytes(pipe.recv_bytes())
            except EOFError:
                return
            touched.clear()
            Path("/proc/self/clear_refs").write_text("5")
            touched.clear()
            before_mb = _memory_mb("VmRSS")  # of all that was there when the process began
            what = _outcome(kind, path)
            what = what or (f"touched {touched[0]}" if touched else "")
            taken_mb = _memory_mb("VmHWM") - before_mb
            pipe.send(what or (f"{taken_mb:.0f} MB of memory" if taken_mb > MAX_MB else ""))


def _memory_mb(name: str) -> float:
    """Return a figure that the system keeps about this process."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024


def _outcome(kind: str, path: Path) -> str:
    try:
        try:
            KINDS[kind].read(path)
        except SonicError as error:
            check(error)
    except BaseException as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        return f"{type(error).__name__} at {place}: {str(error)[:100]}"
    return ""


def _watch(event: str, args: tuple[Any, ...], folder: str, touched: list[str]) -> None:
    if event in _REFUSED:
        touched.append(f"{event} {args[:2]}")
    elif event in ("open", *_WRITES) and isinstance(args[0], str | bytes | os.PathLike):
        path = os.fsdecode(args[0])
        is_written = event != "open" or bool(args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        if path in _SECRETS or (is_written and not _is_allowed(path, folder)):
            touched.append(f"{path} ({event})")


def _is_allowed(path: str, folder: str) -> bool:
    """Return whether a path is in the folder, or what Python itself writes."""
    is_ours = f"{path}/".startswith((f"{folder}/", "/dev/null/"))
    return is_ours or "__pycache__" in path or not path.startswith("/")
