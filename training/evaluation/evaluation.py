"""Measure trained weights, take by take, and go on where it was cut off.

Shape letters: H, W rows and columns.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from sonic_ops.core.errors import ConfigError
from training.evaluation import table
from training.evaluation.figures import (
    Decoded,
    load_figures,
    save_figures,
    take_figures,
)
from training.evaluation.reader import PoseReader
from training.evaluation.rendering import Renderer, Stopwatch
from training.evaluation.sheets import contact_sheet
from training.evaluation.takes import PEOPLE, REAL, SILENCE, STYLE, EvaluationSet, Take

NUM_SHEETS: Final = {PEOPLE: 10, STYLE: 3, REAL: 3, SILENCE: 2}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Evaluation:
    """One set of weights and settings, measured into one folder."""

    renderer: Renderer
    reader: PoseReader
    evaluation_set: EvaluationSet
    out: Path
    about: dict[str, object]
    """What decides the figures; figures of anything else are not mixed in."""

    def run(self, say: Say) -> None:
        """Render and measure what is missing, then write the table; may be stopped at any time."""
        self._check_folder()
        takes = self.evaluation_set.takes()
        for number, take in enumerate(takes, start=1):
            if not self._path(take).exists():
                self._measure(take)
                say(f"{number} of {len(takes)}: {take.name}")
        self._write_table()

    def _write_table(self) -> None:
        done = {take: load_figures(self._path(take)) for take in self.evaluation_set.takes()}
        lines = table.make_lines(done)
        (self.out / "table.md").write_text(table.markdown(lines))
        (self.out / "table.json").write_text(table.as_json(lines, self.about))

    def _measure(self, take: Take) -> None:
        case, watch = self.evaluation_set.case(take), Stopwatch()
        sampling = self.renderer.sampling.model_copy(
            update={"head_motion": take.head_motion, "expression": take.expression}
        )
        renderer = replace(self.renderer, sampling=sampling)
        pictures = renderer.render(case.portrait(), case.samples, take.seed, watch)
        if take.is_finished:
            renderer.finish(pictures, watch)
        both = renderer.through_autoencoder(np.stack([case.portrait_HW3, *case.truth_FHW3]))
        decoded = Decoded(both[0], both[1:])
        if take.index < NUM_SHEETS[take.group] and take.seed == 0 and not take.is_scaled:
            sheet = Image.fromarray(contact_sheet(case, pictures))
            sheet.save(self.out / f"{take.name}.png")
        figures = take_figures(case, decoded, pictures, self.reader, watch.seconds)
        save_figures(figures, self._path(take))

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
