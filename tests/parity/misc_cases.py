"""The autoencoder's encoder, the CLIP embedding and the flow network against golden values."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLTemporalDecoder
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from sonic_ops.interpolation.flow import frames_between
from sonic_ops.interpolation.rife import FlowNet
from tests.parity import recipe
from tests.parity.harness import Cases, Outcome, compare

TOLERANCE = 2e-5


@torch.inference_mode()
def cases(folder: Cases) -> Iterator[Outcome]:
    described = folder.json("misc.json")
    if not described:
        return
    golden = folder.tensors("misc.safetensors")
    seed = described["seed"]
    if "vae" in described:
        yield from _vae(folder, golden, _drawn(seed, described["vae"]["img"]))
    if "clip" in described:
        clip = CLIPVisionModelWithProjection(CLIPVisionConfig(**folder.configs["clip"]))
        folder.fill("clip", clip)
        embeds = clip(_drawn(seed, described["clip"]["img"])).image_embeds
        yield _compare("clip", "image embedding", embeds, golden["clip.image_embeds"])
    if "rife" in described:
        yield from _rife(golden, seed, described["rife"])


def _vae(folder: Cases, golden: dict[str, Tensor], image: Tensor) -> Iterator[Outcome]:
    vae = AutoencoderKLTemporalDecoder.from_config(folder.configs["vae"])
    folder.fill("vae", vae)
    latents = vae.encode(image).latent_dist
    scaled = latents.mean * vae.config.scaling_factor
    yield _compare("vae", "mode", latents.mode(), golden["vae.mode"])
    yield _compare("vae", "scaled mean", scaled, golden["vae.mean_scaled"])


def _rife(golden: dict[str, Tensor], seed: int, case: dict[str, Any]) -> Iterator[Outcome]:
    flownet = FlowNet()
    recipe.fill_(flownet, case["weights_seed"], case["overrides"])
    a = _first_frame(seed, case["i0"])
    b = _second_frame(a, case["i1"])
    (middle,) = frames_between(flownet, a[0], b[0], [0.5])
    yield _compare("rife", "frame in the middle", middle[None], golden["rife.mid"])
    (turned,) = frames_between(flownet, b[0], a[0], [0.5])
    yield _compare("rife", "the pair turned round", turned[None], golden["rife.mid"])


def _drawn(seed: int, recipe_of_image: list[Any]) -> Tensor:
    """An image described as ["normal" or "clip(normal,-1,1)", key, shape, scale]."""
    kind, key, shape, *scale = recipe_of_image
    image = recipe.normal(seed, key, shape, *scale)
    return torch.from_numpy(np.clip(image, -1, 1) if kind.startswith("clip") else image)


def _first_frame(seed: int, description: str) -> Tensor:
    """Smooth colours, enlarged from the few pixels that the description names."""
    height, width = (int(n) for n in _match(r"upsample to (\d+)x(\d+)", description))
    key, shape, scale = _match(r"normal\(seed,'(\w+)',\(([\d,]+)\),([\d.]+)\)", description)
    small = recipe.normal(seed, key, [int(n) for n in shape.split(",")], float(scale))
    unit = torch.from_numpy(np.clip(np.abs(small), 0, 1))
    return torch.nn.functional.interpolate(
        unit, size=(height, width), mode="bilinear", align_corners=False
    )


def _second_frame(first: Tensor, description: str) -> Tensor:
    """The first frame, rolled and with less contrast."""
    rows, columns, gain, offset = _match(
        r"roll\(i0,\((\d+),(\d+)\),dims\(2,3\)\)\*([\d.]+)\+([\d.]+)", description
    )
    rolled = torch.roll(first, (int(rows), int(columns)), dims=(2, 3))
    return rolled * float(gain) + float(offset)


def _match(pattern: str, description: str) -> tuple[str, ...]:
    found = re.search(pattern, description)
    assert found is not None, description
    return tuple(found.groups())


def _compare(case: str, quantity: str, ours: Tensor, golden: Tensor) -> Outcome:
    return compare(case, quantity, ours, golden, max_allowed=TOLERANCE)
