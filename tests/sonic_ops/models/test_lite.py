"""The weights of `lite`: a photograph stays a photograph, and speaks.

The photograph is NASA's of Eileen Collins, in the public domain, as scikit-image carries it.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sonic_ops.core.presets import PipelineConfig, preset_path, read_preset
from sonic_ops.pipeline import SonicPipeline

FACES = Path(__file__).parents[2] / "golden" / "faces"


@pytest.fixture(scope="module")
def pipe() -> SonicPipeline:
    pipe = SonicPipeline.from_pretrained("package:lite")
    pipe.set_progress_bar_config(disable=True)
    return pipe


def sharpness(image_CHW: Tensor) -> float:
    grey = image_CHW.mean(0)
    return float((grey[1:] - grey[:-1]).abs().mean() + (grey[:, 1:] - grey[:, :-1]).abs().mean())


@torch.inference_mode()
def test_a_photograph_stays_a_photograph(pipe: SonicPipeline) -> None:
    portrait = pipe.prepare_image(FACES / "astronaut.jpg")
    assert portrait.image_CHW.shape == (3, 128, 128)
    assert portrait.shown_image.shape == (3, 256, 256)
    latents = pipe.encode_image(portrait.image_CHW[None]) * pipe.latent_scale
    frame = pipe.decode_latents(latents, reference=pipe.encode_reference(portrait))[0]
    painted = torch.nn.functional.interpolate(pipe.decode_latents(latents), (256, 256))[0]
    error = ((frame - portrait.shown_image) / 2).square().mean()
    assert float(-10 * error.log10()) > 27
    assert sharpness(frame) > 0.8 * sharpness(portrait.shown_image)
    assert sharpness(frame) > 1.2 * sharpness(painted)  # what weights without the portrait show


def test_its_preset_is_that_of_its_index(pipe: SonicPipeline) -> None:
    assert pipe.settings == PipelineConfig.model_validate(read_preset(preset_path("lite")))
    assert pipe.settings.media.interpolation == "layers"


@pytest.mark.slow
def test_a_photograph_speaks(pipe: SonicPipeline) -> None:
    rng = np.random.default_rng(0)
    voice = np.sin(np.cumsum(rng.uniform(0.05, 0.12, 16_000))).astype(np.float32) * 0.2
    out = pipe(FACES / "astronaut.jpg", voice, num_inference_steps=2, output_type="np")
    frames = np.asarray(out.frames)
    assert frames.shape == (25, 256, 256, 3)
    assert np.abs(frames[10].astype(int) - frames[0]).mean() > 0.2
