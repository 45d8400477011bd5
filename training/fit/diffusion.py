"""What the UNet learns: to take noise off windows of latents, batch by batch.

Diffusion around the reference latents: y = (latents - reference) / residual_scale, and plain
v-prediction of y, as `EulerDiscreteScheduler` samples it.
Shape letters: B samples, T frames, C channels, H, W rows and columns, K audio tokens, E context
channels.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from sonic_ops.core.constants import MODEL_FPS
from sonic_ops.models.unet import AudioUNet
from training.data.dataset import SIZE
from training.fit.audio_head import CONTEXT_CHANNELS, MAX_BUCKET
from training.fit.device import native_precision, record
from training.fit.loop import Loss

MASK_AREA: Final = 1.1
LATENT_SIZE: Final = SIZE // 8
_DEAF, _BLIND = 0.10, 0.03
"""Shares of the samples without audio and without portrait."""


@dataclass(frozen=True)
class Samples:
    """What the UNet trains on: N people with F frames and their reference portrait."""

    latents: Tensor
    """N F+1 C H W, half precision; the reference is last."""
    mouths: Tensor
    """N F+1 2, in pixels."""
    boxes: Tensor
    """N 4, the face in the reference, in pixels."""
    rows: Tensor
    """N F, rows of `tokens`."""
    amplitudes: Tensor
    """N F 2."""
    tokens: Tensor
    """Rows K E; the last one is silence."""
    residual_scale: float

    def to(self, device: torch.device) -> "Samples":
        """Return the same on another device."""
        moved: dict[str, Any] = {
            name: getattr(self, name).to(device) for name in (*_PER_PERSON, "tokens")
        }
        return replace(self, **moved)

    def joined(self, other: "Samples", most: int) -> "Samples":
        """With the people of `other`, the last `most` of all."""
        both: dict[str, Any] = {
            name: torch.cat([getattr(self, name), getattr(other, name)])[-most:]
            for name in _PER_PERSON
        }
        return replace(self, **both)


_PER_PERSON: Final = ("latents", "mouths", "boxes", "rows", "amplitudes")

Feed = Callable[[], Samples]
"""The samples as they are now; they may grow while training goes on."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One training batch of windows."""

    y_BTCHW: Tensor
    reference_BCHW: Tensor
    audio_BTKE: Tensor
    silence_KE: Tensor
    ids_B3: Tensor
    mask_B1HW: Tensor
    weight_BTHW: Tensor

    def at_rest(self) -> "Batch":
        """Return the same batch, hearing silence and told to keep a straight face.

        The head keeps its bucket: guidance away from a still head would move the brows with it.
        """
        kept = torch.tensor([1.0, 1.0, 0.0], device=self.ids_B3.device)
        silence = self.silence_KE.expand_as(self.audio_BTKE)
        return replace(self, audio_BTKE=silence, ids_B3=self.ids_B3 * kept)


def draw_batch(
    samples: Samples, generator: torch.Generator, *, num_samples: int, num_frames: int
) -> Batch:
    """Windows of `num_frames` neighbouring frames, now and then without audio or portrait."""
    device = generator.device
    options: dict[str, Any] = {"generator": generator, "device": device}
    people = torch.randint(len(samples.latents), (num_samples, 1), **options)
    last = samples.rows.shape[1] - num_frames
    first = torch.randint(last + 1, (num_samples, 1), **options)
    frames = first + torch.arange(num_frames, device=device)
    reference = samples.latents[people[:, 0], -1].float()
    y = samples.latents[people, frames].float() - reference[:, None]
    deaf = torch.rand(num_samples, 1, **options) < _DEAF
    blind = torch.rand(num_samples, 1, 1, 1, **options) < _BLIND
    rows = torch.where(deaf, len(samples.tokens) - 1, samples.rows[people, frames])
    buckets = MAX_BUCKET * samples.amplitudes[people, frames].mean(1)
    fps = torch.full((num_samples, 1), float(MODEL_FPS), device=device)
    return Batch(
        y_BTCHW=y / samples.residual_scale,
        reference_BCHW=torch.where(blind, 0.0, reference),
        audio_BTKE=samples.tokens[rows].float(),
        silence_KE=samples.tokens[-1].float(),
        ids_B3=torch.cat([fps, buckets], 1),
        mask_B1HW=face_masks(samples.boxes[people[:, 0]], generator),
        weight_BTHW=face_weight(samples.mouths[people, frames]),
    )


def face_masks(boxes_B4: Tensor, generator: torch.Generator) -> Tensor:
    """1 in the detected box times 1.1, whose place and size are a little uncertain: B 1 H W."""
    device = boxes_B4.device
    size = boxes_B4[:, 2:] - boxes_B4[:, :2]
    jitter = torch.randn(len(boxes_B4), 4, generator=generator, device=device)
    centre = (boxes_B4[:, :2] + boxes_B4[:, 2:]) / 2 + 0.03 * size * jitter[:, :2]
    half = size * MASK_AREA / 2 * (1 + 0.06 * jitter[:, 2:])
    axis = torch.arange(SIZE, device=device) + 0.5
    x = (axis - centre[:, :1]).abs() <= half[:, :1]
    y = (axis - centre[:, 1:]).abs() <= half[:, 1:]
    return (y[:, None, :, None] & x[:, None, None, :]).float()


def face_weight(mouths_BT2: Tensor) -> Tensor:
    """Weigh the error at each latent: most at the eyes and brows, then the mouth."""
    axis = torch.arange(LATENT_SIZE, device=mouths_BT2.device) * 8 + 3.5
    x = axis - mouths_BT2[..., 0, None, None]
    y = axis[:, None] - mouths_BT2[..., 1, None, None]
    mouth = torch.exp(-((x / 17) ** 2) - (y / 15) ** 2)
    eyes = torch.exp(-((x / 26) ** 2) - ((y + 31) / 11) ** 2)
    return 1 + 3 * mouth + 4 * eyes


def add_noise(
    y_BTCHW: Tensor, sigma_B: Tensor, generator: torch.Generator, *, shared_B: Tensor
) -> tuple[Tensor, Tensor]:
    """Noisy y, and the v that gives y back: y = v * -s / sqrt(s^2 + 1) + noisy / (s^2 + 1).

    `shared_B` of the noise is common to the frames of a window (PYoCo, arXiv:2305.10474).
    """
    device = y_BTCHW.device
    own = torch.randn(y_BTCHW.shape, generator=generator, device=device)
    common = torch.randn(y_BTCHW[:, :1].shape, generator=generator, device=device)
    s, shared = (x[:, None, None, None, None] for x in (sigma_B, shared_B))
    noisy = y_BTCHW + s * (shared.sqrt() * common + (1 - shared).sqrt() * own)
    v = (noisy / (s * s + 1) - y_BTCHW) * (s * s + 1).sqrt() / s
    return noisy, v


def draw_sigma(num: int, generator: torch.Generator, *, mean: float) -> Tensor:
    """Noise levels in units of the residual: log-normal."""
    normal = torch.randn(num, generator=generator, device=generator.device)
    return (mean + 1.2 * normal).exp().clamp(0.02, 20.0)


class Denoiser(nn.Module):
    """The UNet's v for a batch in which every sample has its own mask: tensors to a tensor."""

    def __init__(self, unet: AudioUNet) -> None:
        super().__init__()
        self.unet = unet

    def forward(
        self,
        noisy_BTCHW: Tensor,
        sigma_B: Tensor,
        reference_BCHW: Tensor,
        audio_BTKE: Tensor,
        ids_B3: Tensor,
        mask_B1HW: Tensor,
    ) -> Tensor:
        s = sigma_B[:, None, None, None, None]
        reference = reference_BCHW[:, None].expand_as(noisy_BTCHW)
        sample = torch.cat([noisy_BTCHW / (s * s + 1).sqrt(), reference], 2)
        blank = noisy_BTCHW.new_zeros(1, 1, CONTEXT_CHANNELS)
        images, sounds = [blank] * len(sample), [*audio_BTKE]
        predicted: Tensor = self.unet(
            sample, 0.25 * sigma_B.log(), images, sounds, ids_B3, mask_B1HW
        )
        return predicted.float()


def predict(denoiser: nn.Module, batch: Batch, noisy_BTCHW: Tensor, sigma_B: Tensor) -> Tensor:
    """Return the v of a batch."""
    predicted: Tensor = denoiser(*_inputs(batch, noisy_BTCHW, sigma_B))
    return predicted


def _inputs(batch: Batch, noisy_BTCHW: Tensor, sigma_B: Tensor) -> tuple[Tensor, ...]:
    return (
        noisy_BTCHW,
        sigma_B,
        batch.reference_BCHW,
        batch.audio_BTKE,
        batch.ids_B3,
        batch.mask_B1HW,
    )


def denoising_loss(
    unet: AudioUNet,
    feed: Feed,
    *,
    num_samples: int,
    num_frames: int,
    mean: float,
    shared_noise: tuple[float, float] = (0.5, 0.5),
    guidance: float = 1.0,
) -> Loss:
    """Weighted squared error of v, on windows of `num_frames`.

    With `guidance` g > 1 the network learns what it would give with guidance of scale g, so that
    one call per step does: its target moves by (1 - 1/g) times the difference that audio and motion
    buckets make (model guidance, arXiv:2502.12154).
    """

    def draw(generator: torch.Generator) -> tuple[Batch, Tensor]:
        batch = draw_batch(feed(), generator, num_samples=num_samples, num_frames=num_frames)
        return batch, draw_sigma(num_samples, generator, mean=mean)

    example, sigma = draw(torch.Generator(next(unet.parameters()).device).manual_seed(0))
    denoiser = record(Denoiser(unet), _inputs(example, example.y_BTCHW, sigma))

    def loss(generator: torch.Generator) -> Tensor:
        batch, sigma = draw(generator)
        shared = sigma.new_empty(num_samples).uniform_(*shared_noise, generator=generator)
        noisy, v = add_noise(batch.y_BTCHW, sigma, generator, shared_B=shared)
        with native_precision(generator.device):
            if guidance != 1:
                with torch.no_grad():
                    resting = predict(denoiser, batch.at_rest(), noisy, sigma).clone()
            predicted = predict(denoiser, batch, noisy, sigma)
        if guidance != 1:
            v = v + (1 - 1 / guidance) * (predicted.detach() - resting)
        error = (predicted - v).square().mean(2)
        return (error * batch.weight_BTHW).mean()

    return loss
