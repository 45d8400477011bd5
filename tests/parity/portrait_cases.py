"""Crop boxes, masks, resizing, CLIP pixels and the choice of a face against their golden values."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sonic_ops.picture.faces import Box, largest_first
from sonic_ops.picture.portrait import crop_around, face_mask, image_tensors
from tests.parity import recipe
from tests.parity.harness import Cases, Outcome, compare, same

PIXEL_TOLERANCE = 2e-5


def cases(folder: Cases) -> Iterator[Outcome]:
    described = folder.json("geometry.json")
    if not described:
        return
    yield from _crops(described["process_bbox"])
    for case in described["image_to_tensor"]:
        yield from _pictures(folder, case)
    for index, case in enumerate(described["face_choice"]):
        faces = largest_first([Box(*xywh) for xywh in case["boxes_xywh"]])
        chosen = [faces[0].x, faces[0].y, faces[0].width, faces[0].height] if faces else None
        yield same(f"face choice {index}", "largest face", chosen, case["truly_largest"])


def _crops(described: list[dict[str, Any]]) -> Iterator[Outcome]:
    for expand in sorted({case["expand"] for case in described}):
        alike = [case for case in described if case["expand"] == expand]
        name = f"{len(alike)} crops, expand {expand:g}"
        golden = [case["out"] for case in alike]
        yield same(name, "crop boxes", [_crop(case) for case in alike], golden)


def _crop(case: dict[str, Any]) -> list[int]:
    left, top, right, bottom = case["bbox_xyxy"]
    box = Box(left, top, right - left, bottom - top)
    return list(crop_around(box, case["expand"], (case["width"], case["height"])))


def _pictures(folder: Cases, case: dict[str, Any]) -> Iterator[Outcome]:
    described = case["image"]
    name = f"{described['height']}x{described['width']} at {case['image_size']}"
    image = Image.fromarray(_test_image(**described))
    mask = face_mask(Box(*case["face_xywh"]), case["area"], image.size)
    image_CHW, face_HW, clip_CHW = image_tensors(image, mask, case["image_size"])
    yield same(name, "size", list(face_HW.shape), [case["out_h"], case["out_w"]])
    pixels_CHW, mask_HW = _bytes_of((image_CHW + 1) / 2), _bytes_of(face_HW)
    yield same(name, "mask", recipe.sha(mask_HW), case["face_mask_sha256_u8"])
    png = folder.folder / "masks" / case["face_mask_png"]
    if png.exists():
        yield same(name, "mask picture", mask_HW.tolist(), np.asarray(Image.open(png)).tolist())
    yield same(name, "image", recipe.sha(pixels_CHW), case["ref_u8_sha256"])
    samples = [pixels_CHW[:, row, column].tolist() for row, column, _ in case["ref_samples"]]
    yield same(name, "image samples", samples, [rgb for *_, rgb in case["ref_samples"]])
    yield _compare(name, "image means", image_CHW.mean((1, 2)), torch.tensor(case["ref_mean"]))
    yield same(name, "CLIP shape", list(clip_CHW.shape), case["clip_shape"])
    yield _compare(name, "CLIP means", clip_CHW.mean((1, 2)), torch.tensor(case["clip_mean"]))
    ours = torch.stack([clip_CHW[:, row, column] for row, column, _ in case["clip_samples"]])
    golden = torch.tensor([values for *_, values in case["clip_samples"]])
    yield _compare(name, "CLIP samples", ours, golden)


def _bytes_of(unit: Tensor) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = (unit * 255).round().to(torch.uint8).numpy()
    return pixels


def _test_image(seed: int, height: int, width: int) -> NDArray[np.uint8]:
    """Coarse random colours, enlarged without smoothing, plus a ramp that wraps at 256."""
    small = recipe.uniform_u8(seed, "img", (height // 16, width // 16, 3)).astype(np.int64)
    rows, columns = np.arange(height), np.arange(width)
    large = small[rows * small.shape[0] // height][:, columns * small.shape[1] // width]
    ramp = (rows * 64 // height)[:, None] + (columns * 64 // width)[None]
    picture: NDArray[np.uint8] = ((large + ramp[..., None]) % 256).astype(np.uint8)
    return picture


def _compare(case: str, quantity: str, ours: Tensor, golden: Tensor) -> Outcome:
    return compare(case, quantity, ours, golden, max_allowed=PIXEL_TOLERANCE)
