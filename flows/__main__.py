"""The command `sonic`, also as `python -m flows`: the command line in a child of its supervisor."""

import os
import sys

from flows.supervisor import program
from flows.supervisor.supervisor import Supervisor


def main() -> None:
    """Run the command line until it has an exit status; it may need more than one start."""
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


if __name__ == "__main__":
    main()
