"""Files that say whether they are whole, and that others can read."""

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from cluster.storage import artifacts
from sonic_ops.audio.resampling import num_samples_in
from sonic_ops.core.errors import DamagedFileError, RenderError
from sonic_ops.media.muxing import EncodeSettings, encode_frames

TENSORS = {
    "latents": torch.arange(6.0).reshape(2, 3),
    "half": torch.ones(3, dtype=torch.float16),
    "step": torch.tensor(4),
}


def test_what_is_written_is_read_here_and_elsewhere(tmp_path: Path) -> None:
    url = artifacts.write_tensors(str(tmp_path / "a" / "t.safetensors"), lambda: TENSORS)
    for found in (artifacts.read_tensors(url), load_file(url)):
        assert all(torch.equal(found[name], tensor) for name, tensor in TENSORS.items())
    assert artifacts.read_tensors(url).keys() == TENSORS.keys()


def test_a_change_of_any_byte_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    artifacts.write_tensors(str(path), lambda: TENSORS)
    content = path.read_bytes()
    for index in range(len(content)):
        path.write_bytes(content[:index] + bytes([content[index] ^ 1]) + content[index + 1 :])
        with pytest.raises(DamagedFileError, match=r"t\.safetensors is damaged"):
            artifacts.read_tensors(str(path))


@pytest.mark.parametrize("length", [0, 7, 31, 32, 100])
def test_a_file_that_is_cut_off_is_seen(tmp_path: Path, length: int) -> None:
    path = tmp_path / "t.safetensors"
    artifacts.write_tensors(str(path), lambda: TENSORS)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DamagedFileError):
        artifacts.read_tensors(str(path))
    with pytest.raises(DamagedFileError), artifacts.fetched_whole(str(path)):
        pass


def test_a_file_that_exists_is_not_made_again(tmp_path: Path) -> None:
    url = str(tmp_path / "t.safetensors")
    artifacts.write_tensors(url, lambda: TENSORS)

    def never() -> dict[str, torch.Tensor]:
        raise AssertionError("made again")

    assert artifacts.write_tensors(url, never) == url


def test_audio_that_was_cut_off_is_seen_and_a_whole_one_is_read_by_all(tmp_path: Path) -> None:
    path, samples = tmp_path / "a.wav", np.linspace(-1, 1, 16_000, dtype=np.float32)
    artifacts.write_audio(
        str(path), lambda draft: soundfile.write(draft, samples, 16_000, subtype="FLOAT")
    )
    content = path.read_bytes()
    assert int.from_bytes(content[4:8], "little") == len(content) - 8
    assert np.array_equal(soundfile.read(path, dtype="float32")[0], samples)
    assert num_samples_in(path) == len(samples)
    with artifacts.fetched_whole(str(path)):
        path.write_bytes(content[: len(content) // 2])
    assert 0 < num_samples_in(path) < len(samples)  # what reads audio does not see it
    with pytest.raises(DamagedFileError), artifacts.fetched_whole(str(path)):
        pass


def test_a_store_that_does_not_answer_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(RenderError) as caught:
        artifacts.read_tensors(str(tmp_path / "folder"))
    assert not isinstance(caught.value, DamagedFileError)


def test_what_fails_while_a_file_is_used_is_not_its_fault(tmp_path: Path) -> None:
    url = artifacts.write_tensors(str(tmp_path / "t.safetensors"), lambda: TENSORS)
    with pytest.raises(FileNotFoundError), artifacts.fetched_whole(url):
        (tmp_path / "no such file").read_bytes()


def test_a_video_plays_with_its_checksum(tmp_path: Path) -> None:
    pictures = np.zeros((3, 64, 64, 3), np.uint8)
    settings = EncodeSettings(preset="ultrafast")
    target = str(tmp_path / "v.mp4")
    artifacts.write_video(target, lambda path: encode_frames(pictures, path, settings))
    with artifacts.fetched_whole(target) as path, av.open(str(path)) as container:
        assert len(list(container.decode(video=0))) == 3
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DamagedFileError), artifacts.fetched_whole(target):
        pass


def test_what_exists_is_found_by_one_look_into_every_folder(tmp_path: Path) -> None:
    urls = [f"{tmp_path}/{folder}/{name}" for folder in "ab" for name in "xyz"]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "y").touch()
    assert artifacts.existing(urls) == {f"{tmp_path}/a/y"}
