"""Weights of strangers: damaged, lying or huge ones are a wrong run, and never tried again."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sonic_ops.core.config import ModelsConfig
from sonic_ops.core.errors import ConfigError
from sonic_ops.interpolation.rife import load_flownet
from sonic_ops.models.loading import build_network, load_networks
from sonic_ops.released.check import check_weights
from tests.security.measure import peak_mb
from tests.tiny import make_tiny_weights


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole weights folder."""
    return make_tiny_weights(tmp_path_factory.mktemp("weights"))


def with_header(header: bytes, rest: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + rest


def entry(shape: list[int], offsets: list[int]) -> bytes:
    return json.dumps({"a": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}).encode()


DAMAGED = {
    "empty": b"",
    "short": b"\0" * 7,
    "length without end": struct.pack("<Q", 2**63) + b"{}",
    "length of gigabytes": struct.pack("<Q", 2**32) + b"{}",
    "no JSON": with_header(b"{" * 100),
    "nested": with_header(b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    "offsets outside": with_header(entry([4], [0, 16])),
    "huge shape": with_header(entry([2**40], [0, 16]), bytes(16)),
    "shape overflows": with_header(entry([2**33, 2**33], [0, 16]), bytes(16)),
    "negative": with_header(entry([-1], [0, 16]), bytes(16)),
    "unknown type": with_header(
        b'{"a":{"dtype":"X","shape":[4],"data_offsets":[0,16]}}', bytes(16)
    ),
    "a pickle": b"\x80\x04cos\nsystem\n(S'touch /tmp/owned'\ntR.",
    "text": b"not a safetensors file at all, whatever its name says",
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize("part", ["unet", "vae", "audio2token", "rife"])
def test_damaged_weights_are_a_wrong_run(
    tmp_path: Path, tiny: Path, part: str, content: bytes
) -> None:
    folder = shutil.copytree(tiny, tmp_path / "weights")
    files = sorted((folder / part).glob("*.safetensors"))
    path = files[0] if files else folder / part / "flownet.safetensors"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        load_networks(ModelsConfig(weights=str(folder)))
    assert str(folder) in str(raised.value)


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_damaged_weights_are_named_by_the_check(tmp_path: Path, tiny: Path, content: bytes) -> None:
    folder = shutil.copytree(tiny, tmp_path / "weights")
    path = next((folder / "unet").glob("*.safetensors"))
    path.write_bytes(content)
    (report,) = (report for report in check_weights(folder) if report.name == "unet")
    assert report.problem.startswith(f"{path} cannot be read")


@pytest.mark.parametrize(
    "change", [lambda w: w[:1], lambda w: w.reshape(-1), lambda w: w[..., None]]
)
def test_weights_of_other_shapes_are_a_wrong_run(
    tmp_path: Path, tiny: Path, change: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    folder = shutil.copytree(tiny, tmp_path / "weights")
    path = next((folder / "unet").glob("*.safetensors"))
    weights = load_file(path)
    name = max(weights, key=lambda name: weights[name].dim())
    save_file(weights | {name: change(weights[name]).contiguous()}, path)
    with pytest.raises(ConfigError, match="of another shape"):
        load_networks(ModelsConfig(weights=str(folder)))


def test_a_truncated_flow_network_is_a_wrong_run(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(DAMAGED["offsets outside"])
    with pytest.raises(ConfigError):
        load_flownet(tmp_path)


@pytest.mark.parametrize("value", [2**40, -1, "x", None, [], 1e400])
def test_a_configuration_of_any_size_costs_no_memory(
    tmp_path: Path, tiny: Path, value: object
) -> None:
    folder = shutil.copytree(tiny, tmp_path / "weights")
    path = folder / "audio2token" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"intermediate_dim": value}))
    with pytest.raises(ConfigError):
        load_networks(ModelsConfig(weights=str(folder)))


def test_a_nested_configuration_is_a_sentence(tmp_path: Path, tiny: Path) -> None:
    folder = shutil.copytree(tiny, tmp_path / "weights")
    (folder / "unet" / "config.json").write_text('{"a":' * 100_000)
    with pytest.raises(ConfigError, match="cannot be read"):
        build_network(folder, "unet")


@pytest.mark.slow
def test_a_header_of_a_hundred_megabytes_stays_below_two_gigabytes(tmp_path: Path) -> None:
    names = b",".join(
        b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % n for n in range(500_000)
    )
    (tmp_path / "a.safetensors").write_bytes(with_header(b"{" + names + b"}"))
    code = "from pathlib import Path\nfrom sonic_ops.models.inventory import stored_shapes\n"
    code += f"assert len(stored_shapes(Path({str(tmp_path)!r}).iterdir())[0]) == 500_000"
    assert peak_mb(code) < 2048
