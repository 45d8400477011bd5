"""Makes the animation of the README: python examples/make_preview.py

Render examples/talks.csv and examples/faces/manifest.csv first. Each portrait stands beside its
video.
"""

from pathlib import Path

import av
from PIL import Image

from sonic_ops.provenance.marks import mark_file

HERE = Path(__file__).parent
PAIRS = {
    "ada.png": "ada",
    "faces/mara.png": "faces/rendered",
    "faces/collins.jpg": "faces/photograph",
}
"""Portraits and their videos."""
SIDE = 176
MS_PER_FRAME = 80  # 12.5 per second: every other frame of a video


def frames_of(name: str) -> list[Image.Image]:
    """Decode every other frame of a rendered example."""
    with av.open(str(HERE.parent / "out" / f"{name}.mp4")) as video:
        return [frame.to_image() for frame in video.decode(video=0)][::2]


def main() -> None:
    """Write preview.webp, and mark it as made with AI."""
    pairs = [(Image.open(HERE / portrait), frames_of(name)) for portrait, name in PAIRS.items()]
    shown = []
    for index in range(max(len(frames) for _, frames in pairs)):
        canvas = Image.new("RGB", (2 * len(pairs) * SIDE, SIDE))
        for pair, (portrait, frames) in enumerate(pairs):
            for column, image in enumerate((portrait, frames[min(index, len(frames) - 1)])):
                tile = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
                canvas.paste(tile, ((2 * pair + column) * SIDE, 0))
        shown.append(canvas)
    path = HERE / "preview.webp"
    shown[0].save(
        path, save_all=True, append_images=shown[1:], duration=MS_PER_FRAME, loop=0, quality=80
    )
    mark_file(path)


if __name__ == "__main__":
    main()
