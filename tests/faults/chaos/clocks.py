"""Clocks that can be set: the kernel has one for all nodes, so the calls that read it are replaced.

`clock.c` is preloaded into all processes of a node. Only the time of day jumps; what counts the
seconds since the start of the machine goes on, as it does when somebody sets the clock.
"""

import os
import shutil
import subprocess
from pathlib import Path
from struct import pack

from tests.bare import SYSTEM_PATH

_SOURCE = Path(__file__).with_name("clock.c")


class Clock:
    """The clock of a node. Without a C compiler it cannot be set."""

    def __init__(self, number: int, folder: Path) -> None:
        self._file = folder / f"clock{number}"
        self._library = folder / "clock.so"
        if not self._library.exists() and (compiler := shutil.which("cc", path=SYSTEM_PATH)):
            command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(self._library), str(_SOURCE)]
            subprocess.run(command, env=os.environ | {"PATH": SYSTEM_PATH}, check=True)
        self.set(0)

    @property
    def can_be_set(self) -> bool:
        return self._library.exists()

    def set(self, offset_s: int) -> None:
        """Let it be that much ahead of the real one from now on, at once for all processes."""
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(pack("@l", offset_s))

    def env(self) -> dict[str, str]:
        """The environment of processes that go by it."""
        if not self.can_be_set:
            return {}
        return {"LD_PRELOAD": str(self._library), "SONIC_CHAOS_CLOCK": str(self._file)}
