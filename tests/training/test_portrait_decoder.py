"""Training of the portrait decoder: what is drawn belongs together, and all weights learn."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sonic_ops.models.portrait_decoder import PortraitDecoder
from tests.tiny import PORTRAIT_DECODER
from training.data.albums import SIZE, Album, people
from training.data.remade import FRAMES, Remade, read_remade, write_remade
from training.evaluation.rendering import preset_with, renderer_of
from training.fit.autoencoder import make_autoencoder
from training.fit.export import write_part
from training.fit.portrait_decoder import decoder_loss, draw_batch, draw_remade
from training.fit.weights import start_portrait_decoder
from training.people.people import is_held_out

MOUTH, EYES = (90, 160), (140, 100)


@pytest.fixture
def album() -> Album:
    """Two people of one colour each, with a white dot for a mouth and a black one for eyes."""
    rng = np.random.default_rng(0)
    pictures = np.zeros((2, 5, SIZE, SIZE, 3), np.uint8)
    pictures += rng.integers(90, 160, (2, 5, 1, 1, 1), np.uint8)
    for (x, y), colour in ((MOUTH, 255), (EYES, 0)):
        pictures[:, :, y - 4 : y + 4, x - 4 : x + 4] = colour
    mouths, eyes = (np.tile(np.array(p, np.float32), (2, 5, 1)) for p in (MOUTH, EYES))
    return Album(pictures, mouths, eyes)


def test_places_go_with_the_pictures(album: Album) -> None:
    batch = draw_batch(album, np.random.default_rng(1), 6)
    assert len({tuple(mouth) for mouth in batch.mouths.round().tolist()}) > 3
    for frame, mouth, eye in zip(batch.frames, batch.mouths, batch.eyes, strict=True):
        (mx, my), (ex, ey) = mouth.round().int().tolist(), eye.round().int().tolist()
        assert frame[0, my, mx] > 0.9
        assert frame[0, ey, ex] < -0.9


@pytest.fixture
def clip(album: Album) -> Remade:
    """One of these people, with latents that the UNet might have made."""
    rng = np.random.default_rng(3)
    latents, own = (rng.standard_normal((n, 8, 16, 16), np.float32) for n in (4, 1))
    return Remade(album.pictures[0], latents, own, album.mouths[0, :4], album.eyes[0, :4])


def test_latents_go_with_their_frames(clip: Remade) -> None:
    batch = draw_remade([clip], np.random.default_rng(1), 3)
    assert batch.latents is not None
    for frame, latents in zip(batch.frames, batch.latents[0], strict=True):
        number = [np.array_equal(latents, part) for part in clip.latents].index(True)
        colour = clip.pictures[number, 0, 0] / 127.5 - 1
        np.testing.assert_allclose(frame[:, 0, 0], colour, atol=1e-6)


@pytest.mark.parametrize("remade", [0.0, 1.0])
def test_all_weights_learn(
    album: Album, clip: Remade, remade: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.fit.portrait_decoder._REMADE", remade)
    torch.manual_seed(0)
    decoder = PortraitDecoder(**PORTRAIT_DECODER | {"latent_channels": 8})
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    vae = make_autoencoder().requires_grad_(False)
    loss = decoder_loss(decoder, vae, [album], [clip])(torch.Generator().manual_seed(0))
    loss.backward()
    still = [name for name, p in decoder.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still


@torch.inference_mode()
def test_the_unet_remakes_what_was_painted(tmp_path: Path) -> None:
    """Its latents move as the true ones do, and are not the same."""
    pipe = renderer_of(preset_with("lite", None)).pipe
    write_remade(tmp_path / "clip", pipe, 33_000_001)
    (clip,) = read_remade([tmp_path / "clip"])
    assert len(clip.pictures) == len(clip.latents) + 1 == FRAMES + 1
    shown = torch.from_numpy(clip.pictures[:-1].copy()).movedim(-1, 1) / 127.5 - 1
    true = pipe.encode_image(torch.nn.functional.avg_pool2d(shown, 2)).numpy()
    found = np.corrcoef((clip.latents - clip.own).ravel(), (true - clip.own).ravel())[0, 1]
    assert 0.6 < found < 0.98  # 0.77; 0.45 if it starts from noise alone


@torch.inference_mode()
def test_more_blocks_begin_as_the_decoder_that_they_are_added_to(tmp_path: Path) -> None:
    torch.manual_seed(0)
    small = PortraitDecoder(**PORTRAIT_DECODER)
    for parameter in small.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    write_part(tmp_path, small.half().float())
    grown = start_portrait_decoder(tmp_path, (2, 2, 1, 1, 3))
    latents, portrait = torch.randn(2, 4, 4, 4), torch.rand(3, 64, 64) * 2 - 1
    found = [d.decode(latents, d.refer(portrait, latents[:1])) for d in (small, grown)]
    assert len(grown.state_dict()) > len(small.state_dict())
    assert all(np.array_equal(found[0][name], found[1][name]) for name in ("flow", "paint"))


def test_held_out_people_are_apart() -> None:
    seen, unseen = people(70, 30, held_out=False), people(70, 30, held_out=True)
    assert len(seen) == len(unseen) == 30
    assert not set(seen) & set(unseen)
    assert all(is_held_out(seed) for seed in unseen)
