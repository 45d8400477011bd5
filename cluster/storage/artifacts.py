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
    "write_sound",
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


def write_tensors(address: str, make: Callable[[], Mapping[str, Tensor]]) -> str:
    """Write the tensors that `make` gives as safetensors, unless the file exists; its address.

    Raises RenderError if that cannot be done, because the disk is full for example.
    """

    def write(path: Path) -> None:
        whole = {name: tensor.contiguous() for name, tensor in make().items()}
        for name, tensor in whole.items():
            if not is_finite(tensor):
                raise not_finite(f"What makes the {name} of {address}")
        room = torch.zeros(_DIGEST_BYTES, dtype=torch.uint8)
        # safetensors puts bytes behind all wider numbers, so the room is at the end.
        assert not any(tensor.dtype == torch.bool for tensor in whole.values()), "use bytes"
        path.write_bytes(save(whole | {_DIGEST: room})[:-_DIGEST_BYTES])

    return _write_once(address, write)


def write_video(address: str, encode: Callable[[Path], object]) -> str:
    """Let `encode` fill an MP4 file, unless it exists; its address. Raises RenderError."""

    def write(path: Path) -> None:
        encode(path)
        with path.open("ab") as file:
            file.write(_MP4_BOX)

    return _write_once(address, write)


def write_sound(address: str, decode: Callable[[Path], object]) -> str:
    """Let `decode` fill a WAV file, unless it exists; its address. Raises RenderError."""

    def write(path: Path) -> None:
        decode(path)
        with path.open("rb+") as file:
            file.seek(0, SEEK_END)
            file.write(_WAV_CHUNK)
            size = file.tell() - _RIFF_HEADER_BYTES + _DIGEST_BYTES
            file.seek(_RIFF_HEADER_BYTES // 2)
            file.write(size.to_bytes(4, "little"))

    return _write_once(address, write)


def read_tensors(address: str) -> dict[str, Tensor]:
    """Read the tensors of a file. Raises DamagedFileError, also for NaN, which is not written."""
    with _storage_faults(address), reached(address) as (filesystem, path):
        content = filesystem.cat_file(path)
    digest = hashlib.sha256(memoryview(content)[:-_DIGEST_BYTES]).digest()
    if digest != content[-_DIGEST_BYTES:]:
        raise DamagedFileError(address)
    tensors = {name: tensor for name, tensor in load(content).items() if name != _DIGEST}
    if not all(map(is_finite, tensors.values())):
        raise DamagedFileError(address)
    return tensors


@contextmanager
def fetched_whole(address: str) -> Iterator[Path]:
    """Provide a local path of a file after checking its checksum. Raises DamagedFileError."""
    with ExitStack() as stack:
        with _storage_faults(address):
            path = stack.enter_context(fetched(address))
            size = path.stat().st_size - _DIGEST_BYTES
            with path.open("rb") as file:
                if size < 0 or _digest_of(file, size) != file.read():
                    raise DamagedFileError(address)
        yield path  # outside: what fails while the file is used is not its fault


@contextmanager
def all_fetched(addresses: Iterable[str]) -> Iterator[list[Path]]:
    """Provide local paths of files after checking their checksums. Raises DamagedFileError."""
    with ExitStack() as stack:
        yield [stack.enter_context(fetched_whole(address)) for address in addresses]


def version_of(address: str) -> str:
    """Differs when a file has been written anew. Raises DamagedFileError if there is none."""
    with _storage_faults(address), reached(address) as (filesystem, path):
        return str(filesystem.ukey(path))


def existing(addresses: Iterable[str]) -> frozenset[str]:
    """Return the addresses that have a file; each folder is listed once."""
    by_folder: dict[str, list[str]] = {}
    for address in addresses:
        by_folder.setdefault(posixpath.dirname(address), []).append(address)
    found: set[str] = set()
    for folder, files in by_folder.items():
        names = names_in(folder)
        found.update(address for address in files if posixpath.basename(address) in names)
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
            if error.address in seen:
                raise
            seen.add(error.address)
            _log.warning("%s; it is made again", error)
            with _storage_faults(error.address):
                remove(error.address)


def _write_once(address: str, write: Callable[[Path], None]) -> str:
    """Fill a local file and give it its address in one move, unless that exists."""
    try:
        if not exists(address):
            with written(address) as local:
                write(local)
                _seal(local)
    except OSError as error:
        raise storage_fault(error) from error
    return address


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
def _storage_faults(address: str) -> Iterator[None]:
    """Translate a missing file to DamagedFileError: it can be made again, unlike other faults."""
    try:
        yield
    except FileNotFoundError as error:
        raise DamagedFileError(address) from error
    except OSError as error:
        raise storage_fault(error) from error
