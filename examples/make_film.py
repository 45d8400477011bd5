"""Write the film of examples/dubbing-film and the noise of its sea: python -m examples.make_film

A drawn person sways and says a sentence in English, then the sea is seen alone. Training never saw
this person. espeak-ng comes with the tools of developers (`make setup`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.provenance.marks import mark_file
from training.people.examples import PORTRAITS
from training.people.faces import NEUTRAL, Portraitist, Pose
from training.people.motion import animate
from training.people.mouth import STEPS_PER_SECOND
from training.people.people import draw_identity
from training.speech.speech import Voice, speak

HERE = Path(__file__).parent / "dubbing-film"
SENTENCE = "Welcome! Today we talk about the sea and its colours."
VOICE = Voice("en-us", pitch=50, rate=150, pitch_range=50)
SIZE, FPS = (640, 360), 25
TALKS_S, SECONDS = Fraction(44, 10), Fraction(6)
Bytes = NDArray[np.uint8]
Samples = NDArray[np.float32]


DAY, EVENING = ((150, 190, 230), (70, 40, 10), 0.55), ((120, 70, 110), (120, 80, -30), 0.35)
"""Colour of the sky, how it changes downwards, and where the sea begins."""


def sea(time_s: float, light: tuple[Sequence[int], Sequence[int], float]) -> Bytes:
    """Paint the sky over waves that come nearer (H W 3)."""
    width, height = SIZE
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    horizon = light[2] * height
    sky = np.array(light[0]) + (down / horizon)[..., None] * light[1]
    depth = (down - horizon).clip(1) / (height - horizon)
    waves = np.sin(14 / (depth + 0.12) + 2.5 * time_s + 0.5 * np.sin(across / (20 + 90 * depth)))
    water = np.array([40, 95, 130]) + depth[..., None] * (10, 50, 40) + 9 * waves[..., None]
    colours: Bytes = np.where((down < horizon)[..., None], sky, water).clip(0, 255).astype(np.uint8)
    return colours


def frames() -> Iterator[Bytes]:
    """Yield the frames of the film."""
    width, height = SIZE
    said = animate(speak(SENTENCE, VOICE), np.random.default_rng(0))
    track = np.pad(said.track, ((0, 10 * STEPS_PER_SECOND), (0, 0)))
    left = (width - height) // 3
    shore = sea(0, DAY)
    painter = Portraitist(draw_identity(PORTRAITS["ada"]), size=height)
    painter.colours = np.eye(3, dtype=np.float32)  # else the square around them has other colours
    painter.layers = replace(painter.layers, backdrop=shore[:, left : left + height].copy())
    for number in range(round(SECONDS * FPS)):
        time_s = number / FPS
        if time_s >= TALKS_S:
            yield sea(time_s, EVENING)
            continue
        mouth = track[number * STEPS_PER_SECOND // FPS]
        waves = np.sin(2 * np.pi * np.array([0.22, 0.35, 0.18]) * time_s)
        pose = Pose(*NEUTRAL.tolist())._replace(
            shift_x=float(waves[0]), shift_y=float(0.4 * waves[1]), roll=float(0.2 * waves[2])
        )
        pose = pose._replace(**dict(zip(Pose._fields[:6], map(float, mouth[:6]), strict=True)))
        image = shore.copy()
        image[:, left : left + height] = painter.paint(pose)
        yield image


def waves() -> Samples:
    """Make the sea: noise that swells."""
    num = round(SECONDS * SAMPLE_RATE_HZ)
    noise = np.random.default_rng(0).standard_normal(num)
    low = np.convolve(noise, np.hanning(40) / 20, "same")
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * np.arange(num) / SAMPLE_RATE_HZ / 3)
    return np.asarray(0.03 * low * swell, np.float32)


def write_film(path: Path, audio: Samples) -> None:
    """Encode the film with its audio."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "23"})
        stream.width, stream.height = SIZE
        heard = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
        heard.bit_rate = 48_000
        for image in frames():
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
        frame = av.AudioFrame.from_ndarray(audio[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, 0
        container.mux(heard.encode(frame))
        container.mux(heard.encode(None))


def main() -> None:
    """Write the film and the noise of the sea."""
    spoken = speak(SENTENCE, VOICE).samples
    background = waves()
    soundfile.write(HERE / "sea.ogg", background, SAMPLE_RATE_HZ)
    audio = background + np.pad(spoken, (0, len(background) - len(spoken)))
    write_film(HERE / "talk.mp4", np.asarray(audio, np.float32))
    mark_file(HERE / "talk.mp4")


if __name__ == "__main__":
    main()
