"""The frames that are shown of a film, which may go on after its end."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import IO, Final

import av

from sonic_ops.core.config import LengthPolicy
from sonic_ops.core.containers import MediaError, film_start, packets_of
from sonic_ops.core.errors import VideoUnreadableError
from sonic_ops.picture.tone_mapping import is_hdr
from sonic_ops.picture.video_frames import FilmFrame, film_frames, open_film

_PART_S: Final = Fraction(1)  # of a film that runs backwards, in memory at once
_USUAL_FPS: Final = Fraction(25)


@dataclass(frozen=True, slots=True)
class Footage:
    """A film of `film_s` seconds; shown up to `stop_s`, as the policy says. None: to its end."""

    film_s: Fraction
    stop_s: Fraction | None = None
    policy: LengthPolicy = "refuse"

    def frames(
        self, file: IO[bytes], start_s: Fraction = Fraction(0), stop_s: Fraction | None = None
    ) -> Iterator[FilmFrame]:
        """Yield the frames shown from `start_s` on and before `stop_s`, at rising times.

        Raises ImageUnreadableError if none can be decoded.
        """
        stops = [each for each in (stop_s, self.stop_s) if each is not None]
        stop_s = min(stops, default=self.film_s)
        number = int(start_s / self.film_s) if self.policy in ("loop", "bounce") else 0
        while number * self.film_s < stop_s:
            first_s = number * self.film_s
            span = (max(start_s - first_s, Fraction(0)), min(stop_s - first_s, self.film_s))
            backwards = self.policy == "bounce" and number % 2 == 1
            for frame in self._once(file, *span, backwards=backwards):
                yield replace(frame, time_s=first_s + frame.time_s)
            if self.policy not in ("loop", "bounce"):
                break
            number += 1
        if self.policy == "hold" and stop_s > self.film_s:
            yield from self._held(file, max(start_s, self.film_s), stop_s)

    def _once(
        self, file: IO[bytes], start_s: Fraction, stop_s: Fraction, *, backwards: bool
    ) -> Iterator[FilmFrame]:
        if not backwards:
            yield from film_frames(file, start_s, stop_s)
            return
        # A frame is shown when the one that follows it in the film has been.
        end_s = min(self.film_s - start_s + 2 * _PART_S, self.film_s)
        follows_s = self.film_s if end_s == self.film_s else None
        while end_s > 0:
            begin_s = max(end_s - _PART_S, Fraction(0))
            for frame in reversed(list(film_frames(file, begin_s, end_s))):
                shown_s = None if follows_s is None else self.film_s - follows_s
                follows_s = frame.time_s
                if shown_s is not None and shown_s >= stop_s:
                    return
                if shown_s is not None and shown_s >= start_s:
                    yield replace(frame, time_s=shown_s)
            end_s = begin_s

    def _held(self, file: IO[bytes], start_s: Fraction, stop_s: Fraction) -> Iterator[FilmFrame]:
        """Yield the last frame again and again, as often as the film has frames."""
        frames = list(film_frames(file, max(self.film_s - _PART_S, Fraction(0)), self.film_s))
        if not frames:
            return
        step_s = self.film_s - frames[-1].time_s
        number = -(-(start_s - self.film_s) // step_s)
        while (time_s := self.film_s + number * step_s) < stop_s:
            yield replace(frames[-1], time_s=time_s)
            number += 1


@dataclass(frozen=True, slots=True)
class FilmFacts:
    """What the packets and the first frames of a film say."""

    film_s: Fraction
    num_frames: int
    size: tuple[int, int]
    is_variable: bool
    is_interlaced: bool
    is_hdr: bool
    codec: str


def film_facts(file: IO[bytes]) -> FilmFacts:
    """Read all packets of a film, and decode its first frame. Raises VideoUnreadableError."""
    try:
        times_s, lasts_s, codec = _times(file)
        first = next(film_frames(file), None)
    except MediaError as error:
        raise _unreadable(str(error)) from error
    if first is None or len(times_s) < 2:
        num = "no frame" if first is None else "a single frame"
        raise _unreadable(f"it has {num}")
    steps = {after - before for before, after in pairwise(times_s)}
    spread = max(steps) - min(steps)
    film_s = times_s[-1] + (lasts_s or min(steps))
    return FilmFacts(
        film_s,
        len(times_s),
        first.shown_size,
        spread > Fraction(1, 500),
        bool(first.raw.interlaced_frame),
        is_hdr(first.raw),
        codec,
    )


def _times(file: IO[bytes]) -> tuple[list[Fraction], Fraction | None, str]:
    """Return when the frames of a film are shown, how long the last one is, and the codec."""
    with open_film(file) as (container, stream):
        base, start = stream.time_base or Fraction(1, av.time_base), film_start(container, stream)
        found = [
            (packet.pts, packet.duration or 0)
            for packet in packets_of(container)
            if packet is not None and packet.stream.index == stream.index
            if packet.pts is not None and not packet.is_discard
        ]
        rate = stream.average_rate
        codec = stream.codec_context.name
    found.sort()
    times_s = [time for pts, _ in found if (time := pts * base - start) >= 0]
    lasts_s = found[-1][1] * base if found else Fraction(0)
    return times_s, lasts_s or (1 / rate if rate else 1 / _USUAL_FPS), codec


def _unreadable(reason: str) -> VideoUnreadableError:
    return VideoUnreadableError(
        f"The film cannot be dubbed: {reason}",
        remedy="Give a film that a media player can play, of two frames or more.",
        field="video",
    )
