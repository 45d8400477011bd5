"""The UNet, the audio heads and the mask against their golden values."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from sonic_ops.models.adapters import AudioToBucket, AudioToToken
from sonic_ops.models.attention import mask_at_level
from sonic_ops.models.unet import AudioUNet
from tests.parity import recipe
from tests.parity.harness import Cases, Outcome, compare

UNET_TOLERANCE = 2e-5
FEATURE_TOLERANCE = 5e-5
HEAD_TOLERANCE = 2e-5


def load_unet(folder: Cases) -> AudioUNet:
    unet = AudioUNet(folder.configs["unet"]).eval()
    folder.fill("unet", unet.unet)
    return unet


def cases(folder: Cases) -> Iterator[Outcome]:
    yield from _unet(folder)
    yield from _heads(folder)
    yield from _masks(folder)


def _unet(folder: Cases) -> Iterator[Outcome]:
    described = folder.json("unet_forward.json")
    if not described:
        return
    golden = folder.tensors("unet_forward.safetensors")
    unet = load_unet(folder)
    for case in described:
        wanted = {k: v for k, v in golden.items() if k.startswith(f"{case['name']}.feat.")}
        ours, features = _run_unet(unet, case, [_module_of(key) for key in wanted])
        yield compare(
            case["name"], "unet", ours, golden[f"{case['name']}.out"], max_allowed=UNET_TOLERANCE
        )
        for key, feature in wanted.items():
            name = _module_of(key)
            yield compare(
                case["name"], name, features[name][:2], feature, max_allowed=FEATURE_TOLERANCE
            )


def _module_of(key: str) -> str:
    return key.split(".feat.")[1].removesuffix("[:2]")


def _run_unet(
    unet: AudioUNet, case: dict[str, Any], names: list[str]
) -> tuple[Tensor, dict[str, Tensor]]:
    inputs = {k: torch.from_numpy(v) for k, v in recipe.unet_inputs(case).items()}
    shape = (3, case["num_frames"])
    features: dict[str, Tensor] = {}
    hooks = [_watch(unet.unet.get_submodule(name), name, features) for name in names]
    with torch.inference_mode():
        ours = unet(
            inputs["sample"],
            torch.full((3,), case["timestep"]),
            list(inputs["clip"].unflatten(0, shape)),
            list(inputs["audio"].unflatten(0, shape)),
            torch.tensor([case["added_time_ids"]] * 3),
            inputs["face_mask"],
        )
    for hook in hooks:
        hook.remove()
    return ours, features


def _watch(module: nn.Module, name: str, features: dict[str, Tensor]) -> Any:
    def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
        features[name] = (
            output[0] if isinstance(output, tuple) else getattr(output, "sample", output)
        )

    return module.register_forward_hook(keep)


def _heads(folder: Cases) -> Iterator[Outcome]:
    described = folder.json("audio_heads.json")
    if not described:
        return
    golden, seed = folder.tensors("audio_heads.safetensors"), described["seed"]
    heads: dict[str, nn.Module] = {
        "audio2token": folder.fill("audio2token", AudioToToken(**folder.configs["audio2token"])),
        "audio2bucket": folder.fill(
            "audio2bucket", AudioToBucket(**folder.configs["audio2bucket"])
        ),
    }
    for key, inputs in described["inputs"].items():
        head = heads[key.split(".")[0]]
        with torch.inference_mode():
            ours = head(*[_flat_batch(tensor, head) for tensor in _inputs_of(inputs, seed)])
        golden_value = golden[key]
        ours = ours.reshape(golden_value.shape)
        yield compare(key, "head", ours, golden_value, max_allowed=HEAD_TOLERANCE)


def _inputs_of(described: Any, seed: int) -> list[Tensor]:
    if isinstance(described, str):
        shape = [int(n) for n in described.split("(")[1].rstrip(")").split(",")]
        return [torch.zeros(shape)]
    several = described if isinstance(described[0], list) else [described]
    return [torch.from_numpy(recipe.normal(seed, name, shape)) for _, name, shape in several]


def _flat_batch(tensor: Tensor, head: nn.Module) -> Tensor:
    spans = tensor.ndim == 5
    return tensor.flatten(0, 1) if spans else tensor


def _masks(folder: Cases) -> Iterator[Outcome]:
    golden = folder.tensors("mask_downsample.safetensors")
    for case in folder.json("mask_downsample.json"):
        mask = torch.from_numpy(recipe.face_mask(case["H"], case["W"], case["rect"]))[:, :1]
        ours = mask_at_level(mask, case["num_queries"])
        name = f"{case['H']}x{case['W']} q{case['num_queries']}"
        if case["key"]:
            yield compare(name, "mask", ours, golden[case["key"]], max_allowed=1e-6)
        total = torch.tensor(case["sum"])
        yield compare(name, "sum of mask", ours.sum(), total, max_allowed=1e-3)
