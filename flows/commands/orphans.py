"""What rows and commands have left behind: work of rows that are finished, drafts, stale leases."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from posixpath import normpath, realpath, relpath

from flows.addresses import age_s, folder_of, is_remote, join, name_of, size_bytes
from flows.preflight.previews import preview_address
from flows.rows.manifest import Manifest
from flows.rows.rows import Row, parse_row
from flows.state.leases import LEASE, holder_of, is_being_made, read_holder
from flows.state.receipts import OWNER, WORK_ROOT, lease_target, read_owner, received_fingerprint
from sonic_ops.core.files import reached, remove, remove_folder

DRAFT_AGE_S = 3600.0
"""A draft that nobody has touched for so long is nobody's."""

KEPT = ("leases", "receipts", "analysis")
"""Folders beside work that are no work."""

_DRAFT_NAME = r"\.[0-9a-f]{32}\.(draft|probe)"
_WORK_FILE = re.compile(
    r"(sonic-row|published)\.json|error\.txt|sound\.wav|(footage|stitched)\.mp4"
    r"|(portrait|backdrop|pauses)\.safetensors"
    r"|(tokens|heard|tints|stretches|latents|segments|checkpoints|low_memory|zeros)/.*"
    rf"\.(safetensors|mp4)|(.*/)?{_DRAFT_NAME}"
)
"""What renders write into the folder of a row. Anything else there is of somebody else."""
_DRAFT = re.compile(_DRAFT_NAME)


@dataclass(frozen=True, slots=True)
class Orphan:
    """A file or a work folder, and what it is; one that is of use to somebody is kept."""

    address: str
    size_bytes: int
    what: str
    is_kept: bool = False
    only: tuple[str, ...] = ()
    """The files of a folder that may be removed; all of them, if none is named."""

    def remove(self) -> None:
        """Remove it; none is fine. Raises OSError."""
        if self.only:
            for address in self.only:
                remove(address)
        elif _DRAFT.fullmatch(name_of(self.address)) or self.address.endswith(LEASE):
            remove(self.address)
        else:
            remove_folder(self.address)


def orphans_in(folder: str) -> Iterator[Orphan]:
    """Yield the orphans below a folder. Raises OSError."""
    yield from _sorted_out(_files(folder), outputs=None)


def orphans_of(manifest: Manifest, output_folder: str | None) -> Iterator[Orphan]:
    """Yield the orphans beside the outputs of a manifest. Raises OSError, ManifestError."""
    folder = folder_of(manifest.address)
    rows = (parse_row(line, folder, output_folder) for line in manifest.lines())
    outputs = {row.output for row in rows if isinstance(row, Row)}
    outputs |= set(map(preview_address, outputs))
    for place in sorted(set(map(folder_of, outputs))):
        beside = ((a, size) for a, size in _files(place, depth=1) if _DRAFT.fullmatch(name_of(a)))
        yield from _sorted_out([*beside, *_files(join(place, WORK_ROOT))], outputs)


def _files(folder: str, depth: int | None = None) -> list[tuple[str, int]]:
    """Addresses and sizes of all files."""
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


def _sorted_out(files: Sequence[tuple[str, int]], outputs: set[str] | None) -> Iterator[Orphan]:
    notes = (folder_of(address) for address, _ in files if name_of(address) == OWNER)
    owned = {folder for folder in notes if read_owner(folder)}
    work: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for address, size in files:
        if _DRAFT.fullmatch(name_of(address)):
            if age_s(address) > DRAFT_AGE_S:
                yield Orphan(address, size, "a draft that was never finished")
        elif name_of(folder_of(address)) == "leases" and address.endswith(LEASE):
            holder = read_holder(address)
            is_new = holder is None and is_being_made(address, DRAFT_AGE_S)
            if not is_new and (holder is None or holder.is_stale):
                yield Orphan(address, size, "the lease of a command that is gone")
        elif folder := _work_folder(address, owned):
            work[folder].append((address, size))
    for folder, found in work.items():
        ours = [entry for entry in found if _WORK_FILE.fullmatch(entry[0][len(folder) + 1 :])]
        orphan = _judged(folder, sum(size for _, size in ours), outputs)
        if len(ours) < len(found):
            left = f"{len(found) - len(ours)} files in it are not of this program"
            only = tuple(address for address, _ in ours)
            orphan = replace(orphan, what=f"{orphan.what}; {left}", only=only)
            orphan = orphan if ours else replace(orphan, is_kept=True)
        yield orphan


def _work_folder(address: str, owned: set[str]) -> str | None:
    """Return the work folder that contains a file, if any."""
    folder = folder_of(address)
    while folder != folder_of(folder):
        beside_output = name_of(folder_of(folder)) == WORK_ROOT
        if folder in owned or (beside_output and name_of(folder) not in KEPT):
            return folder
        folder = folder_of(folder)
    return None


def _judged(folder: str, size: int, outputs: set[str] | None) -> Orphan:
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
    return Orphan(folder, size, f"work of {output}, which is not finished", True)
