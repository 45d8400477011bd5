"""The process that workers are forked from: it imports what they need, once for all of them.

Only the standard library is imported here, so that it can start before anything else is loaded.
"""

import multiprocessing
from multiprocessing import forkserver

FORKSERVER = multiprocessing.get_context("forkserver")


def prepare(*modules: str) -> None:
    """Begin to import modules in the process that workers are forked from; return at once."""
    FORKSERVER.set_forkserver_preload(list(modules))
    forkserver.ensure_running()
