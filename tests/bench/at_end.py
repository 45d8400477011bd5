"""`python -m tests.bench.at_end`: how far fusion at the end is from the exact result.

The embedded model renders the sentences of `examples/` in both modes, with the same noise and the
same sound. At the seams are the frames of an overlap; elsewhere are all others. A jump is the mean
change from a frame to the next one, at the border of two segments, against that in other places.
"""

import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from cluster.config import ClusterConfig
from cluster.pool.base import Pool
from cluster.storage import artifacts
from cluster.video.jobs import VideoRequest
from cluster.video.pools import open_pool
from cluster.video.render import denoise_video, encode_audio
from flows.preflight.inputs import portrait_of
from flows.rows.config import RenderConfig, load_preset
from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.core.presets import VideoConfig
from sonic_ops.models.networks import SonicNetworks
from sonic_ops.picture.portrait import portrait_tensors
from sonic_ops.pipeline import SonicPipeline

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SENTENCES = ("amiable.wav", "young_man.wav") * 2
SEGMENT_FRAMES = 40
OVERLAPS = (6, 12, 25)


def prepare(folder: Path, config: RenderConfig) -> VideoRequest:
    """The sound and the portrait of the video."""
    parts = [soundfile.read(EXAMPLES / name, dtype="float32") for name in SENTENCES]
    assert {rate for _, rate in parts} == {SAMPLE_RATE_HZ}
    samples = np.concatenate([part for part, _ in parts])
    soundfile.write(folder / "sound.wav", samples, SAMPLE_RATE_HZ, subtype="FLOAT")
    portrait = portrait_of(str(EXAMPLES / "ada.png"), None, config.portrait)
    url = artifacts.write_tensors(
        str(folder / "portrait.safetensors"), lambda: portrait_tensors(portrait)
    )
    return VideoRequest(str(folder / "sound.wav"), url, len(samples), str(folder), seed=1)


def latents_of(pool: Pool, request: VideoRequest, config: VideoConfig, name: str) -> Tensor:
    """Denoise the video in a folder of its own: (F, C, H, W)."""
    own = replace(request, work=f"{request.work}/{name}")
    shutil.copytree(Path(request.work) / "tokens", Path(own.work) / "tokens")
    files = denoise_video(pool, own, config, lambda progress: None)
    print(f"{name}: denoised", file=sys.stderr, flush=True)
    return torch.cat([artifacts.read_tensors(file)["latents"] for file in files])


@torch.inference_mode()
def pictures_of(models: SonicNetworks, latents_FCHW: Tensor) -> Tensor:
    """Frames in [0, 1]: (F, 3, H, W)."""
    parts = [models.decode_latents(part) for part in latents_FCHW.split(25)]
    return (torch.cat(parts) * 0.5 + 0.5).clamp(0, 1)


def psnr_db(ours: Tensor, theirs: Tensor) -> float:
    """Peak signal to noise ratio of pictures in [0, 1]."""
    return float(-10 * torch.log10((ours - theirs).square().mean()))


def row_of(exact: Tensor, at_end: Tensor, overlap: int) -> str:
    """A line of the table."""
    frames = torch.arange(len(exact))
    borders = torch.arange(SEGMENT_FRAMES, len(exact), SEGMENT_FRAMES)
    before, after = overlap // 2, overlap - overlap // 2
    at_seam = torch.zeros(len(exact), dtype=torch.bool)
    for border in borders.tolist():
        at_seam |= (frames >= border - before) & (frames < border + after)
    jump_F = at_end.diff(dim=0).abs().mean(dim=(1, 2, 3))
    others = torch.ones(len(jump_F), dtype=torch.bool)
    others[borders - 1] = False
    jump = float(jump_F[borders - 1].mean() / jump_F[others].mean())
    seam, elsewhere = (psnr_db(at_end[part], exact[part]) for part in (at_seam, ~at_seam))
    return f"| {overlap} | {seam:.1f} dB | {elsewhere:.1f} dB | {jump:.2f} |"


def main() -> None:
    """Print the table."""
    preset = load_preset("sketch")
    config = preset.model_copy(update={"segment_frames": SEGMENT_FRAMES})
    models = SonicPipeline.load(preset.models)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_pool(ClusterConfig(workers=0), preset.models) as pool,
    ):
        request = prepare(Path(folder), preset)
        encode_audio(pool, request, lambda progress: None)
        exact = pictures_of(models, latents_of(pool, request, config, "exact"))
        jump = exact.diff(dim=0).abs().mean(dim=(1, 2, 3))
        borders = torch.arange(SEGMENT_FRAMES, len(exact), SEGMENT_FRAMES) - 1
        print(
            f"exact: {len(exact)} frames, jump at borders {jump[borders].mean() / jump.mean():.2f}"
        )
        print("| overlap | at the seams | elsewhere | jump at borders |\n| --- | --- | --- | --- |")
        for overlap in OVERLAPS:
            update = {"fusion": "at_end", "overlap": overlap}
            apart = config.model_copy(update=update)
            latents = latents_of(pool, request, apart, f"overlap-{overlap}")
            print(row_of(exact, pictures_of(models, latents), overlap), flush=True)


if __name__ == "__main__":
    main()
