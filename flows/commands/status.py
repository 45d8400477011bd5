"""`sonic status`: where a manifest stands, by its files, results, journals and leases.

It only reads, and says of every row what `sonic render` with the same options would find.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from flows import urls
from flows.console.terminal import Terminal
from flows.planning.checking import weights_of
from flows.rows.config import RenderConfig
from flows.rows.fingerprint import fingerprint_of
from flows.rows.manifest import Manifest, open_manifest
from flows.rows.rows import BadRow, Row, parse_row
from flows.state.journal import folder_of, journaled
from flows.state.leases import LEASE, holder_of
from flows.state.receipts import (
    lease_target,
    output_state,
    work_folder_ending,
    work_root,
)
from flows.state.results import RowResult, read_results, results_url, sentence_of
from sonic_ops.core.errors import ConfigError, MissingFileError
from sonic_ops.core.files import exists, names_in, storage_fault

SHOWN = 30
"""Rows of each status that are shown one by one."""

KEPT_DIGESTS = 4096
WATCH_S = 3.0
"""How long `--watch` waits before it looks again."""
FINISHED, MISSING, OUT_OF_DATE = "finished", "missing", "out of date"
WAITING, FAILED, LOCKED = "waiting", "failed", "locked"
_SAID = {
    MISSING: "its video was rendered, and is gone",
    OUT_OF_DATE: "its video was made from other inputs or with other settings, or was changed; "
    "if --preset is the one that it was rendered with, it will be rendered again",
}


@dataclass(frozen=True, slots=True)
class RowStatus:
    """Where a row stands, in words that other programs can read, and what there is to say."""

    row: int
    id: str
    status: str
    said: str = ""


def show_status(
    manifest: str,
    output_folder: str | None,
    config: RenderConfig,
    terminal: Terminal,
    *,
    as_json: bool,
) -> bool:
    """Say where all rows stand; whether all of them are finished.

    Raises ManifestError, and RenderError where a store does not answer.
    """
    counts: Counter[str] = Counter()
    try:
        with open_manifest(manifest) as lines:
            for row in row_statuses(lines, config, output_folder):
                counts[row.status] += 1
                if as_json:
                    facts = {"id": row.id, "status": row.status, "said": row.said}
                    terminal.emit("row", row=row.row, **facts)
                elif row.said and counts[row.status] <= SHOWN:
                    terminal.say(f"  {row.id}: {row.status}: {row.said}")
    except OSError as error:
        raise storage_fault(error) from error
    if as_json:
        terminal.emit("rows", **counts)
    else:
        terminal.say(_in_words(counts))
    return set(counts) == {FINISHED}


def watch_status(
    manifest: str,
    output_folder: str | None,
    config: RenderConfig,
    terminal: Terminal,
    *,
    as_json: bool,
    pause_s: float = WATCH_S,
) -> bool:
    """Say where all rows stand, again and again; True as soon as all are finished."""
    while True:
        if terminal.console.is_terminal:
            terminal.console.clear()
        if show_status(manifest, output_folder, config, terminal, as_json=as_json):
            return True
        time.sleep(pause_s)


def _in_words(counts: Counter[str]) -> str:
    shown = ", ".join(f"{count:,} {status}" for status, count in sorted(counts.items()))
    return f"{counts.total():,} rows: {shown}"


def row_statuses(
    manifest: Manifest, config: RenderConfig, output_folder: str | None = None
) -> Iterator[RowStatus]:
    """Yield the status of every row, in the order of the manifest. Raises OSError."""
    folder = urls.folder_of(manifest.url)
    rows = (parse_row(line, folder, output_folder) for line in manifest.lines())
    known = _known(_results_of(manifest.url, output_folder, next(rows)))
    names_of = lru_cache(maxsize=64)(names_in)
    digest = lru_cache(KEPT_DIGESTS)(urls.sha256_of)
    try:
        weights = weights_of(config)
    except ConfigError:  # seen from a machine that does not render
        weights = None
    for line in manifest.lines():
        row = parse_row(line, folder, output_folder)
        status, said = FAILED, ""
        if isinstance(row, Row) and (begun := _in_work(row, config.work, names_of)):
            status, said = LOCKED, begun
        elif isinstance(row, BadRow) or row.errors:
            sentences = (f"{sentence_of(error)}. {error.remedy}" for error in row.errors)
            said = f"{line.place}: {'; '.join(sentences)}"
        else:
            try:
                fingerprint = weights and fingerprint_of(row, config.for_row(row), weights, digest)
                status, said = _of_files(row, fingerprint, known.get((row.id, row.output)))
            except MissingFileError as error:
                said = f"{line.place}: {error}"
        yield RowStatus(row.number, row.id, status, said)


def _of_files(row: Row, fingerprint: str | None, result: RowResult | None) -> tuple[str, str]:
    """Tell the status of a row by its output, and what there is to say."""
    state = output_state(row.output, fingerprint)
    if state == FINISHED:
        return FINISHED, ""
    if result is not None and result.status == "failed":
        if None in (result.fingerprint, fingerprint) or result.fingerprint == fingerprint:
            return FAILED, f"{result.error}. {result.remedy}"
    elif state is None and result is not None and not exists(row.output):
        state = MISSING
    return (state, _SAID[state]) if state else (WAITING, "")


def _results_of(manifest: str, output_folder: str | None, first: Row | BadRow) -> str:
    """Return the results table, or its place beside the first output if that is used."""
    results = results_url(manifest, output_folder)
    beside = results_url(manifest, urls.folder_of(first.output)) if first.output else ""
    for found in (results, beside):
        if found and (exists(found) or names_in(folder_of(found))):
            return found
    return results


def _known(results: str) -> dict[tuple[str, str | None], RowResult]:
    """Read the results of the table and of the newer journals, by id and output."""
    return {
        (result.id, result.output): result
        for result in chain(read_results(results), journaled(results))
    }


def _in_work(row: Row, work: str | None, names_of: Callable[[str], frozenset[str]]) -> str:
    """Describe who renders a row and how far it is; empty if nobody does."""
    target = lease_target(row.output)
    start = f"{urls.name_of(target)}."
    names = names_of(urls.folder_of(target))
    if not any(name.startswith(start) and name.endswith(LEASE) for name in names):
        return ""
    holder = holder_of(target)
    if holder is None or holder.is_stale:
        return ""
    root = work or work_root(row.output)
    found = [name for name in names_of(root) if name.endswith(work_folder_ending(row))]
    folders = [urls.join(root, name) for name in found]
    far = next((said for folder in folders if (said := _how_far(folder))), "begins")
    return f"{far}, by process {holder.pid} on {holder.machine}"


def _how_far(work: str) -> str:
    """Describe the progress of a row from the files in its work folder."""
    encoded, latents, steps = (
        names_in(urls.join(work, folder)) for folder in ("segments", "latents", "checkpoints")
    )
    if encoded:
        return f"{len(encoded)} of {len(latents)} segments encoded"
    if latents:
        return f"{len(latents)} segments denoised"
    kept = [int(name) for name in steps if name.isdecimal()]
    return f"{max(kept)} steps denoised" if kept else ""
