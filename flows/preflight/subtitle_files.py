"""Subtitles as a file beside the video, which never takes the place of a file of the user."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flows import urls
from flows.preflight.outputs import kind_at
from flows.rows.rows import Row, name_errors
from flows.state.receipts import SUBTITLES_OF, foreign_receipt, receipt_url, stamp_of
from sonic_ops.core.errors import FieldError
from sonic_ops.core.files import printable, written
from sonic_ops.core.formats import format_of

if TYPE_CHECKING:
    from sonic_ops.media.subtitles import Cue

REMEDY = "Give the output another name, or the row a language, which is a part of the file's name."


def side_car_of(row: Row) -> str | None:
    """Return where the subtitles of a row are written once more; None if they are not."""
    if row.subtitles is None or row.errors or format_of(row.output).is_animation:
        return None
    # Late: the plan of rows without subtitles needs no library of media.
    from sonic_ops.media.subtitles import side_car

    url = side_car(row.output, row.subtitles, row.language)
    return None if url == row.subtitles else url


def check_side_car(row: Row, *, overwrite: bool = False) -> None:
    """Raise FieldError if it cannot be written, or a file is there that is not as we left it."""
    url = side_car_of(row)
    if url is not None:
        for error in name_errors(url):
            raise FieldError(
                f"the subtitles would be written to {urls.name_of(url)}, and {error}",
                remedy=error.remedy,
                field="subtitles",
            )
    if url is None or _is_free(url, row, overwrite=overwrite):
        return
    raise FieldError(
        f"the subtitles would be written to {url}, which is there and not from this output",
        remedy=f"{REMEDY} If nobody needs the file, remove it.",
        field="subtitles",
    )


def write_side_car(row: Row, cues: "Sequence[Cue]", *, overwrite: bool = False) -> None:
    """Write the subtitles as they are shown. Raises as `check_side_car`."""
    from sonic_ops.media.subtitles import in_text

    url = side_car_of(row)
    if url is None:
        return
    check_side_car(row, overwrite=overwrite)
    with written(url) as path:
        path.write_text(in_text(cues, path.suffix), "utf-8")
        # First: what is killed next is ours, be it the file of before or this one.
        stamps = [stamp_of(url), stamp_of(str(path))]
        with written(receipt_url(url)) as receipt:
            receipt.write_text(json.dumps({SUBTITLES_OF: printable(row.output), "stamps": stamps}))


def _is_free(url: str, row: Row, *, overwrite: bool) -> bool:
    if foreign_receipt(url):
        return False
    kind = kind_at(url)
    return kind == "nothing" or (kind == "file" and (overwrite or _is_ours(url, row)))


def _is_ours(url: str, row: Row) -> bool:
    receipt = urls.read_json(receipt_url(url))
    if not isinstance(receipt, dict) or receipt.get(SUBTITLES_OF) != printable(row.output):
        return False
    return "stamps" not in receipt or stamp_of(url) in receipt["stamps"]
