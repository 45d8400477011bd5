"""A decoder that is given the portrait: every frame by itself, at the portrait's own size."""

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import nn

from sonic_ops.core.config import DecodingConfig, ModelsConfig
from sonic_ops.core.errors import ConfigError
from sonic_ops.interpolation.layers import Layers
from sonic_ops.models.portrait_decoder import SMOOTHED_FRAMES, PortraitDecoder, frames_of
from sonic_ops.picture.faces import Box
from sonic_ops.picture.landmarks import NUM_LANDMARKS
from sonic_ops.picture.portrait import Portrait
from sonic_ops.pipeline import SonicPipeline
from sonic_ops.sampling.decoding import decode_chunks
from tests.tiny import PORTRAIT_DECODER, make_tiny_weights


@pytest.fixture
def decoder() -> PortraitDecoder:
    torch.manual_seed(3)
    decoder = PortraitDecoder(**PORTRAIT_DECODER | {"latent_channels": 8}).eval()
    torch.nn.init.normal_(decoder.rig.move_basis, std=0.1)
    return decoder


def landmarks(aspect: float = 1.5) -> torch.Tensor:
    """A face of random shape in the middle of the image."""
    return 0.3 * torch.randn(NUM_LANDMARKS, 2) * torch.tensor([aspect, 1.0])


@torch.inference_mode()
def test_frames_see_no_more_than_their_context(decoder: PortraitDecoder) -> None:
    """Poses are smoothed over 4 frames to both sides, so chunks with as many are the whole."""
    torch.manual_seed(0)
    latents, picture = torch.randn(13, 8, 4, 6), torch.rand(3, 64, 96) * 2 - 1
    reference = decoder.refer(picture, torch.randn(1, 8, 4, 6), landmarks())
    whole = decoder.decode(latents, reference)

    def in_chunks(context_frames: int) -> Layers:
        config = DecodingConfig(chunk_frames=5, context_frames=context_frames)
        chunks = decode_chunks(decode, read, range(13), 13, config)
        return np.concatenate([*chunks])

    def decode(frames: torch.Tensor, own: slice) -> Layers:
        return decoder.decode(frames, reference, own)

    def read(start: int, stop: int) -> torch.Tensor:
        return latents[start:stop]

    def differs(layers: Layers) -> float:
        return float(np.abs(layers["flow"].astype(float) - whole["flow"]).max())

    assert differs(in_chunks(SMOOTHED_FRAMES)) < 1e-5  # the last bits depend on how many are given
    assert differs(in_chunks(0)) > 5e-5
    assert not np.array_equal(whole[0], whole[1])


@torch.inference_mode()
def test_smoothing_takes_away_tremor_and_keeps_what_is_slow() -> None:
    decoder = PortraitDecoder(**PORTRAIT_DECODER)
    slow, tremor = torch.linspace(0, 1, 30)[:, None], 0.1 * (-1) ** torch.arange(30)[:, None]
    found = decoder.smoothed((slow + tremor).expand(-1, 5))
    assert torch.allclose(found[:, 0], (slow + tremor)[:, 0], atol=1e-6)  # a span of 0
    assert torch.allclose(found[4:-4, 2], slow[4:-4, 0], atol=0.01)  # a span of 2 frames


@torch.inference_mode()
def test_frames_have_the_size_of_the_portrait(decoder: PortraitDecoder) -> None:
    picture = torch.rand(3, 160, 240) * 2 - 1
    reference = decoder.refer(picture, torch.randn(1, 8, 4, 6), landmarks())
    layers = decoder.decode(torch.randn(2, 8, 4, 6), reference)
    assert layers["mask"].shape == (2, 64, 96)
    assert frames_of(layers, reference).shape == (2, 3, 160, 240)


@torch.inference_mode()
def test_pixels_come_from_the_portrait(decoder: PortraitDecoder) -> None:
    """Colours that the network never reads, since they are finer than what it sees, are there."""
    picture = torch.zeros(3, 256, 256)
    picture[:, ::2] = 1
    reference = decoder.refer(picture, torch.randn(1, 8, 4, 4), landmarks(1.0))
    frame = frames_of(decoder.decode(torch.zeros(1, 8, 4, 4), reference), reference)[0]
    assert (frame[:, 1:] - frame[:, :-1]).abs().mean() > 0.1


@torch.inference_mode()
def test_lids_blink_and_do_not_stay_shut() -> None:
    decoder = PortraitDecoder(**PORTRAIT_DECODER | {"brief": (1,)})
    poses = torch.zeros(30, 5)
    poses[5:8, 1] = 1  # a blink
    poses[15:30, 1] = 1  # for longer than anybody blinks
    poses[10, 1] = 0.3  # what is read of open lids
    found = decoder.with_brief_blinks(poses)
    assert found[5:8, 1].tolist() == [1, 1, 1]
    assert found[10, 1] == 0
    assert found[19:, 1].max() == 0
    assert torch.equal(found[:, 0], poses[:, 0])


@torch.inference_mode()
def test_what_is_shown_is_a_pose_that_was_learnt() -> None:
    """Whatever is read: here a jaw that is open three times as far, and lids that never open."""
    decoder = PortraitDecoder(**PORTRAIT_DECODER | {"brief": (1,), "smoothing": ()}).eval()
    torch.nn.init.normal_(decoder.rig.move_basis, std=0.1)
    last = cast(nn.Linear, decoder.reader.last[-1])
    torch.nn.init.zeros_(last.weight)
    last.bias.copy_(torch.tensor([3.0, 1.0, 0.5, 0.0, -3.0]))
    latents = torch.randn(12, 4, 4, 6)
    reference = decoder.refer(torch.rand(3, 64, 96) * 2 - 1, latents[:1], landmarks())
    wanted = torch.tensor([[1.2, 0.0, 0.5, 0.0, -1.2]]).expand(12, -1)
    found, expected = decoder(latents, reference), decoder.at_pose(wanted, reference)
    assert torch.equal(found.flow_N2hw, expected.flow_N2hw)


@torch.inference_mode()
def test_faint_paint_is_left_out(decoder: PortraitDecoder) -> None:
    reference = decoder.refer(torch.rand(3, 64, 64) * 2 - 1, torch.randn(1, 8, 4, 4), landmarks())
    torch.nn.init.zeros_(decoder.layers.paint.weight)
    masks = []
    for bias in (-1.0, 3.0):  # 5 % and 73 % of paint
        torch.nn.init.constant_(cast(torch.Tensor, decoder.layers.paint.bias), bias)
        masks.append(decoder(torch.randn(1, 8, 4, 4), reference).mask_N1HW)
    assert masks[0].max() == 0
    assert masks[1].mean().item() == pytest.approx(0.70, abs=0.01)


def portrait(larger: torch.Tensor | None) -> Portrait:
    face = torch.ones(64, 64)
    box = Box(0, 0, 64, 64)
    image, clip = torch.zeros(3, 64, 64), torch.zeros(3, 224, 224)
    return Portrait(image, face, clip, box, 1, (0, 0, 64, 64), larger)


def test_weights_whose_decoder_reads_no_portrait_say_so(tmp_path: Path) -> None:
    models = SonicPipeline.load(ModelsConfig(weights=str(make_tiny_weights(tmp_path / "tiny"))))
    assert models.encode_reference(portrait(None)) is None
    with pytest.raises(ConfigError, match="model_resolution"):
        models.encode_reference(portrait(torch.zeros(3, 128, 128)))
    with pytest.raises(ConfigError, match="layers"):
        models.decode_layers(torch.zeros(1, 4, 8, 8), reference=None)
