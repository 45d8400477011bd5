"""What rows and commands have left behind: work of rows that are finished, drafts, stale leases."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from posixpath import normpath, realpath, relpath

from flows.planning.checking import weights_of
from flows.preflight.previews import preview_url
from flows.rows.config import RenderConfig
from flows.rows.fingerprint import fingerprint_of
from flows.rows.manifest import Manifest
from flows.rows.rows import Row, parse_row
from flows.state.leases import LEASE, holder_of, is_being_made, read_holder
from flows.state.receipts import OWNER, WORK_ROOT, lease_target, read_owner, received_fingerprint
from flows.urls import age_s, folder_of, is_remote, join, name_of, sha256_of, size_bytes
from sonic_ops.core.errors import MissingFileError
from sonic_ops.core.files import names_in, reached, remove, remove_folder

DRAFT_AGE_S = 3600.0
"""A draft that nobody has touched for so long is nobody's."""

KEPT_DIGESTS = 4096
KEPT = ("leases", "receipts", "analysis")
"""Folders beside work that are no work."""

_DRAFT_NAME = r"\.[0-9a-f]{32}\.(draft|probe)"
_WORK_FILE = re.compile(
    r"(sonic-row|published)\.json|error\.txt|(film|footage|stitched)\.mp4"
    r"|(speakers/\d+/)?(sound\.wav|(takes/\d+/)?("
    r"(portrait|backdrop|pauses|track|take)\.safetensors"
    r"|(tokens|heard|film|tints|stretches|latents|segments|checkpoints|low_memory)/.*"
    r"\.(safetensors|mp4)|zeros/(The [\w' ]+|audio2\w+)))"
    rf"|(.*/)?{_DRAFT_NAME}"
)
"""What renders write into the folder of a row. Anything else there is of somebody else."""
_DRAFT = re.compile(_DRAFT_NAME)


@dataclass(frozen=True, slots=True)
class Orphan:
    """A file or a work folder, and what it is; one that is of use to somebody is kept."""

    url: str
    size_bytes: int
    what: str
    is_kept: bool = False
    only: tuple[str, ...] = ()
    """The files of a folder that may be removed; all of them, if none is named."""

    def remove(self) -> None:
        """Remove it; none is fine. Raises OSError."""
        if self.only:
            for url in self.only:
                remove(url)
        elif _DRAFT.fullmatch(name_of(self.url)) or self.url.endswith(LEASE):
            remove(self.url)
        else:
            remove_folder(self.url)


def orphans_in(folder: str) -> Iterator[Orphan]:
    """Yield the orphans below a folder. Raises OSError."""
    yield from _sorted_out(_files(folder), outputs=None)


def orphans_of(
    manifest: Manifest, output_folder: str | None, config: RenderConfig | None = None
) -> Iterator[Orphan]:
    """Yield the orphans beside the outputs of a manifest.

    With a preset, work of its rows for other inputs or settings is one too. Raises OSError,
    ManifestError, ConfigError.
    """
    folder = folder_of(manifest.url)
    rows = (parse_row(line, folder, output_folder) for line in manifest.lines())
    found = [row for row in rows if isinstance(row, Row)]
    outputs: dict[str, str | None] = {row.output: None for row in found}
    if config is not None:
        outputs |= _fingerprints(found, config)
    outputs |= {preview_url(output): None for output in [*outputs]}
    for place in sorted(set(map(folder_of, outputs))):
        yield from _videos_of_no_row(place, outputs)
    for place in sorted(set(map(folder_of, outputs))):
        beside = ((a, size) for a, size in _files(place, depth=1) if _DRAFT.fullmatch(name_of(a)))
        yield from _sorted_out([*beside, *_files(join(place, WORK_ROOT))], outputs)


def _fingerprints(rows: Sequence[Row], config: RenderConfig) -> dict[str, str | None]:
    """Return the fingerprints of rows by their outputs; None where an input is missing."""
    weights, digest = weights_of(config), lru_cache(KEPT_DIGESTS)(sha256_of)
    found: dict[str, str | None] = {}
    for row in rows:
        found[row.output] = None
        with suppress(MissingFileError):
            found[row.output] = fingerprint_of(row, config.for_row(row), weights, digest)
    return found


def _videos_of_no_row(place: str, outputs: Mapping[str, object]) -> Iterator[Orphan]:
    """Yield the videos that were rendered into a folder, and that no row of the manifest names."""
    receipts = join(place, WORK_ROOT, "receipts")
    for name in sorted(names_in(receipts)):
        video = join(place, name.removesuffix(".json"))
        size = None if video in outputs else size_bytes(video)
        if size is not None and received_fingerprint(video) is not None:
            what = "a video that no row of the manifest names; remove it yourself"
            yield Orphan(video, size, what, is_kept=True)


def _files(folder: str, depth: int | None = None) -> list[tuple[str, int]]:
    """Return URLs and sizes of all files."""
    found = {}
    with reached(folder) as (filesystem, path), suppress(FileNotFoundError):
        found = filesystem.find(path, maxdepth=depth, detail=True)
    if is_remote(folder):
        start = f"{folder.partition('://')[0]}://"
        return [(start + path.lstrip("/"), info["size"]) for path, info in sorted(found.items())]
    root = realpath(folder)
    return [
        (path, info["size"])
        for path, info in sorted(found.items())
        if realpath(folder_of(path)) == normpath(f"{root}/{relpath(folder_of(path), folder)}")
    ]  # and nothing behind a link to another folder


def _sorted_out(
    files: Sequence[tuple[str, int]], outputs: Mapping[str, str | None] | None
) -> Iterator[Orphan]:
    notes = (folder_of(url) for url, _ in files if name_of(url) == OWNER)
    owned = {folder for folder in notes if read_owner(folder)}
    work: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for url, size in files:
        if _DRAFT.fullmatch(name_of(url)):
            if age_s(url) > DRAFT_AGE_S:
                yield Orphan(url, size, "a draft that was never finished")
        elif name_of(folder_of(url)) == "leases" and url.endswith(LEASE):
            holder = read_holder(url)
            is_new = holder is None and is_being_made(url, DRAFT_AGE_S)
            if not is_new and (holder is None or holder.is_stale):
                yield Orphan(url, size, "the lease of a command that is gone")
        elif folder := _work_folder(url, owned):
            work[folder].append((url, size))
    for folder, found in work.items():
        ours = [entry for entry in found if _WORK_FILE.fullmatch(entry[0][len(folder) + 1 :])]
        orphan = _judged(folder, sum(size for _, size in ours), outputs)
        if len(ours) < len(found):
            left = f"{len(found) - len(ours)} files in it are not of this program"
            only = tuple(url for url, _ in ours)
            orphan = replace(orphan, what=f"{orphan.what}; {left}", only=only)
            orphan = orphan if ours else replace(orphan, is_kept=True)
        yield orphan


def _work_folder(url: str, owned: set[str]) -> str | None:
    """Return the work folder that contains a file, if any."""
    folder = folder_of(url)
    while folder != folder_of(folder):
        beside_output = name_of(folder_of(folder)) == WORK_ROOT
        if folder in owned or (beside_output and name_of(folder) not in KEPT):
            return folder
        folder = folder_of(folder)
    return None


def _judged(folder: str, size: int, outputs: Mapping[str, str | None] | None) -> Orphan:
    owner = read_owner(folder)
    if owner is None:
        return Orphan(folder, size, "work of no known row")
    output, fingerprint = owner
    holder = holder_of(lease_target(output))
    if holder and not holder.is_stale:
        return Orphan(folder, size, f"in work by process {holder.pid} on {holder.machine}", True)
    if size_bytes(output) is not None and received_fingerprint(output) == fingerprint:
        return Orphan(folder, size, f"work of {output}, which is finished")
    if outputs is not None and output not in outputs:
        return Orphan(folder, size, f"work of {output}, which the manifest does not have")
    if outputs and outputs[output] not in (None, fingerprint):
        return Orphan(folder, size, f"work of {output} with other inputs or settings")
    return Orphan(folder, size, f"work of {output}, which is not finished", True)
