"""A PATH of the programs that the README asks for, so that nothing else can be needed unseen."""

import os
import shutil
import sys
from pathlib import Path
from typing import Final

SYSTEM_PATH: Final = os.environ.setdefault("SONIC_TESTS_SYSTEM_PATH", os.environ["PATH"])
"""The PATH of this machine, for tests of the machine itself (marker `faults`)."""

_OTHERS: Final = ("bash", "sh", "git", "make")
_COREUTILS: Final = """
    [ b2sum base32 base64 basename cat chgrp chmod chown cksum comm cp csplit cut date dd df
    dir dirname du echo env expand expr factor false fmt fold head hostid id install join
    kill link ln logname ls md5sum mkdir mkfifo mknod mktemp mv nice nl nohup nproc numfmt
    od paste pathchk pr printenv printf pwd readlink realpath rm rmdir seq sha1sum sha256sum
    sha512sum shred shuf sleep sort split stat stdbuf stty sum sync tac tail tee test
    timeout touch tr true truncate tsort tty uname unexpand uniq unlink vdir wc whoami yes
"""


def fill_bare_path(folder: Path) -> str:
    """Link bash, git, make, python3 and the coreutils of this machine into a folder; the PATH."""
    for name in (*_OTHERS, *_COREUTILS.split()):
        if program := shutil.which(name, path=SYSTEM_PATH):
            (folder / name).symlink_to(program)
    (folder / "python3").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    return str(folder)
