"""NaN in any network, or in one step of one segment, fails the row with a sentence.

Nothing of it is published. Networks that give only zeros are noted."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from cluster.config import ClusterConfig
from cluster.pool.base import Pool
from cluster.storage import artifacts
from cluster.video.pools import open_pool
from cluster.video.render import denoise_video
from cluster.video.worker import RenderWorker
from sonic_ops.core.config import DecodingConfig, ModelsConfig, SamplingConfig
from sonic_ops.core.errors import BrokenOutputError, DamagedFileError
from sonic_ops.core.finite import collecting_zeros, require_finite
from sonic_ops.core.presets import VideoConfig
from sonic_ops.models.unet import AudioUNet
from tests.cluster.conftest import Prepare
from tests.end_to_end.conftest import Bench, Ran
from tests.flows.conftest import FACE, SPEECH

SEGMENT, STEPS = 5, 3

# weights file, what the name of a weight begins with, what the sentence says
NETWORKS = {
    "unet": ("unet", "conv_out.", "The UNet gave numbers that are not finite (NaN or infinity) in "
             "step 1 of 2, frames 0 to 5 of segment 1 (frames 0 to 4)"),
    "vae-encoder": ("vae", "encoder.conv_out.", "The autoencoder's encoder gave"),
    "vae-decoder": ("vae", "decoder.conv_out.", "The decoder gave"),
    "audio2token": ("audio2token", "", "audio2token gave"),
    "audio2bucket": ("audio2bucket", "", "audio2bucket gave"),
    "image-encoder": ("image_encoder", "visual_projection.", "The image encoder gave"),
    "speech-encoder": ("speech_encoder", "layer_norm.", "The speech encoder gave"),
    "interpolation": ("rife", "", "The interpolation network gave"),
}  # fmt: skip


def changed(folder: Path, part: str, prefix: str, change: Callable[[Tensor], Tensor]) -> None:
    """Change the weights of a part whose names begin so."""
    (path,) = (folder / part).glob("*.safetensors")
    weights = load_file(path)
    names = [name for name in weights if name.startswith(prefix)]
    assert names
    save_file(weights | {name: change(weights[name]) for name in names}, path)


def one_nan(weight: Tensor) -> Tensor:
    weight = weight.clone()
    weight.view(-1)[0] = torch.nan
    return weight


def render(bench: Bench, folder: Path, weights: Path, **cells: object) -> Ran:
    row = {"id": "a", "portrait": str(FACE), "audio": str(SPEECH), "end": 0.8, "output": "a.mp4"}
    models = {"weights": str(weights)}
    preset = bench.preset(folder.name, models=models, media={"interpolation": "flow"})
    return bench.run(bench.manifest([row | cells], folder), preset)


def copied_weights(bench: Bench, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bench.folder / "weights", tmp_path / "weights"))


def assert_failed(ran: Ran, folder: Path, sentence: str) -> None:
    result = ran.results["a"]
    assert (ran.status, result["status"], result["attempts"]) == (1, "failed", 1)
    assert result["error_class"] == "BrokenOutputError"
    assert sentence in result["error"]
    assert result["remedy"].startswith("Check the weights")
    assert not list(folder.glob("a.*"))
    assert not list(folder.glob(".sonic/receipts/*"))


@pytest.mark.flow
@pytest.mark.parametrize("network", NETWORKS)
def test_nan_in_a_network_fails_the_row(bench: Bench, tmp_path: Path, network: str) -> None:
    part, prefix, sentence = NETWORKS[network]
    weights = copied_weights(bench, tmp_path)
    changed(weights, part, prefix, one_nan)
    assert_failed(render(bench, tmp_path, weights), tmp_path, sentence)


@pytest.mark.flow
def test_nan_in_one_step_of_one_segment_fails_the_row(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, calls = AudioUNet.forward, []

    def broken(self: AudioUNet, *arguments: Any, **options: Any) -> Tensor:
        made: Tensor = forward(self, *arguments, **options)
        calls.append(made.shape)
        if len(calls) == 3:  # the second window that starts in a segment of its own
            made[..., 0, 0, 0] = torch.nan
        return made

    weights = bench.folder / "weights"
    with monkeypatch.context() as patch:
        patch.setattr(AudioUNet, "forward", broken)
        ran = render(bench, tmp_path, weights)
    assert_failed(ran, tmp_path, " gave numbers that are not finite (NaN or infinity) in step ")
    assert " of segment " in ran.results["a"]["error"]
    again = render(bench, tmp_path, weights)  # the machine is well again
    assert again.results["a"]["status"] == "done"
    whole = render(bench, tmp_path / "whole", weights)
    assert whole.results["a"]["status"] == "done"
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "whole" / "a.mp4").read_bytes()


class FailingWorker(RenderWorker):
    """A worker whose UNet gives NaN in one step of one segment."""

    def __init__(self, models: ModelsConfig) -> None:
        super().__init__(models)
        self.broken = False
        self.pipe.unet.register_forward_hook(self._broken)

    def _broken(self, _network: object, _inputs: object, made: Tensor) -> Tensor:
        return made * torch.nan if self.broken else made

    def denoise(self, job: Any, *arguments: Any, **options: Any) -> Any:
        self.broken = (job.step, job.segment.index) == (1, 2)
        return super().denoise(job, *arguments, **options)


VIDEO = VideoConfig(
    sampling=SamplingConfig(steps=STEPS, window_frames=6, shift_frames=2),
    decoding=DecodingConfig(chunk_frames=4, context_frames=1),
    segment_frames=SEGMENT,
    checkpoint_every=1,
)


def test_step_and_segment_are_named_and_what_is_right_is_kept(
    models: ModelsConfig, local_pool: Pool, prepare: Prepare, tmp_path: Path
) -> None:
    request = prepare(20, tmp_path / "work")
    with (
        open_pool(ClusterConfig(workers=0), models, make_worker=FailingWorker) as pool,
        pytest.raises(BrokenOutputError) as caught,
    ):
        denoise_video(pool, request, VIDEO, lambda progress: None)
    assert "in step 2 of 3, frames " in caught.value.message
    assert caught.value.message.endswith(" of segment 3 (frames 10 to 14)")
    assert not list((tmp_path / "work").glob("latents/*"))
    assert list((tmp_path / "work").glob("checkpoints/001/*"))
    denoise_video(local_pool, request, VIDEO, lambda progress: None)
    other = prepare(20, tmp_path / "whole")
    denoise_video(local_pool, other, VIDEO, lambda progress: None)
    for path in (tmp_path / "work" / "latents").iterdir():
        assert path.read_bytes() == (tmp_path / "whole" / "latents" / path.name).read_bytes()


def test_what_is_not_finite_is_not_stored_and_what_was_stored_is_made_again(tmp_path: Path) -> None:
    target = str(tmp_path / "a.safetensors")
    for value in (torch.nan, torch.inf, -torch.inf):
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            made = torch.ones(3, dtype=dtype)
            made[1] = value
            with pytest.raises(
                BrokenOutputError, match=r"latents of .*a\.safetensors gave numbers"
            ):
                artifacts.write_tensors(target, lambda made=made: {"latents": made})  # type: ignore[misc]
    assert not list(tmp_path.iterdir())
    artifacts.write_tensors(target, lambda: {"latents": torch.ones(3)})
    assert artifacts.read_tensors(target)["latents"].tolist() == [1, 1, 1]
    content = bytearray(Path(target).read_bytes()[:-32])
    place = content.index(torch.ones(3).numpy().tobytes())
    content[place : place + 4] = torch.tensor([torch.nan]).numpy().tobytes()
    Path(target).write_bytes(content + hashlib.sha256(content).digest())
    with pytest.raises(DamagedFileError):
        artifacts.read_tensors(target)


def test_zeros_are_collected() -> None:
    with collecting_zeros() as names:
        require_finite(torch.zeros(3), "one")
        require_finite(torch.tensor([0.0, 1e-30]), "other")
    require_finite(torch.zeros(3), "nobody asks")
    assert names == {"one"}


@pytest.mark.flow
def test_networks_that_give_zeros_are_noted(bench: Bench, tmp_path: Path) -> None:
    weights = copied_weights(bench, tmp_path)
    changed(weights, "unet", "conv_out.", torch.zeros_like)
    changed(weights, "image_encoder", "visual_projection.", torch.zeros_like)
    result = render(bench, tmp_path, weights).results["a"]
    zeros = "gave nothing but zeros, which no trained network does: The UNet"
    assert zeros in result["notes"]
    assert "image encoder" not in result["notes"]  # right for the embedded models
