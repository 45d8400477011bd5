"""What changes along a long render, and what a render costs. Shape letter: F frames."""

from dataclasses import dataclass
from typing import Final

import torch

from flows.rows.config import load_preset
from sonic_ops.core.constants import MODEL_FPS, OUTPUT_FPS, OUTPUT_FRAMES_PER_FRAME
from sonic_ops.quality.frame_analysis import FrameAnalyser, Shown
from sonic_ops.quality.measures import measure_parts
from sonic_ops.quality.seams import against_nearby, key_changes
from training.evaluation.cases import Case
from training.evaluation.rendering import Renderer, Stopwatch, renderer_of

KEPT: Final = ("sharpness_pct", "likeness", "head_motion", "expression")
"""Figures whose last 30 s are compared with the first 30 s."""
PRESETS: Final = ("sketch", "lite", "lite-hd")
OUTSIDE: Final = ("portrait", "listen", "interpolate", "encode")
"""Parts of a render that are neither UNet nor decoder."""


@dataclass(frozen=True, slots=True)
class Drift:
    """How the last 30 s differ from the first, in percent; the change at borders against that
    nearby, before encoding, with its 95 % interval.
    """

    changes_pct: dict[str, float]
    borders: tuple[float, float, float]


@torch.inference_mode()
def measure_drift(renderer: Renderer, case: Case, segment_frames: int) -> Drift:
    """Render a long case and compare its ends; a border is every `segment_frames`."""
    decoded = renderer.render(case, 0, Stopwatch())
    analyser = FrameAnalyser(OUTPUT_FPS, portrait_HW3=case.portrait_HW3)
    segment = OUTPUT_FRAMES_PER_FRAME * segment_frames
    for number, picture_HW3 in enumerate(renderer.output(decoded)):
        analyser.add(Shown(picture_HW3, number % segment == 0))
    tracks = analyser.tracks()
    first, *_, last = (part.measures for part in measure_parts(tracks, None))
    pairs = {name: (getattr(first, name), getattr(last, name)) for name in KEPT}
    changes = {name: 100 * (b / a - 1) for name, (a, b) in pairs.items()}
    seams = against_nearby(key_changes(tracks.change_N, tracks.keys))
    assert seams is not None, f"{case.name} does not move"
    return Drift(changes, (seams.ratio, seams.low, seams.high))


def measure_speed(case: Case, rounds: int) -> dict[str, list[dict[str, float]]]:
    """Render the first seconds of a case with each preset in turn, `rounds` times: CPU seconds of
    each part per second of video. Loading the networks does not count.
    """
    renderers = {preset: renderer_of(load_preset(preset)) for preset in PRESETS}
    found: dict[str, list[dict[str, float]]] = {preset: [] for preset in PRESETS}
    for _ in range(rounds + 1):
        for preset, renderer in renderers.items():
            watch = Stopwatch()
            renderer.finish(renderer.render(case, 0, watch), watch)
            length_s = case.num_frames / float(MODEL_FPS)
            found[preset].append({part: s / length_s for part, s in watch.seconds.items()})
    return {preset: runs[1:] for preset, runs in found.items()}  # the first ones warm up
