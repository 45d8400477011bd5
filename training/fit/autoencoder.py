"""The autoencoder: diffusers' AutoencoderDC, 8 x smaller, 8 channels, trained on painted people.

First encoder and decoder; then the latents are normalised per channel inside the encoder, so that
`scaling_factor` is 1; then the decoder alone on noisy latents, which is what the UNet will give it.
Shape letters: B pictures, C channels, H, W rows and columns.
"""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F
from diffusers import AutoencoderDC
from numpy.typing import NDArray
from torch import Tensor, nn

from training.data.dataset import Pictures
from training.fit.device import batch_size, channels_last, native_precision, training_device
from training.fit.loop import Budget, Group, Loss, Schedule, Trainer, load_average

CHANNELS: Final = (16, 32, 64, 128)
ENCODER_LAYERS: Final = (0, 1, 2, 2)
DECODER_LAYERS: Final = (0, 3, 2, 2)
"""Two more blocks at half size give lines back their edges, for 0.05 CPU-s per second of video."""
LATENT_CHANNELS: Final = 8
_CROP: Final = 64
_BATCH: Final = 12
_TRAINING_NOISE: Final = 0.15
_DECODER_NOISE: Final = 0.4
_HELD: Final = 0.03
"""How much it counts that latents stay where an earlier encoder put them."""


def make_autoencoder() -> AutoencoderDC:
    """Make an autoencoder that works at a quarter and an eighth of the picture's size."""
    return AutoencoderDC(
        latent_channels=LATENT_CHANNELS,
        encoder_block_out_channels=CHANNELS,
        decoder_block_out_channels=CHANNELS,
        encoder_layers_per_block=ENCODER_LAYERS,
        decoder_layers_per_block=DECODER_LAYERS,
        encoder_qkv_multiscales=((),) * len(CHANNELS),
        decoder_qkv_multiscales=((),) * len(CHANNELS),
        encoder_out_shortcut=False,
        decoder_in_shortcut=False,
        scaling_factor=1.0,
    ).to(memory_format=torch.channels_last)


def to_tensor(pictures_BHWC: NDArray[Any]) -> Tensor:
    """Scale bytes to [-1, 1]: B C H W."""
    return from_bytes(torch.from_numpy(pictures_BHWC))


def from_bytes(pictures_BHWC: Tensor) -> Tensor:
    """Scale them where the bytes are."""
    return pictures_BHWC.permute(0, 3, 1, 2).float() / 127.5 - 1


def mouth_weight(mouths_B2: Tensor, size: int) -> Tensor:
    """1 at the mouth, 0 away from it: B 1 H W."""
    axis = torch.arange(size, device=mouths_B2.device)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    x, y = mouths_B2[:, 0, None, None], mouths_B2[:, 1, None, None]
    return torch.exp(-(((columns - x) / 15) ** 2) - ((rows - y) / 13) ** 2)[:, None]


@dataclass(frozen=True)
class Shown:
    """Pictures and where the mouths are, on the device that trains: N H W C bytes, N 2."""

    pictures_NHWC: Tensor
    mouths_N2: Tensor


def show(pictures: Pictures, device: torch.device) -> Shown:
    """Return all frames of all people."""
    flat = pictures.pictures.reshape(-1, *pictures.pictures.shape[2:])
    mouths = pictures.mouths.reshape(-1, 2)
    return Shown(torch.from_numpy(flat).to(device), torch.from_numpy(mouths).to(device))


def draw_crops(shown: Shown, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Crops, most of them around face and mouth, with the weight of each pixel."""
    device = generator.device
    options: dict[str, Any] = {"generator": generator, "device": device}
    num = batch_size(_BATCH, device)
    picks = torch.randint(len(shown.pictures_NHWC), (num,), **options)
    mouths = shown.mouths_N2[picks]
    size = shown.pictures_NHWC.shape[1]
    spread = torch.randn(num, 2, **options) * torch.tensor([22.0, 26.0], device=device)
    corner = mouths - torch.tensor([0.0, 14.0], device=device) + spread - _CROP / 2
    anywhere = torch.rand(num, 1, **options) < 0.4
    corner = torch.where(anywhere, torch.rand(num, 2, **options) * (size - _CROP), corner)
    x, y = corner.clamp(0, size - _CROP).long().unbind(1)
    inside = torch.arange(_CROP, device=device)
    rows, columns = (y[:, None] + inside)[:, :, None], (x[:, None] + inside)[:, None]
    crops = from_bytes(shown.pictures_NHWC[picks[:, None, None], rows, columns])
    each = torch.arange(num, device=device)[:, None, None]
    near = mouth_weight(mouths, size)[each, 0, rows, columns]
    return _flip(crops, 1 + 3 * near[:, None], generator)


def _flip(x_BCHW: Tensor, weight_B1HW: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    options: dict[str, Any] = {"generator": generator, "device": generator.device}
    if torch.rand((), **options) < 0.5:
        x_BCHW, weight_B1HW = x_BCHW.flip(3), weight_B1HW.flip(3)
    if torch.rand((), **options) < 0.3:
        x_BCHW = x_BCHW[:, torch.randperm(3, **options)]
    return channels_last(x_BCHW), weight_B1HW


def reconstruction_loss(y_BCHW: Tensor, x_BCHW: Tensor, weight_B1HW: Tensor) -> Tensor:
    """Weighted absolute and squared error, and the error of the edges."""
    d = y_BCHW.float() - x_BCHW
    edges = (d[..., 1:] - d[..., :-1]).abs().mean() + (d[..., 1:, :] - d[..., :-1, :]).abs().mean()
    loss: Tensor = (weight_B1HW * (d.abs() + 8 * d * d)).mean() + 0.4 * edges
    return loss


def whole_loss(vae: AutoencoderDC, shown: Shown, *, held: bool) -> Loss:
    """Encoder and decoder, with a little noise on latents that are kept near unit size.

    `held` keeps them near those of `vae` as it is now, so that its UNet still knows them.
    """
    earlier = copy.deepcopy(vae.encoder).eval().requires_grad_(False) if held else None

    def loss(generator: torch.Generator) -> Tensor:
        x, weight = draw_crops(shown, generator)
        with native_precision(generator.device):
            z = vae.encode(x).latent
            noise = torch.randn(z.shape, generator=generator, device=z.device)
            y = vae.decode(z + _TRAINING_NOISE * noise).sample
            with torch.no_grad():
                before = earlier(x).float() if earlier else None
        return reconstruction_loss(y, x, weight) + _latent_anchor(z.float(), before)

    return loss


def _latent_anchor(z_BCHW: Tensor, before_BCHW: Tensor | None) -> Tensor:
    if before_BCHW is None:
        return 5e-4 * z_BCHW.square().mean()
    return _HELD * (z_BCHW - before_BCHW).square().mean()


def decoder_loss(vae: AutoencoderDC, shown: Shown) -> Loss:
    """Train the decoder alone, on latents that are a little noisy, and now and then a lot."""

    def loss(generator: torch.Generator) -> Tensor:
        x, weight = draw_crops(shown, generator)
        options: dict[str, Any] = {"generator": generator, "device": generator.device}
        level = torch.rand(len(x), 1, 1, 1, **options) ** 3 * _DECODER_NOISE
        with native_precision(generator.device):
            with torch.no_grad():
                z = vae.encode(x).latent
            y = vae.decode(z + level * torch.randn(z.shape, **options)).sample
        return reconstruction_loss(y, x, weight)

    return loss


@torch.no_grad()
def normalise_latents(vae: AutoencoderDC, sample_BCHW: Tensor) -> None:
    """Give every latent channel mean 0 and variance 1.

    The encoder's last layer does it, and the decoder's first layer takes it back.
    """
    z = torch.cat([vae.encode(part).latent for part in sample_BCHW.split(16)])
    mean, std = z.mean((0, 2, 3)), z.std((0, 2, 3))
    last, first = vae.encoder.conv_out, vae.decoder.conv_in
    last.weight /= std[:, None, None, None]
    last.bias.sub_(mean).div_(std)
    first.bias += (first.weight * mean[:, None, None]).sum((1, 2, 3))
    first.weight *= std[:, None, None]


def _named(module: nn.Module) -> dict[str, nn.Parameter]:
    return dict(module.named_parameters())


def train_whole(
    vae: AutoencoderDC,
    pictures: Pictures,
    folder: Path,
    budget: Budget,
    *,
    seed: int,
    held: bool = False,
) -> AutoencoderDC:
    """Train the first half from where `vae` is, or resume from `folder`; `held`: `whole_loss`."""
    device = training_device()
    vae.to(device)
    # Before the trainer, which may put the weights of an interrupted run into `vae`.
    loss = whole_loss(vae, show(pictures, device), held=held)
    schedule = Schedule(rate=2e-3, warmup_steps=40, weight_decay=1e-4, average=0.99)
    trainer = Trainer([Group(_named(vae))], folder, schedule, seed=seed)
    trainer.run(loss, budget)
    load_average(vae, folder)
    return vae.cpu()


def train_decoder(
    vae: AutoencoderDC, pictures: Pictures, folder: Path, budget: Budget, *, seed: int
) -> AutoencoderDC:
    """Train the second half: the encoder stays as it is."""
    device = training_device()
    vae.to(device).encoder.requires_grad_(False)
    schedule = Schedule(rate=1e-3, warmup_steps=40, weight_decay=1e-4, average=0.99)
    trainer = Trainer([Group(_named(vae.decoder))], folder, schedule, seed=seed)
    trainer.run(decoder_loss(vae, show(pictures, device)), budget)
    load_average(vae.decoder, folder)
    return vae.cpu()


@torch.no_grad()
def psnr(vae: AutoencoderDC, pictures: Pictures) -> tuple[float, float]:
    """Peak signal to noise in dB: whole pictures, and the mouth alone; mean over pictures."""
    flat = pictures.pictures.reshape(-1, *pictures.pictures.shape[2:])
    mouths = torch.from_numpy(pictures.mouths).reshape(-1, 2)
    whole, mouth = [], []
    for i in range(0, len(flat), 16):
        x = to_tensor(flat[i : i + 16])
        y = vae.decode(vae.encode(x).latent).sample.clamp(-1, 1)
        error = ((x - y) / 2).square()
        near = (mouth_weight(mouths[i : i + 16], x.shape[-1]) > 0.5).float()
        whole.append(error.mean((1, 2, 3)))
        mouth.append((error * near).sum((1, 2, 3)) / (3 * near.sum((1, 2, 3))))
    return _decibel(torch.cat(whole)), _decibel(torch.cat(mouth))


def _decibel(error_B: Tensor) -> float:
    return float(-10 * F.relu(error_B).clamp_min(1e-9).log10().mean())
