"""From an image to what the models read: the framed image, the soft face mask, CLIP pixels.

Shape letters: C channels, H, W rows and columns. Boxes are (left, top, right, bottom), half-open.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from sonic_ops.core.config import PortraitConfig
from sonic_ops.core.errors import FieldError, ImageUnreadableError, NoFaceError
from sonic_ops.picture.faces import Box, find_faces, turn_of
from sonic_ops.picture.images import SourceImage, is_blank, load_source_image
from sonic_ops.picture.landmarks import read_landmarks

Corners = tuple[int, int, int, int]
Framing = Literal["face", "full", "paste"]

SIZE_MULTIPLE = 64
MAX_ASPECT = 8
MIN_SIDE = 16  # pixels of what is animated
MAX_SIDE = 2048  # rendered pixels
CLIP_SIDE = 224
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class Portrait:
    """What is animated; `crop` is the part of the original image that it shows."""

    image_CHW: Tensor  # float32 in [-1, 1], sides are multiples of 64
    face_HW: Tensor  # float32 in [0, 1], 1 on the face
    clip_CHW: Tensor  # 224 x 224, CLIP normalised
    box: Box  # the face, in pixels of the original image
    num_faces: int  # seen in the image; 0 if the whole of it is animated for want of one
    crop: Corners
    larger_CHW: Tensor | None = None  # the same part in more pixels, if frames are shown so

    @property
    def shown_image(self) -> Tensor:
        """Return the image in [-1, 1] in the size of the frames, for decoders that warp it."""
        return self.image_CHW if self.larger_CHW is None else self.larger_CHW

    @property
    def shown_face(self) -> Tensor:
        """Return the mask of the face in the size of the frames."""
        size = self.shown_image.shape[1:]
        return functional.interpolate(
            self.face_HW[None, None], size=size, mode="bilinear", align_corners=False
        )[0, 0]

    @property
    def shown_box(self) -> Box:
        """Return the face in the size of the frames, whose sides were rounded apart."""
        height, width = self.shown_image.shape[1:]
        left, top, right, bottom = self.crop
        across, down = width / (right - left), height / (bottom - top)
        box = self.box.moved(-left, -top)
        return Box(box.x * across, box.y * down, box.width * across, box.height * down)

    @property
    def landmarks(self) -> Tensor:
        """Read where the face is (x, y), in halves of the height of the image, from its middle."""
        height, width = self.shown_image.shape[1:]
        rgb_HWC = ((self.shown_image.movedim(0, -1) + 1) * 127.5).round().to(torch.uint8)
        points = torch.from_numpy(
            read_landmarks(np.ascontiguousarray(rgb_HWC), self.shown_box).points
        )
        return (points - torch.tensor([width / 2, height / 2])) * (2 / height)

    @property
    def digest(self) -> str:
        """Equal for portraits that the model reads as the same."""
        digest = hashlib.sha256()
        for tensor in (self.image_CHW, self.face_HW, self.clip_CHW):
            # The shape too: the pixels of a portrait on its side may be as many, and alike.
            digest.update(repr(tuple(tensor.shape)).encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Place:
    """Where in an image the face is, how many there are, and the part that is shown."""

    box: Box
    num_faces: int  # 0 if the whole image is animated for want of one
    crop: Corners


def place_face(
    image: Image.Image,
    *,
    resolution: int,
    framing: Framing,
    face_box: Box | None,
    expand: float,
    face: int | None = None,
) -> Place:
    """Find the face (or take `face_box`), and choose the part of the image around it.

    With several faces the largest is animated, or number `face` from the left, which counts from
    1. `framing="full"` keeps the whole image, and animates all of it if there is no face. Raises
    NoFaceError, FieldError for a `face_box` outside the image, and ImageUnreadableError for a
    image more than 8 times as long as wide, one that would be rendered larger than 2048, or fewer
    than 16 pixels a side.
    """
    faces = find_faces(image) if face_box is None else (_inside(face_box, image),)
    whole = Box(0, 0, image.width, image.height)
    if framing != "full" and not faces:
        turn = turn_of(image)
        turned = f", but in the image turned by {turn} degrees" if turn else ""
        raise NoFaceError(
            f"No face was found in the image{turned}",
            remedy="Turn the image until the face stands upright."
            if turn
            else "Give its place in face_box (x, y, width, height), or set framing to full.",
        )
    if face is not None and face_box is None:
        box = _from_left(faces, face)
    else:
        box = faces[0] if faces else whole
    crop = (0, 0, *image.size) if framing == "full" else crop_around(box, expand, image.size)
    _check_shape(crop[2] - crop[0], crop[3] - crop[1], resolution)
    return Place(box, len(faces), crop)


def load_portrait(source: str, settings: PortraitConfig, face_box: Box | None) -> SourceImage:
    """Load the image to animate: of a film, the first with a face, or with anything.

    Raises MissingFileError or ImageUnreadableError.
    """

    def is_wanted(image: Image.Image) -> bool:
        return bool(find_faces(image)) if face_box is None else not is_blank(image)

    return load_source_image(source, settings.max_megapixels, is_wanted)


def prepare_portrait(
    image: Image.Image,
    *,
    resolution: int,
    framing: Framing,
    face_box: Box | None,
    expand: float,
    mask_area: float,
    face: int | None = None,
    model_resolution: int | None = None,
) -> Portrait:
    """Cut the image around its face and make the inputs. Raises as `place_face`.

    Frames have a short side of `resolution`; what the networks read has one of `model_resolution`,
    if that is given.
    """
    place = place_face(
        image,
        resolution=resolution,
        framing=framing,
        face_box=face_box,
        expand=expand,
        face=face,
    )
    framed = image.crop(place.crop)
    inner, mask = place.box.moved(-place.crop[0], -place.crop[1]), Image.new("L", framed.size, 255)
    if place.num_faces:
        mask = face_mask(inner, mask_area, framed.size)
    read = model_resolution or resolution
    image_CHW, face_HW, clip_CHW = image_tensors(framed, mask, read)
    larger_CHW = None
    if read != resolution:
        height, width = (side * resolution // read for side in image_CHW.shape[1:])
        larger_CHW = _image_tensor(_resize(framed, (width, height)))
    return Portrait(
        image_CHW, face_HW, clip_CHW, place.box, place.num_faces, place.crop, larger_CHW
    )


def crop_around(box: Box, expand: float, size: tuple[int, int]) -> Corners:
    """Return a square around a face: each side of the box grows by `expand`.

    The grown box is cut at the border; its shorter side is the side of the square, which slides
    along the longer one as near to the middle of the face as it can.
    """
    left, right = _grow(box.x, box.width, expand, size[0])
    top, bottom = _grow(box.y, box.height, expand, size[1])
    side = min(right - left, bottom - top)
    x = _slide(box.x + box.width / 2 - side / 2, left, right - side)
    y = _slide(box.y + box.height / 2 - side / 2, top, bottom - side)
    return round(x), round(y), round(x + side), round(y + side)


def face_mask(box: Box, area: float, size: tuple[int, int]) -> Image.Image:
    """Draw a mask: 255 on the box with sides scaled by `area`, 0 elsewhere."""
    left, right = _span(box.x, box.width, area, size[0])
    top, bottom = _span(box.y, box.height, area, size[1])
    mask_HW = np.zeros((size[1], size[0]), np.uint8)
    mask_HW[top:bottom, left:right] = 255
    return Image.fromarray(mask_HW)


def render_size(size: tuple[int, int], resolution: int) -> tuple[int, int]:
    """Return width and height in multiples of 64 whose shorter side is `resolution`."""
    scale = resolution / min(size)
    width, height = (round(side * scale / SIZE_MULTIPLE) * SIZE_MULTIPLE for side in size)
    return width, height


def image_tensors(
    image: Image.Image, mask: Image.Image, resolution: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return image in [-1, 1], mask in [0, 1] and CLIP pixels of an RGB image and its mask."""
    size = render_size(image.size, resolution)
    image, mask = _resize(image, size), _resize(mask, size)
    face_HW = torch.from_numpy(np.asarray(mask).astype(np.float32) / 255)
    return _image_tensor(image), face_HW, clip_pixels(image)


def square_tensor(image: Image.Image, side: int) -> Tensor:
    """Resize a square image and convert it to [-1, 1]: C H W."""
    return _image_tensor(_resize(image, (side, side)))


def _image_tensor(image: Image.Image) -> Tensor:
    """Convert an image to [-1, 1]: C H W."""
    image_HWC = torch.from_numpy(np.asarray(image).astype(np.float32) / 255)
    return image_HWC.permute(2, 0, 1).contiguous() * 2 - 1


def clip_pixels(image: Image.Image) -> Tensor:
    """Stretch an image to 224 x 224 and normalise it for CLIP: C H W."""
    small = _resize(image, (CLIP_SIDE, CLIP_SIDE))
    unit_HWC = np.asarray(small).astype(np.float32) / np.float32(255)
    mean, std = np.array(CLIP_MEAN, np.float32), np.array(CLIP_STD, np.float32)
    return torch.from_numpy((unit_HWC - mean) / std).permute(2, 0, 1).contiguous()


def portrait_tensors(portrait: Portrait) -> dict[str, Tensor]:
    """Return everything a portrait holds, as tensors."""
    box, larger_CHW = portrait.box, portrait.larger_CHW
    larger = {} if larger_CHW is None else {"larger_CHW": larger_CHW}
    return larger | {
        "image_CHW": portrait.image_CHW,
        "face_HW": portrait.face_HW,
        "clip_CHW": portrait.clip_CHW,
        "box": torch.tensor([box.x, box.y, box.width, box.height], dtype=torch.float64),
        "num_faces": torch.tensor(portrait.num_faces),
        "crop": torch.tensor(portrait.crop),
    }


def portrait_from(tensors: dict[str, Tensor]) -> Portrait:
    """Return the portrait of `portrait_tensors`."""
    left, top, right, bottom = (int(v) for v in tensors["crop"])
    return Portrait(
        tensors["image_CHW"],
        tensors["face_HW"],
        tensors["clip_CHW"],
        Box(*(float(v) for v in tensors["box"])),
        int(tensors["num_faces"]),
        (left, top, right, bottom),
        tensors.get("larger_CHW"),
    )


def _inside(box: Box, image: Image.Image) -> Box:
    beside = box.x >= image.width or box.y >= image.height
    if beside or box.x + box.width <= 1 or box.y + box.height <= 1 or box.area < 1:
        raise FieldError(
            f"The face_box {box.x:g}, {box.y:g}, {box.width:g}, {box.height:g} holds nothing of "
            f"the image of {image.width} x {image.height} pixels",
            remedy="Give face_box as x, y, width, height in pixels of the image.",
            field="face_box",
        )
    return box


def _from_left(faces: Sequence[Box], face: int) -> Box:
    if face > len(faces):
        few = {0: "no face was found", 1: "only 1 face was found"}
        raise NoFaceError(
            f"`face` is {face}, but {few.get(len(faces), f'only {len(faces)} faces were found')}",
            remedy="Count the faces from the left, or give the place of one in face_box.",
            field="face",
        )
    return sorted(faces, key=lambda box: box.x + box.width / 2)[face - 1]


def _check_shape(width: int, height: int, resolution: int) -> None:
    if min(width, height) < MIN_SIDE:
        raise ImageUnreadableError(
            f"What would be animated is {width} x {height} pixels, and fewer than {MIN_SIDE} a "
            "side show no face",
            remedy="Give a larger image, or a larger face_box.",
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageUnreadableError(
            f"The image of {width} x {height} pixels is too long and narrow",
            remedy="Set framing to face, or cut the image to a more common shape.",
        )
    rendered = render_size((width, height), resolution)
    if max(rendered) > MAX_SIDE:
        raise ImageUnreadableError(
            f"The image of {width} x {height} pixels would be rendered at {rendered[0]} x "
            f"{rendered[1]}, and {MAX_SIDE} is the most for a side",
            remedy="Choose a smaller resolution, or set framing to face or paste.",
        )


def _grow(start: float, length: float, expand: float, limit: int) -> tuple[float, float]:
    return max(start - expand * length, 0), min(start + length + expand * length, limit)


def _slide(wish: float, lowest: float, highest: float) -> float:
    return max(lowest, min(wish, highest))


def _span(start: float, length: float, area: float, limit: int) -> tuple[int, int]:
    """Return whole-pixel ends of a scaled side, floored as in the released code."""
    centre = (start + start + length) // 2
    half = (length * area) // 2
    return int(max(centre - half, 0)), int(min(centre + half, limit))


def _resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
