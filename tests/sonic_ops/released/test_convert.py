"""The converted folder holds the released numbers under the names that are loaded, or nothing."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sonic_ops.core.config import ModelsConfig
from sonic_ops.core.errors import ConfigError
from sonic_ops.core.presets import trained_resolution
from sonic_ops.core.weights import weights_notice
from sonic_ops.models.inventory import compare
from sonic_ops.pipeline import SonicPipeline
from sonic_ops.released.check import check_weights
from sonic_ops.released.convert import convert
from sonic_ops.released.sources import NOTICE, SVD, WHISPER
from tests.sonic_ops.models.test_inventory import INVENTORY

Edit = Callable[[dict[str, Tensor]], object]


def silent(_: str) -> None:
    pass


@pytest.fixture
def source(released: Path, tmp_path: Path) -> Path:
    """A copy of the released files, to be spoiled."""
    return Path(shutil.copytree(released, tmp_path / "source"))


@pytest.fixture(scope="module")
def converted(released: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("converted") / "sonic"
    convert(released, target, silent)
    return target


def refusal(source: Path, tmp_path: Path) -> str:
    """What converting says; nothing is left behind."""
    with pytest.raises(ConfigError) as caught:
        convert(source, tmp_path / "target", silent)
    assert caught.value.remedy
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
    return caught.value.message


def edit_unet(source: Path, edit: Edit) -> None:
    path = source / "Sonic" / "unet.pth"
    weights = torch.load(path, weights_only=True)
    edit(weights)
    torch.save(weights, path)


def test_every_network_loads_with_the_released_numbers(released: Path, converted: Path) -> None:
    models = SonicPipeline.load(ModelsConfig(weights=str(converted)))
    unet = torch.load(released / "Sonic" / "unet.pth", weights_only=True)
    assert all(torch.equal(models.unet.unet.state_dict()[k], v.float()) for k, v in unet.items())
    token = torch.load(released / "Sonic" / "audio2token.pth", weights_only=True)
    assert all(torch.equal(models.audio2token.state_dict()[k], v) for k, v in token.items())
    speech = load_file(released / WHISPER / "model.safetensors")
    ours = models.speech_encoder.state_dict()
    assert all(torch.equal(ours[k], speech[f"model.encoder.{k}"]) for k in ours)
    vae = load_file(released / SVD / "vae" / "diffusion_pytorch_model.safetensors")
    assert all(torch.equal(models.vae.state_dict()[k], v) for k, v in vae.items())


def test_precision_is_kept_and_the_licence_travels_along(converted: Path) -> None:
    dtypes = {r.name: r.dtypes for r in check_weights(converted)}
    assert dtypes["image_encoder"] == ("F16",)
    assert dtypes["unet"] == ("F16",)
    assert dtypes["vae"] == ("F32",)
    assert weights_notice(str(converted)) == NOTICE
    assert weights_notice("package:sketch") is None


def test_the_released_networks_take_any_resolution(converted: Path) -> None:
    assert trained_resolution(str(converted)) is None


def test_a_difference_names_what_is_missing_unknown_and_misshapen(
    source: Path, tmp_path: Path
) -> None:
    edit_unet(
        source,
        lambda w: (
            w.pop("conv_in.bias"),
            w.update({"what.is.this": torch.ones(2), "conv_out.bias": torch.ones(5, 1)}),
        ),
    )
    said = refusal(source, tmp_path)
    assert "1 weights are missing (conv_in.bias)" in said
    assert "1 weights are unknown (what.is.this)" in said
    assert "conv_out.bias: 5 x 1 and not 4" in said


def test_a_long_difference_is_cut() -> None:
    needed = {f"layer.{n}": (1,) for n in range(64)}
    words = str(compare(needed, {}))
    assert words == "64 weights are missing (layer.0, layer.1, layer.10 and 61 more)"


def test_full_size_released_keys_fit_and_one_less_is_named(source: Path, tmp_path: Path) -> None:
    """Every one of the 1492 released keys in its full shape; a number is stored once."""
    keys = json.loads((INVENTORY / "unet_keys.json").read_text())
    weights = {k: torch.zeros(1, dtype=torch.float16).expand(shape) for k, shape in keys.items()}
    del weights["mid_block.attentions.0.transformer_blocks.0.attn2.processor.to_k_ip.0.weight"]
    torch.save(weights, source / "Sonic" / "unet.pth")
    full = {
        "_class_name": "UNetSpatioTemporalConditionModel",
        "num_attention_heads": [5, 10, 20, 20],
        "cross_attention_dim": 1024,
    }
    (source / SVD / "unet" / "config.json").write_text(json.dumps(full))
    said = refusal(source, tmp_path)
    assert said.endswith(
        "unet: 1 weights are missing "
        "(mid_block.attentions.0.transformer_blocks.0.attn2.processor.to_k_ip.0.weight)"
    )


def test_a_pickle_that_runs_something_is_not_opened(source: Path, tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, ...]:
            return (os.mkdir, (str(tmp_path / "harm"),))

    edit_unet(source, lambda w: w.update({"x": Harmful()}))  # type: ignore[dict-item]
    assert "contains more than tensors" in refusal(source, tmp_path)
    assert not (tmp_path / "harm").exists()


def test_damaged_and_missing_files_are_named(source: Path, tmp_path: Path) -> None:
    unet = source / "Sonic" / "unet.pth"
    unet.write_bytes(unet.read_bytes()[:5000])
    assert "unet.pth" in refusal(source, tmp_path)
    unet.unlink()
    assert "Sonic/unet.pth is missing from" in refusal(source, tmp_path)
    (source / SVD / "vae" / "config.json").write_text("{")
    unet.write_bytes(b"")
    assert "cannot be read" in refusal(source, tmp_path)


def test_a_table_of_tables_is_refused(source: Path, tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.ones(1)}}, source / "Sonic" / "unet.pth")
    assert "contains more than tensors" in refusal(source, tmp_path)


def test_a_folder_that_exists_is_not_overwritten(released: Path, converted: Path) -> None:
    with pytest.raises(ConfigError, match=r"already exists"):
        convert(released, converted, silent)


def test_check_finds_what_was_changed(converted: Path, tmp_path: Path) -> None:
    assert not any(report.problem for report in check_weights(converted))
    folder = Path(shutil.copytree(converted, tmp_path / "changed"))
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    clip = folder / "image_encoder" / "model.safetensors"
    weights = load_file(clip)
    weights.pop("visual_projection.weight")
    save_file(weights, clip)
    (folder / "scheduler" / "scheduler_config.json").unlink()
    problems = {report.name: report.problem for report in check_weights(folder) if report.problem}
    assert problems.keys() == {"image_encoder", "scheduler", "checksums"}
    assert "visual_projection.weight" in problems["image_encoder"]
    assert "vae/diffusion_pytorch_model.safetensors" in problems["checksums"]


def test_a_config_that_describes_no_network_is_named(source: Path, tmp_path: Path) -> None:
    path = source / SVD / "unet" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"down_block_types": ["Nonsense"]}))
    assert "unet/config.json" in refusal(source, tmp_path)
