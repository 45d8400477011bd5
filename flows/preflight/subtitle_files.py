"""Subtitles as a file beside the video, which never takes the place of a file of the user."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flows import addresses
from flows.rows.rows import Row, name_errors
from flows.state.receipts import receipt_address
from sonic_ops.core.errors import FieldError
from sonic_ops.core.files import written
from sonic_ops.core.formats import format_of

if TYPE_CHECKING:
    from sonic_ops.media.subtitles import Cue

REMEDY = "Give the output another name, or the row a language, which is a part of the file's name."

_OWNER = "subtitles_of"


def side_car_of(row: Row) -> str | None:
    """Where the subtitles of a row are written once more; None if they are not."""
    if row.subtitles is None or row.errors or format_of(row.output).is_animation:
        return None
    # Late: the plan of rows without subtitles needs no library of media.
    from sonic_ops.media.subtitles import side_car

    address = side_car(row.output, row.subtitles, row.language)
    return None if address == row.subtitles else address


def check_side_car(row: Row) -> None:
    """Raise FieldError if the file cannot be written, or another one is in its place."""
    address = side_car_of(row)
    if address is not None:
        for error in name_errors(address):
            raise FieldError(
                f"the subtitles would be written to {addresses.name_of(address)}, and {error}",
                remedy=error.remedy,
                field="subtitles",
            )
    if address is None or addresses.size_bytes(address) is None or _is_ours(address, row):
        return
    raise FieldError(
        f"the subtitles would be written to {address}, which is there and not from this output",
        remedy=f"{REMEDY} If nobody needs the file, remove it.",
        field="subtitles",
    )


def write_side_car(row: Row, cues: "Sequence[Cue]") -> None:
    """Write the subtitles as they are shown. Raises as `check_side_car`."""
    from sonic_ops.media.subtitles import in_text

    address = side_car_of(row)
    if address is None:
        return
    check_side_car(row)
    with written(receipt_address(address)) as path:  # first: what is killed next is ours
        path.write_text(json.dumps({_OWNER: row.output}))
    with written(address) as path:
        path.write_text(in_text(cues, path.suffix), "utf-8")


def _is_ours(address: str, row: Row) -> bool:
    receipt = addresses.read_json(receipt_address(address))
    return isinstance(receipt, dict) and receipt.get(_OWNER) == row.output
