"""The sampler against whole golden denoising loops, the window lists and the scheduler tables."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKLTemporalDecoder, EulerDiscreteScheduler
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from sonic_ops.core.config import DecodingConfig, SamplingConfig
from sonic_ops.core.constants import MODEL_FPS
from sonic_ops.core.guidance import guide
from sonic_ops.core.timeline import Ring, window_grid
from sonic_ops.models.unet import AudioUNet
from sonic_ops.sampling.conditioning import FrameCondition, PortraitCondition, window_denoiser
from sonic_ops.sampling.decoding import decode_frames
from sonic_ops.sampling.sampler import Sampler
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
        ring = Ring(0, num_frames)
        counts = [
            torch.bincount(
                torch.tensor([f for window in grid for f in ring.frames(window)]),
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


@dataclass(frozen=True, slots=True)
class _Loop:
    """One denoising loop of a case, with what it reads; `seen` are the latents before each step."""

    case: dict[str, Any]
    sampler: Sampler
    unet: AudioUNet
    portrait: PortraitCondition
    frames: FrameCondition
    noise_FCHW: Tensor
    seen: dict[int, Tensor]

    @torch.inference_mode()
    def run(self) -> Tensor:
        return denoise_whole(
            self.sampler,
            self.unet,
            self.portrait,
            self.frames,
            self.noise_FCHW,
            lambda index, y: self.seen.update({index: y}),
        )

    @torch.inference_mode()
    def first_prediction(self) -> Tensor:
        """The guided prediction of the first window of the first step."""
        step, window = self.sampler.steps[0], self.grid(0)[0]
        scaled = self.seen[0][window] / (step.sigma**2 + 1) ** 0.5
        denoise = window_denoiser(self.unet, self.portrait, *self.frames.take(window))
        predicted = denoise(step.branches, scaled, step.timestep)
        return guide(predicted, step.image_scale, step.audio_scale)

    def grid(self, step: int) -> list[list[int]]:
        return [seen for seen, _ in grid_of(self.sampler, self.case["num_frames"], step)]

    def time_ids(self, step: int) -> Tensor:
        buckets = [self.frames.take(window)[1].mean(0) for window in self.grid(step)]
        return torch.stack([torch.tensor([float(MODEL_FPS), *pair]) for pair in buckets])


@torch.inference_mode()
def _prepare(folder: Cases, case: dict[str, Any], unet: AudioUNet, encoders: _Encoders) -> _Loop:
    inputs = {k: torch.from_numpy(v) for k, v in recipe.loop_inputs(case).items()}
    pixel_noise, noise = None, inputs["noise"]
    if "torch_seed" in case:
        generator = torch.Generator().manual_seed(case["torch_seed"])
        pixel_noise = torch.randn(inputs["ref_img"].shape, generator=generator)
        noise = torch.randn(noise.shape, generator=generator)
    portrait = encoders.portrait(inputs, pixel_noise, case["noise_aug_strength"])
    buckets = inputs["motion_buckets"].reshape(-1, 2) * case["motion_bucket_scale"]
    frames = FrameCondition(tuple(range(case["num_frames"])), inputs["audio_tokens"], buckets)
    return _Loop(case, _sampler(folder, case), unet, portrait, frames, noise[0], {})


def _loops(folder: Cases) -> Iterator[Outcome]:
    described = folder.json("loop.json")
    if not described:
        return
    golden = folder.tensors("loop.safetensors")
    unet, encoders = load_unet(folder), _Encoders(folder)
    for case in described:
        loop = _prepare(folder, case, unet, encoders)
        final = loop.run()
        yield from _compare_plan(loop)
        yield from _compare_tensors(loop, golden, final)


def _compare_plan(loop: _Loop) -> Iterator[Outcome]:
    case, sampler, name = loop.case, loop.sampler, loop.case["name"]
    starts = [[window[0] for window in loop.grid(step.index)] for step in sampler.steps]
    golden_starts = [[s % case["num_frames"] for s in grid] for grid in case["window_starts"]]
    yield same(name, "window starts", starts, golden_starts)
    timesteps = torch.tensor([step.timestep for step in sampler.steps])
    yield compare(name, "timesteps", timesteps, torch.tensor(case["timesteps"]), max_allowed=1e-6)
    for key, step in (("first", 0), ("last", len(sampler.steps) - 1)):
        ids = torch.tensor(case[f"added_time_ids_{key}_step"])
        yield compare(name, f"time ids, {key} step", loop.time_ids(step), ids, max_allowed=1e-4)


def _compare_tensors(loop: _Loop, golden: dict[str, Tensor], final: Tensor) -> Iterator[Outcome]:
    case = loop.case
    name = case["name"]
    known = {k.removeprefix(f"{name}."): v for k, v in golden.items() if k.startswith(f"{name}.")}
    if "final_latents" not in known:
        yield same(name, "final_latents", "not in the folder", "needed")
    for quantity, value in known.items():
        limits = {"max_allowed": LOOP_MAX, "mean_allowed": LOOP_MEAN}
        if quantity == "init_latents":
            yield compare(name, quantity, loop.seen[0][None], value, max_allowed=1e-3)
        elif quantity == "first_window.noise_pred_guided":
            yield compare(name, quantity, loop.first_prediction()[None], value, **limits)
        elif quantity.startswith("latents_before_step"):
            index = int(quantity.removeprefix("latents_before_step").split("[")[0])
            yield compare(name, quantity, loop.seen[index][None, ::2], value, **limits)
        elif quantity == "final_latents":
            kept = final[case["keep_frames"]] if "keep_frames" in case else final
            yield compare(name, quantity, kept[None], value, **limits)
        else:
            yield same(name, quantity, "unknown to the harness", "compared")


@torch.inference_mode()
def _video(folder: Cases) -> Iterator[Outcome]:
    described, golden = folder.json("misc.json"), folder.tensors("misc.safetensors")
    if "e2e.video01_f16" in golden:
        case, encoders = described["e2e"]["case"], _Encoders(folder)
        final = _prepare(folder, case, load_unet(folder), encoders).run()
        video = _decode(encoders, final, case["decode_chunk_size"])[None, :, :, ::2, ::2].half()
        expected = golden["e2e.video01_f16"]
        yield compare("e2e", "video (fp16 file)", video, expected, max_allowed=2e-3)
    for key, expected in golden.items():
        if key.startswith("decode.chunk"):
            size = int(key.removeprefix("decode.chunk"))
            name, shape, scale = described["decode"]["lat"][1:]
            latents = torch.from_numpy(recipe.normal(described["seed"], name, shape, scale))[0]
            ours = _decode(_Encoders(folder), latents, size)[None] * 2 - 1
            clamped = expected.clamp(-1, 1)
            yield compare("decode", f"chunks of {size}", ours, clamped, max_allowed=2e-5)


def _decode(encoders: _Encoders, latents_FCHW: Tensor, chunk_frames: int) -> Tensor:
    scale = encoders.vae.config.scaling_factor
    num_frames = len(latents_FCHW)
    frames = decode_frames(
        lambda z, wanted: encoders.vae.decode(z / scale, num_frames=len(z)).sample[wanted],
        lambda start, stop: latents_FCHW[start:stop],
        range(num_frames),
        num_frames,
        DecodingConfig(chunk_frames=chunk_frames, context_frames=0),
    )
    return torch.cat(list(frames)).movedim(0, 1)
