"""What every thread has its own of."""

from collections.abc import Callable
from functools import wraps
from threading import local
from typing import TypeVar

T = TypeVar("T")


def per_thread(make: Callable[[], T]) -> Callable[[], T]:
    """Make something once in each thread: two may not use it at once, and making it takes time."""
    own = local()

    @wraps(make)
    def kept() -> T:
        if not hasattr(own, "made"):
            own.made = make()
        made: T = own.made
        return made

    return kept
