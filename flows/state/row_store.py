"""What is known about every row of a run. It lies on disk: memory does not grow with the manifest.

The database has no name and is gone with the process; what must survive is in receipts and journal.
"""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from threading import Lock
from typing import Any

from flows.rows.plan import RowPlan
from flows.rows.planned import FilmTiming, PlannedRow
from flows.rows.rows import Row
from flows.state.results import RowResult, result_from
from flows.urls import printable
from sonic_ops.core.errors import RenderError

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE rows (
    number INTEGER PRIMARY KEY, id TEXT, output TEXT, fingerprint TEXT, status TEXT,
    planned TEXT, result TEXT
);
CREATE TABLE earlier (
    id TEXT, output TEXT, fingerprint TEXT, status TEXT, result TEXT,
    PRIMARY KEY (id, output, fingerprint)
);
CREATE TABLE finished (fingerprint TEXT PRIMARY KEY, output TEXT);
BEGIN;
"""
_BATCH_ROWS = 256


class RowStore:
    """Rows by their number in the manifest: what is planned, and what became of them."""

    def __init__(self) -> None:
        # Without a name, SQLite keeps the database in a file that it has already unlinked. All is
        # one transaction that never ends: what is not committed is not written row by row.
        self._db = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._db.executescript(_TABLES)
        self._lock = Lock()

    def plan(self, planned: PlannedRow) -> None:
        """Note a row to render."""
        row = planned.row
        self._write(
            "INSERT INTO rows VALUES (?, ?, ?, ?, 'waiting', ?, NULL)",
            (row.number, row.id, printable(row.output), planned.fingerprint, _text(planned)),
        )

    def record(self, result: RowResult) -> None:
        """Note what became of a row."""
        self._write(
            "INSERT INTO rows VALUES (?, ?, ?, ?, ?, NULL, ?) ON CONFLICT (number) DO UPDATE "
            "SET status = excluded.status, result = excluded.result",
            (result.row, *_key(result), result.status, _text(result)),
        )

    def remember(self, result: RowResult) -> None:
        """Note the result of a row from another run.

        For the same form of the row, a finished video counts most, then the last result.
        """
        self._write(
            "INSERT INTO earlier VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "status = excluded.status, result = excluded.result WHERE status <> 'done'",
            (*_key(result), result.status, _text(result)),
        )

    def note_finished(self, result: RowResult) -> None:
        """Note the video of an earlier run, which a row under another name may be copied from."""
        if result.fingerprint and result.output:
            self._write(
                "INSERT OR REPLACE INTO finished VALUES (?, ?)",
                (result.fingerprint, json.dumps(result.output)),
            )

    def finished_with(self, fingerprint: str) -> str | None:
        """Return the URL of a finished video with this fingerprint."""
        with self._lock:
            query = "SELECT output FROM finished WHERE fingerprint = ?"
            found = self._db.execute(query, (fingerprint,)).fetchone()
        return str(json.loads(found[0])) if found else None

    def planned(self, status: str = "waiting") -> Iterator[PlannedRow]:
        """Yield the rows to render with a status, in the order of the manifest."""
        for content, *_ in self._select("planned", "status = ? AND planned IS NOT NULL", status):
            yield _planned_from(json.loads(content))

    def results(self) -> Iterator[RowResult]:
        """Yield the result of every row, in the order of the manifest."""
        for planned, result, earlier in self._select("planned, result, earlier", "TRUE"):
            own = _result_of(planned, result)
            yield own if earlier is None else _newest(own, result_from(json.loads(earlier)))

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        try:
            with self._lock:
                self._db.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise RenderError(
                f"The folder for temporary files cannot be used: {error}",
                remedy="Free some space in it, or set TMPDIR to another folder.",
            ) from error

    def _select(self, columns: str, where: str, *values: str) -> Iterator[tuple[str, ...]]:
        """Yield rows in batches, so that others may write in between."""
        query = (
            f"SELECT {columns}, number FROM (SELECT rows.*, earlier.result AS earlier FROM rows "
            "LEFT JOIN earlier USING (id, output, fingerprint)) "
            f"WHERE {where} AND number > ? ORDER BY number LIMIT {_BATCH_ROWS}"
        )
        last = 0
        while True:
            with self._lock:
                batch = self._db.execute(query, (*values, last)).fetchall()
            if not batch:
                return
            last = batch[-1][-1]
            yield from (tuple(entry[:-1]) for entry in batch)


def _key(result: RowResult) -> tuple[str, str | None, str | None]:
    """Identify a row in its current form."""
    return result.id, result.output and printable(result.output), result.fingerprint


def _text(value: PlannedRow | RowResult) -> str:
    """Return JSON of a value and the values in it; not by `asdict`, which copies all it finds."""
    return json.dumps(value, default=lambda part: {n: getattr(part, n) for n in part.__slots__})


def _planned_from(content: dict[str, Any]) -> PlannedRow:
    row = content["row"]
    box = row["face_box"]
    return PlannedRow(
        row=Row(**row | {"face_box": box and tuple(box), "errors": ()}),
        fingerprint=content["fingerprint"],
        work=content["work"],
        plan=RowPlan(**content["plan"]),
        notes=tuple(content["notes"]),
        image_size=tuple(content["image_size"]),
        part_size=tuple(content["part_size"]),
        audio_form=tuple(content["audio_form"]),
        planned_worker_s=content["planned_worker_s"],
        film=content["film"] and FilmTiming(**content["film"]),
    )


def _result_of(planned: str | None, result: str | None) -> RowResult:
    if result is not None:
        return result_from(json.loads(result))
    assert planned is not None
    row = _planned_from(json.loads(planned))
    return RowResult(
        row.row.number,
        row.row.id,
        "waiting",
        output=row.row.output,
        fingerprint=row.fingerprint,
        place=row.row.place,
        notes="the run ended before this row",
    )


def _newest(own: RowResult, earlier: RowResult) -> RowResult:
    """Prefer the results of this run to those of others."""
    decisive = {"waiting": {"failed"}, "locked": {"failed", "done"}}.get(own.status, set())
    return replace(earlier, row=own.row) if earlier.status in decisive else own
