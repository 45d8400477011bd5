"""Every row of a manifest is checked before anything is computed.

A row comes out as work to do, as finished by an earlier run, or as a list of what is wrong with it.
Rows come out as they went in, one after another: what is kept of each are two hashes.
"""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from flows import addresses
from flows.preflight.subtitle_files import REMEDY, check_side_car, side_car_of
from flows.rows.config import RenderConfig
from flows.rows.fingerprint import fingerprint_of
from flows.rows.manifest import Manifest
from flows.rows.plan import plan_row
from flows.rows.planned import PlannedRow
from flows.rows.rows import BadRow, FaceBox, Row, blaming, parse_row
from flows.state.receipts import finished_result, is_ours, work_folder
from flows.state.results import RowResult
from sonic_ops.core.config import PortraitConfig
from sonic_ops.core.errors import (
    FieldError,
    InputError,
    OutputNotWritableError,
    SonicError,
)
from sonic_ops.core.formats import format_of
from sonic_ops.core.presets import trained_resolution

if TYPE_CHECKING:
    from flows.preflight.inputs import AudioFacts, PortraitFacts

T = TypeVar("T")

KEPT_INSPECTIONS = 4096
"""Files whose inspection is remembered for other rows that use them."""

THREADS = min(32, (os.cpu_count() or 1) + 4)
"""Rows inspected at once: decoders compute, and stores let wait."""


Outcome: TypeAlias = PlannedRow | RowResult | BadRow
"""A row with work to do, the result of a finished one, or one that is wrong."""


def preflight(
    manifest: Manifest,
    config: RenderConfig,
    *,
    weights_sha256: str,
    output_folder: str | None = None,
) -> Iterator[Outcome]:
    """Check the rows of a manifest, in its order. Raises ManifestError if there are none."""
    folder = addresses.folder_of(manifest.address)
    rows = (parse_row(line, folder, output_folder) for line in manifest.lines())
    return RowChecker(config, weights_sha256).outcomes(rows)


class RowChecker:
    """Checks rows and remembers the ids, outputs and files it has seen.

    Rows claim ids and outputs in their order; the rest is done in any order. With `spares_files`, a
    file that no render has written is not replaced.
    """

    def __init__(
        self, config: RenderConfig, weights_sha256: str, *, spares_files: bool = False
    ) -> None:
        self._config = config
        self._spares_files = spares_files
        self._weights_sha256 = weights_sha256
        self._resolution = trained_resolution(config.models.weights)
        remembered = lru_cache(KEPT_INSPECTIONS)
        self._digest = remembered(addresses.sha256_of)
        self._folder_problem = remembered(_folder_problem)
        self._audio = remembered(_inspect_audio)
        self._portrait = remembered(_inspect_portrait)
        self._row_of_id: dict[bytes, int] = {}
        self._row_of_output: dict[bytes, int] = {}

    def outcomes(self, rows: Iterable[Row | BadRow]) -> Iterator[Outcome]:
        """What is to be done about rows, in their order."""
        waiting: deque[Future[Outcome]] = deque()
        with ThreadPoolExecutor(THREADS, thread_name_prefix="preflight") as threads:
            for row in rows:
                waiting.append(threads.submit(self.check, self.claim(row)))
                if len(waiting) > 2 * THREADS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def claim(self, row: Row | BadRow) -> Row | BadRow:
        """The row, with an error for an id or a file to write that an earlier row has."""
        errors = [*self._id_errors(row), *row.errors]
        if isinstance(row, Row):
            errors.extend(self._twin_errors(row))
        return replace(row, errors=tuple(errors))

    def check(self, row: Row | BadRow) -> Outcome:
        """What is to be done about a row that has made its claims."""
        if isinstance(row, BadRow):
            return row
        errors = list(row.errors)
        _kept(errors, "output", lambda: errors.extend(self._output_errors(row)))
        errors.extend(self._consent_errors(row))
        errors.extend(self._resolution_errors(row))
        fingerprint = _kept([], "audio", lambda: self._fingerprint(row))  # said by the inspection
        if fingerprint and self._spares_files:
            _kept(errors, "output", lambda: errors.extend(self._foreign(row, fingerprint)))
        if fingerprint and not errors:
            result = _kept(errors, "output", lambda: finished_result(row.output, fingerprint))
            if result:
                return replace(result, row=row.number, id=row.id, place=row.place, status="skipped")
        return self._inspect(row, fingerprint, errors)

    def _inspect(
        self, row: Row, fingerprint: str | None, errors: list[SonicError]
    ) -> PlannedRow | BadRow:
        config = self._config.for_row(row)
        audio = _kept(errors, "audio", lambda: self._audio(row.audio, row.start, row.end))
        portrait = _kept(
            errors,
            "portrait",
            lambda: self._portrait(
                row.portrait, row.face_box, row.face, config.portrait, config.media.scale_to
            ),
        )
        length_s = audio.duration_s if audio else 0.0
        end_s = (row.start or 0.0) + length_s
        film = _kept(errors, "portrait", lambda: _inspect_film(row, config.portrait, length_s))
        more = _kept(errors, "subtitles", lambda: _inspect_subtitles(row, end_s))
        if fingerprint is None and not errors:  # a file that came and went
            fingerprint = _kept(errors, "audio", lambda: self._fingerprint(row))
        if errors or not (audio and portrait and fingerprint) or None in (film, more):
            return BadRow(row.number, row.id, tuple(errors), row.output, row.place)
        return PlannedRow(
            row,
            fingerprint,
            work_folder(row, fingerprint, self._config.work),
            plan_row(audio.duration_s, config.sampling, config.media.fps),
            (*audio.notes, *portrait.notes, *(film or ()), *(more or ())),
            portrait.size,
            portrait.part_size,
            (audio.rate_hz, audio.num_channels),
        )

    def _fingerprint(self, row: Row) -> str:
        return fingerprint_of(row, self._config, self._weights_sha256, self._digest)

    def _id_errors(self, row: Row | BadRow) -> Iterator[SonicError]:
        own = row.number
        first = self._row_of_id.setdefault(_short_hash(row.id), own) if row.id else own
        if first != row.number:
            yield FieldError(
                f"row number {own} has the id {row.id!r} of row number {first}",
                remedy="Give every row an id of its own.",
                field="id",
            )

    def _twin_errors(self, row: Row) -> Iterator[SonicError]:
        if first := self.reserve(row.number, row.output):
            yield FieldError(
                f"{row.output} is already the output of row number {first}",
                remedy="Give every row an output of its own.",
                field="output",
            )
        address = side_car_of(row)
        if address and (first := self.reserve(row.number, address)):
            yield FieldError(
                f"row number {first} writes its subtitles to {address} already",
                remedy=REMEDY,
                field="subtitles",
            )

    def reserve(self, number: int, address: str) -> int | None:
        """The number of the earlier row that writes a file, None if this one is the first."""
        first = self._row_of_output.setdefault(_short_hash(address), number)
        return None if first == number else first

    def _consent_errors(self, row: Row) -> Iterator[SonicError]:
        if self._config.provenance.require_consent and row.consent is None:
            yield FieldError(
                "nothing says who agreed to this video, and the preset wants it",
                remedy="Write where the consent is kept, such as `form 12, 2026-11-02`.",
                field="consent",
            )

    def _resolution_errors(self, row: Row) -> Iterator[SonicError]:
        asked, own = self._config.for_row(row).portrait.resolution, self._resolution
        if own is not None and asked != own:
            yield FieldError(
                f"the weights of the preset were not trained for a resolution of {asked}",
                remedy=f"Write {own}, as their preset has it, or leave the cell empty; `scale_to` "
                "enlarges the finished video.",
                field="resolution",
            )

    def _output_errors(self, row: Row) -> Iterator[SonicError]:
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

    def _foreign(self, row: Row, fingerprint: str) -> Iterator[SonicError]:
        """An error for an output that is there and is not as a render left it."""
        if addresses.size_bytes(row.output) is None:
            return
        if not is_ours(row.output, work_folder(row, fingerprint, self._config.work)):
            yield FieldError(
                f"{row.output} is there, and no render has written it",
                remedy="Give the file another name or another place.",
                field="output",
            )


# Inspections load the libraries of the mathematics: late, so that a run with nothing to do is over
# in a moment.
def _inspect_audio(audio: str, start: float | None, end: float | None) -> "AudioFacts":
    from flows.preflight.inputs import inspect_audio

    return inspect_audio(audio, start, end)


def _inspect_portrait(
    portrait: str,
    face_box: FaceBox | None,
    face: int | None,
    settings: PortraitConfig,
    scale_to: int | None,
) -> "PortraitFacts":
    from flows.preflight.inputs import inspect_portrait

    return inspect_portrait(portrait, face_box, face, settings, scale_to)


def _inspect_film(row: Row, settings: PortraitConfig, length_s: float) -> tuple[str, ...]:
    if settings.framing != "paste":
        return ()
    from flows.preflight.films import inspect_film

    start_s = row.start or 0.0
    return tuple(inspect_film(row.portrait, row.face_box, row.face, settings, start_s, length_s))


def _inspect_subtitles(row: Row, end_s: float) -> tuple[str, ...]:
    from flows.preflight.inputs import inspect_subtitles

    if row.subtitles is None:
        return ()
    if format_of(row.output).is_animation:
        return ("an animation has neither sound nor subtitles",)
    check_side_car(row)
    return inspect_subtitles(row.subtitles, row.language, row.start, end_s)


def _folder_problem(folder: str) -> str:
    """Why a folder cannot be written; empty if it can."""
    try:
        addresses.probe_folder(folder)
    except OSError as error:
        return str(error)
    return ""


def _short_hash(text: str) -> bytes:
    """Enough to tell the texts of a manifest apart."""
    return hashlib.blake2b(os.fsencode(text), digest_size=16).digest()


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
