"""SyncNet's figures added to what is known of a video.

The video is gone through twice more, once to follow the face and once to see its lips. Embeddings
are kept in files, so memory grows by some 200 bytes per frame.
Shape letters: N embeddings, E numbers of each, L shifts of the sound.
"""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sonic_ops.audio.resampling import SampleFile, num_samples_in
from sonic_ops.core.constants import SAMPLES_PER_TICK
from sonic_ops.models.syncnet import EMBEDDED, NUM_FACES
from sonic_ops.quality.crops import SEEN_FPS, Bytes, crop, resampled, squares_of
from sonic_ops.quality.looking import Look, sound_of
from sonic_ops.quality.measures import Measures, Part
from sonic_ops.quality.syncnet import (
    MIN_SEEN,
    Floats,
    Judge,
    Verdict,
    by_chance,
    distances,
    hear_sounds,
    see_lips,
    verdict,
)
from sonic_ops.quality.watching import frame_rate, frames_of


@dataclass(frozen=True, slots=True)
class _Judged:
    """Distances of the whole video, what is said of its baselines."""

    distances_NL: Floats
    still: Verdict
    shuffled: Verdict


def with_syncnet(look: Look, video: Path, judge: Judge) -> Look:
    """A look with SyncNet's figures; without them where there is no face, no sound, or too little.

    Raises VerifyError if the video cannot be decoded.
    """
    with tempfile.TemporaryDirectory(prefix="sonic-") as scratch:
        judged = _judged(video, Path(scratch), judge)
    if judged is None:
        judged = _Judged(np.zeros((0, 1)), Verdict(), Verdict())
    return replace(
        look,
        syncnet=judge.digest,
        measures=_joined(look.measures, verdict(judged.distances_NL)),
        parts=tuple(_of_part(part, judged.distances_NL) for part in look.parts),
        still=_joined(look.still, judged.still),
        shuffled=_joined(look.shuffled, judged.shuffled),
    )


def _judged(video: Path, scratch: Path, judge: Judge) -> _Judged | None:
    wav, fps = sound_of(video, scratch), frame_rate(video)
    squares_N3 = None if wav is None else squares_of(_seen(video, fps))
    if wav is None or squares_N3 is None:
        return None
    # The release leaves the last whole span out.
    num = min(len(squares_N3), num_samples_in(wav) // SAMPLES_PER_TICK) - NUM_FACES
    if num < MIN_SEEN:
        return None
    faces = map(crop, _seen(video, fps), squares_N3)
    lips_NE = _kept(see_lips(judge, islice(faces, num + NUM_FACES - 1)), scratch / "lips")
    sounds_NE = _kept(hear_sounds(judge, SampleFile(str(wav)), num), scratch / "sounds")
    first = crop(next(_seen(video, fps)), squares_N3[0])
    (lip_1E,) = see_lips(judge, [first] * NUM_FACES)
    return _Judged(
        distances_NL=distances(lips_NE, sounds_NE),
        still=verdict(distances(np.broadcast_to(lip_1E, lips_NE.shape), sounds_NE)),
        shuffled=by_chance(lips_NE, sounds_NE),
    )


def _seen(video: Path, fps: Fraction) -> Iterator[Bytes]:
    return resampled((shown.picture_HW3 for shown in frames_of(video)), fps)


def _kept(blocks: Iterable[NDArray[np.float32]], path: Path) -> NDArray[np.float32]:
    """Embeddings in a file, read where they are needed: N E."""
    with path.open("wb") as file:
        for block_NE in blocks:
            file.write(np.ascontiguousarray(block_NE).tobytes())
    return np.memmap(path, np.float32, "r").reshape(-1, EMBEDDED)


def _of_part(part: Part, distances_NL: Floats) -> Part:
    start, stop = (round(second * SEEN_FPS) for second in (part.start_s, part.stop_s))
    return replace(part, measures=_joined(part.measures, verdict(distances_NL[start:stop])))


def _joined(measures: Measures, said: Verdict) -> Measures:
    return replace(
        measures,
        syncnet_confidence=said.confidence,
        syncnet_distance=said.distance,
        syncnet_offset_ms=said.offset_ms,
    )
