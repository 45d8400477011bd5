"""The command `sonic`, also as `python -m flows`: the command line in a child of its supervisor."""

import os
import re
import sys

from flows.supervisor import program
from flows.supervisor.supervisor import Supervisor


def main() -> None:
    """Run the command line until it has an exit status; it may need more than one start."""
    _rename_arguments()
    supervisor = Supervisor()
    while True:
        reader, writer = os.pipe()
        if not (child := os.fork()):
            os.close(reader)
            return program.run(_command, writer, only_results=supervisor.only_results)
        os.close(writer)
        if (status := supervisor.watch(child, reader)) is not None:
            sys.exit(status)


def _command() -> None:
    """Run the command line, which is imported in the child alone."""
    from flows.cli import main as command

    command()


def _rename_arguments() -> None:
    """Begin again with `file://` URLs for names that are not UTF-8.

    Ray and Prefect keep the command line of the process as text, and fail if it is none.
    """
    given = sys.argv[1:]
    if "".join(given).encode(errors="surrogateescape").decode(errors="replace") == "".join(given):
        return
    from sonic_ops.core.files import as_text

    split = [re.match(r"(--?[\w-]+=|[\w-]+=)?(.*)", argument, re.DOTALL) for argument in given]
    renamed = [f"{match[1] or ''}{as_text(match[2])}" for match in split if match]
    interpreter = sys.orig_argv[: len(sys.orig_argv) - len(given)]
    os.execv(sys.executable, [*interpreter, *renamed])


if __name__ == "__main__":
    main()
