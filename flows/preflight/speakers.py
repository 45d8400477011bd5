"""What can be known about the speakers of a film before any compute: overlaps, gaps, voices."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from flows.preflight.stems import SAME_S, inspect_stem
from flows.rows.rows import Row
from flows.rows.speakers import Speaker, Turn, read_speakers
from sonic_ops.audio.reading import read_audio
from sonic_ops.core.errors import FieldError

_STEP_S: Final = 0.1
_LOUD: Final = 0.1  # of the level of loud moments: from here on somebody is heard
_NOTED_S: Final = 0.5


def inspect_speakers(
    row: Row, table: str, size: tuple[int, int], audio_s: float
) -> tuple[int, tuple[str, ...]]:
    """Check the table of a row against its film and its audio. Raises InputError.

    Returns how many people speak, and notes. `size` are width and height of the film, `audio_s` is
    how long the audio is.
    """
    people = read_speakers(table)
    for turn in (turn for who in people for turn in who.turns):
        _check_position(turn, size)
    _check_overlaps(people)
    notes = list(_late(people, audio_s))
    for who in people:
        if who.voice is not None:
            said = inspect_stem("voice", who.voice, None, row.end, audio_s)
            notes.extend(f"{who.name}, {each}" for each in said)
    if any(who.voice is None for who in people):
        notes.extend(_unsaid(row, people))
    return len(people), tuple(notes)


def _check_position(turn: Turn, size: tuple[int, int]) -> None:
    place = turn.position
    if place is not None and not all(0 <= p < s for p, s in zip(place, size, strict=True)):
        raise FieldError(
            f"{turn.place}: the position {place[0]:g} {place[1]:g} is outside of the film, which "
            f"has {size[0]} x {size[1]} pixels",
            remedy="Give a point on the face: x from the left and y from the top.",
            field="speakers",
        )


def _check_overlaps(people: Sequence[Speaker]) -> None:
    """Raise FieldError if two people speak at once with one recording or one face."""
    turns = sorted(
        ((turn, who) for who in people for turn in who.turns), key=lambda pair: pair[0].start_s
    )
    speaking: list[tuple[Turn, Speaker]] = []
    for turn, who in turns:
        speaking = [pair for pair in speaking if pair[0].end_s - turn.start_s > SAME_S]
        for earlier, other in speaking:
            if who is not other and turn.end_s - turn.start_s > SAME_S:
                _check_pair(earlier, turn, has_voices=None not in (who.voice, other.voice))
        speaking.append((turn, who))


def _check_pair(one: Turn, other: Turn, *, has_voices: bool) -> None:
    """Check two people who speak at one time."""
    both = f"{other.place}: {one.speaker} and {other.speaker} both speak"
    at = f"from {other.start_s:g} to {min(one.end_s, other.end_s):g} s"
    if not has_voices:
        raise FieldError(
            f"{both} {at}, and one recording moves both mouths",
            remedy="End one of the rows before the other begins, or name a separate recording for "
            "each in the column voice.",
            field="speakers",
        )
    if _same_face(one, other):
        raise FieldError(
            f"{both} {at} with one face",
            remedy="Give each of them another face or position.",
            field="speakers",
        )


def _same_face(one: Turn, other: Turn) -> bool:
    return one.has_face and (one.face, one.position) == (other.face, other.position)


def _late(people: Sequence[Speaker], audio_s: float) -> Iterator[str]:
    late = [turn for who in people for turn in who.turns if turn.start_s >= audio_s]
    if late:
        yield f"speakers: {len(late)} rows begin after the {audio_s:.2f} s of audio: nobody speaks"


def _unsaid(row: Row, people: Sequence[Speaker]) -> Iterator[str]:
    """Say where something is heard and the table names nobody."""
    levels = _levels(row.audio, row.end)
    times_s = (np.arange(len(levels)) + 0.5) * _STEP_S
    is_named = np.zeros(len(levels), bool)
    for turn in (turn for who in people for turn in who.turns):
        is_named |= (times_s > turn.start_s - _STEP_S) & (times_s < turn.end_s + _STEP_S)
    is_loud = levels > _LOUD * np.percentile(levels, 95) if len(levels) else is_named
    missing = np.flatnonzero(is_loud & ~is_named)
    if len(missing) * _STEP_S >= _NOTED_S:
        yield (
            f"speakers: {len(missing) * _STEP_S:.1f} s of audio, the first at "
            f"{times_s[missing[0]] - _STEP_S / 2:.1f} s, belong to nobody: no mouth moves there"
        )


def _levels(audio: str, end_s: float | None) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return how loud a recording is in every tenth of a second."""
    energy: list[float] = []
    rest, size = np.zeros(0, np.float32), 1
    for block in read_audio(audio, 0.0, end_s):
        size = max(round(_STEP_S * block.sample_rate_hz), 1)
        mono = np.concatenate([rest, block.samples.mean(axis=0)])
        whole = len(mono) // size
        parts = mono[: whole * size].reshape(whole, size).astype(np.float64)
        energy.extend(np.sqrt((parts**2).mean(axis=1)).tolist())
        rest = mono[whole * size :]
    return np.array(energy)
