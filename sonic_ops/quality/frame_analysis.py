"""One walk over the output frames of a finished video; a few numbers of each are kept.

Memory does not depend on the size of the frames, and grows by some 100 bytes per output frame.
Shape letters: N output frames, H, W rows and columns, S sides of the face that is held still, T
whole seconds, K cells of the frame.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from sonic_ops.core.containers import open_own_container
from sonic_ops.core.errors import VerifyError
from sonic_ops.media.inspection import probe_video, wrong
from sonic_ops.quality.gathering import Colours, Mouth, Pairs, sharpness, shrunk
from sonic_ops.quality.likeness import most_like, shapes_of
from sonic_ops.quality.tracking import EYES, MOUTH, FaceTracker, cut_face, face_of

_SMALL_SIDE: Final = 128
_REST_S: Final = 60
Bytes = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Tracks:
    """What was seen: one value per output frame, if nothing else is said. Greys go to 255."""

    fps: Fraction
    has_face: bool  # else the middle of the frame was taken for one
    mouth_N: Floats  # mean change of the mouth against its rest, in greys
    head_N2: Floats  # right and down, in parts of the width of the face
    eyes_N: Floats  # mean change of eyes and brows against the first frame, in greys
    sharpness_N: Floats  # variance of the Laplacian of the upper face
    likeness_N: Floats  # cosine to the face of the portrait
    change_N: Floats  # mean change of the frame since the frame before, in greys; first 0
    bend_N: Floats  # mean change of that change, in greys; first two 0
    flicker_N: Floats  # how far the light of a frame is from its neighbours' mean, in greys
    colour_TK3: Floats  # mean CIELAB of the cells in every second
    keys: tuple[int, ...]  # frames that a decoder can start at; segments begin with one

    def __len__(self) -> int:
        return len(self.mouth_N)


@dataclass(frozen=True, slots=True)
class Shown:
    """One output frame."""

    frame_HW3: Bytes
    is_key: bool


def frame_rate(video: Path) -> Fraction:
    """Output frames per second. Raises VerifyError."""
    rate = probe_video(video).fps
    if not rate:
        raise wrong(video, "has no frame rate")
    return rate


def frames_of(video: Path) -> Iterator[Shown]:
    """Decode the output frames one after another. Raises VerifyError."""
    try:
        with open_own_container(video) as container:
            for frame in container.decode(container.streams.video[0]):
                rgb = frame.reformat(format="rgb24", src_colorspace=Colorspace.ITU709)
                yield Shown(np.asarray(rgb.to_ndarray()), bool(frame.key_frame))
    except (av.error.FFmpegError, IndexError) as error:
        raise wrong(video, f"cannot be decoded: {error}") from error


class FrameAnalyser:
    """Takes the frames of one video in their order."""

    def __init__(
        self,
        fps: Fraction,
        *,
        pause_N: NDArray[np.bool_] | None = None,
        portrait_HW3: Bytes | None = None,
    ) -> None:
        self._fps = fps
        self._mouth = Mouth(np.zeros(0, bool) if pause_N is None else pause_N, int(fps * _REST_S))
        self._portrait_HW3 = portrait_HW3
        self._pairs = Pairs()
        self._colours = Colours(max(round(fps), 1))
        self._rows: list[tuple[float, ...]] = []
        self._keys: list[int] = []
        self._tracker: FaceTracker | None = None

    def add(self, shown: Shown) -> None:
        """Add the next frame."""
        frame_HW3 = shown.frame_HW3
        if self._tracker is None:
            self._begin(frame_HW3)
        assert self._tracker is not None
        if shown.is_key:
            self._keys.append(len(self._rows))
        held = self._tracker.hold(frame_HW3)
        grey_SS = cv2.cvtColor(held.face_SS3, cv2.COLOR_RGB2GRAY)
        self._mouth.add(grey_SS[MOUTH])
        small_HW3 = shrunk(frame_HW3, _SMALL_SIDE)
        self._colours.add(small_HW3)
        eyes = float(np.abs(grey_SS[EYES].astype(np.float32) - self._eyes).mean())
        dx, dy = held.moved
        sharp = sharpness(frame_HW3, self._box.moved(dx * self._box.width, dy * self._box.width))
        like = float(shapes_of(held.face_SS3) @ self._known)
        self._rows.append((dx, dy, eyes, sharp, like, *self._pairs.add(small_HW3)))

    def tracks(self) -> Tracks:
        """Return everything measured. Raises VerifyError if there was no frame."""
        if not self._rows:
            raise VerifyError("The video has no frames", remedy="Render the row again.")
        rows = np.array(self._rows, np.float32)
        change_N, bend_N, flicker_N = rows[:, 5:].T
        return Tracks(
            fps=self._fps,
            has_face=self._has_face,
            mouth_N=self._mouth.track(),
            head_N2=rows[:, :2],
            eyes_N=rows[:, 2],
            sharpness_N=rows[:, 3],
            likeness_N=rows[:, 4],
            change_N=change_N,
            bend_N=bend_N,
            flicker_N=np.append(flicker_N[1:], 0),  # said of the frame before
            colour_TK3=self._colours.means(),
            keys=tuple(self._keys),
        )

    def _begin(self, first_HW3: Bytes) -> None:
        self._box, self._has_face = face_of(first_HW3)
        self._tracker = FaceTracker(first_HW3, self._box)
        face_SS3 = cut_face(first_HW3, self._box)
        self._eyes = cv2.cvtColor(face_SS3, cv2.COLOR_RGB2GRAY)[EYES].astype(np.float32)
        shapes = shapes_of(face_SS3)
        self._known = (
            shapes if self._portrait_HW3 is None else most_like(self._portrait_HW3, shapes)
        )
        self._portrait_HW3 = None


def analyse_frames(
    video: Path,
    *,
    pause_N: NDArray[np.bool_] | None = None,
    portrait_HW3: Bytes | None = None,
) -> Tracks:
    """Go through a video. Raises VerifyError if it cannot be decoded."""
    analyser = FrameAnalyser(frame_rate(video), pause_N=pause_N, portrait_HW3=portrait_HW3)
    for shown in frames_of(video):
        analyser.add(shown)
    return analyser.tracks()
