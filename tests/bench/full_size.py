"""The networks of `sonic` at full size, with random weights: `python -m tests.bench.full_size`.

On a GPU: seconds by CUDA events (medians), peak memory, and the distance to what the card can do,
which is operations counted by torch over the rate of a large matrix product in the same run. A
window is 25 frames of 512 x 512, a call its three guidance branches. Needs torch, diffusers and
transformers alone.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from diffusers import AutoencoderKLTemporalDecoder
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sonic_ops.interpolation.flow import frames_between
from sonic_ops.interpolation.rife import FlowNet
from sonic_ops.models.released_sizes import UNET, VAE
from sonic_ops.models.temporal import fold_time
from sonic_ops.models.unet import AudioUNet

BRANCHES, FRAMES, TOKENS, SIDE = 3, 25, 32, 64
CHUNK = 8 + 2 * 3  # frames that are decoded together, with what is around them
GIB = 1 << 30


def seconds_of(call: Callable[[], Any], rounds: int = 7) -> float:
    """The median time of a call on the device, after one that does not count."""
    call()
    times = []
    for _ in range(rounds):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        stop.record()
        stop.synchronize()
        times.append(start.elapsed_time(stop) / 1000)
    return statistics.median(times)


def peak_rate(dtype: torch.dtype, size: int = 8192) -> float:
    """Operations per second of a large product of random matrices."""
    a, b = (torch.randn(size, size, device="cuda", dtype=dtype) for _ in range(2))
    return 2 * size**3 / seconds_of(lambda: a @ b)


def operations_of(call: Callable[[], Any]) -> int:
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def random_network(make: Callable[[], nn.Module], dtype: torch.dtype) -> Any:
    """A network that was made on the device."""
    torch.manual_seed(0)
    with torch.device("cuda"):
        return nn.Module.to(make(), dtype).eval().requires_grad_(False)


def unet_call(unet: AudioUNet, dtype: torch.dtype) -> Callable[[], Tensor]:
    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, device="cuda", dtype=dtype)

    sample = normal(BRANCHES, FRAMES, 8, SIDE, SIDE)
    timestep = torch.full((BRANCHES,), 0.5, device="cuda", dtype=dtype)
    image, quiet, heard = normal(1, 1, 1024), normal(1, TOKENS, 1024), normal(FRAMES, TOKENS, 1024)
    ids = torch.tensor([[12.5, 16.0, 16.0]] * BRANCHES, device="cuda", dtype=dtype)
    mask = torch.zeros(1, 1, SIDE * 8, SIDE * 8, device="cuda")
    mask[..., SIDE * 2 : SIDE * 6, SIDE * 2 : SIDE * 6] = 1
    images, recordings = [torch.zeros_like(image), image, image], [quiet, quiet, heard]

    @torch.no_grad()
    def call() -> Tensor:
        return unet(sample, timestep, images, recordings, ids, mask)

    return call


def recorded(call: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """The call as a CUDA graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = call()

    def replay() -> Tensor:
        graph.replay()
        return out

    return replay


def tell(name: str, seconds: float, more: str = "") -> None:
    memory = torch.cuda.max_memory_allocated() / GIB
    print(f"{name:<40} {seconds * 1000:9.2f} ms  peak {memory:5.1f} GiB  {more}", flush=True)
    torch.cuda.reset_peak_memory_stats()


def measure_unet(dtype: torch.dtype, *, compiled: bool) -> None:
    unet = random_network(lambda: AudioUNet(UNET), dtype)
    call, name = unet_call(unet, dtype), str(dtype).removeprefix("torch.")
    operations, rate = operations_of(call), peak_rate(dtype)

    def share(seconds: float) -> str:
        return f"{operations / seconds / rate:.1%} of {rate / 1e12:.0f} TFLOP/s"

    first, again = call(), call()
    print(f"unet {name}: {operations / 1e12:.2f} TFLOP a call, the same bits again: ", end="")
    print(torch.equal(first, again), flush=True)
    torch.cuda.reset_peak_memory_stats()
    tell(f"unet {name}", seconds := seconds_of(call), share(seconds))
    tell(f"unet {name}, as a graph", seconds := seconds_of(recorded(call)), share(seconds))
    for module in unet.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = module.weight.to(memory_format=torch.channels_last)
    tell(f"unet {name}, channels last", seconds := seconds_of(call), share(seconds))
    if compiled:
        started = time.monotonic()
        unet.unet.compile(dynamic=False)
        call()
        print(f"compiled in {time.monotonic() - started:.0f} s", flush=True)
        tell(f"unet {name}, compiled", seconds := seconds_of(call), share(seconds))


@torch.no_grad()
def measure_vae(dtype: torch.dtype) -> None:
    vae = random_network(lambda: fold_time(AutoencoderKLTemporalDecoder.from_config(VAE)), dtype)
    latents = torch.randn(CHUNK, 4, SIDE, SIDE, device="cuda", dtype=dtype)
    picture = torch.randn(1, 3, SIDE * 8, SIDE * 8, device="cuda", dtype=dtype)
    torch.cuda.reset_peak_memory_stats()
    name = str(dtype).removeprefix("torch.")
    tell(f"vae {name}, encode a picture", seconds_of(lambda: vae.encode(picture)))
    seconds = seconds_of(lambda: vae.decode(latents, num_frames=CHUNK), rounds=3)
    tell(f"vae {name}, decode {CHUNK} frames", seconds, f"{seconds / CHUNK * 1000:.1f} ms a frame")


def measure_rife() -> None:
    flownet = random_network(FlowNet, torch.float32)
    a, b = torch.rand(2, 3, SIDE * 8, SIDE * 8)
    torch.cuda.reset_peak_memory_stats()
    tell(
        "rife float32, a frame between two",
        seconds_of(lambda: frames_between(flownet, a, b, [0.5])),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compile", action="store_true", help="compile the UNet too: minutes")
    options = parser.parse_args()
    print(torch.cuda.get_device_name(), "torch", torch.__version__, flush=True)
    measure_unet(torch.float16, compiled=False)
    measure_vae(torch.float16)
    measure_rife()
    measure_unet(torch.bfloat16, compiled=options.compile)
    measure_vae(torch.float32)


if __name__ == "__main__":
    main()
