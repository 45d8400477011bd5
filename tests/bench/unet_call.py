"""One UNet call, ours against the released wiring: `python -m tests.bench.unet_call`.

Same weights, same inputs, A B A B in one process on one thread; medians of CPU time.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sonic_ops.models.unet import AudioUNet
from tests.bench.released import released_unet
from tests.parity import recipe

BRANCHES = 3
TOLERANCE = 2e-5
FRAMES = 25
SKETCH: dict[str, Any] = {
    "in_channels": 16,
    "out_channels": 8,
    "block_out_channels": [64, 96, 128],
    "down_block_types": ["DownBlockSpatioTemporal"] + ["CrossAttnDownBlockSpatioTemporal"] * 2,
    "up_block_types": ["CrossAttnUpBlockSpatioTemporal"] * 2 + ["UpBlockSpatioTemporal"],
    "num_attention_heads": [2, 3, 4],
    "cross_attention_dim": 64,
    "layers_per_block": 1,
    "addition_time_embed_dim": 32,
    "projection_class_embeddings_input_dim": 96,
}
QUARTER: dict[str, Any] = {
    "block_out_channels": [96, 160, 320, 320],
    "num_attention_heads": [3, 5, 10, 10],
    "cross_attention_dim": 1024,
    "layers_per_block": 2,
}


@dataclass(frozen=True, slots=True)
class Size:
    name: str
    config: dict[str, Any]
    side: int
    num_tokens: int
    rounds: int


SIZES = (
    Size("`sketch`, float32, three branches", SKETCH, 16, 8, 5),
    Size("1/4 width of `sonic`, 256 px", QUARTER, 32, 32, 1),
)


def call_of(unet: AudioUNet, size: Size) -> Callable[[], Tensor]:
    """One call with three branches, as a step of the sampler makes it."""
    channels, width = unet.unet.config.in_channels, unet.unet.config.cross_attention_dim
    shape = (BRANCHES, FRAMES, channels, size.side, size.side)
    sample = torch.from_numpy(recipe.normal(1, "sample", shape))
    image = torch.from_numpy(recipe.normal(1, "image", (1, 1, width)))
    quiet = torch.from_numpy(recipe.normal(1, "quiet", (1, size.num_tokens, width)))
    heard = torch.from_numpy(recipe.normal(1, "heard", (FRAMES, size.num_tokens, width)))
    mask = torch.zeros(1, 1, size.side * 8, size.side * 8)
    mask[..., size.side * 2 : size.side * 6, size.side * 2 : size.side * 6] = 1
    ids = torch.tensor([[12.5, 16.0, 16.0]] * BRANCHES)

    @torch.inference_mode()
    def call() -> Tensor:
        return unet(
            sample,
            torch.full((BRANCHES,), 0.5),
            [torch.zeros_like(image), image, image],
            [quiet, quiet, heard],
            ids,
            mask,
        )

    return call


def measure(size: Size) -> str:
    """A line of the table of `tests.bench.whole`. Raises SystemExit if the outputs differ."""
    ours = AudioUNet(size.config).eval()
    damped = [["conv2.", 0.5], ["to_out", 0.7], ["net.2", 0.5], ["proj_out", 0.7]]
    recipe.fill_(ours.unet, 1, damped)
    calls = {"ours": call_of(ours, size), "released": call_of(released_unet(ours), size)}
    difference = (calls["ours"]() - calls["released"]()).abs().max().item()
    if not difference <= TOLERANCE:
        raise SystemExit(
            f"{size.name}: the outputs differ by {difference:.1e}, not {TOLERANCE:.0e}"
        )
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(size.rounds):
        for name, call in calls.items():
            start = time.process_time()
            call()
            seconds[name].append(time.process_time() - start)
    theirs, own = (statistics.median(seconds[name]) for name in ("released", "ours"))
    ratios = [a / b for a, b in zip(seconds["released"], seconds["ours"], strict=True)]
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    figures = f"{theirs:.2f} | {own:.2f} | {theirs / own:.2f} | {spread} | {difference:.1e}"
    return f"| {size.name} | UNet call | {figures} |"


def main() -> None:
    torch.set_num_threads(1)
    for size in SIZES:
        print(measure(size), flush=True)


if __name__ == "__main__":
    main()
