"""Measure trained weights, take by take, and go on where it was cut off.

Shape letters: H, W rows and columns.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonic_ops.core.errors import ConfigError
from training.evaluation.cases import Case
from training.evaluation.figures import (
    Decoded,
    Figures,
    load_figures,
    save_figures,
    take_figures,
)
from training.evaluation.reader import Reader
from training.evaluation.rendering import Renderer, Stopwatch, as_shown
from training.evaluation.sheets import contact_sheet
from training.evaluation.takes import (
    DRAWN,
    HEADS,
    PEOPLE,
    PHOTOGRAPHS,
    REAL,
    SILENCE,
    STYLE,
    Take,
)

NUM_SHEETS: Final = {
    PEOPLE: 10, STYLE: 3, REAL: 3, SILENCE: 2, DRAWN: 6, HEADS: 6, PHOTOGRAPHS: 6
}  # fmt: skip
Bytes = NDArray[np.uint8]
Say = Callable[[str], None]


class Takes(Protocol):
    """What is to be rendered."""

    def takes(self) -> Sequence[Take]:
        """List all renders."""
        ...

    def case(self, take: Take) -> Case:
        """Return what a take renders."""
        ...

    def frames_to_count(self, take: Take) -> Sequence[int]:
        """Return the frames of a take that a person looks at, to count the broken ones."""
        ...


@dataclass(frozen=True)
class Evaluation:
    """One set of weights and settings, measured into one folder."""

    renderer: Renderer
    reader_of: Callable[[Take], Reader]
    evaluation_set: Takes
    out: Path
    about: dict[str, object]
    """What decides the figures; figures of anything else are not mixed in."""

    def run(self, say: Say) -> dict[Take, Figures]:
        """Render and measure what is missing; may be stopped at any time. Raises ConfigError."""
        self._check_folder()
        takes = self.evaluation_set.takes()
        for number, take in enumerate(takes, start=1):
            if not self._path(take).exists():
                self._measure(take)
                say(f"{number} of {len(takes)}: {take.name}")
        return self.finished()

    def finished(self) -> dict[Take, Figures]:
        """Return the figures of what is rendered so far."""
        paths = {take: self._path(take) for take in self.evaluation_set.takes()}
        return {take: load_figures(path) for take, path in paths.items() if path.exists()}

    def _measure(self, take: Take) -> None:
        case, watch = self.evaluation_set.case(take), Stopwatch()
        sampling = self.renderer.sampling.model_copy(
            update={"head_motion": take.head_motion, "expression": take.expression}
        )
        renderer = replace(self.renderer, sampling=sampling)
        rendered = renderer.render(case, take.seed, watch)
        if take.is_finished:
            renderer.finish(rendered, watch)
        pictures = as_shown(rendered)
        both = renderer.through_decoder(case, np.stack([case.portrait_HW3, *case.truth_FHW3]))
        decoded = Decoded(both[0], both[1:])
        self._save_pictures(take, case, pictures)
        figures = take_figures(case, decoded, pictures, self.reader_of(take), watch.seconds)
        save_figures(figures, self._path(take))

    def _save_pictures(self, take: Take, case: Case, pictures_FHW3: Bytes) -> None:
        is_early = take.index < NUM_SHEETS.get(take.group, 0)
        if is_early and take.seed == 0 and not take.is_scaled:
            sheet = Image.fromarray(contact_sheet(case, pictures_FHW3))
            sheet.save(self.out / f"{take.name}.png")
        if frames := self.evaluation_set.frames_to_count(take):
            strip = np.concatenate([*pictures_FHW3[list(frames)]], 1)
            Image.fromarray(strip).save(self.strip_path(take))

    def strip_path(self, take: Take) -> Path:
        """Return the picture of the frames of a take that are to be looked at."""
        return self.out / "figures" / f"{take.name}.png"

    def _path(self, take: Take) -> Path:
        return self.out / "figures" / f"{take.name}.npz"

    def _check_folder(self) -> None:
        """Raises ConfigError if the folder holds figures of something else."""
        (self.out / "figures").mkdir(parents=True, exist_ok=True)
        note, wanted = self.out / "about.json", json.dumps(self.about, indent=2, sort_keys=True)
        if note.exists() and note.read_text() != wanted:
            raise ConfigError(
                f"{self.out} holds figures of other weights or settings",
                remedy="Give another folder, or remove this one.",
            )
        note.write_text(wanted)


def copy_curves(run: Path, out: Path) -> None:
    """Write the curves of a training run beside its table."""
    for curve in sorted(run.glob("*/curve.png")):
        shutil.copyfile(curve, out / f"curve-{curve.parent.name}.png")
