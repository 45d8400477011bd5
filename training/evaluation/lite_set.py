"""The renders that the table of `lite` is made of: drawings, rendered heads and photographs.

Groups of takes are the kinds of people, and `KIND-LANGUAGE`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from sonic_ops.core.constants import MODEL_FPS, SAMPLE_RATE_HZ
from sonic_ops.quality.measures import WINDOW_S
from training.data.sitters import draw_sitter
from training.evaluation.cases import Case, Photograph, Subject, drawn_person, make_case
from training.evaluation.takes import (
    DRAWN,
    FIRST_CLIP,
    HEADS,
    KINDS,
    PEOPLE,
    PHOTOGRAPHS,
    Take,
    person_of,
    scaled,
    speech_of,
)
from training.people.heads.painter import HELD_OUT_FAMILY, NUM_FAMILIES
from training.speech.languages import SENTENCES, foreign_speech
from training.speech.speech import Utterance

SIZE: Final = 256
_KEPT: Final = 13
_FIRST_HEAD: Final = 7_000_000 + HELD_OUT_FAMILY


@dataclass(frozen=True)
class LiteSet:
    """The clips of every kind: how many of how many seconds, and who is on photographs."""

    photographs: tuple[Path, ...]
    num_clips: int = 16
    seconds: float = 4.0
    num_seeds: int = 2

    def takes(self) -> tuple[Take, ...]:
        """List all renders; further seeds come last: every measure counts before its interval."""
        first, *others = range(self.num_seeds)
        return (
            *(Take(kind, index, first) for index in range(self.num_clips) for kind in KINDS),
            *(
                Take(f"{kind}-{language}", index)
                for index in range(max(1, self.num_clips // 4))
                for kind in (DRAWN, HEADS)
                for language in SENTENCES
            ),
            *(take for kind in KINDS for take in scaled(kind, max(1, self.num_clips // 2))),
            *(
                Take(kind, index, seed)
                for seed in others
                for index in range(self.num_clips)
                for kind in KINDS
            ),
        )

    def case(self, take: Take) -> Case:
        """Return what a take renders; its truth is painted for the first seed alone."""
        kind, _, language = take.group.partition("-")
        if language:
            spoken = foreign_speech(language, take.index, self.seconds)
        else:
            spoken = speech_of(FIRST_CLIP, self.num_clips, self.seconds)[take.index]
        return make_case(
            take.name,
            self._subject(kind, take.index),
            spoken,
            seed=take.index,
            head_motion=take.head_motion,
            expression=take.expression,
            has_truth=kind != PHOTOGRAPHS and not (language or take.is_scaled or take.seed),
        )

    def long_case(self, kind: str, seconds: float) -> Case:
        """Return a case in which every 30 s hear the same, so that what changes is a drift."""
        said = speech_of(FIRST_CLIP, self.num_clips, self.seconds)
        part = np.resize(np.concatenate([u.samples for u in said]), WINDOW_S * SAMPLE_RATE_HZ)
        spoken = Utterance(np.resize(part, int(seconds * SAMPLE_RATE_HZ)), ())
        return make_case(f"long-{kind}", self._subject(kind, 0), spoken, seed=0, has_truth=False)

    def frames_to_count(self, take: Take) -> Sequence[int]:
        """Return random frames of a take, from which those that a person looks at are drawn."""
        if take.is_scaled or take.group not in KINDS:
            return ()
        rng, length = np.random.default_rng([take.seed, take.index]), int(self.seconds * MODEL_FPS)
        return sorted(rng.choice(length, min(_KEPT, length), replace=False).tolist())

    def _subject(self, kind: str, index: int) -> Subject:
        if kind == DRAWN:
            return drawn_person(person_of(Take(PEOPLE, index)), SIZE)
        if kind == HEADS:
            seed, rng = _FIRST_HEAD + NUM_FAMILIES * index, np.random.default_rng(index)
            return draw_sitter("heads", seed, rng, size=SIZE)
        with Image.open(self.photographs[index % len(self.photographs)]) as image:
            return Photograph.cropped(image.convert("RGB"), SIZE)
