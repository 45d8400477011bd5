"""The renders that a table is made of: who says what, with which seed and settings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count, islice
from typing import Final

from training.evaluation.cases import (
    Case,
    cut,
    drawn_person,
    held_out_speech,
    make_case,
    silence,
)
from training.people import styles
from training.people.people import Identity, draw_identity, is_held_out
from training.speech.speech import Utterance

PEOPLE, STYLE, REAL, SILENCE = "people", "style", "real", "silence"
DRAWN, HEADS, PHOTOGRAPHS = KINDS = ("drawn", "heads", "photographs")
FACTORS: Final = (0.5, 2.0)
"""Values of `head_motion` and `expression` that are compared with 1."""

_FIRST_PERSON: Final = 400_000_009
FIRST_CLIP, _FIRST_STYLED_CLIP = 50_000_000, 51_000_000
_SILENCE_S: Final = 2.0
_ROOM: Final = 1e-3
_NUM_SILENT: Final = 8
_MOST_SCALED: Final = 6


@dataclass(frozen=True, slots=True, order=True)
class Take:
    """One render: clip `index` of a group."""

    group: str
    index: int
    seed: int = 0
    head_motion: float = 1.0
    expression: float = 1.0

    @property
    def name(self) -> str:
        """Return the name of its files."""
        scale = f"-head{self.head_motion:g}-expression{self.expression:g}"
        return f"{self.group}-{self.index:02}-seed{self.seed}" + (scale if self.is_scaled else "")

    @property
    def is_scaled(self) -> bool:
        return (self.head_motion, self.expression) != (1.0, 1.0)

    @property
    def is_finished(self) -> bool:
        """Return whether it is also interpolated and encoded, for the time that this takes."""
        return self.group == PEOPLE and self.seed == 0 and not self.is_scaled


@dataclass(frozen=True)
class EvaluationSet:
    """The clips: how many of how many seconds, and the recordings with their words, if any."""

    num_clips: int = 16
    seconds: float = 4.0
    num_seeds: int = 2
    recordings: tuple[tuple[str, Utterance], ...] = ()

    def takes(self) -> tuple[Take, ...]:
        """List all renders; further seeds come last: every measure counts before its interval."""
        first, *others = range(self.num_seeds)
        return (
            *(Take(PEOPLE, index, first) for index in range(self.num_clips)),
            *(Take(REAL, index) for index in range(len(self.recordings))),
            *(Take(SILENCE, index) for index in range(min(_NUM_SILENT, self.num_clips))),
            *(Take(STYLE, index) for index in range(self._num_styled)),
            *scaled(PEOPLE, self.num_clips),
            *(Take(PEOPLE, index, seed) for seed in others for index in range(self.num_clips)),
        )

    def case(self, take: Take) -> Case:
        """Paint what a take renders."""
        person = person_of(take)
        return make_case(
            take.name,
            drawn_person(person),
            self._utterance(take),
            seed=person.seed,
            head_motion=take.head_motion,
            expression=take.expression,
        )

    def _utterance(self, take: Take) -> Utterance:
        if take.group == REAL:
            return cut(self.recordings[take.index][1], self.seconds)
        if take.group == SILENCE:
            floor = _ROOM * (take.index % 2)
            return silence(min(_SILENCE_S, self.seconds), floor=floor, seed=take.index)
        if take.group == STYLE:
            return speech_of(_FIRST_STYLED_CLIP, self._num_styled, self.seconds)[take.index]
        return speech_of(FIRST_CLIP, self.num_clips, self.seconds)[take.index]

    @property
    def _num_styled(self) -> int:
        return max(1, self.num_clips // 4)

    def frames_to_count(self, take: Take) -> Sequence[int]:
        """Return no frames: broken ones are not counted."""
        return ()


def scaled(group: str, num_clips: int) -> Iterator[Take]:
    """List the takes of a group that move more or less."""
    for factor in FACTORS:
        for index in range(min(_MOST_SCALED, num_clips)):
            yield Take(group, index, head_motion=factor)
            yield Take(group, index, expression=factor)


@cache
def speech_of(first_seed: int, num_clips: int, seconds: float) -> Sequence[Utterance]:
    return held_out_speech(first_seed, num_clips, seconds)


def person_of(take: Take) -> Identity:
    """Return the held-out person of a take; only the takes of the style have the held-out style."""
    styled = take.group == STYLE
    seeds = (seed for seed in count(_FIRST_PERSON) if is_held_out(seed))
    people = (draw_identity(seed) for seed in seeds)
    fitting = (person for person in people if (person.style == styles.HELD_OUT) == styled)
    return next(islice(fitting, take.index, None))
