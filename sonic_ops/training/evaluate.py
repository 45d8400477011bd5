"""Measures of a trained model on people, voices and sentences that training never met.

Shape letters: F frames, C channels, H, W rows and columns, B pictures.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import EulerDiscreteScheduler
from numpy.typing import NDArray
from torch import Tensor, nn

from sonic_ops.conditioning import PortraitCondition, window_denoiser
from sonic_ops.config import SamplingConfig
from sonic_ops.fusion import fuse
from sonic_ops.models.adapters import AudioToToken
from sonic_ops.models.unet import AudioUNet
from sonic_ops.sampling import Sampler, video_noise
from sonic_ops.timeline import window_grid
from sonic_ops.training.audio_head import CONTEXT_CHANNELS, MAX_BUCKET, hear
from sonic_ops.training.autoencoder import to_tensor
from sonic_ops.training.dataset import SIZE, Pictures, Speech
from sonic_ops.training.drawing import UNITS
from sonic_ops.training.faces import NEUTRAL, Framing, Portraitist
from sonic_ops.training.mouth import JAW, PRESS
from sonic_ops.training.people import Identity, draw_identity
from sonic_ops.training.unet_stage import MASK_AREA

_MOUTH_CROP: Final = 40
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Case:
    """One person saying some frames of one clip, with the truth."""

    portrait: Bytes
    truth_FHWC: Bytes
    opening_F: NDArray[np.float32]
    rows_F: NDArray[np.int64]
    amplitudes_2: NDArray[np.float32]
    box: tuple[float, float, float, float]
    mouth: tuple[float, float]


def centred(identity: Identity) -> Framing:
    """The renderer's crop of a detected face."""
    left, top, right, bottom = identity.face_box()
    side = 2 * min(right - left, bottom - top)
    return Framing(zoom=UNITS / side, x=(left + right) / 2, y=(top + bottom) / 2)


def make_case(seed: int, speech: Speech, clip: int, num_frames: int) -> Case:
    """Paint the truth and the neutral portrait of a person."""
    identity = draw_identity(seed)
    framing = centred(identity)
    painter = Portraitist(identity, size=SIZE, framing=framing)
    rows = speech.frames(clip, 0, min(num_frames, int(speech.lengths[clip]) // 4))
    track = speech.tracks[rows]
    scale = SIZE / UNITS
    left, top, right, bottom = (v * scale for v in framing.shown(identity.face_box()))
    x, y = painter.mouth_centre(NEUTRAL)
    return Case(
        portrait=painter.paint(NEUTRAL),
        truth_FHWC=np.stack([painter.paint(pose) for pose in track]),
        opening_F=track[:, JAW] * (1 - track[:, PRESS]),
        rows_F=rows,
        amplitudes_2=speech.amplitudes[clip],
        box=(left, top, right, bottom),
        mouth=(x * scale, y * scale),
    )


@dataclass(frozen=True)
class Networks:
    """What a video of the sketch model is made with."""

    unet: AudioUNet
    vae: Any
    token_head: AudioToToken
    scheduler: EulerDiscreteScheduler


@torch.inference_mode()
def render_case(
    networks: Networks, case: Case, speech: Speech, config: SamplingConfig, *, seed: int = 0
) -> Bytes:
    """Sample the case as the renderer does, with shifted windows on the ring: F H W 3."""
    reference = networks.vae.encode(to_tensor(case.portrait[None])).latent[0]
    tokens = networks.token_head(hear(speech, torch.from_numpy(case.rows_F)))
    silence = networks.token_head(torch.zeros(1, 10, 5, 384))
    buckets = torch.from_numpy(MAX_BUCKET * case.amplitudes_2).expand(len(tokens), 2)
    image = torch.zeros(1, 1, CONTEXT_CHANNELS)
    portrait = PortraitCondition(image, reference, reference, box_mask(case.box), silence)
    sampler = Sampler(networks.scheduler, config)
    num_frames = len(tokens)
    noise = video_noise(seed, range(num_frames), reference.shape, shared=config.shared_noise)
    y = sampler.start(noise, reference)
    for step in sampler.steps:
        windows = window_grid(
            num_frames, step.index, size=config.window_frames, shift=config.shift_frames
        )
        parts, targets = [], []
        for window in windows:
            frames = list(window.frames(num_frames))
            denoise = window_denoiser(networks.unet, portrait, tokens[frames], buckets[frames])
            parts.append(sampler.step(step, y[frames], denoise))
            targets += frames
        y = fuse(torch.cat(parts), targets, num_frames)
    return decode(networks.vae, sampler.finish(y, reference))


@torch.inference_mode()
def decode(vae: Any, latents_FCHW: Tensor) -> Bytes:
    """Latents of unit size to bytes: F H W 3."""
    frames = torch.cat([vae.decode(part).sample for part in latents_FCHW.split(16)])
    pixels = ((frames.clamp(-1, 1) + 1) * 127.5).byte().permute(0, 2, 3, 1)
    return np.asarray(pixels.numpy())


def through_vae(vae: Any, pictures_FHWC: Bytes) -> Bytes:
    """The pictures as the autoencoder gives them back: the ceiling of what the UNet can do."""
    with torch.inference_mode():
        latents = torch.cat(
            [vae.encode(to_tensor(p)).latent for p in np.array_split(pictures_FHWC, 4)]
        )
    return decode(vae, latents)


def box_mask(box: tuple[float, float, float, float]) -> Tensor:
    """1 in the box grown by the mask area: 1 1 H W."""
    left, top, right, bottom = box
    axis = torch.arange(SIZE) + 0.5
    x = (axis - (left + right) / 2).abs() <= (right - left) * MASK_AREA / 2
    y = (axis - (top + bottom) / 2).abs() <= (bottom - top) * MASK_AREA / 2
    return (y[:, None] & x[None, :]).float()[None, None]


class LipReader(nn.Module):
    """Reads how far a mouth is open from a crop: B 3 40 40 -> B."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 24, 5, stride=2, padding=2), nn.SiLU(),
            nn.Conv2d(24, 48, 3, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(48, 64, 3, stride=2, padding=1), nn.SiLU(),
            nn.Flatten(), nn.Linear(64 * 25, 64), nn.SiLU(), nn.Linear(64, 1),
        )  # fmt: skip

    def forward(self, crops_BCHW: Tensor) -> Tensor:
        opening: Tensor = self.body(crops_BCHW)[:, 0]
        return opening


def mouth_crop(pictures_FHWC: Bytes, mouth: tuple[float, float]) -> Tensor:
    """Crops at one place: F 3 40 40."""
    x, y = (round(v - _MOUTH_CROP / 2) for v in mouth)
    x, y = (min(max(0, v), SIZE - _MOUTH_CROP) for v in (x, y))
    return to_tensor(pictures_FHWC[:, y : y + _MOUTH_CROP, x : x + _MOUTH_CROP])


def train_lip_reader(pictures: Pictures, speech: Speech, *, steps: int, seed: int) -> LipReader:
    """Train on painted frames, where the truth is free; crops are placed as on a portrait."""
    torch.manual_seed(seed)
    reader = LipReader()
    optimizer = torch.optim.AdamW(reader.parameters(), lr=2e-3, weight_decay=1e-3)
    track = speech.tracks[pictures.rows]
    opening = torch.from_numpy(track[..., JAW] * (1 - track[..., PRESS]))
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - step / steps) + 2e-5
        people = torch.randint(len(opening), (64,)).tolist()
        frames = torch.randint(opening.shape[1], (64,)).tolist()
        crops = torch.cat(
            [_portrait_crop(pictures, p, f) for p, f in zip(people, frames, strict=True)]
        )
        blurred = F.avg_pool2d(F.pad(crops, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        crops = torch.where(torch.rand(64, 1, 1, 1) < 0.5, crops, blurred)
        crops = crops + 0.04 * torch.randn(crops.shape)
        loss = F.smooth_l1_loss(reader(crops), opening[people, frames], beta=0.1)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return reader.eval()


def _portrait_crop(pictures: Pictures, person: int, frame: int) -> Tensor:
    x, y = pictures.mouths[person, -1] + 2.0 * np.random.default_rng(
        frame + person
    ).standard_normal(2)
    return mouth_crop(pictures.pictures[person, frame][None], (float(x), float(y)))


@dataclass(frozen=True, slots=True)
class Measures:
    """What one rendered case is worth."""

    opening_r: float
    ceiling_r: float
    shuffled_r: float
    motion_ratio: float
    closed_share: float
    flicker_ratio: float
    background_db: float


@torch.inference_mode()
def measure(
    frames_FHWC: Bytes, case: Case, other: Case, ceiling_FHWC: Bytes, reader: LipReader
) -> Measures:
    """Compare a rendered case with its truth; `other` gives the track of another clip."""
    read = reader(mouth_crop(frames_FHWC, case.mouth)).numpy()
    best = reader(mouth_crop(ceiling_FHWC, case.mouth)).numpy()
    shut = case.opening_F < 0.06
    foreign = np.resize(other.opening_F, len(read))
    return Measures(
        opening_r=correlation(read, case.opening_F),
        ceiling_r=correlation(best, case.opening_F),
        shuffled_r=correlation(read, foreign),
        motion_ratio=float(read.std() / (best.std() + 1e-6)),
        closed_share=float((read[shut] < 0.15).mean()) if shut.any() else float("nan"),
        flicker_ratio=flicker(frames_FHWC) / flicker(ceiling_FHWC),
        background_db=background_db(frames_FHWC, ceiling_FHWC[:1]),
    )


def correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Pearson's r, 0 where one of them is constant."""
    if a.std() < 1e-6 or b.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def flicker(frames_FHWC: Bytes) -> float:
    """Mean change from frame to frame in the upper face, in grey levels."""
    face = frames_FHWC[:, 30:76, 38:90].astype(np.float32)
    return float(np.abs(np.diff(face, axis=0)).mean())


def background_db(frames_FHWC: Bytes, still_1HWC: Bytes) -> float:
    """How well the upper corners keep still."""
    corners = np.zeros((SIZE, SIZE), bool)
    corners[:50, :16] = corners[:50, -16:] = True
    error = (frames_FHWC.astype(np.float32) - still_1HWC)[:, corners] / 255
    return float(-10 * np.log10((error**2).mean() + 1e-9))


def contact_sheet(case: Case, frames_FHWC: Bytes, *, first: int = 4, num: int = 11) -> Bytes:
    """The portrait and the truth above the rendered frames."""
    chosen = slice(first, first + num)
    rows = [
        np.concatenate([case.portrait, *frames[chosen]], 1)
        for frames in (case.truth_FHWC, frames_FHWC)
    ]
    return np.concatenate(rows, 0)
