"""Networks on their device, or waiting in the memory of the CPU: the same bits."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sonic_ops.audio.whisper import encode_mel
from sonic_ops.core.config import ModelsConfig
from sonic_ops.core.errors import ConfigError
from sonic_ops.interpolation.flow import output_frames
from sonic_ops.models.networks import SonicNetworks
from sonic_ops.picture.faces import Box
from sonic_ops.picture.portrait import Portrait
from sonic_ops.pipeline import SonicPipeline
from sonic_ops.sampling.conditioning import condition_frames, condition_portrait, window_denoiser
from tests.tiny import make_tiny_weights

SIDE = 64


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_weights(tmp_path_factory.mktemp("tiny"))


def stages(models: SonicNetworks) -> list[Tensor]:
    """All that a render asks of the networks, in its order, at the smallest size."""
    torch.manual_seed(0)
    heard = encode_mel(models.speech_encoder, torch.rand(80, 3000))
    portrait = Portrait(
        image_CHW=torch.rand(3, SIDE, SIDE),
        face_HW=torch.ones(SIDE, SIDE),
        clip_CHW=torch.rand(3, 224, 224),
        box=Box(0, 0, SIDE, SIDE),
        num_faces=1,
        crop=(0, 0, SIDE, SIDE),
    )
    with torch.inference_mode():
        shown = condition_portrait(models, portrait)
        tokens = torch.rand(200, *heard.shape[1:])
        known = condition_frames(
            models, lambda start, stop: tokens[: stop - start], range(3), shown.image_11E
        )
        denoise = window_denoiser(models.unet, shown, *known.take(range(3)))
        latents = denoise(["image_audio"], torch.rand(3, *shown.latents_CHW.shape), 0.5)[
            "image_audio"
        ]
        frames = models.decode_latents(latents)
    pictures = (frames.clamp(0, 1) * 255).byte().movedim(1, -1).numpy()
    between = torch.from_numpy(next(output_frames(models.flownet, pictures, 0, range(1, 2))))
    return [heard, shown.reference_CHW, known.tokens_FKE, known.buckets_F2, latents, between]


def test_networks_come_to_the_device_one_after_another_and_give_the_same_bits(
    weights: Path,
) -> None:
    whole = SonicPipeline.load(ModelsConfig(weights=str(weights)))
    offloaded = SonicPipeline.load(ModelsConfig(weights=str(weights), offload="parts"))
    names = whole.model_cpu_offload_seq.split("->")
    moved: list[str] = []
    for name in names:
        hook = getattr(offloaded, name)._hf_hook
        pre_forward = hook.pre_forward

        def note(*inputs: Any, name: str = name, go: Any = pre_forward, **options: Any) -> Any:
            moved.append(name)
            return go(*inputs, **options)

        hook.pre_forward = note
    found = stages(offloaded)
    assert set(moved) == set(names)
    assert all(torch.equal(a, b) for a, b in zip(found, stages(whole), strict=True))


def test_a_device_that_torch_cannot_use_is_an_error_of_the_preset(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="cannot use the device cuda") as caught:
        SonicPipeline.load(ModelsConfig(weights=str(tmp_path), device="cuda"))
    assert "models.device: cpu" in caught.value.remedy


@pytest.mark.parametrize(
    ("dtype", "vae_dtype", "found"),
    [
        ("bfloat16", None, torch.float32),
        ("float16", None, torch.float16),
        ("float16", "float32", torch.float32),
        ("bfloat16", "bfloat16", torch.bfloat16),
    ],
)
def test_the_autoencoder_has_the_precision_that_is_asked_for(
    weights: Path, dtype: str, vae_dtype: str | None, found: torch.dtype
) -> None:
    settings = {"weights": str(weights), "dtype": dtype, "vae_dtype": vae_dtype}
    models = SonicPipeline.load(ModelsConfig.model_validate(settings))
    assert models.vae.dtype == found
    assert models.unet.unet.dtype == models.unet_dtype == getattr(torch, dtype)


@pytest.mark.parametrize(
    ("dtype", "flow_dtype", "found"),
    [
        ("float32", None, torch.float32),
        ("float16", None, torch.float32),
        ("bfloat16", None, torch.bfloat16),
        ("bfloat16", "float32", torch.float32),
    ],
)
def test_the_flow_network_has_the_precision_that_is_asked_for(
    weights: Path, dtype: str, flow_dtype: str | None, found: torch.dtype
) -> None:
    settings = {"weights": str(weights), "dtype": dtype, "flow_dtype": flow_dtype}
    models = SonicPipeline.load(ModelsConfig.model_validate(settings))
    assert {weight.dtype for weight in models.flownet.parameters()} == {found}
