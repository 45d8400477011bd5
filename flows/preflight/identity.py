"""Which file a path or URL means, however it is spelled.

A file that exists is known by its inode, so through any link. One that does not exist yet is known
by the folder that will hold it and its name, in one Unicode form, and in one case where the disk
ignores case.
"""

import hashlib
import os
import posixpath
import re
import struct
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from pathlib import Path
from unicodedata import normalize

from flows.urls import is_remote

_KNOWN_FOLDERS = 4096
_LOCAL = ("file", "local")
_SAME = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "abfss": "abfs"}
"""Protocols that reach the same files."""
_LINK = re.compile(r"(?:.*::)?([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_ASKED = 8
"""Names in a folder that may tell whether the disk ignores case."""


def file_key(url: str) -> bytes:
    """Return a key that is equal for two spellings of one file."""
    path = local_path(url)
    if path is None:
        protocol, rest = _last_link(url)
        protocol = _SAME.get(protocol.lower(), protocol.lower())
        return short_hash(f"{protocol}://{posixpath.normpath(normalize('NFC', rest)).strip('/')}")
    with suppress(OSError, ValueError):
        status = Path(path).stat()
        if status.st_ino:
            return _inode(status)
    folder, _, name = path.rpartition("/")
    try:
        start, ignores_case = _folder(folder or "/")
    except (OSError, ValueError):  # a name that no file can have
        return short_hash(path)
    return short_hash(start + in_one_form(name, ignores_case=ignores_case))


def local_path(url: str) -> str | None:
    """Return the path of a file on this machine, or None if the URL is remote."""
    if not is_remote(url):
        return url
    protocol, path = _last_link(url)
    return path if protocol in _LOCAL else None


def _last_link(url: str) -> tuple[str, str]:
    """Split a URL, or the last one of a chain such as `simplecache::s3://bucket/a.mp4`."""
    match = _LINK.fullmatch(url)
    return (match[1], match[2]) if match else ("", url)


def in_one_form(name: str, *, ignores_case: bool) -> str:
    """Normalise a name for comparison: some disks take one Unicode form for another."""
    name = name if name.isascii() else normalize("NFC", name)
    return normalize("NFC", name.casefold()) if ignores_case else name


@lru_cache(_KNOWN_FOLDERS)
def _folder(folder: str) -> tuple[str, bool]:
    """Return how keys of files in a folder begin, and whether its disk ignores case."""
    path, missing = posixpath.realpath(folder), ""
    while not posixpath.isdir(path):
        path, name = posixpath.split(path)
        missing = f"{name}/{missing}"
    status, ignores_case = Path(path).stat(), _ignores_case(path)
    inside = in_one_form(missing, ignores_case=ignores_case)
    return f"{status.st_dev} {status.st_ino}/{inside}", ignores_case


def _ignores_case(folder: str) -> bool:
    """Return whether another case of a name leads to the same file, asked of names that exist."""
    with os.scandir(folder) as entries:
        paths = [entry.path for entry in islice(entries, _ASKED)]
    for path in (*paths, folder):
        start, name = posixpath.split(path)
        if name.swapcase() != name:
            with suppress(OSError):
                return posixpath.samefile(path, posixpath.join(start, name.swapcase()))
            return False
    return False


def _inode(status: os.stat_result) -> bytes:
    return struct.pack("<QQ", status.st_dev & (2**64 - 1), status.st_ino & (2**64 - 1))


def short_hash(text: str) -> bytes:
    """Enough to tell the texts of a manifest apart."""
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
