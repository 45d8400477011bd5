"""`sonic status`: where a manifest stands, from results, journals, leases and work folders.

It only reads.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from flows import addresses
from flows.console.terminal import Terminal
from flows.rows.manifest import Manifest, open_manifest
from flows.rows.rows import BadRow, Row, parse_row
from flows.state.journal import folder_of, journaled
from flows.state.leases import LEASE, holder_of
from flows.state.receipts import lease_target, work_folder_ending, work_root
from flows.state.results import FINISHED, RowResult, read_results, results_address
from sonic_ops.core.files import exists, names_in, storage_fault

SHOWN = 30
"""Rows in work, and rows that have failed, that are shown one by one."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a row stands, in words that other programs can read, and what there is to say."""

    row: int
    id: str
    status: str
    said: str = ""


def show_status(
    manifest: str,
    output_folder: str | None,
    work: str | None,
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
            for standing in standings(lines, output_folder, work):
                counts[standing.status] += 1
                if as_json:
                    facts = {"id": standing.id, "status": standing.status, "said": standing.said}
                    terminal.tell("row", row=standing.row, **facts)
                elif standing.said and counts[standing.status] <= SHOWN:
                    terminal.say(f"  {standing.id}: {standing.status}: {standing.said}")
    except OSError as error:
        raise storage_fault(error) from error
    if as_json:
        terminal.tell("rows", **counts)
    else:
        terminal.say(_in_words(counts))
    return FINISHED.issuperset(counts)


def _in_words(counts: Counter[str]) -> str:
    shown = ", ".join(f"{count:,} {status}" for status, count in sorted(counts.items()))
    return f"{counts.total():,} rows: {shown}"


def standings(
    manifest: Manifest, output_folder: str | None = None, work: str | None = None
) -> Iterator[Standing]:
    """Yield the status of every row, in the order of the manifest. Raises OSError."""
    folder = addresses.folder_of(manifest.address)
    rows = (parse_row(line, folder, output_folder) for line in manifest.lines())
    known = _known(_results_of(manifest.address, output_folder, next(rows)))
    names_of = lru_cache(maxsize=64)(names_in)
    for line in manifest.lines():
        row = parse_row(line, folder, output_folder)
        result = known.get((row.id, row.output))
        if isinstance(row, Row) and (begun := _in_work(row, work, names_of)):
            yield Standing(row.number, row.id, "in work", begun)
        elif result is not None:
            said = f"{result.error}. {result.remedy}" if result.status == "failed" else ""
            yield Standing(row.number, row.id, result.status, said)
        elif isinstance(row, BadRow) or row.errors:
            sentences = (f"{error.message}. {error.remedy}" for error in row.errors)
            yield Standing(row.number, row.id, "wrong", "; ".join(sentences))
        else:
            yield Standing(row.number, row.id, "waiting")


def _results_of(manifest: str, output_folder: str | None, first: Row | BadRow) -> str:
    """Return the results table, or its place beside the first output if that is used."""
    results = results_address(manifest, output_folder)
    beside = results_address(manifest, addresses.folder_of(first.output)) if first.output else ""
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
    start = f"{addresses.name_of(target)}."
    names = names_of(addresses.folder_of(target))
    if not any(name.startswith(start) and name.endswith(LEASE) for name in names):
        return ""
    holder = holder_of(target)
    if holder is None or holder.is_stale:
        return ""
    root = work or work_root(row.output)
    found = [name for name in names_of(root) if name.endswith(work_folder_ending(row))]
    folders = [addresses.join(root, name) for name in found]
    far = next((said for folder in folders if (said := _how_far(folder))), "begins")
    return f"{far}, by process {holder.pid} on {holder.machine}"


def _how_far(work: str) -> str:
    """Describe the progress of a row from the files in its work folder."""
    encoded, latents, steps = (
        names_in(addresses.join(work, folder)) for folder in ("segments", "latents", "checkpoints")
    )
    if encoded:
        return f"{len(encoded)} of {len(latents)} segments encoded"
    if latents:
        return f"{len(latents)} segments denoised"
    kept = [int(name) for name in steps if name.isdecimal()]
    return f"{max(kept)} steps denoised" if kept else ""
