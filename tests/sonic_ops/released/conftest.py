"""The released files with every key, made of tiny networks, and a hub that gives them out."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sonic_ops.models.adapters import AudioToBucket, AudioToToken
from sonic_ops.released.sources import SOURCES, SVD, WHISPER
from tests.parity import recipe
from tests.sonic_ops.released.hub import Hub, files_below, serving
from tests.tiny import make_tiny_weights


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder laid out as the authors of Sonic recommend."""
    folder = tmp_path_factory.mktemp("released")
    make_released(make_tiny_weights(folder / "tiny"), folder / "files")
    return folder / "files"


@pytest.fixture
def hub(released: Path) -> Iterator[Hub]:
    """A hub with the three repositories."""
    files = files_below(released)
    repositories = {source.repository: dict[str, bytes]() for source in SOURCES}
    for source in SOURCES:
        start = f"{source.folder}/" if source.folder else "Sonic/"
        mine = {name: content for name, content in files.items() if name.startswith(start)}
        cut = len(source.folder) + 1 if source.folder else 0
        repositories[source.repository] = {name[cut:]: content for name, content in mine.items()}
        repositories[source.repository]["README.md"] = b"# Card\n"
        repositories[source.repository]["unused.safetensors"] = b"large and not needed"
    with serving(Hub(repositories)) as hub:
        yield hub


def make_released(tiny: Path, folder: Path) -> None:
    """Take a weights folder apart into what the authors publish."""
    (folder / "Sonic").mkdir(parents=True)
    torch.save(_weights(tiny / "unet"), folder / "Sonic" / "unet.pth")
    token = AudioToToken(channels=32, intermediate_dim=32, output_dim=32)
    bucket = AudioToBucket(channels=32, clip_channels=32, intermediate_dim=32)
    for name, adapter in (("audio2token", token), ("audio2bucket", bucket)):
        recipe.fill_(adapter, 3, ())
        torch.save(adapter.state_dict(), folder / "Sonic" / f"{name}.pth")
    for part in ("unet", "vae", "image_encoder"):
        _copy_config(tiny / part, folder / SVD / part)
    _copy_config(tiny / "scheduler", folder / SVD / "scheduler", "scheduler_config.json")
    vae = folder / SVD / "vae" / "diffusion_pytorch_model.safetensors"
    save_file(_weights(tiny / "vae"), vae)
    clip = {name: value.half() for name, value in _weights(tiny / "image_encoder").items()}
    save_file(clip, folder / SVD / "image_encoder" / "model.fp16.safetensors")
    _copy_config(tiny / "speech_encoder", folder / WHISPER)
    speech = {f"model.encoder.{n}": v for n, v in _weights(tiny / "speech_encoder").items()}
    save_file(speech | {"model.decoder.x": torch.ones(3)}, folder / WHISPER / "model.safetensors")


def _weights(folder: Path) -> dict[str, Tensor]:
    return {k: v for file in folder.glob("*.safetensors") for k, v in load_file(file).items()}


def _copy_config(source: Path, target: Path, name: str = "config.json") -> None:
    target.mkdir(parents=True)
    (target / name).write_text(json.dumps(json.loads((source / name).read_text())))
