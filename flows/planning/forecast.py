"""Guess what a preset costs on a machine that was not measured, from operations and rates.

The operations of the networks are counted from their configurations. They are divided by what the
processor can do: of a GPU what its maker publishes, of this CPU a matrix product that takes a
moment. No weights and no GPU are needed. What is not a network is as `guess` says.
"""

import time
from collections.abc import Callable
from functools import cache
from typing import Final, TypeAlias

import torch

from flows.planning.calibration import ALONE_START_S, START_S, Calibration, Costs
from flows.planning.cards import Card
from flows.rows.config import RenderConfig
from sonic_ops.core.formats import CODECS
from sonic_ops.models.loading import precisions
from sonic_ops.models.operations import LATENT, Cost, NetworkCosts, count_costs

SPREAD: Final = 2.0
"""The guess may be wrong by this factor, either way."""
GPU_SHARE, BANDWIDTH_SHARE = 0.5, 0.7
"""What networks reach of the published rates. The authors of Sonic say that 10 s of video take 3
minutes on a card of 24 GB (cluster/README.md); with these shares it is as much on an RTX 4090."""
CPU_SHARE, CPU_SHARE_16 = 0.6, 0.3
"""What networks reach of a matrix product on one thread: in float32 by the CPU seconds of
README.md, in 16 bits by a calibration on an EPYC with AVX-512 (2026-12-01)."""

Seconds: TypeAlias = Callable[[Cost, str], float]
"""How long an amount of work takes in a network of this name."""

_LIVE_TENSORS: Final = 6  # of the largest size, that a network holds at once
_RUNTIME_BYTES: Final = 1e9
_MATRIX: Final = 1024
_MEASURE_S: Final = 0.2
_AREA_PIXELS: Final = 128 * 128
_TOKEN_BYTES, _CONDITION_BYTES, _LATENT_BYTES = 8e3, 3e3, 4
_LATENT_PIXELS: Final = LATENT * LATENT


def forecast(config: RenderConfig, card: Card | None = None) -> Calibration:
    """Guess the costs of a preset on a card, or on this CPU. Raises ConfigError."""
    found = count_costs(config, config.portrait, config.models.weights)
    if card is not None:
        kind = f"{card.name}: {card.tflops:,.0f} TFLOP/s, {card.bandwidth_gbs:,.0f} GB/s"
        return _calibration(config, found, _roofline(card), f"{kind} ({card.source})", card)
    dtypes, num_threads = precisions(config.models), config.cluster.threads_per_worker

    def on_cpu(cost: Cost, part: str) -> float:
        dtype = dtypes[part]
        share = CPU_SHARE if dtype.itemsize > 2 else CPU_SHARE_16
        return cost.operations / (share * matrix_rate(num_threads, dtype))

    rate = matrix_rate(num_threads, dtypes["unet"])
    return _calibration(config, found, on_cpu, f"this CPU: {rate / 1e9:,.0f} GFLOP/s")


def _roofline(card: Card) -> Seconds:
    """Divide by what the card can compute or move, whichever takes longer."""

    def seconds(cost: Cost, _: str) -> float:
        computing_s = cost.operations / (GPU_SHARE * card.tflops * 1e12)
        return max(computing_s, 2 * cost.moved / (BANDWIDTH_SHARE * card.bandwidth_gbs * 1e9))

    return seconds


def _calibration(
    config: RenderConfig,
    found: NetworkCosts,
    seconds: Seconds,
    machine: str,
    card: Card | None = None,
) -> Calibration:
    resolution = config.portrait.resolution
    area = resolution**2 / _AREA_PIXELS
    has_network = config.media.interpolation == "flow"
    costs = Costs(
        pixels=resolution**2,
        piece_s=seconds(found.chunk, "speech_encoder"),
        portrait_s=seconds(found.portrait, "vae"),
        frame_s=seconds(found.frame, "audio2token"),
        branch_s=seconds(found.branch, "unet"),
        step_frame_s=0.0005 * area,
        decode_s=seconds(found.decode, "vae"),
        middle_s=seconds(found.middle, "flownet") if has_network else 0.003 * area,
        paste_s=0.001 * area,
        encode_s=dict.fromkeys(CODECS, 0.001 * area),
        driver_row_s=0.5,
        driver_second_s=0.1 + 0.025 * area,  # most of it measures the finished video
    )
    dtypes = precisions(config.models)

    def number_bytes(part: str) -> int:
        return dtypes[part].itemsize if card is None else 2

    kept = _RUNTIME_BYTES + sum(n * number_bytes(part) for part, n in found.num_weights.items())

    def peak(part: str, cost: Cost) -> int:
        return int(kept + _LIVE_TENSORS * number_bytes(part) * cost.largest)

    latents = config.portrait.read_resolution**2 / _LATENT_PIXELS
    peaks = {
        "encode audio": peak("speech_encoder", found.chunk),
        "denoise": peak("unet", found.branch),
        "decode": peak("vae", found.decode),
        "encode": peak("flownet", found.middle),
    }
    return Calibration(
        costs,
        START_S,
        ALONE_START_S,
        int(kept),
        peaks,
        _TOKEN_BYTES,
        _CONDITION_BYTES + 2 * _LATENT_BYTES * found.latent_channels * latents,
        limit_bytes=0 if card is None else int(card.memory_gb * 1e9),
        source="an uncalibrated guess from counted operations",
        machine=machine,
        spread=SPREAD,
    )


@cache
def matrix_rate(num_threads: int, dtype: torch.dtype) -> float:
    """Measure the operations per second of this CPU in a product of matrices."""
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        a, b = (torch.randn(_MATRIX, _MATRIX).to(dtype) for _ in range(2))
        best_s, ends_s = float("inf"), time.monotonic() + _MEASURE_S
        while time.monotonic() < ends_s or best_s == float("inf"):
            started_s = time.thread_time()  # other work on this machine does not count
            torch.mm(a, b)
            best_s = min(best_s, time.thread_time() - started_s)
    finally:
        torch.set_num_threads(before)
    return 2 * _MATRIX**3 / best_s
