"""Say where a network gives no numbers, and note in the work folder what is not as usual."""

from collections.abc import Iterator
from contextlib import contextmanager

from cluster.storage import artifacts
from cluster.video.film_requests import DubJob
from cluster.video.jobs import DecodeJob, DenoiseJob, zeros_folder
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


def is_low_noted(job: DenoiseJob | DecodeJob | DubJob, *, forced: bool) -> bool:
    """Return whether a job runs in the low-memory form.

    If the preset does not ask for it, leave a note first: files with other bits may be all that
    remains of a run.
    """
    if forced and not job.low_memory:
        artifacts.write_tensors(job.low_memory_note, dict)
    return forced or job.low_memory
