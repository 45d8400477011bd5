"""The bundle: all that training needs in one file, and weights back in small ones."""

import lzma
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from sonic_ops.audio.whisper import log_mel
from sonic_ops.core.errors import ConfigError
from training.data import bundle, dataset
from training.data.features import (
    AFTER,
    BEFORE,
    load_encoder,
    pack_mel,
    token_rows,
    unpack_mel,
)
from training.fit.options import PACKAGED_ENCODER

SECONDS = 2
NUM_TOKENS = 50 * SECONDS


@pytest.fixture(scope="module")
def audio() -> np.ndarray:
    rng = np.random.default_rng(0)
    time = np.arange(16_000 * SECONDS) / 16_000
    voice = np.sign(np.sin(2 * np.pi * 120 * time)) * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * time))
    return (0.2 * voice + 0.005 * rng.standard_normal(len(time))).astype(np.float32)


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A folder in the place of the speech encoder, whose size would only take time."""
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "model.safetensors").write_bytes(np.random.default_rng(0).bytes(99_000))
    return tmp_path / "encoder"


@pytest.fixture
def run(tmp_path: Path, audio: np.ndarray) -> Path:
    """A run with one clip of speech."""
    dataset.save_arrays(
        tmp_path / "run" / "speech-0",
        features=np.zeros((9, 5, 384), np.float16),
        mels=pack_mel(log_mel(audio), NUM_TOKENS),
        lengths=np.array([NUM_TOKENS]),
    )
    return tmp_path / "run"


def test_a_mel_of_one_byte_gives_the_same_features(audio: np.ndarray) -> None:
    mel = log_mel(audio)
    again = unpack_mel(pack_mel(mel, NUM_TOKENS))
    assert again.shape == mel.shape
    error = (again - mel).abs()
    assert error[:, : 2 * NUM_TOKENS].max() <= 0.0151
    assert error[:, 2 * NUM_TOKENS + 2 :].max() <= 0.0151
    encoder = load_encoder(PACKAGED_ENCODER)
    exact, near = (token_rows(encoder, m, NUM_TOKENS).float() for m in (mel, again))
    assert (exact - near).square().mean().sqrt() < 0.1 * exact.std()  # training itself adds 0.15


def test_a_bundle_brings_code_packages_encoder_and_speech(
    tmp_path: Path, run: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "sketch.tar.xz"
    size = bundle.write_bundle(target, run, encoder, packages=("sniffio",))
    assert size == target.stat().st_size < bundle.MOST_BYTES
    with lzma.open(target) as file, tarfile.open(fileobj=file) as archive:
        names = set(archive.getnames())
    assert {"code/training/__main__.py", "speech/speech-0/mels.npy"} <= names
    assert "speech/speech-0/features.npy" not in names
    monkeypatch.setattr("sys.path", [])
    brought = bundle.open_bundle(target, tmp_path / "there")
    assert (brought / "model.safetensors").stat().st_size == 99_000
    assert bundle.open_bundle(target, tmp_path / "there") == brought
    assert (tmp_path / "there" / "site" / "sniffio" / "__init__.py").is_file()
    dataset.write_features(tmp_path / "there" / "speech-0", PACKAGED_ENCODER)
    features = np.load(tmp_path / "there" / "speech-0" / "features.npy")
    assert features.shape[1:] == (5, 384)
    assert not features[:BEFORE].any()
    assert not features[-AFTER:].any()
    assert features[BEFORE:-AFTER].astype(np.float32).std() > 0.1


def test_a_bundle_above_the_limit_is_refused(
    tmp_path: Path, run: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "MOST_BYTES", 100_000)
    with pytest.raises(ConfigError, match="MB are allowed"):
        bundle.write_bundle(tmp_path / "sketch.tar.xz", run, encoder, packages=())
    assert not list(tmp_path.glob("sketch*"))


def test_weights_come_back_in_small_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "PART_BYTES", 30_000)
    torch.save(torch.arange(20_000), tmp_path / "weights.pt")
    (tmp_path / "export").mkdir()
    (tmp_path / "weights.pt").rename(tmp_path / "export" / "weights.pt")
    parts = bundle.write_parts(tmp_path / "export", tmp_path / "out", "sketch")
    assert len(parts) > 2
    assert max(part.stat().st_size for part in parts) == 30_000
    whole = tmp_path / "whole.tar"
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    with tarfile.open(whole) as archive:
        bundle.extract(archive, tmp_path / "back")
    back = torch.load(tmp_path / "back" / "sketch" / "weights.pt", weights_only=True)
    assert torch.equal(back, torch.arange(20_000))


@pytest.mark.slow
def test_training_needs_only_what_the_bundle_brings() -> None:
    absent = [
        "soxr",
        "av",
        "soundfile",
        "librosa",
        "pydantic",
        "fsspec",
        "pyarrow",
        "prefect",
        "ray",
    ]
    code = (
        f"import sys\nsys.modules.update(dict.fromkeys({absent}))\n"
        "import training.__main__, training.fit.stages\n"
    )
    # `None` in sys.modules makes an import fail.
    subprocess.run([sys.executable, "-c", code], check=True)
