"""What is at the place of an output, and whether a render may put a video there."""

import os
import posixpath
import stat
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from flows import urls
from flows.preflight.identity import local_path
from flows.rows.rows import Row
from flows.state.receipts import foreign_receipt, origin_of, receipt_url
from flows.state.results import RowResult
from sonic_ops.core.errors import ConfigError, FieldError, OutputNotWritableError, SonicError
from sonic_ops.core.files import open_own

Kind = Literal["nothing", "file", "folder", "link", "other"]

_FIRST = ["row", "id"]
"""How the columns of all our tables begin."""
_PAGE_MARKS = (
    b'name="generator" content="sonic-render"',
    b"default-src 'none'; img-src 'self' data:",
)
"""What our pages begin with; the second one is that of versions before 0.2."""
_HEAD_BYTES = 4096

FREE = "Move it, choose another output, or allow it to be replaced with --overwrite."


def kind_at(url: str) -> Kind:
    """Return what exists at a URL. Raises OSError."""
    path = local_path(url)
    if path is None:
        if urls.is_folder(url):
            return "folder"
        return "nothing" if urls.size_bytes(url) is None else "file"
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "nothing"
    kinds: dict[int, Kind] = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}
    return kinds.get(stat.S_IFMT(mode), "other")


def look_at_output(
    row: Row, fingerprint: str | None, work: str | None, *, overwrite: bool
) -> RowResult | SonicError | None:
    """Return the result of a finished row, the reason not to render it, or None.

    A link is never replaced: it may be the link that is meant, or the file. Raises OSError.
    """
    kind = kind_at(row.output)
    if kind not in ("nothing", "file"):
        return _no_file(row.output, kind)
    origin = "nothing" if kind == "nothing" else origin_of(row, fingerprint, work)
    if isinstance(origin, RowResult):
        return origin
    if origin in ("nothing", "foreign") and (receipt := foreign_receipt(row.output)):
        return FieldError(
            f"the receipt of {row.output} would replace {receipt}, which is not a receipt",
            remedy="Move that file, or choose another output.",
            field="output",
        )
    if origin in ("nothing", "ours") or overwrite:
        return None
    why = "has changed since this program wrote it"
    if origin == "foreign":
        why = "was not written by this program"
    return FieldError(f"{row.output} already exists and {why}", remedy=FREE, field="output")


def require_free(
    row: Row, fingerprint: str, work: str | None, *, overwrite: bool, confine_to: str | None = None
) -> None:
    """Raise what now forbids to publish a video: a file may have appeared since the preflight."""
    require_inside(row.output, confine_to)  # or a folder has become a link
    found = look_at_output(row, fingerprint, work, overwrite=overwrite)
    if isinstance(found, SonicError):
        raise found


def require_inside(output: str, folder: str | None) -> None:
    """Raise FieldError for an output that leaves a folder, by its name or through a link."""
    if folder is None:
        return
    written = (urls.folder_of(output), receipt_url(output))
    if all(_real(place).startswith(_real(folder)) for place in written):
        return
    raise FieldError(
        f"{output} is outside of {folder}, and outputs may not leave it",
        remedy="Write a name or a path below that folder, without a link that leads elsewhere.",
        field="output",
    )


def _real(url: str) -> str:
    """Return the folder that a path leads to; of another store, the URL without `..`."""
    path = local_path(url)
    if path is not None and not urls.is_remote(url):
        return f"{posixpath.realpath(path).rstrip('/')}/"
    store, _, path = url.partition("://")
    return f"{store}://{posixpath.normpath(path)}/"


def require_own_tables(*tables: str, overwrite: bool) -> None:
    """Raise ConfigError for a results table, report or table of measures that is not ours."""
    for url in tables:
        kind = kind_at(url)
        # What is a folder cannot be replaced, which is said where the table is written.
        if kind in ("nothing", "folder") or (kind == "file" and (overwrite or _is_own_table(url))):
            continue
        what = "is a symbolic link" if kind == "link" else "was not written by this program"
        raise ConfigError(
            f"{url} already exists and {what}, and the results of the run would replace it",
            remedy="Move it, choose another folder with --output, or allow it to be replaced with "
            "--overwrite.",
        )


def _is_own_table(url: str) -> bool:
    with open_own(url) as file:
        if url.endswith(".html"):
            head = file.read(_HEAD_BYTES)
            return any(mark in head for mark in _PAGE_MARKS)
        try:
            return list(pq.read_schema(file).names[: len(_FIRST)]) == _FIRST
        except pa.ArrowException:
            return False


def _no_file(output: str, kind: Kind) -> SonicError:
    if kind == "link":
        target = Path(local_path(output) or output).readlink()
        return FieldError(
            f"{output} is a symbolic link to {target}, and a link is not replaced",
            remedy="Name the file that it leads to, or remove the link.",
            field="output",
        )
    what = "a folder" if kind == "folder" else "no regular file"
    return OutputNotWritableError(
        f"{output} is {what}", remedy="Give the path or URL of a file.", field="output"
    )


def folder_problem(folder: str) -> str:
    """Return why a folder cannot be written; empty if it can."""
    try:
        urls.probe_folder(folder)
    except OSError as error:
        return str(error)
    return ""
