"""Dub a drawn film of 30 s in 1080p with grain: `python -m tests.bench.film_1080 FOLDER`.

Three shots: somebody who sways and talks, the sea without anybody, somebody else. `sonic dub` gives
them other speech. FOLDER gets the film, the dubbed one, and `frames.png` to be looked at: the film
above the result, at twelve moments.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image

from examples.make_film import DAY, EVENING, sea
from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.film.compositing import planes_of
from tests import films
from tests.bench.film_measures import FPS
from tests.bench.films import Said, said
from training.people.examples import PORTRAITS
from training.people.faces import Portraitist, Pose
from training.people.people import draw_identity

SIZE: Final = (1920, 1080)
SHOTS: Final = (("ada", 12), ("", 6), ("ben", 12))
"""Who is seen, and for how many seconds."""
GRAIN: Final = 2.5
_PAINTED: Final = 360  # pixels on a side of a person as painted: to paint larger ones takes minutes
MOMENTS: Final = (1.0, 3.0, 5.0, 8.0, 11.0, 13.0, 17.0, 19.0, 21.0, 24.0, 27.0, 29.0)
_SHOWN: Final = (480, 270)
Bytes = NDArray[np.uint8]


def _large(picture: Bytes) -> Bytes:
    return np.asarray(cv2.resize(picture, SIZE, interpolation=cv2.INTER_CUBIC))


def pictures(speech: Said) -> Iterator[Bytes]:
    """The frames of the film."""
    rng, first = np.random.default_rng(0), 0
    for name, seconds in SHOTS:
        for number in range(first, first + seconds * FPS):
            if name:
                shore = sea(first / FPS, DAY)
                mouth = map(float, speech.track[number * 100 // FPS, :6])
                swaying = films.pose_at(number / FPS, talks=0)
                pose = swaying._replace(**dict(zip(Pose._fields[:6], mouth, strict=True)))
                picture = _large(_before(shore, name, pose))
            else:
                picture = _large(sea(number / FPS, EVENING))
            grain = GRAIN * rng.standard_normal((*picture.shape[:2], 1), np.float32)
            yield (picture + grain).clip(0, 255).astype(np.uint8)
        first += seconds * FPS


def _before(shore: Bytes, name: str, pose: Pose) -> Bytes:
    """Somebody in front of the sea."""
    left = (shore.shape[1] - _PAINTED) // 2
    square = slice(left, left + _PAINTED)
    painter = _painter(name)
    painter.layers = replace(painter.layers, backdrop=shore[:, square].copy())
    shore[:, square] = painter.paint(pose)
    return shore


@cache
def _painter(name: str) -> Portraitist:
    painter = Portraitist(draw_identity(PORTRAITS[name]), size=_PAINTED)
    painter.colours = np.eye(3, dtype=np.float32)  # else the square around them has other colours
    return painter


def write_film(path: Path, speech: Said) -> None:
    """Encode the film with its sound."""
    with av.open(str(path), "w") as container:
        options = {"crf": "17", "preset": "ultrafast"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height = SIZE
        heard = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
        for picture in pictures(speech):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
        audio = av.AudioFrame.from_ndarray(speech.samples[None], format="fltp", layout="mono")
        audio.sample_rate, audio.pts = SAMPLE_RATE_HZ, 0
        container.mux(heard.encode(audio))
        container.mux(heard.encode(None))


def compare(film: Path, out: Path, sheet: Path) -> None:
    """Write what both show at some moments, and print where they differ."""
    wanted = {round(moment * FPS): place for place, moment in enumerate(MOMENTS)}
    width, height = _SHOWN
    pages = np.zeros((2 * height * 3, width * 4, 3), np.uint8)
    differs, times_differ = [], 0
    with av.open(str(film)) as one, av.open(str(out)) as other:
        for number, (a, b) in enumerate(zip(one.decode(video=0), other.decode(video=0))):  # noqa: B905
            times_differ += Fraction(a.pts * a.time_base) != Fraction(b.pts * b.time_base)
            luma = [planes_of(frame)[0].astype(int) for frame in (a, b)]
            differs.append(float(np.abs(luma[0] - luma[1]).mean()))
            if number in wanted:
                row, column = divmod(wanted[number], 4)
                for place, frame in enumerate((a, b)):
                    shown = frame.to_ndarray(format="rgb24", width=width, height=height)
                    top = (2 * row + place) * height
                    pages[top : top + height, column * width : (column + 1) * width] = shown
    Image.fromarray(pages).save(sheet)
    spans, first = [], 0
    for _, seconds in SHOTS:
        spans.append(f"{np.mean(differs[first : first + seconds * FPS]):.2f}")
        first += seconds * FPS
    print(f"{len(differs)} frames, {times_differ} at other times; mean change of luma by shot, in")
    print(f"levels, after encoding: {', '.join(spans)}; {sheet}")


def main(folder: Path) -> None:
    """Write and dub the film."""
    folder.mkdir(parents=True, exist_ok=True)
    seconds = sum(seconds for _, seconds in SHOTS)
    film, out = folder / "film.mp4", folder / "out.mp4"
    if not film.exists():
        write_film(film, said(3009, seconds))
    soundfile.write(folder / "new.wav", said(4109, seconds).samples, SAMPLE_RATE_HZ)
    command = [sys.executable, "-m", "flows", "dub", str(film), "--audio"]
    started_s = time.monotonic()
    subprocess.run([*command, f"de={folder / 'new.wav'}", "-o", str(out)], check=True)
    print(f"dubbed in {time.monotonic() - started_s:.0f} s")
    compare(film, out, folder / "frames.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
