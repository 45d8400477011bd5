"""The sampler against whole golden denoising loops, the window lists and the scheduler tables."""

from collections.abc import Iterator
from typing import Any

import torch
from diffusers import AutoencoderKLTemporalDecoder, EulerDiscreteScheduler
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from sonic_ops.conditioning import FrameCondition, PortraitCondition
from sonic_ops.config import DecodingConfig, SamplingConfig
from sonic_ops.decoding import decode_frames
from sonic_ops.models.unet import AudioUNet
from sonic_ops.sampling import Sampler
from sonic_ops.timeline import window_grid
from tests.parity import recipe
from tests.parity.harness import Cases, Outcome, compare, same
from tests.parity.unet_cases import load_unet
from tests.reference import denoise_whole, grid_of

LOOP_MAX, LOOP_MEAN = 2e-3, 2e-4


def cases(folder: Cases) -> Iterator[Outcome]:
    yield from _windows(folder)
    yield from _scheduler(folder)
    yield from _loops(folder)
    yield from _video(folder)


def _windows(folder: Cases) -> Iterator[Outcome]:
    for case in folder.json("windows.json"):
        num_frames = case["num_frames"]
        name = f"N{num_frames} W{case['window']}+{case['overlap']} shift {case['shift']}"
        grids = [
            window_grid(
                num_frames, i, size=case["window"], overlap=case["overlap"], shift=case["shift"]
            )
            for i in range(case["steps"])
        ]
        starts = [[window.start for window in grid] for grid in grids]
        golden = [[start % num_frames for start in starts] for starts in case["window_starts"]]
        yield same(name, "window starts", starts, golden)
        counts = [
            torch.bincount(
                torch.tensor([f for window in grid for f in window.frames(num_frames)]),
                minlength=num_frames,
            )
            for grid in grids
        ]
        yield same(
            name,
            "coverage",
            [[int(count.min()), int(count.max())] for count in counts],
            case["min_max_count_per_step"],
        )
        if case["last_step_counter"] is not None:
            yield same(name, "last counter", counts[-1].tolist(), case["last_step_counter"])


def _scheduler(folder: Cases) -> Iterator[Outcome]:
    described = folder.json("scheduler.json")
    for steps, table in (described or {"tables": {}})["tables"].items():
        scheduler = EulerDiscreteScheduler.from_config(described["config"])
        scheduler.set_timesteps(int(steps))
        for key in ("sigmas", "timesteps"):
            ours = getattr(scheduler, key).double()
            golden = torch.tensor(table[key], dtype=torch.float64)
            yield compare(f"{steps} steps", key, ours, golden, max_allowed=1e-6)


def _sampler(folder: Cases, case: dict[str, Any]) -> Sampler:
    config = SamplingConfig(
        steps=case["steps"],
        window_frames=case["window"],
        window_overlap=case["overlap"],
        shift_frames=case["shift_offset"],
        image_guidance=tuple(case["g1"]),
        audio_guidance=tuple(case["g2"]),
        strength=case["i2i_noise_strength"],
        condition_noise=case["noise_aug_strength"],
    )
    return Sampler(EulerDiscreteScheduler.from_config(folder.configs["scheduler"]), config)


class _Encoders:
    def __init__(self, folder: Cases) -> None:
        configs = folder.configs
        self.vae: Any = folder.fill("vae", AutoencoderKLTemporalDecoder.from_config(configs["vae"]))
        clip = CLIPVisionModelWithProjection(CLIPVisionConfig(**configs["clip"]))
        self.clip: Any = folder.fill("clip", clip)

    def portrait(
        self, inputs: dict[str, Tensor], pixel_noise: Tensor | None, strength: float
    ) -> PortraitCondition:
        image = inputs["ref_img"]
        noisy = image if pixel_noise is None else image + strength * pixel_noise
        return PortraitCondition(
            image_11E=self.clip(inputs["clip_img"]).image_embeds[:, None],
            latents_CHW=self.vae.encode(noisy).latent_dist.mode()[0],
            reference_CHW=self.vae.encode(image).latent_dist.mode()[0]
            * self.vae.config.scaling_factor,
            mask_11HW=inputs["face_mask"][:, :1],
            silence_1KE=inputs["uncond_token"][None],
        )


@torch.inference_mode()
def _run(
    case: dict[str, Any],
    sampler: Sampler,
    unet: AudioUNet,
    encoders: _Encoders,
    seen: dict[int, Tensor],
) -> Tensor:
    inputs = {k: torch.from_numpy(v) for k, v in recipe.loop_inputs(case).items()}
    pixel_noise, noise = None, inputs["noise"]
    if "torch_seed" in case:
        generator = torch.Generator().manual_seed(case["torch_seed"])
        pixel_noise = torch.randn(inputs["ref_img"].shape, generator=generator)
        noise = torch.randn(noise.shape, generator=generator)
    portrait = encoders.portrait(inputs, pixel_noise, case["noise_aug_strength"])
    buckets = inputs["motion_buckets"].reshape(-1, 2) * case["motion_bucket_scale"]
    frames = FrameCondition(tuple(range(case["num_frames"])), inputs["audio_tokens"], buckets)
    return denoise_whole(
        sampler, unet, portrait, frames, noise[0], lambda index, y: seen.update({index: y})
    )


def _loops(folder: Cases) -> Iterator[Outcome]:
    described = folder.json("loop.json")
    if not described:
        return
    golden = folder.tensors("loop.safetensors")
    unet, encoders = load_unet(folder), _Encoders(folder)
    for case in described:
        sampler = _sampler(folder, case)
        seen: dict[int, Tensor] = {}
        final = _run(case, sampler, unet, encoders, seen)
        yield from _compare_loop(case, sampler, golden, final, seen)


def _compare_loop(
    case: dict[str, Any],
    sampler: Sampler,
    golden: dict[str, Tensor],
    final: Tensor,
    seen: dict[int, Tensor],
) -> Iterator[Outcome]:
    name, num_frames = case["name"], case["num_frames"]
    starts = [
        [window[0] for window in grid_of(sampler, num_frames, step.index)] for step in sampler.steps
    ]
    golden_starts = [[start % num_frames for start in grid] for grid in case["window_starts"]]
    yield same(name, "window starts", starts, golden_starts)
    timesteps = torch.tensor([step.timestep for step in sampler.steps])
    yield compare(name, "timesteps", timesteps, torch.tensor(case["timesteps"]), max_allowed=1e-6)
    for key, value in golden.items():
        if not key.startswith(f"{name}."):
            continue
        quantity = key.removeprefix(f"{name}.")
        if quantity == "init_latents":
            yield compare(name, quantity, seen[0][None], value, max_allowed=1e-3)
        elif quantity.startswith("latents_before_step"):
            index = int(quantity.removeprefix("latents_before_step").split("[")[0])
            yield compare(
                name,
                quantity,
                seen[index][None, ::2],
                value,
                max_allowed=LOOP_MAX,
                mean_allowed=LOOP_MEAN,
            )
        elif quantity == "final_latents":
            kept = final[case["keep_frames"]] if "keep_frames" in case else final
            yield compare(
                name, quantity, kept[None], value, max_allowed=LOOP_MAX, mean_allowed=LOOP_MEAN
            )


@torch.inference_mode()
def _video(folder: Cases) -> Iterator[Outcome]:
    described, golden = folder.json("misc.json"), folder.tensors("misc.safetensors")
    if not described or "e2e.video01_f16" not in golden:
        return
    case, encoders = described["e2e"]["case"], _Encoders(folder)
    final = _run(case, _sampler(folder, case), load_unet(folder), encoders, {})
    yield compare(
        "e2e",
        "video (fp16 file)",
        _decode(encoders, final, case["decode_chunk_size"])[None, :, :, ::2, ::2].half(),
        golden["e2e.video01_f16"],
        max_allowed=2e-3,
    )
    key, shape, scale = described["decode"]["lat"][1:]
    latents = torch.from_numpy(recipe.normal(described["seed"], key, shape, scale))[0]
    for size in (2, 5):
        ours = _decode(encoders, latents, size) * 2 - 1
        expected = golden[f"decode.chunk{size}"].clamp(-1, 1)
        yield compare("decode", f"chunks of {size}", ours[None], expected, max_allowed=2e-5)


def _decode(encoders: _Encoders, latents_FCHW: Tensor, chunk_frames: int) -> Tensor:
    scale = encoders.vae.config.scaling_factor
    num_frames = len(latents_FCHW)
    frames = decode_frames(
        lambda z: encoders.vae.decode(z / scale, num_frames=len(z)).sample,
        lambda start, stop: latents_FCHW[start:stop],
        range(num_frames),
        num_frames,
        DecodingConfig(chunk_frames=chunk_frames, context_frames=0),
    )
    return torch.cat(list(frames)).movedim(0, 1)
