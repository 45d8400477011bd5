"""Files by URL: a local path or any fsspec URL. What is written is seen whole or not at all.

Whatever a store raises leaves this module as an OSError, or as a MissingFileError where it is read.
"""

import errno
import os
import posixpath
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast
from urllib.parse import quote, unquote_to_bytes, urlsplit
from uuid import uuid4

import fsspec
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from sonic_ops.core.errors import MissingFileError, RenderError
from sonic_ops.core.hosts import require_public
from sonic_ops.core.near_names import meant
from sonic_ops.core.scratch import scratch_folder
from sonic_ops.core.shown import without_secrets

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*::)*[A-Za-z][A-Za-z0-9+.-]*://")
_WEB = ("http://", "https://")
_OF_KERNEL = ("/proc/", "/sys/")


def is_remote(url: str) -> bool:
    """Return whether this is the URL of another machine or store, and not a local path."""
    return _URL.match(url) is not None and not url.startswith("file://")


def path_of(url: str) -> str:
    """Return a URL without the signature of a web link."""
    if not url.startswith(_WEB):
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def local_path(url: str) -> str:
    """Return the path of a `file://` URL; anything else unchanged."""
    if not url.startswith("file://"):
        return url
    return os.fsdecode(unquote_to_bytes(url.removeprefix("file://").removeprefix("localhost")))


def printable(url: str) -> str:
    """Return a URL for people and tables: without a password or a signature."""
    return without_secrets(as_text(url))


def as_text(url: str) -> str:
    """Format a path as UTF-8 text: a name that is not UTF-8 as a `file://` URL."""
    try:
        url.encode()
    except UnicodeEncodeError:
        return f"file://{quote(os.fsencode(url))}"
    return url


@contextmanager
def reached(url: str) -> Iterator[tuple[AbstractFileSystem, str]]:
    """Return the file system of a URL and the path in it. Raises nothing but OSError."""
    try:
        filesystem, path = _filesystem(url)
        filesystem.invalidate_cache()  # what other machines write meanwhile must be seen
        yield filesystem, path
    except OSError:
        raise
    # ImportError without the package of a protocol, ValueError for a wrong URL, and what the
    # clients of remote stores raise: they have no class in common.
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def _filesystem(url: str) -> tuple[AbstractFileSystem, str]:
    """Return the store of a URL; `::` is part of a name unless it chains stores."""
    if not is_remote(url):
        return LocalFileSystem(), local_path(url)
    for link in re.findall(r"https?://[^/?#]*", url, re.IGNORECASE):
        require_public(link)
    chained = url.split("::")[1:]
    for link in chained:
        if "://" in link and not is_remote(link):  # a chain that ends here
            _require_file(local_path(link))
    if all("://" in link or link in fsspec.available_protocols() for link in chained):
        return cast("tuple[AbstractFileSystem, str]", fsspec.url_to_fs(url))
    protocol = url.partition("://")[0]
    options = fsspec.get_filesystem_class(protocol)._get_kwargs_from_urls(url)
    filesystem = fsspec.filesystem(protocol, **options)
    return filesystem, str(filesystem._strip_protocol(url))


@contextmanager
def open_url(url: str) -> Iterator[IO[bytes]]:
    """Open a file of the user for reading. Raises MissingFileError."""
    try:
        file = _opened(url)
    except OSError as error:
        raise MissingFileError(
            f"{printable(url)} cannot be opened ({reason_of(error)})",
            remedy=f"{meant(local_path(url))}Check the path or URL; a relative path counts from "
            "the folder of the manifest.",
        ) from error
    with file:
        yield file


@contextmanager
def open_own(url: str) -> Iterator[IO[bytes]]:
    """Open a file that this program wrote. Raises OSError; FileNotFoundError if there is none."""
    with _opened(url) as file:
        yield file


def exists(url: str) -> bool:
    """Return whether there is a file or folder."""
    with reached(url) as (filesystem, path):
        return bool(filesystem.exists(path))


def remove(url: str) -> None:
    """Remove a file; none is fine."""
    with reached(url) as (filesystem, path), suppress(FileNotFoundError):
        filesystem.rm_file(path)


def remove_folder(folder: str) -> None:
    """Remove a folder and all that is in it; none is fine."""
    with reached(folder) as (filesystem, path):
        if filesystem.exists(path):
            filesystem.rm(path, recursive=True)


def names_in(folder: str) -> frozenset[str]:
    """List the names in a folder; a missing folder has none."""
    with reached(folder) as (filesystem, path), suppress(FileNotFoundError):
        found = filesystem.ls(path, detail=False)
        return frozenset(posixpath.basename(str(name).rstrip("/")) for name in found)
    return frozenset()


@contextmanager
def fetched(url: str) -> Iterator[Path]:
    """Yield a local path to read from: the file itself, or a temporary copy."""
    with reached(url) as (filesystem, path):
        pass
    if isinstance(filesystem, LocalFileSystem):
        _opened_here(path).close()
        yield Path(path)
        return
    with scratch_folder() as scratch:
        local = scratch / posixpath.basename(path_of(path))
        with reached(url):
            filesystem.get_file(path, str(local))
        yield local


@contextmanager
def written(url: str, check: Callable[[], None] | None = None) -> Iterator[Path]:
    """Yield a local path to write to; without an error it is published at `url`.

    `check` may forbid that at the last moment, by raising.
    """
    with scratch_folder() as scratch:
        path = scratch / posixpath.basename(url)
        yield path
        publish(path, url, check)


def publish(source: Path, url: str, check: Callable[[], None] | None = None) -> None:
    """Copy a file beside its final name, then rename it: a reader never sees half of it."""
    with reached(url) as (filesystem, path):
        folder = posixpath.dirname(path)
        filesystem.makedirs(folder, exist_ok=True)
        if isinstance(filesystem, LocalFileSystem):
            with draft_of(Path(path)) as local_draft:
                shutil.copyfile(source, local_draft)
                _sync(local_draft)
                if check is not None:
                    check()
            return
        draft = posixpath.join(folder, _draft_name())
        try:
            filesystem.put_file(str(source), draft)
            if check is not None:
                check()
            filesystem.mv(draft, path)
        except BaseException:
            with suppress(Exception):  # what went wrong first is what counts
                filesystem.rm_file(draft)
            raise


@contextmanager
def draft_of(target: Path) -> Iterator[Path]:
    """Yield a path beside `target` to write to; without an error it is renamed to `target`."""
    draft = target.with_name(_draft_name())
    try:
        yield draft
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def storage_fault(error: OSError) -> RenderError:
    """Make the error for a machine that cannot read or write its own files."""
    full = error.errno in _FULL
    place = f" at {error.filename}" if error.filename else ""
    if error.filename2:  # a copy or a move: what matters is where to
        place = f" in {posixpath.dirname(str(error.filename2))}"
    act = "written" if full else "read or written"
    return RenderError(
        f"A file could not be {act}{place}: {reason_of(error)}",
        remedy=(
            "Free space beside the output and in the folder for temporary files"
            if full
            else "Let the folder of the output and the folder for temporary files be writable"
        )
        + ", then run the same command again; only the missing work is done.",
    )


def _opened(url: str) -> IO[bytes]:
    with reached(url) as (filesystem, path):
        if url.startswith(_WEB):
            return _opened_from_web(filesystem, path)
        if isinstance(filesystem, LocalFileSystem):
            return _opened_here(path)
        file: IO[bytes] = filesystem.open(path, "rb")
    return file


def _require_file(path: str) -> None:
    """Raise OSError for what is there, and neither a file nor a folder of a disk."""
    path = posixpath.realpath(path)
    if path.startswith(_OF_KERNEL):
        raise OSError(errno.EINVAL, "it is made by the system, and no file", path)
    with suppress(FileNotFoundError):
        mode = Path(path).stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise OSError(errno.EINVAL, "it is a device, a pipe or a socket, and no file", path)


def _opened_here(path: str) -> IO[bytes]:
    """Open a file of this machine; devices, pipes and sockets may never end. Raises OSError."""
    _require_file(path)
    # Without waiting, if a pipe is there by now: one that nobody writes to would never be open.
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))


def _opened_from_web(filesystem: AbstractFileSystem, url: str) -> IO[bytes]:
    """Open what a web server has: read in parts where it can give parts, else fetched first."""
    file: IO[bytes] = filesystem.open(url, "rb")
    size = getattr(file, "size", None)
    if size:
        with suppress(Exception):  # whatever it does instead: it does not give parts
            file.seek(size - 1)
            if len(file.read(1)) == 1 and size > 1:
                file.seek(0)
                return file
    file.close()
    with scratch_folder() as scratch:
        copy = scratch / "copy"
        filesystem.get_file(url, str(copy))
        return copy.open("rb")  # without a name, it is gone when it is closed


def _sync(path: Path) -> None:
    """Without this, a power cut may leave a file that has its name and not its content."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def reason_of(error: BaseException) -> str:
    """Say why something could not be reached: in the words of the system, or of a web server."""
    chain = [error]
    while cause := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(cause)
    for link in chain:
        if isinstance(status := getattr(link, "status", None), int):
            return f"the server says {status} {getattr(link, 'message', '')}".rstrip()
        if certificate := getattr(link, "certificate_error", None):
            why = getattr(certificate, "verify_message", "") or "it cannot be verified"
            return f"the certificate of {getattr(link, 'host', 'the server')} is not valid: {why}"
        if (refusal := getattr(link, "os_error", None)) and hasattr(link, "host"):
            number = getattr(refusal, "errno", None) or 0
            why = os.strerror(number) if number > 0 else _words(refusal)
            return f"{link.host} does not answer: {why}"
    return _words(error)


def _words(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError) and not error.strerror:
        return "there is no such file"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _draft_name() -> str:
    return f".{uuid4().hex}.draft"
