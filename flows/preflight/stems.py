"""What can be known about the stems of a row, before any compute: its voice and its background."""

from flows.preflight.inputs import ANALYSED_S
from sonic_ops.audio.endings import unreadable
from sonic_ops.audio.quality_check import check_audio
from sonic_ops.audio.reading import duration_s, read_audio
from sonic_ops.core.errors import FieldError

SAME_S = 0.1
"""By how much the lengths of stems of one recording differ."""

# What follows a stem that is shorter than the audio, and what is said of a longer one.
_ENDS = {
    "voice": ("the mouth rests after it", "the rest moves nothing"),
    "background": ("silence follows it under the speech", ""),
}


def inspect_stem(
    column: str, stem: str, start: float | None, end: float | None, length_s: float
) -> tuple[str, ...]:
    """Decode the part of a stem that is used; return what the user should know of it.

    `length_s` is how long the audio of the row is. Raises InputError.
    """
    start_s = start or 0.0
    checked = check_audio(read_audio(stem, start_s, end), start_s, analysed_s=ANALYSED_S)
    if checked is None:
        total_s = duration_s(stem)
        if not total_s:
            raise unreadable(stem, "no audio comes out of it")
        raise FieldError(
            f"the {column} is {total_s:.2f} s long and has nothing at {start_s:g} s",
            remedy=f"Give a {column} that begins with the audio, or leave the cell empty.",
            field=column,
        )
    said = list(checked.warnings() if column == "voice" else checked.faults())
    longer_s = checked.length_s - length_s
    what = _ENDS[column][longer_s > 0]
    if abs(longer_s) > SAME_S and what:
        said.append(f"it has {checked.length_s:.2f} s and the audio {length_s:.2f} s: {what}")
    return tuple(f"{column}: {each}" for each in said)
