"""Paths and URLs as text, and what the flows ask of the files and folders behind them."""

import hashlib
import json
import posixpath
import re
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from fsspec.implementations.local import LocalFileSystem

from sonic_ops.core.files import (
    as_text,
    is_remote,
    local_path,
    open_own,
    open_url,
    path_of,
    printable,
    reached,
)

__all__ = ["as_text", "is_remote", "local_path", "path_of", "printable"]

_BLOCK_BYTES = 1 << 20
_AT_THE_END = re.compile(r"(?<=[^:/])/+$")


def resolve(url: str, folder: str) -> str:
    """Resolve a path or URL against a folder, and normalise it.

    Two spellings of one local file become equal.
    """
    url = local_path(url)
    if is_remote(url):
        return _AT_THE_END.sub("", url)
    if is_remote(folder) and not url.startswith("/"):
        scheme, path = folder.split("://", 1)
        return f"{scheme}://{posixpath.normpath(posixpath.join(path, url))}"
    if url.startswith("~/"):  # any other ~ is the first letter of a name
        with suppress(RuntimeError):  # no home
            url = str(Path(url).expanduser())
    here = folder if folder.startswith("/") else str(Path(folder).absolute())
    path = posixpath.normpath(posixpath.join(here, url))
    return f"/{path.lstrip('/')}"


def join(folder: str, *names: str) -> str:
    """Join a folder and the name of something in it."""
    return "/".join((folder.removesuffix("/"), *names))


def folder_of(url: str) -> str:
    """Return the folder that holds `url`."""
    folder = path_of(url).rpartition("/")[0]
    return f"{folder}/" if folder.endswith(":/") else folder or "/"


def name_of(url: str) -> str:
    """Return the last part of `url`."""
    return path_of(url).rpartition("/")[2]


def size_bytes(url: str) -> int | None:
    """Return the size of a file, None if there is none."""
    with reached(url) as (filesystem, path):
        return int(filesystem.size(path)) if filesystem.isfile(path) else None


def age_s(url: str) -> float:
    """Return the time since a file was last written. Raises OSError."""
    with reached(url) as (filesystem, path):
        return time.time() - float(filesystem.modified(path).timestamp())


def is_folder(url: str) -> bool:
    """Return whether there is a folder at the URL."""
    with reached(url) as (filesystem, path):
        return bool(filesystem.isdir(path))


def sha256_of(url: str) -> str:
    """Hash of a file's content. Raises MissingFileError."""
    digest = hashlib.sha256()
    with open_url(url) as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def read_json(url: str) -> object:
    """Return the content of a JSON file, None if there is none or it is damaged.

    Raises OSError where it cannot be read, which says nothing about what is in it.
    """
    try:
        with open_own(url) as file:
            return json.loads(file.read())
    except (ValueError, FileNotFoundError, NotADirectoryError):
        return None


def probe_folder(folder: str) -> None:
    """Make `folder` and write to it. Raises OSError if that cannot be done."""
    with reached(folder) as (filesystem, path):
        filesystem.makedirs(path, exist_ok=True)
        probe = posixpath.join(path, f".{uuid4().hex}.probe")
        filesystem.pipe_file(probe, b"")
        filesystem.rm_file(probe)


def create(url: str, content: bytes) -> bool:
    """Make a small file where there is none; whether it was made. Only one of many can make it.

    What is read back decides: stores say in many ways that another was faster, and the answer to a
    write may be lost. So `content` must be of this caller alone. Raises OSError.
    """
    problem: OSError | None = None
    try:
        _create(url, content)
    except OSError as error:
        problem = error
    try:
        with open_own(url) as file:
            return file.read() == content
    except FileNotFoundError:
        if problem is None or isinstance(problem, FileExistsError):
            return False  # it is gone already
        raise problem from None


def _create(url: str, content: bytes) -> None:
    with reached(url) as (filesystem, path):
        filesystem.makedirs(posixpath.dirname(path), exist_ok=True)
        if isinstance(filesystem, LocalFileSystem):
            _create_local(Path(path), content)
        else:
            filesystem.pipe_file(path, content, mode="create")


def _create_local(path: Path, content: bytes) -> None:
    """Write a file under another name, then link it: readers see all of it or nothing."""
    draft = path.with_name(f".{uuid4().hex}.draft")
    try:
        draft.write_bytes(content)
        path.hardlink_to(draft)
    except FileExistsError:
        raise
    except OSError:  # no links on this disk: a reader may see an empty file for a moment
        with path.open("xb") as file:
            file.write(content)
    finally:
        draft.unlink(missing_ok=True)
