"""Read and write files of the work folder, local or at any fsspec URL.

A file that exists was written completely. Its last 32 bytes are the SHA-256 of everything before
them, so later damage is noticed.

Files stay readable for others: in safetensors those bytes are a tensor of their own, which is the
last one of the file, in MP4 a box and in WAV a chunk that players pass over.
"""

import hashlib
import logging
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from os import SEEK_END
from pathlib import Path
from typing import IO, TypeVar

import torch
from safetensors.torch import load, save
from torch import Tensor

from sonic_ops.core.errors import DamagedFileError
from sonic_ops.core.files import (
    exists,
    fetched,
    names_in,
    reached,
    remove,
    remove_folder,
    storage_fault,
    written,
)
from sonic_ops.core.finite import is_finite, not_finite

__all__ = [
    "all_fetched",
    "existing",
    "fetched_whole",
    "names_in",
    "read_tensors",
    "remove",
    "remove_folder",
    "retry_on_corrupt",
    "version_of",
    "write_audio",
    "write_tensors",
    "write_video",
]

T = TypeVar("T")

_log = logging.getLogger(__name__)
_DIGEST = "sha256"
_DIGEST_BYTES = 32
_MP4_BOX = (8 + _DIGEST_BYTES).to_bytes(4, "big") + b"free"
_WAV_CHUNK = b"JUNK" + _DIGEST_BYTES.to_bytes(4, "little")
_RIFF_HEADER_BYTES = 8  # "RIFF", and how many bytes follow
_BLOCK_BYTES = 1 << 20


def write_tensors(url: str, make: Callable[[], Mapping[str, Tensor]]) -> str:
    """Write the tensors that `make` gives as safetensors, unless the file exists; return `url`.

    Raises RenderError if that cannot be done, because the disk is full for example.
    """

    def write(path: Path) -> None:
        whole = {name: tensor.contiguous() for name, tensor in make().items()}
        for name, tensor in whole.items():
            if not is_finite(tensor):
                raise not_finite(f"What makes the {name} of {url}")
        room = torch.zeros(_DIGEST_BYTES, dtype=torch.uint8)
        # safetensors puts bytes behind all wider numbers, so the room is at the end.
        assert not any(tensor.dtype == torch.bool for tensor in whole.values()), "use bytes"
        path.write_bytes(save(whole | {_DIGEST: room})[:-_DIGEST_BYTES])

    return _write_once(url, write)


def write_video(url: str, encode: Callable[[Path], object]) -> str:
    """Let `encode` fill an MP4 file, unless it exists; return `url`. Raises RenderError."""

    def write(path: Path) -> None:
        encode(path)
        with path.open("ab") as file:
            file.write(_MP4_BOX)

    return _write_once(url, write)


def write_audio(url: str, decode: Callable[[Path], object]) -> str:
    """Let `decode` fill a WAV file, unless it exists; return `url`. Raises RenderError."""

    def write(path: Path) -> None:
        decode(path)
        with path.open("rb+") as file:
            file.seek(0, SEEK_END)
            file.write(_WAV_CHUNK)
            size = file.tell() - _RIFF_HEADER_BYTES + _DIGEST_BYTES
            file.seek(_RIFF_HEADER_BYTES // 2)
            file.write(size.to_bytes(4, "little"))

    return _write_once(url, write)


def read_tensors(url: str) -> dict[str, Tensor]:
    """Read the tensors of a file. Raises DamagedFileError, also for NaN, which is not written."""
    with _storage_faults(url), reached(url) as (filesystem, path):
        content = filesystem.cat_file(path)
    digest = hashlib.sha256(memoryview(content)[:-_DIGEST_BYTES]).digest()
    if digest != content[-_DIGEST_BYTES:]:
        raise DamagedFileError(url)
    tensors = {name: tensor for name, tensor in load(content).items() if name != _DIGEST}
    if not all(map(is_finite, tensors.values())):
        raise DamagedFileError(url)
    return tensors


@contextmanager
def fetched_whole(url: str) -> Iterator[Path]:
    """Provide a local path of a file after checking its checksum. Raises DamagedFileError."""
    with ExitStack() as stack:
        with _storage_faults(url):
            path = stack.enter_context(fetched(url))
            size = path.stat().st_size - _DIGEST_BYTES
            with path.open("rb") as file:
                if size < 0 or _digest_of(file, size) != file.read():
                    raise DamagedFileError(url)
        yield path  # outside: what fails while the file is used is not its fault


@contextmanager
def all_fetched(urls: Iterable[str]) -> Iterator[list[Path]]:
    """Provide local paths of files after checking their checksums. Raises DamagedFileError."""
    with ExitStack() as stack:
        yield [stack.enter_context(fetched_whole(url)) for url in urls]


def version_of(url: str) -> str:
    """Differs when a file has been written anew. Raises DamagedFileError if there is none."""
    with _storage_faults(url), reached(url) as (filesystem, path):
        return str(filesystem.ukey(path))


def existing(urls: Iterable[str]) -> frozenset[str]:
    """Return the URLs that have a file; each folder is listed once."""
    by_folder: dict[str, list[str]] = {}
    for url in urls:
        by_folder.setdefault(posixpath.dirname(url), []).append(url)
    found: set[str] = set()
    for folder, files in by_folder.items():
        names = names_in(folder)
        found.update(url for url in files if posixpath.basename(url) in names)
    return frozenset(found)


def retry_on_corrupt(make: Callable[[], T]) -> T:
    """Call `make`, and call it again after each file that it finds damaged; that one is removed.

    `make` must make what is missing. Raises DamagedFileError if a file is damaged twice.
    """
    seen: set[str] = set()
    while True:
        try:
            return make()
        except DamagedFileError as error:
            if error.url in seen:
                raise
            seen.add(error.url)
            _log.warning("%s; it is made again", error)
            with _storage_faults(error.url):
                remove(error.url)


def _write_once(url: str, write: Callable[[Path], None]) -> str:
    """Fill a local file and publish it at `url` in one move, unless that exists."""
    try:
        if not exists(url):
            with written(url) as local:
                write(local)
                _seal(local)
    except OSError as error:
        raise storage_fault(error) from error
    return url


def _seal(path: Path) -> None:
    with path.open("rb+") as file:
        file.write(_digest_of(file, path.stat().st_size))


def _digest_of(file: IO[bytes], size: int) -> bytes:
    """Return SHA-256 of the first `size` bytes."""
    digest = hashlib.sha256()
    while size and (block := file.read(min(_BLOCK_BYTES, size))):
        digest.update(block)
        size -= len(block)
    return digest.digest()


@contextmanager
def _storage_faults(url: str) -> Iterator[None]:
    """Translate a missing file to DamagedFileError: it can be made again, unlike other faults."""
    try:
        yield
    except FileNotFoundError as error:
        raise DamagedFileError(url) from error
    except OSError as error:
        raise storage_fault(error) from error
