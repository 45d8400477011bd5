"""Say where a network gives no numbers."""

from collections.abc import Iterator
from contextlib import contextmanager

from cluster.storage import artifacts
from cluster.video.jobs import zeros_folder
from sonic_ops.core.finite import collecting_zeros, locating


@contextmanager
def checked(url: str, where: str = "") -> Iterator[None]:
    """Say where a network gives no numbers, and note in the work folder if it gives only zeros.

    `url` is that of a file in a folder of the work folder. Raises BrokenOutputError.
    """
    with locating(where), collecting_zeros() as names:
        yield
    for name in names:
        folder = zeros_folder(url.rsplit("/", 2)[0])
        artifacts.write_tensors(f"{folder}/{name}", dict)
