"""What is shown if a film and its new audio are not as long as each other."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from sonic_ops.core.config import LengthPolicy
from sonic_ops.core.errors import LengthsDifferError

SAME_S: Final = Fraction(1, 10)
"""Films and audio tracks end with differences up to this."""
_LONGER: Final = {
    "refuse": "Set length to cut, pad, hold, loop or bounce, or give audio as long as the film.",
    "pad": "Set length to cut, hold, loop or bounce: silence makes no film longer.",
}


_TICK: Final = 1_000_000


def moment(time_s: float) -> Fraction:
    """Return seconds without the error of a float: 0.8 is not after frame 20 of 25 a second."""
    return Fraction(time_s).limit_denominator(_TICK)


@dataclass(frozen=True, slots=True)
class Shown:
    """When film and audio end, in seconds; None: at their own end."""

    stop_s: Fraction | None = None
    audio_end_s: float | None = None
    note: str = ""


def lengths_of(policy: LengthPolicy, film_s: Fraction, audio_s: float) -> Shown:
    """Decide what is shown. Raises LengthsDifferError if the policy allows nothing."""
    exact_s = moment(audio_s)
    longer_s = exact_s - film_s
    if abs(longer_s) <= SAME_S:
        return Shown()
    said = f"the film has {float(film_s):.2f} s and the audio {audio_s:.2f} s"
    if policy == "refuse" or (policy == "pad" and longer_s > 0):
        raise LengthsDifferError(said, remedy=_LONGER[policy], field="length")
    if policy == "pad":
        return Shown(note=f"{said}: silence follows the audio")
    if longer_s < 0:
        return Shown(stop_s=exact_s, note=f"{said}: the rest of the film is left out")
    if policy == "cut":
        end_s = float(film_s)
        return Shown(audio_end_s=end_s, note=f"{said}: the rest of the audio is left out")
    how = {"hold": "its last frame is held", "loop": "it begins anew", "bounce": "it turns round"}
    return Shown(stop_s=exact_s, note=f"{said}: {how[policy]}")
