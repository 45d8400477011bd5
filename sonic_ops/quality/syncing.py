"""SyncNet's figures added to what is known of a video.

The video is gone through twice more, once to follow the face and once to see its lips. Embeddings
are kept in files, so memory grows by some 200 bytes per frame.
Shape letters: N embeddings, E numbers of each, L shifts of the audio.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sonic_ops.audio.resampling import SampleFile, num_samples_in
from sonic_ops.core.constants import SAMPLES_PER_TICK
from sonic_ops.core.scratch import scratch_folder
from sonic_ops.models.syncnet import EMBEDDED, NUM_FACES
from sonic_ops.quality.analysis import VideoAnalysis, audio_of
from sonic_ops.quality.crops import SEEN_FPS, Bytes, crop, resampled, squares_of
from sonic_ops.quality.frame_analysis import frame_rate, frames_of
from sonic_ops.quality.measures import Interval, Measures
from sonic_ops.quality.syncnet import (
    MIN_SEEN,
    Floats,
    SyncNetScorer,
    Verdict,
    by_chance,
    distances,
    embed_audio,
    embed_video,
    verdict,
)


@dataclass(frozen=True, slots=True)
class _Embedded:
    """Distances of the whole video, what is said of its baselines."""

    distances_NL: Floats
    still: Verdict
    shuffled: Verdict


def with_syncnet(analysis: VideoAnalysis, video: Path, scorer: SyncNetScorer) -> VideoAnalysis:
    """Add SyncNet's figures to an analysis, unless there is no face or too little audio.

    Raises VerifyError if the video cannot be decoded.
    """
    with scratch_folder() as scratch:
        embedded = _embedded(video, scratch, scorer)
    if embedded is None:
        embedded = _Embedded(np.zeros((0, 1)), Verdict(), Verdict())
    return replace(
        analysis,
        syncnet=scorer.digest,
        measures=_joined(analysis.measures, verdict(embedded.distances_NL)),
        parts=tuple(_of_part(part, embedded.distances_NL) for part in analysis.parts),
        still=_joined(analysis.still, embedded.still),
        shuffled=_joined(analysis.shuffled, embedded.shuffled),
    )


def _embedded(video: Path, scratch: Path, scorer: SyncNetScorer) -> _Embedded | None:
    wav, fps = audio_of(video, scratch), frame_rate(video)
    squares_N3 = None if wav is None else squares_of(_seen(video, fps))
    if wav is None or squares_N3 is None:
        return None
    # The release leaves the last whole span out.
    num = min(len(squares_N3), num_samples_in(wav) // SAMPLES_PER_TICK) - NUM_FACES
    if num < MIN_SEEN:
        return None
    faces = map(crop, _seen(video, fps), squares_N3)
    lips_NE = _kept(embed_video(scorer, islice(faces, num + NUM_FACES - 1)), scratch / "lips")
    audio_NE = _kept(embed_audio(scorer, SampleFile(str(wav)), num), scratch / "audio")
    first = crop(next(_seen(video, fps)), squares_N3[0])
    (lip_1E,) = embed_video(scorer, [first] * NUM_FACES)
    return _Embedded(
        distances_NL=distances(lips_NE, audio_NE),
        still=verdict(distances(np.broadcast_to(lip_1E, lips_NE.shape), audio_NE)),
        shuffled=by_chance(lips_NE, audio_NE),
    )


def _seen(video: Path, fps: Fraction) -> Iterator[Bytes]:
    return resampled((shown.frame_HW3 for shown in frames_of(video)), fps)


def _kept(blocks: Iterable[NDArray[np.float32]], path: Path) -> NDArray[np.float32]:
    """Return embeddings in a file, read where they are needed: N E."""
    with path.open("wb") as file:
        for block_NE in blocks:
            file.write(np.ascontiguousarray(block_NE).tobytes())
    return np.memmap(path, np.float32, "r").reshape(-1, EMBEDDED)


def _of_part(part: Interval, distances_NL: Floats) -> Interval:
    start, stop = (round(second * SEEN_FPS) for second in (part.start_s, part.stop_s))
    return replace(part, measures=_joined(part.measures, verdict(distances_NL[start:stop])))


def _joined(measures: Measures, said: Verdict) -> Measures:
    return replace(
        measures,
        syncnet_confidence=said.confidence,
        syncnet_distance=said.distance,
        syncnet_offset_ms=said.offset_ms,
    )
