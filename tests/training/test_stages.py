"""Every stage learns on a handful of data."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from flows.rows.config import load_preset
from sonic_ops.core.config import ModelsConfig
from sonic_ops.core.errors import ConfigError
from sonic_ops.core.weights import CHANGES, PACKAGE_WEIGHTS
from sonic_ops.models.loading import load_networks
from sonic_ops.models.unet import AudioUNet
from sonic_ops.released.check import check_weights
from training.data.dataset import Pictures, Speech, save_arrays
from training.data.features import AFTER, BEFORE
from training.fit import audio_head, autoencoder, diffusion, stages, unet_stage, weights
from training.fit.export import write_changes
from training.fit.loop import Budget, Loss
from training.fit.options import PACKAGED_ENCODER, add_options, run_of
from training.people.motion import NUM_CHANNELS

NUM_TOKENS = 80


def mean_loss(loss: Loss) -> float:
    with torch.no_grad():
        return float(sum(loss(torch.Generator().manual_seed(seed)) for seed in range(4)))


@pytest.fixture(scope="module")
def speech() -> Speech:
    rng = np.random.default_rng(0)
    tracks = np.cumsum(rng.standard_normal((NUM_TOKENS + BEFORE + AFTER, NUM_CHANNELS)), 0) / 9
    mixing = rng.standard_normal((NUM_CHANNELS, 5 * 384)) / 4
    features = (tracks @ mixing).reshape(-1, 5, 384)
    return Speech(
        features=torch.from_numpy(features).half(),
        tracks=tracks.astype(np.float32),
        starts=np.array([BEFORE]),
        lengths=np.array([NUM_TOKENS]),
        amplitudes=np.array([[0.2, 0.9]], np.float32),
    )


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (2, 2, 8, 8, 3), np.uint8).repeat(16, 2).repeat(16, 3)
    mouths = np.full((2, 2, 2), 64, np.float32)
    boxes, amplitudes = np.tile([32, 32, 96, 96], (2, 1)), np.ones((2, 1, 2), np.float32)
    return Pictures(blocks, mouths, boxes, np.zeros((2, 1), int), amplitudes)


@pytest.fixture(scope="module")
def samples() -> diffusion.Samples:
    generator = torch.Generator().manual_seed(0)
    return diffusion.Samples(
        latents=torch.randn(3, 5, 8, 16, 16, generator=generator).half(),
        mouths=torch.full((3, 5, 2), 64.0),
        boxes=torch.tensor([[30.0, 30.0, 98.0, 100.0]]).expand(3, 4),
        rows=torch.randint(0, 20, (3, 4), generator=generator),
        amplitudes=torch.rand(3, 4, 2, generator=generator),
        tokens=torch.randn(21, 8, 64, generator=generator).half(),
        residual_scale=1.4,
    )


def test_the_autoencoder_learns(tmp_path: Path, pictures: Pictures) -> None:
    torch.manual_seed(1)
    vae = autoencoder.make_autoencoder()
    loss = autoencoder.whole_loss(vae, autoencoder.show(pictures, torch.device("cpu")), held=False)
    before = mean_loss(loss)
    autoencoder.train_whole(vae, pictures, tmp_path, Budget(steps=12), seed=1)
    assert mean_loss(loss) < 0.8 * before


@pytest.mark.slow
def test_latents_of_a_held_encoder_stay_near(tmp_path: Path, pictures: Pictures) -> None:
    x = autoencoder.to_tensor(pictures.pictures[:, 0])

    def moved(held: bool) -> float:
        torch.manual_seed(1)
        vae = autoencoder.make_autoencoder()
        before = vae.encode(x).latent
        folder = tmp_path / str(held)
        autoencoder.train_whole(vae, pictures, folder, Budget(steps=10), seed=1, held=held)
        return float((vae.encode(x).latent - before).square().mean().detach())

    assert moved(True) < 0.8 * moved(False)


def test_a_crop_is_a_piece_of_a_picture(pictures: Pictures) -> None:
    shown = autoencoder.show(pictures, torch.device("cpu"))
    crops, weights = autoencoder.draw_crops(shown, torch.Generator().manual_seed(3))
    assert crops.shape[1:] == (3, 64, 64)
    assert weights.shape == (len(crops), 1, 64, 64)
    assert weights.min() >= 1
    assert 3 < weights.max() <= 4
    # A crop of the 16-pixel blocks keeps their colours, also mirrored and with channels exchanged.
    known = set(pictures.pictures.reshape(-1).tolist())
    seen = ((crops + 1) * 127.5).round().int().unique().tolist()
    assert set(seen) <= known


def test_latents_become_normal_and_pictures_stay(pictures: Pictures) -> None:
    torch.manual_seed(0)
    vae = autoencoder.make_autoencoder()
    x = autoencoder.to_tensor(pictures.pictures[:, 0])
    with torch.no_grad():
        before = vae.decode(vae.encode(x).latent).sample
        autoencoder.normalise_latents(vae, x)
        z = vae.encode(x).latent
        after = vae.decode(z).sample
    assert z.mean((0, 2, 3)).abs().max() < 1e-4
    assert z.std((0, 2, 3)).sub(1).abs().max() < 1e-4
    # Zero padding of the decoder's first layer means another latent now, so borders may differ.
    inside = (..., slice(24, -24), slice(24, -24))
    assert (before - after)[inside].abs().mean() < 0.05 * before[inside].abs().mean()


def test_the_audio_head_learns(tmp_path: Path, speech: Speech) -> None:
    torch.manual_seed(3)
    reader = audio_head.MouthReader()
    loss = audio_head.mouth_loss(reader, speech)
    before = mean_loss(loss)
    audio_head.train_token_head(reader, speech, tmp_path, Budget(steps=20), seed=3)
    assert mean_loss(loss) < 0.9 * before


def test_the_motion_controller_learns(tmp_path: Path, speech: Speech) -> None:
    torch.manual_seed(4)
    head = audio_head.make_bucket_head()
    loss = audio_head.bucket_loss(head, speech)
    before = mean_loss(loss)
    audio_head.train_bucket_head(head, speech, tmp_path, Budget(steps=20), seed=4)
    assert mean_loss(loss) < 0.7 * before


def unet_loss(unet: AudioUNet, samples: diffusion.Samples, num_frames: int) -> float:
    return mean_loss(
        diffusion.denoising_loss(
            unet, lambda: samples, num_samples=2, num_frames=num_frames, mean=0.0
        )
    )


@pytest.mark.slow
def test_the_unet_learns_frames_and_then_windows(
    tmp_path: Path, samples: diffusion.Samples
) -> None:
    frames = unet_stage.make_unet(seed=5)
    fresh = unet_loss(frames, samples, 1)
    unet_stage.train_frames(
        lambda: samples, frames, tmp_path / "frames", Budget(steps=40), seed=5, per_step=3
    )
    assert unet_loss(frames, samples, 1) < 0.98 * fresh
    windows = unet_stage.make_unet(seed=5)
    start = {name: value.clone() for name, value in windows.named_parameters()}
    unet_stage.train_windows(
        lambda: samples, windows, tmp_path / "windows", Budget(steps=3), seed=6,
        windows=unet_stage.Windows(per_step=1, frames=3, guidance=2.0),
    )  # fmt: skip
    mixed = {name: value for name, value in windows.named_parameters() if "mix_factor" in name}
    assert any(not torch.equal(value, start[name]) for name, value in mixed.items())


def test_guidance_moves_the_target_away_from_silence(samples: diffusion.Samples) -> None:
    unet = unet_stage.make_unet(seed=5)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in unet.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    plain, same, guided = (
        mean_loss(
            diffusion.denoising_loss(
                unet, lambda: samples, num_samples=2, num_frames=2, mean=0.0, guidance=scale
            )
        )
        for scale in (1.0, 1.0, 2.0)
    )
    assert plain == same != guided


def test_at_rest_the_head_keeps_its_bucket(samples: diffusion.Samples) -> None:
    generator = torch.Generator().manual_seed(0)
    batch = diffusion.draw_batch(samples, generator, num_samples=2, num_frames=2)
    resting = batch.at_rest()
    assert torch.equal(resting.ids_B3[:, :2], batch.ids_B3[:, :2])
    assert batch.ids_B3[:, 1:].min() > 0 == resting.ids_B3[:, 2].abs().max()
    assert torch.equal(resting.audio_BTKE[0, 1], samples.tokens[-1].float())


def test_only_named_parts_of_the_budget_are_spent(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser)
    options = parser.parse_args(["--budget-min", "5", "--shares", "decoder=1,guided=4"])
    run = run_of(options, tmp_path)
    assert [run.share(name).seconds for name in ("frames", "decoder", "guided")] == [0, 60, 240]
    wrong = {
        "brows=1": "brows: choose from autoencoder, ",
        "guided=0": "more than 0",
        "guided": "a number",
    }
    for text, said in wrong.items():
        with pytest.raises(argparse.ArgumentError, match=said):
            parser.parse_args(["--shares", text])


def test_temporal_layers_change_nothing_before_they_learn(samples: diffusion.Samples) -> None:
    unet = unet_stage.make_unet(seed=5)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if not unet_stage.is_temporal(name):
                parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
        batch = diffusion.draw_batch(samples, generator, num_samples=2, num_frames=3)
        sigma = diffusion.draw_sigma(2, generator, mean=0.0)
        whole = diffusion.predict(diffusion.Denoiser(unet), batch, batch.y_BTCHW, sigma)
        unet_stage.skip_time(unet)
        spatial = diffusion.predict(diffusion.Denoiser(unet), batch, batch.y_BTCHW, sigma)
    assert whole.std() > 0.1
    assert torch.allclose(whole, spatial, atol=1e-4)


def test_v_gives_back_what_was_noised() -> None:
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(2, 3, 4, 5, 5, generator=generator)
    sigma = torch.tensor([0.3, 4.0])
    noisy, v = diffusion.add_noise(y, sigma, generator, shared_B=torch.full((2,), 0.5))
    s = sigma[:, None, None, None, None]
    assert torch.allclose(noisy / (s * s + 1) - v * s / (s * s + 1).sqrt(), y, atol=1e-5)


def test_half_of_the_noise_is_shared() -> None:
    generator = torch.Generator().manual_seed(0)
    zero, sigma = torch.zeros(4, 2, 8, 16, 16), torch.ones(4)
    noise, _ = diffusion.add_noise(zero, sigma, generator, shared_B=torch.full((4,), 0.5))
    both = torch.stack([noise[:, 0].flatten(), noise[:, 1].flatten()])
    assert float(torch.corrcoef(both)[0, 1]) == pytest.approx(0.5, abs=0.05)
    assert float(noise.std()) == pytest.approx(1.0, abs=0.05)


def feeding(folder: Path, samples: diffusion.Samples, start: Path | None) -> stages.Run:
    """A run whose latents are made; it goes on from `start`."""
    arrays = ("latents", "mouths", "boxes", "rows", "amplitudes")
    shard = {name: getattr(samples, name).numpy() for name in arrays}
    save_arrays(folder / "latents-windows-0", **shard)
    torch.save(samples.tokens, folder / "tokens.pt")
    return stages.Run(folder, PACKAGED_ENCODER, budget_s=1, start=start, gpu=False)


def test_a_run_that_goes_on_from_weights_has_the_scale_that_they_have_learnt_with(
    tmp_path: Path, samples: diffusion.Samples
) -> None:
    scales = []
    start = None
    for name, gain in (("first", 1.0), ("next", 1.2)):
        folder = tmp_path / name
        folder.mkdir()
        spread = replace(samples, latents=samples.latents * gain)
        run = feeding(folder, spread, start)
        scales.append(stages.fed(run, [stages.WINDOWS])().residual_scale)
        autoencoder.make_autoencoder().save_pretrained(folder / "vae")
        stages.export(run)
        start = folder / "export"
    assert scales[0] == pytest.approx(2**0.5, rel=0.05)  # its own spread
    assert scales[1] == scales[0] == weights.start_scale(start)
    other = tmp_path / "still"
    other.mkdir()
    still = replace(samples, latents=samples.latents / 2)
    with pytest.raises(ConfigError, match="not by about"):
        stages.fed(feeding(other, still, start), [stages.WINDOWS])


def test_frozen_layers_stay(tmp_path: Path, samples: diffusion.Samples) -> None:
    unet = unet_stage.make_unet(seed=5)
    start = {name: value.clone() for name, value in unet.named_parameters()}
    windows = unet_stage.Windows(per_step=1, frames=2, frozen=("time_pos", "time_embedding"))
    unet_stage.train_windows(
        lambda: samples, unet, tmp_path, Budget(steps=2), seed=6, windows=windows
    )
    moved = {k for k, v in unet.named_parameters() if not torch.equal(v, start[k])}
    assert any("spatial_res_block" in name for name in moved)
    assert not any(part in name for name in moved for part in windows.frozen)


def test_drawn_and_rendered_people_are_trained_together(
    tmp_path: Path, samples: diffusion.Samples
) -> None:
    run = feeding(tmp_path, samples, None)
    heads = replace(samples, latents=samples.latents[:2] * 0.5)
    arrays = ("latents", "mouths", "boxes", "rows", "amplitudes")
    save_arrays(tmp_path / "latents-heads-0", **{n: getattr(heads, n)[:2].numpy() for n in arrays})
    both = stages.fed(run, [stages.WINDOWS, stages.HEADS])()
    assert torch.equal(both.latents, torch.cat([samples.latents, heads.latents]))


def test_only_changed_weights_are_written_and_lie_over_those_of_the_base(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    base = PACKAGE_WEIGHTS / "sketch"
    (folder / "base.json").write_text(json.dumps({"weights": str(base)}))
    before, after = weights.start_unet(folder), weights.start_unet(folder)
    with torch.no_grad():
        after.unet.conv_out.bias.fill_(0.25)
    write_changes(folder / "unet", after.unet, before.unet)
    assert list(load_file(folder / "unet" / CHANGES)) == ["conv_out.bias"]
    for loaded in (
        weights.start_unet(folder),
        load_networks(ModelsConfig(weights=str(folder)))["unet"],
    ):
        assert loaded.unet.conv_out.bias.eq(0.25).all()
        assert torch.equal(loaded.unet.conv_in.weight, before.unet.conv_in.weight)
    assert not [report for report in check_weights(folder) if report.problem]
    assert weights.start_scale(folder) == weights.start_scale(base)


def test_the_model_that_ships_says_the_scale_of_its_preset() -> None:
    scale = weights.start_scale(PACKAGE_WEIGHTS / "sketch")
    assert scale == load_preset("sketch").sampling.residual_scale
