"""Previews: the first seconds of rows in few steps, beside the videos that they will be.

A preview is a row like any other, with a name, an output and an end of its own; nothing that
renders rows knows of it.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from flows import urls
from flows.preflight.checks import Outcome, RowChecker
from flows.preflight.claims import Claims
from flows.preflight.subtitle_files import side_car_of
from flows.rows.config import RenderConfig
from flows.rows.planned import PlannedRow
from flows.rows.rows import Row, name_errors
from flows.state.row_store import RowStore


def preview_url(url: str) -> str:
    """Return where the preview of something lies: `talk.preview.mp4` beside `talk.mp4`."""
    name = PurePosixPath(urls.name_of(url))
    return urls.join(urls.folder_of(url), f"{name.stem}.preview{name.suffix}")


def preview_of(planned: PlannedRow, seconds: float) -> Row:
    """Return a row for the first seconds of a row."""
    row, output = planned.row, preview_url(planned.row.output)
    end = row.end if planned.plan.video_s <= seconds else (row.start or 0.0) + seconds
    return replace(
        row, id=f"{row.id} (preview)", output=output, end=end, errors=(*name_errors(output),)
    )


def check_previews(rows: RowStore, config: RenderConfig, weights_sha256: str) -> Iterator[Outcome]:
    """Decide what to do about the previews of the rows that will be rendered.

    `config` is that of previews. No file is replaced that a row reads or writes.
    """

    def previews() -> Iterator[Row]:
        return (preview_of(row, config.preview.seconds) for row in rows.planned())

    claims = Claims()
    for result in rows.results():
        claims.write(result.row, result.output)
    for planned in rows.planned():
        claims.write(planned.row.number, planned.row.output, side_car_of(planned.row))
    for preview in previews():
        claims.take(preview)
    claims.close()
    return RowChecker(config, weights_sha256, claims).outcomes(previews())
