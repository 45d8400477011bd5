"""What the figures of a video mean: definition, unit, range and source of each."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Entry:
    """One figure; `name` is its field in `Measures`, `good` says where a good one lies.

    `plain` is what it says in one sentence, `definition` how it is computed.

    `needs` names what a user gives for it; without that no video has the figure.
    """

    name: str
    label: str
    unit: str
    good: str
    plain: str
    definition: str
    source: str = "this project"
    digits: int = 2
    needs: str = ""


_SYNCNET: Final = "Chung and Zisserman, ACCV workshops 2016; the means are those of its release"
_WEIGHTS: Final = "weights of SyncNet"

ENTRIES: Final = (
    Entry(
        "lip_sync",
        "Lip sync",
        "r",
        "-1 to 1; .5 to .8 for a true mouth",
        "How well the mouth follows the voice.",
        "Pearson correlation of the change of the mouth against its rest, the face held still, "
        "with the level of the voice (300 to 3000 Hz, 80 ms, 40 dB deep). The opening of true "
        "mouths of painted people has .54 to .77, so 1 cannot be reached",
    ),
    Entry(
        "lip_lag_ms",
        "Lip lag",
        "ms",
        "-200 to 200; within 40 of 0",
        "How late the lips are; below 40 ms nobody notices.",
        "The lag at which that correlation is highest, between frames by a parabola; positive "
        "means that the lips come late; not measurable if it is below .2, or highest at a limit",
        digits=0,
    ),
    Entry(
        "chance_sync",
        "Lip sync by chance",
        "r",
        "around 0",
        "What a mouth would reach that knows nothing of the speech.",
        "The same correlation with the speech moved to 16 other times, in the mean: what lips have "
        "that know nothing of the speech. A still image has 0",
    ),
    Entry(
        "mouth_motion",
        "Mouth motion",
        "greys",
        "0 to 255",
        "How far the mouth opens and shuts.",
        "Standard deviation over time of the mean change of the mouth against its rest",
        digits=1,
    ),
    Entry(
        "silence",
        "Mouth in pauses",
        "ratio",
        "0 is still, 1 as in speech",
        "How still the mouth is while nobody speaks.",
        "Change of the mouth from frame to frame in pauses of the speech of at least 0.3 s, "
        "against that in speech",
    ),
    Entry(
        "sharpness_pct",
        "Sharpness",
        "%",
        "from 0; 100 is as in the first second",
        "Whether the face stays as sharp as it begins.",
        "Variance of the Laplacian of the upper face, against the first second",
        "Pech-Pacheco et al., ICPR 2000",
        digits=0,
    ),
    Entry(
        "colour_drift",
        "Colour drift",
        "dE",
        "from 0; below 1 is hard to see",
        "Whether the colours stay as they begin.",
        "CIEDE2000 between the mean colours and those of the first second: the median over 4 x 4 "
        "cells of the frame, so that a mouth or a head that moves does not count",
        "Sharma, Wu and Dalal, Color Research and Application 30, 2005",
    ),
    Entry(
        "likeness",
        "Face likeness",
        "cosine",
        "0 to 1; 1 is equal",
        "Whether the face stays that of the portrait.",
        "Cosine of histograms of oriented gradients of the face without mouth and chin, to those "
        "of the portrait (of the first frame where the portrait is not at hand). A description of "
        "shapes and no trained embedding: it says whether a face stays, not who it is",
        "Dalal and Triggs, CVPR 2005",
    ),
    Entry(
        "head_motion",
        "Head motion",
        "% of face",
        "from 0",
        "How much the head moves.",
        "Root mean square way of the middle of the face from its mean place, against its width",
        "Lucas and Kanade, IJCAI 1981, for the tracking",
        digits=1,
    ),
    Entry(
        "expression",
        "Expression",
        "greys",
        "0 to 255",
        "How much eyes and brows move.",
        "Standard deviation over time of the change of eyes and brows, the face held still",
        digits=1,
    ),
    Entry(
        "flicker",
        "Flicker",
        "greys",
        "from 0; below 0.3 is hard to see",
        "Whether the light jumps from frame to frame.",
        "How far the light of a frame is from the mean of its two neighbours, over 4 x 4 cells",
    ),
    Entry(
        "smoothness",
        "Smoothness",
        "ratio",
        "0 to 1; noise has .13, even motion 1",
        "Whether motion is even or jerks.",
        "1 less the mean change of the change of pixels against twice their mean change",
    ),
    Entry(
        "seam_ratio",
        "Seam ratio",
        "ratio",
        "from 0; 1 is no seam",
        "Whether the joints between segments can be seen.",
        "Change of the frame at key frames, where segments begin, against that 2, 4 and 6 frames "
        "before and after. What the codec does to any key frame is in it",
    ),
    Entry(
        "syncnet_confidence",
        "SyncNet confidence",
        "distance",
        "from 0; higher is better",
        "How sure another network is that lips and audio belong together.",
        "How far the distance below lies under the median of those with the audio moved by -15 to "
        "15 frames of 1/25 s (LSE-C). The still image is the first frame. SyncNet learnt from "
        "people on television: of drawn ones it may say anything",
        _SYNCNET,
        needs=_WEIGHTS,
    ),
    Entry(
        "syncnet_distance",
        "SyncNet distance",
        "distance",
        "from 0; lower is better",
        "How far lips and audio are apart for another network.",
        "Euclidean distance between SyncNet's embeddings of 5 frames of the face and of 0.2 s of "
        "the audio, in the mean over time, with the audio moved to where it is least (LSE-D)",
        _SYNCNET,
        needs=_WEIGHTS,
    ),
    Entry(
        "syncnet_offset_ms",
        "SyncNet offset",
        "ms",
        "-600 to 600 in steps of 40; within 40 of 0",
        "How late the lips are for another network.",
        "How far the audio was moved for that; positive means that the lips come late",
        _SYNCNET,
        digits=0,
        needs=_WEIGHTS,
    ),
)
