"""Files by address: a local path or any fsspec URL. What is written is seen whole or not at all."""

import hashlib
import json
import os
import posixpath
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import fsspec.core
from fsspec import AbstractFileSystem

from sonic_ops.errors import MissingFileError
from sonic_ops.files import open_address

_BLOCK_BYTES = 1 << 20


def is_remote(address: str) -> bool:
    """Whether the address is a URL that is no file of this machine."""
    return "://" in address


def resolve(address: str, folder: str) -> str:
    """An absolute, normal form of `address`; a relative one counts from `folder`.

    Two spellings of one local file become equal.
    """
    if address.startswith("file://"):
        address = unquote(urlsplit(address).path)
    if is_remote(address):
        return address
    if is_remote(folder) and not address.startswith("/"):
        scheme, path = folder.split("://", 1)
        return f"{scheme}://{posixpath.normpath(posixpath.join(path, address))}"
    return os.path.normpath(Path(folder).absolute() / Path(address).expanduser())


def join(folder: str, *names: str) -> str:
    """The address of something inside `folder`."""
    return "/".join((folder.rstrip("/"), *names))


def folder_of(address: str) -> str:
    """The folder that holds `address`."""
    return address.rpartition("/")[0] or "/"


def name_of(address: str) -> str:
    """The last part of `address`."""
    return address.rpartition("/")[2]


def size_bytes(address: str) -> int | None:
    """The size of a file, None if there is none."""
    filesystem, path = _filesystem(address)
    return int(filesystem.size(path)) if filesystem.isfile(path) else None


def is_folder(address: str) -> bool:
    """Whether the address is a folder."""
    filesystem, path = _filesystem(address)
    return bool(filesystem.isdir(path))


def sha256_of(address: str) -> str:
    """Hash of a file's content. Raises MissingFileError."""
    digest = hashlib.sha256()
    with open_address(address) as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def read_json(address: str) -> object:
    """The content of a JSON file, None if there is none or it is damaged."""
    try:
        with open_address(address) as file:
            return json.loads(file.read())
    except (ValueError, OSError, MissingFileError):
        return None


@contextmanager
def written(address: str) -> Iterator[Path]:
    """A local path to write to; if all goes well, it is published at `address`."""
    with tempfile.TemporaryDirectory(prefix="sonic-") as scratch:
        path = Path(scratch) / name_of(address)
        yield path
        publish(path, address)


@contextmanager
def fetched(address: str) -> Iterator[Path]:
    """A local path to read from: the file itself, or a copy for as long as it is needed."""
    if not is_remote(address):
        yield Path(address)
        return
    with tempfile.TemporaryDirectory(prefix="sonic-") as scratch:
        path = Path(scratch) / name_of(address)
        filesystem, remote = _filesystem(address)
        filesystem.get_file(remote, str(path))
        yield path


def publish(source: Path, address: str) -> None:
    """Copy a file beside its final name, then rename it: a reader never sees half of it."""
    filesystem, path = _filesystem(address)
    draft = posixpath.join(posixpath.dirname(path), f".{uuid4().hex}.draft")
    filesystem.makedirs(posixpath.dirname(path), exist_ok=True)
    try:
        filesystem.put_file(str(source), draft)
        _rename(filesystem, draft, path)
    finally:
        if filesystem.exists(draft):
            filesystem.rm_file(draft)


def probe_folder(folder: str) -> None:
    """Make `folder` and write to it. Raises OSError if that cannot be done."""
    filesystem, path = _filesystem(folder)
    filesystem.makedirs(path, exist_ok=True)
    probe = posixpath.join(path, f".{uuid4().hex}.probe")
    filesystem.pipe_file(probe, b"")
    filesystem.rm_file(probe)


def remove_folder(folder: str) -> None:
    """Remove a folder and all that is in it; none is fine."""
    filesystem, path = _filesystem(folder)
    if not is_remote(folder):
        shutil.rmtree(path, ignore_errors=True)
    elif filesystem.exists(path):
        filesystem.rm(path, recursive=True)


def _rename(filesystem: AbstractFileSystem, draft: str, path: str) -> None:
    if "file" in filesystem.protocol:
        Path(draft).replace(path)
    else:
        filesystem.mv(draft, path)


def _filesystem(address: str) -> tuple[AbstractFileSystem, str]:
    filesystem, path = fsspec.core.url_to_fs(address)
    return filesystem, path
