"""How well rendered heads and photographs speak: FaceMesh reads the frames that weights make.

What is said is held out, and its phones tell the true jaw. A rendered head has true frames too;
a photograph has none, so it is compared with the jaw alone. Shape letters: F frames, H, W.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonic_ops.core.constants import MODEL_FPS, SAMPLES_PER_FRAME
from sonic_ops.picture.faces import Box, find_faces
from sonic_ops.picture.landmarks import Landmarks, read_landmarks
from sonic_ops.pipeline import SonicPipeline
from training.data.dataset import draw_gains
from training.data.sitters import draw_sitter
from training.evaluation.cases import frame_at, frame_steps, held_out_speech
from training.evaluation.measures import (
    closure_frames,
    correlation,
    count_blinks,
    lagged_correlation,
    peak_lag,
)
from training.people.faces import NEUTRAL
from training.people.heads.painter import HELD_OUT_FAMILY, NUM_FAMILIES
from training.people.motion import animate, perform
from training.people.mouth import JAW, PRESS
from training.speech.phones import closes_lips
from training.speech.speech import Utterance

Array = NDArray[Any]

SIZE: Final = 256
FIRST_HEAD: Final = 7_000_000 + HELD_OUT_FAMILY
_FIRST_CLIP: Final = 52_000_000
_MAX_LAG: Final = 3
_SHUT_LIDS: Final = 0.8
"""Lids are shut where the gap is less than this part of the usual one."""
_SHUT_LIPS: Final = 0.25
"""Lips are shut where the gap is less than this part of a wide one (the 95th percentile)."""
_SHUT_JAW: Final = 0.08
_NUM_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Subject:
    """Who speaks: a portrait, and for a rendered head the true frames."""

    kind: str
    portrait: Image.Image
    truth_FHW3: Array | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What is read from one render."""

    kind: str
    r: float
    r_other: float
    """Against the track of another clip."""
    lag: int
    size: float
    """Spread of the opening of the mouth against that of the true frames; else in face heights."""
    truth_r: float
    """The same reading of the true frames against the jaw: the most that r can be."""
    head: float
    """Spread of the tip of the nose against that of the true frames; else in face heights."""
    shut_on_closures: float
    shut_elsewhere: float
    blinks_a_minute: float


def speaking(
    pipe: SonicPipeline, photographs: Sequence[Path], out: Path, num_clips: int, seconds: float
) -> str:
    """Render `num_clips` clips of heads and of photographs; the table, in Markdown.

    Sheets of pictures go into `out`.
    """
    clips = held_out_speech(_FIRST_CLIP, num_clips, seconds)
    tracks = [track_of(spoken, seed) for seed, spoken in enumerate(clips)]
    found: list[Figures] = []
    for number, spoken in enumerate(clips):
        other = tracks[(number + 1) % num_clips]
        for subject in _subjects(number, tracks[number], photographs):
            frames = render(pipe, subject.portrait, spoken, seed=number)
            _save_sheet(out / f"{subject.kind}-{number:02}.png", subject, frames)
            figures = read_figures(subject, frames, spoken, tracks[number], other)
            print(figures, flush=True)
            found.append(figures)
    (out / "speaking.json").write_text(json.dumps([asdict(figures) for figures in found], indent=2))
    return table_of(found)


def track_of(spoken: Utterance, seed: int) -> Array:
    """Return the true poses at the frames of a clip: F 15."""
    clip = animate(spoken, np.random.default_rng(seed))
    steps = frame_steps(len(spoken.samples) // SAMPLES_PER_FRAME, len(clip.stored))
    head, expression = draw_gains(np.random.default_rng([seed, 1]))
    return perform(clip.stored[steps], head * clip.head, expression * clip.expression)


def _subjects(number: int, track: Array, photographs: Sequence[Path]) -> Iterator[Subject]:
    seed, rng = FIRST_HEAD + NUM_FAMILIES * number, np.random.default_rng(number)
    sitter = draw_sitter("heads", seed, rng, size=SIZE)
    portrait = Image.fromarray(sitter.paint(NEUTRAL, is_portrait=True))
    yield Subject("heads", portrait, np.stack([sitter.paint(pose) for pose in track]))
    if photographs:
        path = photographs[number % len(photographs)]
        yield Subject("photographs", Image.open(path).convert("RGB"), None)


def render(pipe: SonicPipeline, image: Image.Image, spoken: Utterance, seed: int) -> Array:
    """Return the frames of a clip at 12.5 a second: F H W 3."""
    settings = pipe.settings.sampling
    portrait = pipe.prepare_image(image)
    shown = pipe.encode_portrait(portrait, seed, settings.condition_noise)
    heard = pipe.encode_audio(spoken.samples, shown, settings)
    latents = pipe.denoise(shown, heard, seed, settings)
    return pipe.decode(latents, pipe.encode_reference(portrait))


def read_figures(
    subject: Subject, frames_FHW3: Array, spoken: Utterance, track: Array, other: Array
) -> Figures:
    """Read mouth, lids and nose of the frames, and compare."""
    marks = read_track(frames_FHW3)
    opening = np.array([m.mouth_opening for m in marks])
    jaw, other_jaw = ((t[:, JAW] * (1 - t[:, PRESS]))[: len(marks)] for t in (track, other))
    size, head, truth_r = float(opening.std()), _way(marks), float("nan")
    if subject.truth_FHW3 is not None:
        true_marks = read_track(subject.truth_FHW3)
        true_opening = np.array([m.mouth_opening for m in true_marks])
        size, head = size / float(true_opening.std()), head / _way(true_marks)
        truth_r = correlation(true_opening, jaw)
    lids = np.array([m.eye_opening for m in marks])
    closures = [frame_at(phone) for phone in spoken.phones if closes_lips(phone.name)]
    on, shut = closure_frames(jaw, closures, _SHUT_JAW), opening < _shut_below(opening)
    elsewhere = np.setdiff1d(np.arange(len(shut)), on)
    blinks = count_blinks((lids < _SHUT_LIDS * np.median(lids)).astype(float))
    return Figures(
        subject.kind,
        correlation(opening, jaw),
        correlation(opening[: len(other_jaw)], other_jaw[: len(opening)]),
        peak_lag(lagged_correlation(opening, jaw, _MAX_LAG)),
        size,
        truth_r,
        head,
        float(shut[on].mean()) if len(on) else float("nan"),
        float(shut[elsewhere].mean()),
        blinks * 60 * float(MODEL_FPS) / len(frames_FHW3),
    )


def read_track(frames_FHW3: Array) -> list[Landmarks]:
    """Return the points of the face in every frame; where no face is found, it is where it was."""
    box = Box(0, 0, frames_FHW3.shape[2], frames_FHW3.shape[1])
    marks = []
    for frame in frames_FHW3:
        box = next(iter(find_faces(Image.fromarray(frame))), box)
        marks.append(read_landmarks(frame, box))
    return marks


def _shut_below(opening: Array) -> float:
    return float(_SHUT_LIPS * np.percentile(opening, 95))


def _way(marks: Sequence[Landmarks]) -> float:
    """Spread of the tip of the nose in heights of the face."""
    noses = np.stack([m.nose for m in marks])
    height = float(np.mean([m.face_height for m in marks]))
    return float(np.sqrt(noses.var(0).sum()) / height)


def table_of(found: Sequence[Figures]) -> str:
    """Means over the renders of each kind."""
    lines = [
        "| | renders | mouth against the jaw, r: mean / worst | true frames, r | another clip, r | "
        "lag, worst | size of mouth motion | head motion | shut on p, b, m | elsewhere | blinks |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for kind in dict.fromkeys(figures.kind for figures in found):
        rows = [figures for figures in found if figures.kind == kind]

        def mean(name: str, rows: list[Figures] = rows) -> str:
            values = [getattr(row, name) for row in rows]
            return f"{np.nanmean(values):.3f}" if not np.isnan(values).all() else ""

        worst = min(row.r for row in rows)
        lag = max((row.lag for row in rows), key=abs)
        cells = [
            kind, str(len(rows)), f"{mean('r')} / {worst:.2f}", mean("truth_r"), mean("r_other"),
            str(lag), mean("size"), mean("head"), mean("shut_on_closures"), mean("shut_elsewhere"),
            mean("blinks_a_minute"),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _save_sheet(target: Path, subject: Subject, frames: Array) -> None:
    """Save the portrait and some frames, with the true ones below."""
    rows = np.linspace(2, len(frames) - 3, _NUM_SHOWN).astype(int)
    size = frames.shape[1:3]
    portrait = np.asarray(subject.portrait.resize(size[::-1]))
    shown = [np.concatenate([portrait, *frames[rows]], 1)]
    if subject.truth_FHW3 is not None and subject.truth_FHW3.shape[1:3] == size:
        shown.append(np.concatenate([portrait, *subject.truth_FHW3[rows]], 1))
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(shown)).save(target)
