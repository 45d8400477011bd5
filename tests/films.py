"""Films of a drawn person who moves and talks, with the truth of every frame."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from training.people.examples import PORTRAITS
from training.people.faces import NEUTRAL, Portraitist, Pose
from training.people.people import draw_identity

SIZE = (320, 240)
"""Width and height."""
SIDE = 240
"""Of the square in the film that has the person."""
UNIT = SIDE / 256
TICK = Fraction(1, 90_000)

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Scene:
    """Pictures (H W 3), and the pose of each, where there is a person."""

    pictures: tuple[Bytes, ...]
    poses: tuple[Pose, ...]

    def __add__(self, other: "Scene") -> "Scene":
        return Scene(self.pictures + other.pictures, self.poses + other.poses)

    def every(self, step: int) -> "Scene":
        """Every second, third... picture."""
        return Scene(self.pictures[::step], self.poses[::step])


@lru_cache(4)
def painter(name: str) -> Portraitist:
    """Who is drawn: a person of the examples, or a number."""
    seed = PORTRAITS[name] if name in PORTRAITS else int(name)
    return Portraitist(draw_identity(seed), size=SIDE)


def pose_at(time_s: float, *, sways: float = 1.0, talks: float = 0.7) -> Pose:
    """A head that sways by up to 12 % of its width a second, and talks."""
    wave = np.sin(2 * np.pi * np.array([0.25, 0.4, 0.2, 2.3, 1.7]) * time_s)
    rest = Pose(*NEUTRAL.tolist())
    return rest._replace(
        shift_x=float(sways * wave[0]),
        shift_y=float(0.4 * sways * wave[1]),
        roll=float(0.2 * sways * wave[2]),
        jaw=float(max(wave[3], 0) * talks),
        width=float(0.3 * wave[4] * talks),
    )


@lru_cache(8)
def talking(num_frames: int, name: str = "ada", sways: float = 1.0, talks: float = 0.7) -> Scene:
    """Somebody who talks, 25 frames per second."""
    poses = [pose_at(n / 25, sways=sways, talks=talks) for n in range(num_frames)]
    return Scene(tuple(placed(painter(name).paint(pose)) for pose in poses), tuple(poses))


@lru_cache(8)
def landscape(num_frames: int) -> Scene:
    """A picture without anybody, in which little moves."""
    rng = np.random.default_rng(1)
    width, height = SIZE
    slope = np.linspace(30, 220, width)[None, :, None] + np.zeros((height, 1, 3))
    pictures = [slope + rng.normal(0, 4, slope.shape) for _ in range(num_frames)]
    rest = Pose(*NEUTRAL.tolist())
    return Scene(tuple(p.clip(0, 255).astype(np.uint8) for p in pictures), (rest,) * num_frames)


def placed(picture: Bytes) -> Bytes:
    """The person in the middle of a rough wall."""
    width, height = SIZE
    rough = np.random.default_rng(0).normal(120, 12, (height, width, 1))
    wall = (rough + np.array([0, 8, 24])).clip(0, 255).astype(np.uint8)
    left = (width - SIDE) // 2
    wall[:, left : left + SIDE] = picture
    return wall


def write_film(
    path: Path,
    scene: Scene,
    *,
    fps: Fraction = Fraction(25),
    times_s: Sequence[Fraction] | None = None,
    pix_fmt: str = "yuv420p",
    options: Mapping[str, str] | None = None,
    **context: Any,
) -> Path:
    """Encode a scene, lossless, at a rate or at its own times."""
    height, width, _ = scene.pictures[0].shape
    with av.open(str(path), "w") as container:
        lossless = {"qp": "0", "g": "25"} | dict(options or {})
        stream = container.add_stream("libx264", rate=fps, options=lossless)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.time_base = TICK
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        for number, picture in enumerate(scene.pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pix_fmt)
            time_s = times_s[number] if times_s else number / fps
            frame.pts, frame.time_base = round(time_s / TICK), TICK
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def frames_of(path: Path) -> list[av.VideoFrame]:
    """All frames of a film, as the file has them."""
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def times_of(path: Path) -> list[Fraction]:
    """When the frames of a film are shown."""
    return [frame.pts * frame.time_base for frame in frames_of(path)]


def write_turned(path: Path, scene: Scene, degrees: int, **how: Any) -> Path:
    """Encode a scene that players turn to the left by some degrees."""
    plain = write_film(path.with_name(f"plain-{path.name}"), scene, **how)
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(degrees)
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return path


def write_damaged(path: Path, scene: Scene, numbers: Iterable[int]) -> Path:
    """Encode a scene, and make noise of the packets of some frames."""
    write_film(path, scene)
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    content, rng = bytearray(path.read_bytes()), np.random.default_rng(0)
    for number in numbers:
        start, size = packets[number]
        assert start is not None
        content[start + 4 : start + size] = rng.bytes(size - 4)
    path.write_bytes(content)
    return path


def cropped(scene: Scene, left: int, top: int, width: int, height: int) -> Scene:
    """A part of a scene; beyond its border all is grey."""
    made = []
    for picture in scene.pictures:
        room = np.full((3 * SIZE[1], 3 * SIZE[0], 3), 120, np.uint8)
        room[SIZE[1] : 2 * SIZE[1], SIZE[0] : 2 * SIZE[0]] = picture
        x, y = SIZE[0] + left, SIZE[1] + top
        made.append(np.ascontiguousarray(room[y : y + height, x : x + width]))
    return replace(scene, pictures=tuple(made))


def beside(one: Scene, other: Scene) -> Scene:
    """Two scenes at once, side by side; the poses are those of the first."""
    pairs = zip(one.pictures, other.pictures, strict=True)
    return replace(one, pictures=tuple(np.ascontiguousarray(np.hstack(pair)) for pair in pairs))


def faded(scene: Scene, num_frames: int) -> Scene:
    """A scene that comes out of the dark."""
    shares = (min(n / num_frames, 1.0) for n in range(len(scene.pictures)))
    made = (
        np.rint(p * share).astype(np.uint8) for p, share in zip(scene.pictures, shares, strict=True)
    )
    return replace(scene, pictures=tuple(made))
