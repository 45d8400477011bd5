"""Judge a finished video by its figures: ready, look at it, or failed, and why.

Every figure has two bars. Beyond the first one a person should look at the video, beyond the second
one it is of no use. `python -m tests.bench.verdicts` counts how often they err.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from sonic_ops.core.constants import FAILED, LOOK, READY, VERDICTS
from sonic_ops.film.track import LOST, PROFILE, REASONS, TOO_SHORT, TOO_SMALL
from sonic_ops.quality.analysis import VideoAnalysis

MAX_LAG_MS: Final = 40.0
LATE_MS, EARLY_MS = 90.0, 185.0
"""Audio this much before, or after, the lips is not acceptable: ITU-R BT.1359-1."""
MIN_SYNC, NO_SYNC = 0.3, 0.2
"""Lip sync of mouths that follow the speech, and of those that do not."""
MIN_MOUTH: Final = 2.0
"""Greys by which a mouth that speaks changes: 3.7 and more for those that do, up to 2.2 by chance
for 11 of 12 that are frozen."""
MAX_LENGTH_ERROR_MS: Final = 40.0
MAX_COLOUR, LOST_COLOUR = 1.0, 5.0
SOFT_PCT, BLURRED_PCT = 60.0, 40.0
LIKE, UNLIKE = 0.88, 0.8
MAX_SILENCE: Final = 0.5
HELD_S, FROZEN_S = 0.2, 1.0
MAX_LEAK: Final = 0.3
"""Of the film's own voice in a dubbed mouth."""
NOTED_S: Final = 0.5
_UNWISHED: Final = frozenset(REASONS[reason] for reason in (TOO_SMALL, LOST, PROFILE, TOO_SHORT))
"""Why frames stay as they are though there is a face, and something is said."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Tell whether a video can be used, and the reason in one sentence without its full stop."""

    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with a video."""

    kind: str
    said: str


def judge(analysis: VideoAnalysis) -> Verdict:
    """Compare the figures of a video with their bars; what is worst is said first."""
    checks = _FILM_CHECKS if analysis.shots else _CHECKS
    found = [finding for check in checks for finding in check(analysis)]
    if not found and analysis.shots:
        return Verdict(READY, "the mouth follows the new voice in every shot that was dubbed")
    if not found:
        return Verdict(READY, "sync, length, colours, sharpness and face are within their bars")
    found.sort(key=lambda finding: VERDICTS.index(finding.kind))
    return Verdict(found[0].kind, "; ".join(finding.said for finding in found))


def _file(analysis: VideoAnalysis) -> Iterator[Finding]:
    error_ms = analysis.length_error_ms
    if error_ms is None:
        yield Finding(LOOK, "it has no audio")
    elif abs(error_ms) > MAX_LENGTH_ERROR_MS:
        than = "longer" if error_ms > 0 else "shorter"
        yield Finding(FAILED, f"the video is {abs(error_ms):.0f} ms {than} than the audio")
    if not analysis.defects.is_even:
        yield Finding(FAILED, "frames are missing: they are not evenly spaced in time")


def _sync(analysis: VideoAnalysis) -> Iterator[Finding]:
    sync, lag_ms = analysis.measures.lip_sync, analysis.measures.lip_lag_ms
    if sync is None:
        if analysis.length_error_ms is not None:
            yield Finding(LOOK, "lip sync cannot be measured: the speech is too short or too quiet")
    elif lag_ms is None:
        if sync < NO_SYNC:
            yield Finding(FAILED, f"the mouth does not follow the speech (r = {sync:.2f})")
        else:
            yield Finding(LOOK, f"the lag of the lips cannot be measured (r = {sync:.2f})")
    else:
        yield from _lag(lag_ms)
        if sync < MIN_SYNC and abs(lag_ms) <= MAX_LAG_MS:
            yield Finding(LOOK, f"the mouth hardly follows the speech (r = {sync:.2f})")


def _lag(lag_ms: float) -> Iterator[Finding]:
    if abs(lag_ms) <= MAX_LAG_MS:
        return
    kind = FAILED if lag_ms > LATE_MS or lag_ms < -EARLY_MS else LOOK
    when = "after" if lag_ms > 0 else "before"
    yield Finding(kind, f"the lips move {abs(lag_ms):.0f} ms {when} the audio")


def _parts(analysis: VideoAnalysis) -> Iterator[Finding]:
    """Look at every 30 s: what runs away is right at first, and on average."""
    lag_ms = analysis.defects.lag_ms
    if len(analysis.parts) > 1 and lag_ms is not None:
        at = _clock(analysis.defects.lag_at_s)
        for finding in _lag(lag_ms):
            yield Finding(finding.kind, f"{finding.said} in the 30 s from {at} on")


def _motion(analysis: VideoAnalysis) -> Iterator[Finding]:
    held_s, at = analysis.defects.held_s, _clock(analysis.defects.held_at_s)
    if held_s >= HELD_S:
        kind = FAILED if held_s >= FROZEN_S else LOOK
        yield Finding(kind, f"the video stands still for {held_s:.1f} s at {at}")
    if analysis.measures.lip_sync is not None and analysis.measures.mouth_motion < MIN_MOUTH:
        yield Finding(LOOK, "the mouth hardly moves while somebody speaks")
    silence = analysis.measures.silence
    if silence is not None and silence > MAX_SILENCE:
        yield Finding(LOOK, f"the mouth moves in pauses ({100 * silence:.0f} % as in speech)")


def _image(analysis: VideoAnalysis) -> Iterator[Finding]:
    soft, at = analysis.defects.softest_pct, _clock(analysis.defects.softest_at_s)
    if soft is not None and soft < SOFT_PCT:
        kind = FAILED if soft < BLURRED_PCT else LOOK
        yield Finding(kind, f"the face is blurred at {at} ({soft:.0f} % of its sharpness)")
    drift = max(part.measures.colour_drift for part in analysis.parts)
    if drift > MAX_COLOUR:
        kind = FAILED if drift > LOST_COLOUR else LOOK
        yield Finding(kind, f"the colours change (dE = {drift:.1f})")


def _face(analysis: VideoAnalysis) -> Iterator[Finding]:
    like = analysis.measures.likeness
    if not analysis.has_face:
        yield Finding(LOOK, "no face was found, so the middle of the frame was measured")
    elif like < LIKE:
        kind = FAILED if like < UNLIKE else LOOK
        yield Finding(kind, f"the face is unlike that of the portrait (likeness {like:.2f})")


def _shots(analysis: VideoAnalysis) -> Iterator[Finding]:
    """Look at every shot of a dubbed film: its mouth, and what was left as it is."""
    numbers = Counter[str]()
    for shot in analysis.shots:
        numbers[shot.speaker] += 1
        whose = f" of {shot.speaker}" * bool(shot.speaker)
        where = f"in shot {numbers[shot.speaker]}{whose}, at {_clock(shot.start_s)}"
        if shot.sync is not None and shot.sync < MIN_SYNC:
            kind = FAILED if shot.sync < NO_SYNC else LOOK
            said = f"the mouth hardly follows the new voice {where} (r = {shot.sync:.2f})"
            yield Finding(kind, said)
        elif shot.lag_ms is not None:
            yield from (Finding(f.kind, f"{f.said} {where}") for f in _lag(shot.lag_ms))
        if shot.leak is not None and shot.leak > MAX_LEAK:
            said = f"the mouth follows the film's own voice too {where} (r = {shot.leak:.2f})"
            yield Finding(LOOK, said)
        for reason, seconds in shot.kept:
            if reason in _UNWISHED and seconds >= NOTED_S:
                yield Finding(LOOK, f"{seconds:.1f} s are not dubbed {where}: {reason}")


def _audio(analysis: VideoAnalysis) -> Iterator[Finding]:
    if analysis.length_error_ms is None:
        yield Finding(LOOK, "it has no audio")


_FILM_CHECKS: Final = (_audio, _shots)
_CHECKS: Final[tuple[Callable[[VideoAnalysis], Iterator[Finding]], ...]] = (
    _file, _sync, _parts, _motion, _image, _face,
)  # fmt: skip


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"
