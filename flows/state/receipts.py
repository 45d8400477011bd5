"""What is kept about a finished row, so that a second run knows that there is nothing to do."""

import hashlib
import json
import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, TypeAlias

from cluster.pool.costs import RowCosts
from flows import urls
from flows.rows.fingerprint import SHORT
from flows.rows.rows import Row
from flows.state.results import RowResult, result_from
from sonic_ops.core.files import exists, names_in, printable, written

WORK_ROOT = ".sonic"
OWNER = "sonic-row.json"
PUBLISHED = "published.json"
SUBTITLES_OF = "subtitles_of"
"""In the receipt of a file of subtitles: the output that it belongs to."""
SHORT_OWN = 8
"""Digits of the hash of id and output in the name of a work folder."""

Origin: TypeAlias = Literal["ours", "changed", "foreign"]
"""Whether a file is as a render left it, has changed since, or was never rendered."""

HASHED_BYTES = 256 << 20
"""Outputs up to this size are compared by content as well, not by size alone."""


def work_root(output: str) -> str:
    """Return the folder beside an output that holds work in progress and receipts."""
    return urls.join(urls.folder_of(output), WORK_ROOT)


def work_folder(row: Row, fingerprint: str, work: str | None) -> str:
    """In `work`, or beside the output; the name is safe everywhere and changes with the content.

    Two rows never share one, however alike their ids and inputs are.
    """
    safe_id = re.sub(r"[^\w.-]+", "_", row.id)[:40]
    name = f"{safe_id}-{fingerprint[:SHORT]}{work_folder_ending(row)}"
    return urls.join(work or work_root(row.output), name)


def work_folder_ending(row: Row) -> str:
    """Return how the names of the work folders of a row end, whatever its content is."""
    own = hashlib.sha256(os.fsencode(f"{row.id}\n{row.output}")).hexdigest()
    return f"-{own[:SHORT_OWN]}"


def receipt_url(output: str) -> str:
    """Return where the receipt of an output is kept."""
    return urls.join(work_root(output), "receipts", f"{urls.name_of(output)}.json")


def lease_target(output: str) -> str:
    """Return the name of the lease that a command takes to render an output."""
    return urls.join(work_root(output), "leases", urls.name_of(output))


def write_owner(work: str, output: str, fingerprint: str) -> None:
    """Say in a work folder which output it is for, so that `sonic clean` can tell."""
    owner = urls.join(work, OWNER)
    if not exists(owner):
        with written(owner) as path:
            path.write_text(json.dumps({"output": printable(output), "fingerprint": fingerprint}))


def read_owner(work: str) -> tuple[str, str] | None:
    """Return the output and fingerprint that a work folder belongs to, or None.

    Raises OSError where that cannot be read.
    """
    content = urls.read_json(urls.join(work, OWNER))
    if not isinstance(content, dict):
        return None
    output, fingerprint = content.get("output"), content.get("fingerprint")
    if not isinstance(output, str) or not isinstance(fingerprint, str):
        return None
    return output, fingerprint


def write_receipt(result: RowResult, costs: RowCosts) -> None:
    """Keep the result of a finished row beside its output, and where its time went."""
    assert result.output is not None
    timings = {"seconds": dict(costs.seconds), "spans": [asdict(s) for s in costs.spans]}
    receipt = {"result": result.to_write(), "timings": timings} | stamp_of(result.output)
    with written(receipt_url(result.output)) as path:
        path.write_text(json.dumps(receipt, indent=1))


def announce(work: str, finished: Path) -> None:
    """Note in a work folder which file is about to be published.

    A command that ends before it writes the receipt leaves a file that is known all the same.
    """
    note, stamp = urls.join(work, PUBLISHED), stamp_of(str(finished))
    if urls.read_json(note) != stamp:
        with written(note) as path:
            path.write_text(json.dumps(stamp))


def origin_of(row: Row, fingerprint: str | None, work: str | None) -> RowResult | Origin:
    """Return the result of an unchanged finished row, else who owns its output.

    A file is ours if it is as a receipt or a work folder of the row says. Raises OSError.
    """
    receipt, stamp = _read_receipt(row.output), stamp_of(row.output)
    result = receipt["result"]
    if stamp == _stamp_in(receipt):
        return result_from(result) if result.get("fingerprint") == fingerprint else "ours"
    if stamp in _announced(row, work or work_root(row.output)):
        return "ours"
    return "changed" if result else "foreign"


def foreign_receipt(output: str) -> str | None:
    """Return the receipt's URL if something else is there, which is not replaced."""
    url = receipt_url(output)
    if not urls.is_remote(url) and not posixpath.lexists(url):
        return None
    content = urls.read_json(url)
    is_ours = isinstance(content, dict) and ("result" in content or SUBTITLES_OF in content)
    return None if is_ours or not exists(url) else url


def finished_result(output: str, fingerprint: str) -> RowResult | None:
    """Return the result of an earlier run if its output and inputs are unchanged."""
    receipt = _read_receipt(output)
    if receipt["result"].get("fingerprint") != fingerprint or stamp_of(output) != _stamp_in(
        receipt
    ):
        return None
    return result_from(receipt["result"])


def output_state(output: str, fingerprint: str | None) -> str | None:
    """Say whether a rendered output is `finished`, `missing` or `out of date`; None: never was.

    A file that has its size, and was not touched since, is not read. Raises OSError.
    """
    receipt = _read_receipt(output)
    stamp = _stamp_in(receipt)
    if not receipt["result"]:
        return None
    size = urls.size_bytes(output)
    if size is None:
        return "missing"
    was_touched = urls.age_s(output) < urls.age_s(receipt_url(output))
    is_changed = size != stamp.get("size_bytes") or (was_touched and stamp_of(output) != stamp)
    if is_changed or fingerprint not in (None, receipt["result"].get("fingerprint")):
        return "out of date"
    return "finished"


def received_fingerprint(output: str) -> object:
    """Return the fingerprint of an output's last finished render, or None."""
    return _read_receipt(output)["result"].get("fingerprint")


def received_timings(output: str) -> dict[str, Any]:
    """Return where the time of an output's last finished render went; empty if unknown."""
    timings = _read_receipt(output).get("timings")
    return timings if isinstance(timings, dict) else {}


def _announced(row: Row, root: str) -> Iterator[object]:
    """Return what the work folders of a row publish, under any settings."""
    ending = work_folder_ending(row)
    for name in names_in(root):
        if name.endswith(ending):
            yield urls.read_json(urls.join(root, name, PUBLISHED))


def _read_receipt(output: str) -> dict[str, Any]:
    """Read a receipt; without a result if there is none."""
    receipt = urls.read_json(receipt_url(output))
    if not isinstance(receipt, dict) or not isinstance(receipt.get("result"), dict):
        return {"result": {}}
    return receipt


def stamp_of(output: str) -> dict[str, object]:
    """Return size and hash of the output; no hash if it is long, nothing if it is missing."""
    size = urls.size_bytes(output)
    if size is None:
        return {}
    digest = urls.sha256_of(output) if size <= HASHED_BYTES else None
    return {"size_bytes": size, "sha256": digest}


def _stamp_in(receipt: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in receipt.items() if key not in ("result", "timings")}
