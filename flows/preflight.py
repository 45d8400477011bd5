"""Every row of a manifest is checked before anything is computed.

A row comes out as work to do, as finished by an earlier run, or as a list of what is wrong with it.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from flows import addresses
from flows.config import RenderConfig
from flows.fingerprint import SHORT, fingerprint_of
from flows.manifest import read_manifest
from flows.plan import RowPlan, plan_row
from flows.receipts import finished_result, work_root
from flows.results import RowResult
from flows.rows import BadRow, FaceBox, Row, blaming, parse_row
from sonic_ops.config import PortraitConfig
from sonic_ops.errors import (
    FieldError,
    InputError,
    OutputNotWritableError,
    SonicError,
)

if TYPE_CHECKING:
    from flows.inputs import AudioFacts

T = TypeVar("T")

SHORT_OWN = 8
"""Digits of the hash of id and output in the name of a work folder."""


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """A row to render: what, how much, where its work lies, and what to tell the user."""

    row: Row
    fingerprint: str
    work: str
    plan: RowPlan
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preflight:
    """All rows of a manifest, sorted into three."""

    planned: tuple[PlannedRow, ...]
    finished: tuple[RowResult, ...]
    bad: tuple[BadRow, ...]

    @property
    def num_rows(self) -> int:
        """Rows of the manifest."""
        return len(self.planned) + len(self.finished) + len(self.bad)


def preflight(
    manifest: str, config: RenderConfig, *, weights_sha256: str, output_folder: str | None = None
) -> Preflight:
    """Check all rows of a manifest. Raises ManifestError if there are none to check."""
    checker = RowChecker(config, weights_sha256)
    folder = addresses.folder_of(manifest)
    outcomes = [
        checker.check(parse_row(line, folder, output_folder)) for line in read_manifest(manifest)
    ]
    return Preflight(
        tuple(outcome for outcome in outcomes if isinstance(outcome, PlannedRow)),
        tuple(outcome for outcome in outcomes if isinstance(outcome, RowResult)),
        tuple(outcome for outcome in outcomes if isinstance(outcome, BadRow)),
    )


class RowChecker:
    """Checks rows one after another and remembers the ids, outputs and files it has seen."""

    def __init__(self, config: RenderConfig, weights_sha256: str) -> None:
        self._config = config
        self._weights_sha256 = weights_sha256
        self._digest = cache(addresses.sha256_of)
        self._folder_problem = cache(_folder_problem)
        self._audio = cache(_inspect_audio)
        self._portrait = cache(_inspect_portrait)
        self._row_of_id: dict[str, int] = {}
        self._row_of_output: dict[str, int] = {}

    def check(self, row: Row | BadRow) -> PlannedRow | RowResult | BadRow:
        """What is to be done about a row."""
        errors = [*self._id_errors(row), *row.errors]
        if isinstance(row, BadRow):
            return replace(row, errors=tuple(errors))
        _kept(errors, "output", lambda: errors.extend(self._output_errors(row)))
        fingerprint = _kept([], "audio", lambda: self._fingerprint(row))  # said by the inspection
        if fingerprint and not errors:
            result = _kept(errors, "output", lambda: finished_result(row.output, fingerprint))
            if result:
                extras = dict(row.extras)
                return replace(result, row=row.number, id=row.id, status="skipped", extras=extras)
        return self._inspect(row, fingerprint, errors)

    def _inspect(
        self, row: Row, fingerprint: str | None, errors: list[SonicError]
    ) -> PlannedRow | BadRow:
        settings = self._config.for_row(row).portrait
        facts = _kept(errors, "audio", lambda: self._audio(row.audio, row.start, row.end))
        notes = _kept(
            errors, "portrait", lambda: self._portrait(row.portrait, row.face_box, settings)
        )
        if fingerprint is None and not errors:  # a file that came and went
            fingerprint = _kept(errors, "audio", lambda: self._fingerprint(row))
        if errors or facts is None or notes is None or fingerprint is None:
            return BadRow(row.number, row.id, tuple(errors), row.extras, row.output)
        return PlannedRow(
            row,
            fingerprint,
            _work_folder(row, fingerprint),
            plan_row(facts.duration_s, self._config.sampling),
            (*facts.notes, *notes, *_notes_of(row)),
        )

    def _fingerprint(self, row: Row) -> str:
        return fingerprint_of(row, self._config, self._weights_sha256, self._digest)

    def _id_errors(self, row: Row | BadRow) -> Iterator[SonicError]:
        first = self._row_of_id.setdefault(row.id, row.number) if row.id else row.number
        if first != row.number:
            yield FieldError(
                f"{row.id!r} is already the id of row number {first}",
                remedy="Give every row an id of its own.",
                field="id",
            )

    def _output_errors(self, row: Row) -> Iterator[SonicError]:
        first = self._row_of_output.setdefault(row.output, row.number)
        if first != row.number:
            yield FieldError(
                f"{row.output} is already the output of row number {first}",
                remedy="Give every row an output of its own.",
                field="output",
            )
        if row.output in (row.audio, row.portrait):
            yield FieldError(
                f"{row.output} is an input of the row and would be lost",
                remedy="Write to another file.",
                field="output",
            )
        folder = addresses.folder_of(row.output)
        if reason := self._folder_problem(folder):
            yield OutputNotWritableError(
                f"the folder {folder} cannot be written ({reason})",
                remedy="Choose a folder that you may write to, or change its permissions.",
                field="output",
            )
        elif addresses.is_folder(row.output):
            yield OutputNotWritableError(
                f"{row.output} is a folder",
                remedy="Give the address of a file.",
                field="output",
            )


# Inspections are the only part of a preflight that loads the libraries of the mathematics: late,
# so that a run with nothing to do is over in a moment.
def _inspect_audio(audio: str, start: float | None, end: float | None) -> "AudioFacts":
    from flows.inputs import inspect_audio

    return inspect_audio(audio, start, end)


def _inspect_portrait(
    portrait: str, face_box: FaceBox | None, settings: PortraitConfig
) -> tuple[str, ...]:
    from flows.inputs import inspect_portrait

    return inspect_portrait(portrait, face_box, settings)


def _folder_problem(folder: str) -> str:
    """Why a folder cannot be written; empty if it can."""
    try:
        addresses.probe_folder(folder)
    except OSError as error:
        return str(error)
    return ""


def _work_folder(row: Row, fingerprint: str) -> str:
    """Beside the output; the name is safe on any file system and changes with the content.

    Two rows never share one, however alike their ids and inputs are.
    """
    safe_id = re.sub(r"[^\w.-]+", "_", row.id)[:40]
    own = hashlib.sha256(f"{row.id}\n{row.output}".encode()).hexdigest()
    return addresses.join(
        work_root(row.output), f"{safe_id}-{fingerprint[:SHORT]}-{own[:SHORT_OWN]}"
    )


def _notes_of(row: Row) -> Iterable[str]:
    if row.subtitles:
        yield "subtitles are noted here, but are not part of the video in this version"


def _kept(errors: list[SonicError], column: str, inspect: Callable[[], T]) -> T | None:
    """The result of an inspection; what it raises is put to the errors, with its column."""
    try:
        with blaming(column):
            return inspect()
    except InputError as error:
        errors.append(error)
    except Exception as error:  # a remote store may raise anything, even while a file is read
        errors.append(
            FieldError(
                f"it cannot be used ({type(error).__name__}: {error})",
                remedy="Check the address, and that it can be reached from here.",
                field=column,
            )
        )
    return None
