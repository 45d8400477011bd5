"""Every row of a manifest is checked before anything is computed.

A row comes out as work to do, as finished by an earlier run, or as a list of what is wrong with it.
Rows come out as they went in, one after another; before that, all of them say which files they read
and write. What is kept of each are some hashes.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from flows import urls
from flows.preflight.claims import Claims
from flows.preflight.live import require_watchable
from flows.preflight.outputs import folder_problem, look_at_output, require_inside
from flows.preflight.remembered import Remembered
from flows.preflight.subtitle_files import check_side_car
from flows.rows.columns import TRUTH
from flows.rows.config import RenderConfig
from flows.rows.fingerprint import fingerprint_of
from flows.rows.manifest import Manifest
from flows.rows.planned import PlannedRow, plan_of
from flows.rows.rows import BadRow, FaceBox, Row, in_column, parse_row
from flows.rows.selection import NOT_SELECTED, Selection
from flows.state.receipts import work_folder
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
    from flows.preflight.dubs import DubFacts
    from flows.preflight.inputs import AudioFacts, PortraitFacts

T = TypeVar("T")

KEPT_INSPECTIONS = 4096
"""Files whose inspection is remembered for other rows that use them."""

THREADS = min(32, (os.cpu_count() or 1) + 4)
"""Rows inspected at once: decoders compute, and stores let wait."""


Outcome: TypeAlias = PlannedRow | RowResult | BadRow
"""A row with work to do, the result of a finished one, or one that is wrong."""


def _nothing() -> None:
    pass


def preflight(
    manifest: Manifest,
    config: RenderConfig,
    *,
    weights_sha256: str,
    output_folder: str | None = None,
    selection: Selection | None = None,
    on_work: Callable[[], None] = _nothing,
) -> Iterator[Outcome]:
    """Check the rows of a manifest, in its order. Raises ManifestError if there are none.

    Of rows that are not selected only finished videos are known. `on_work` is called as soon as a
    row is known that is not finished, perhaps more than once, from several threads.
    """
    folder, claims = urls.folder_of(manifest.url), Claims()
    claims.read(0, {"manifest": manifest.url})
    for line in manifest.lines():
        claims.take(parse_row(line, folder, output_folder))
        if isinstance(truth := line.cells.get(TRUTH), str):
            truth_url = urls.resolve(truth.strip(), output_folder or folder)
            claims.read(line.number, {TRUTH: truth_url})
    claims.close()
    rows = (parse_row(line, folder, output_folder) for line in manifest.lines())
    return RowChecker(config, weights_sha256, claims, selection, on_work).outcomes(rows)


class RowChecker:
    """Checks rows in any order, once all claims are known; remembers the files it has seen."""

    def __init__(
        self,
        config: RenderConfig,
        weights_sha256: str,
        claims: Claims,
        selection: Selection | None = None,
        on_work: Callable[[], None] = _nothing,
    ) -> None:
        self._config = config
        self._claims = claims
        self._selection = selection or Selection()
        self._on_work = on_work
        self._weights_sha256 = weights_sha256
        self._resolution = trained_resolution(config.models.weights)
        remembered = lru_cache(KEPT_INSPECTIONS)
        self._digest = remembered(urls.sha256_of)
        self.folder_problem = remembered(folder_problem)
        self._audio = remembered(_inspect_audio)
        self._portrait = remembered(_inspect_portrait)
        self._stem = remembered(_inspect_stem)

    def outcomes(self, rows: Iterable[Row | BadRow]) -> Iterator[Outcome]:
        """Decide what to do about each row, in their order."""
        waiting: deque[Future[Outcome]] = deque()
        with ThreadPoolExecutor(THREADS, thread_name_prefix="preflight") as threads:
            for row in rows:
                waiting.append(threads.submit(self.check, row))
                if len(waiting) > 2 * THREADS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def claimed(self, row: Row | BadRow) -> Row | BadRow:
        """Return the row with errors for an id or file that another row has."""
        errors = [*self._claims.id_errors(row), *row.errors]
        if isinstance(row, Row):
            errors.extend(self._claims.file_errors(row))
        return replace(row, errors=tuple(errors)) if errors else row

    def check(self, row: Row | BadRow) -> Outcome:
        """Decide what to do about a row whose claims are known."""
        row = self.claimed(row)
        is_wanted = self._selection.wants(row)
        if isinstance(row, BadRow):
            return row if is_wanted else left_out(row)
        errors = list(row.errors)
        _kept(errors, "output", lambda: require_inside(row.output, self._config.confine_to))
        if not any(error.field == "output" for error in errors):  # the folder is made
            _kept(errors, "output", lambda: errors.extend(self._folder_errors(row)))
        errors.extend(self._consent_errors(row))
        ours = self._config.for_row(row)
        errors.extend(self._resolution_errors(row, ours))
        if ours.live:
            _kept(errors, "output", lambda: require_watchable(row, ours))
        fingerprint = _kept(
            [], "audio", lambda: self._fingerprint(row, ours)
        )  # said by the inspection
        found: RowResult | SonicError | None = None
        if not any(error.field == "output" for error in errors):
            found = _kept(errors, "output", lambda: self._look_at_output(row, fingerprint))
        if isinstance(found, SonicError):
            errors.append(found)
        if isinstance(found, RowResult) and not errors:
            return replace(found, row=row.number, id=row.id, place=row.place, status="skipped")
        if not is_wanted:
            return left_out(row, fingerprint)
        if not errors:
            self._on_work()
        return self._inspect(row, ours, fingerprint, errors)

    def _inspect(
        self,
        row: Row,
        config: RenderConfig,
        fingerprint: str | None,
        errors: list[SonicError],
    ) -> PlannedRow | BadRow:
        audio = _kept(errors, "audio", lambda: self._audio(row.audio, row.start, row.end))
        length_s = audio.duration_s if audio else 0.0
        stems = self._inspect_stems(row, length_s, errors) if audio else ()
        shown, film = self._inspect_shown(row, config, length_s, errors)
        end_s = (row.start or 0.0) + length_s
        more = _kept(errors, "subtitles", lambda: _inspect_subtitles(row, end_s, config.overwrite))
        if fingerprint is None and not errors:  # a file that came and went
            fingerprint = _kept(errors, "audio", lambda: self._fingerprint(row, config))
        if errors or not (audio and shown and fingerprint) or None in (film, more):
            return BadRow(row.number, row.id, tuple(errors), row.output, row.place)
        return PlannedRow(
            row,
            fingerprint,
            work_folder(row, fingerprint, self._config.work),
            plan_of(shown.timing, audio.duration_s, config.sampling, config.media.fps),
            (*audio.notes, *stems, *shown.notes, *(film or ()), *(more or ())),
            shown.size,
            shown.part_size,
            (audio.rate_hz, audio.num_channels),
            film=shown.timing,
        )

    def _inspect_stems(
        self, row: Row, length_s: float, errors: list[SonicError]
    ) -> tuple[str, ...]:
        """Look at the voice and the background; return notes on them."""
        notes: list[str] = []
        for name in ("voice", "background"):
            stem = getattr(row, name)
            if stem is not None:
                said = _kept(
                    errors, name, partial(self._stem, name, stem, row.start, row.end, length_s)
                )
                notes.extend(said or ())
        return tuple(notes)

    def _inspect_shown(
        self, row: Row, config: RenderConfig, length_s: float, errors: list[SonicError]
    ) -> "tuple[PortraitFacts | DubFacts | None, tuple[str, ...] | None]":
        """Look at the image or the film; what is known of it, and notes on slides that move."""
        if row.video is not None:
            if not length_s:  # the audio is wrong, and said to be
                return None, ()
            return _kept(errors, "video", lambda: _inspect_dub(row, config, length_s)), ()
        portrait = row.shown
        facts = _kept(
            errors,
            "portrait",
            lambda: self._portrait(
                portrait, row.face_box, row.face, config.portrait, config.media.scale_to
            ),
        )
        film = _kept(errors, "portrait", lambda: _inspect_film(row, config.portrait, length_s))
        return facts, film

    def _fingerprint(self, row: Row, ours: RenderConfig) -> str:
        return fingerprint_of(row, ours, self._weights_sha256, self._digest)

    def _look_at_output(self, row: Row, fingerprint: str | None) -> RowResult | SonicError | None:
        config = self._config
        return look_at_output(row, fingerprint, config.work, overwrite=config.overwrite)

    def _consent_errors(self, row: Row) -> Iterator[SonicError]:
        if self._config.provenance.require_consent and row.consent is None:
            yield FieldError(
                "nothing says who agreed to this video, and the preset wants it",
                remedy="Write where the consent is kept, such as `form 12, 2026-11-02`.",
                field="consent",
            )

    def _resolution_errors(self, row: Row, ours: RenderConfig) -> Iterator[SonicError]:
        asked, own = ours.portrait.resolution, self._resolution
        if own is not None and asked != own:
            in_row = row.resolution is not None
            there = f"Write {own}, or leave the cell empty"
            yield FieldError(
                f"the weights of the preset were not trained for a resolution of {asked}",
                remedy=f"{there if in_row else f'Set portrait.resolution to {own}'}; `scale_to` "
                "enlarges the finished video.",
                field="resolution" if in_row else None,
            )

    def _folder_errors(self, row: Row) -> Iterator[SonicError]:
        folder = urls.folder_of(row.output)
        if reason := self.folder_problem(folder):
            yield OutputNotWritableError(
                f"the folder {folder} cannot be written ({reason})",
                remedy="Choose a folder that you may write to, or change its permissions.",
                field="output",
            )


def left_out(row: Row | BadRow, fingerprint: str | None = None) -> RowResult:
    """Return the result of a row that is not selected, and not finished."""
    return RowResult(
        row.number,
        row.id,
        "waiting",
        output=row.output or None,
        fingerprint=fingerprint,
        place=row.place,
        notes=NOT_SELECTED,
    )


# Inspections load the libraries of the mathematics: late, so that a run with nothing to do is over
# in a moment.
def _inspect_audio(audio: str, start: float | None, end: float | None) -> "AudioFacts":
    from flows.preflight.inputs import AudioFacts, inspect_audio

    return _kept_facts().found(inspect_audio, AudioFacts, audio, start, end)


def _inspect_stem(
    column: str, stem: str, start: float | None, end: float | None, length_s: float
) -> tuple[str, ...]:
    from flows.preflight.stems import inspect_stem

    return inspect_stem(column, stem, start, end, length_s)


def _inspect_portrait(
    portrait: str,
    face_box: FaceBox | None,
    face: int | None,
    settings: PortraitConfig,
    scale_to: int | None,
) -> "PortraitFacts":
    from flows.preflight.inputs import PortraitFacts, inspect_portrait

    where = (portrait, face_box, face, settings, scale_to)
    return _kept_facts().found(inspect_portrait, PortraitFacts, *where)


@cache
def _kept_facts() -> Remembered:
    return Remembered()


def _inspect_dub(row: Row, config: RenderConfig, length_s: float) -> "DubFacts":
    from flows.preflight.dubs import inspect_dub

    return inspect_dub(row, config, length_s)


def _inspect_film(row: Row, settings: PortraitConfig, length_s: float) -> tuple[str, ...]:
    if settings.framing != "paste":
        return ()
    from flows.preflight.films import inspect_film

    start_s = row.start or 0.0
    return tuple(inspect_film(row.shown, row.face_box, row.face, settings, start_s, length_s))


def _inspect_subtitles(row: Row, end_s: float, overwrite: bool) -> tuple[str, ...]:
    from flows.preflight.inputs import inspect_subtitles

    if row.subtitles is None:
        return ()
    if format_of(row.output).is_animation:
        return ("an animation has neither audio nor subtitles",)
    check_side_car(row, overwrite=overwrite)
    return inspect_subtitles(row.subtitles, row.language, row.start, end_s)


def _kept(errors: list[SonicError], column: str, inspect: Callable[[], T]) -> T | None:
    """Return the result of an inspection; add what it raises to the errors, with its column."""
    try:
        with in_column(column):
            return inspect()
    except InputError as error:
        errors.append(error)
    except Exception as error:  # a remote store may raise anything, even while a file is read
        errors.append(
            FieldError(
                f"it cannot be used ({type(error).__name__}: {error})",
                remedy="Check the path or URL, and that it can be reached from here.",
                field=column,
            )
        )
    return None
