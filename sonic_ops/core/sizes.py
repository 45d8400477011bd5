"""Width and height of a video that is scaled."""

from sonic_ops.core.errors import FieldError

MIN_SCALE = 64  # pixels of the short side
MAX_VIDEO_SIDE = 4096


def scaled_size(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """Return width and height of a video whose shorter side is to be `short_side`; both are even.

    Raises FieldError if the longer one would have more than 4096 pixels.
    """
    scale = short_side / min(size)
    width, height = (2 * round(side * scale / 2) for side in size)
    if max(width, height) > MAX_VIDEO_SIDE:
        raise FieldError(
            f"the video would be {width} x {height} pixels, and {MAX_VIDEO_SIDE} is the most for "
            "a side",
            remedy="Choose a smaller scale_to, or set framing to face.",
            field="scale_to",
        )
    return width, height
