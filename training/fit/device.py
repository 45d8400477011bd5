"""Where training computes: on the GPU if there is one, else on the CPU; in what precision."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Final, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonic_ops.core.native import native_dtype

_GPU_BATCH: Final = 24
"""How many times larger a batch is on a GPU, which a batch of the CPU's size leaves idle."""


def training_device() -> torch.device:
    """Return the first GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def batch_size(on_cpu: int, device: torch.device) -> int:
    """Return the batch of a stage on this device."""
    return on_cpu if device.type == "cpu" else on_cpu * _GPU_BATCH


@contextmanager
def native_precision(device: torch.device) -> Iterator[None]:
    """Matrix products and convolutions in bfloat16 where the device computes in it natively.

    A CPU that does not takes 30 times as long for it as for float32.
    """
    is_cpu = device.type == "cpu"
    if native_dtype(device.type) != "bfloat16":
        yield
        return
    # A recorded graph would keep the weights that a cache had when it was recorded.
    cast_once = torch.autocast(device.type, torch.bfloat16, cache_enabled=is_cpu)
    with cast_once, _float_attention() if is_cpu else nullcontext():
        yield


def channels_last(x_NCHW: Tensor) -> Tensor:
    """Lay images out in memory pixel by pixel, which convolutions are faster with."""
    return x_NCHW.contiguous(memory_format=torch.channels_last)


def record(network: nn.Module, inputs: tuple[Tensor, ...]) -> nn.Module:
    """On a GPU, the network as a CUDA graph, forwards and backwards, for inputs of these shapes.

    A small network leaves a GPU waiting for Python, which starts its kernels one by one. What a
    recorded network returns is overwritten by its next call.
    """
    if inputs[0].device.type != "cuda":
        return network
    with native_precision(inputs[0].device):
        recorded = torch.cuda.make_graphed_callables(network, inputs, allow_unused_input=True)
    return cast(nn.Module, recorded)


@contextmanager
def _float_attention() -> Iterator[None]:
    """Attention in float32: on a CPU, the one in bfloat16 is 6 times slower."""
    stock = F.scaled_dot_product_attention

    def attend(query: Tensor, key: Tensor, value: Tensor, *rest: Any, **options: Any) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            wide = stock(query.float(), key.float(), value.float(), *rest, **options)
        return wide.to(query.dtype)

    F.scaled_dot_product_attention = attend  # type: ignore[assignment]
    try:
        yield
    finally:
        F.scaled_dot_product_attention = stock
