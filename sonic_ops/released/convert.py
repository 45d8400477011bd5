"""From the files of the released model to the folder of safetensors that is loaded."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from safetensors.torch import save_file

from sonic_ops.core.errors import ConfigError
from sonic_ops.core.files import storage_fault
from sonic_ops.core.presets import INDEX
from sonic_ops.models.inventory import compare, read_config, shapes_of
from sonic_ops.models.loading import as_stored, build_network, computed_weights
from sonic_ops.released.checkpoint import read_checkpoint
from sonic_ops.released.fetch import ORIGINS
from sonic_ops.released.hub import BLOCK_BYTES, gigabytes
from sonic_ops.released.sources import NOTICE, SVD, WHISPER

CHECKSUMS = "SHA256SUMS"
_IGNORED = frozenset({"vision_model.embeddings.position_ids"})  # a range, of old transformers


@dataclass(frozen=True, slots=True)
class Component:
    """A network: the folder it becomes, and the files it is made from, the best one first."""

    name: str
    weights: tuple[str, ...]
    target: str = "diffusion_pytorch_model.safetensors"
    config: str = ""
    prefix: str = ""  # names of weights that belong to it start so


PARTS = (
    Component("unet", ("Sonic/unet.pth",), config=f"{SVD}/unet/config.json"),
    Component(
        "vae",
        (
            f"{SVD}/vae/diffusion_pytorch_model.safetensors",
            f"{SVD}/vae/diffusion_pytorch_model.fp16.safetensors",
        ),
        config=f"{SVD}/vae/config.json",
    ),
    Component(
        "image_encoder",
        (
            f"{SVD}/image_encoder/model.fp16.safetensors",
            f"{SVD}/image_encoder/model.safetensors",
        ),
        target="model.safetensors",
        config=f"{SVD}/image_encoder/config.json",
    ),
    Component(
        "speech_encoder",
        (f"{WHISPER}/model.safetensors",),
        target="model.safetensors",
        config=f"{WHISPER}/config.json",
        prefix="model.encoder.",
    ),
    Component("audio2token", ("Sonic/audio2token.pth",)),
    Component("audio2bucket", ("Sonic/audio2bucket.pth",)),
)
SCHEDULER = f"{SVD}/scheduler/scheduler_config.json"


def convert(source: Path, target: Path, say: Callable[[str], None]) -> None:
    """Write `target` from what `fetch` left in `source`; it appears whole or not at all.

    Precisions are kept. Raises ConfigError if a file is missing, damaged or does not fit, if
    `target` exists, or the disk has no room.
    """
    if target.exists():
        raise ConfigError(f"{target} already exists", remedy="Remove it, or choose another folder.")
    files = {part.name: _first(source, part.weights) for part in PARTS}
    _check_space(list(files.values()), target)
    draft = target.with_name(f".{target.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        _write_configs(source, draft)
        sums = [_convert_part(part, files[part.name], draft, say) for part in PARTS]
        (draft / CHECKSUMS).write_text("".join(sums))
        (draft / "NOTICE").write_text(_notice(source))
        draft.replace(target)
    except OSError as error:
        raise storage_fault(error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def sha256_of(path: Path) -> str:
    """Compute the checksum of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _convert_part(part: Component, file: Path, draft: Path, say: Callable[[str], None]) -> str:
    """Check and write the weights of a part; a line with their checksum."""
    held = read_checkpoint(file, part.prefix)
    weights = {name: value for name, value in held.items() if name not in _IGNORED}
    with torch.device("meta"):
        network = build_network(draft, part.name)
    optional = computed_weights(network).keys()
    if difference := compare(shapes_of(as_stored(network)), shapes_of(weights), optional):
        raise ConfigError(
            f"{file} are not the weights of {part.name}: {difference}",
            remedy="Fetch the released files again; weights of another model do not fit.",
        )
    path = draft / part.name / part.target
    save_file({name: value.contiguous() for name, value in weights.items()}, path)
    say(f"{part.name}: {len(weights)} weights, {gigabytes(path.stat().st_size)}")
    return f"{sha256_of(path)}  {part.name}/{part.target}\n"


def _write_configs(source: Path, draft: Path) -> None:
    for part in PARTS:
        (draft / part.name).mkdir(parents=True)
        if part.config:
            shutil.copyfile(_first(source, (part.config,)), draft / part.name / "config.json")
    (draft / "scheduler").mkdir()
    scheduler = _first(source, (SCHEDULER,))
    shutil.copyfile(scheduler, draft / "scheduler" / "scheduler_config.json")
    index = {"_class_name": "SonicPipeline", "_diffusers_version": diffusers.__version__}
    (draft / INDEX).write_text(json.dumps(index | {"preset": "sonic"}, indent=2) + "\n")
    for name, config in _adapter_configs(draft).items():
        (draft / name / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def _adapter_configs(draft: Path) -> dict[str, dict[str, Any]]:
    """Derive the configuration of the released adapters from what they connect."""
    unet, speech = read_config(draft, "unet"), read_config(draft, "speech_encoder")
    try:
        width, channels = unet["cross_attention_dim"], speech["d_model"]
        embedding = read_config(draft, "image_encoder")["projection_dim"]
        layers = speech["encoder_layers"] + 1
    except KeyError as error:
        raise ConfigError(
            f"A config.json of the released model has no {error}", remedy="Fetch the files again."
        ) from error
    shared = {"channels": channels, "intermediate_dim": width}
    return {
        "audio2token": {"_class_name": "AudioToToken", "blocks": layers, "output_dim": width}
        | shared,
        "audio2bucket": {"_class_name": "AudioToBucket", "clip_channels": embedding} | shared,
    }


def _notice(source: Path) -> str:
    origins = source / ORIGINS
    return origins.read_text() if origins.exists() else f"{NOTICE}\n"


def _first(source: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (source / name).is_file():
            return source / name
    raise ConfigError(
        f"{names[0]} is missing from {source}",
        remedy="Run `sonic weights fetch` first, or name the folder with the released files.",
    )


def _check_space(files: list[Path], target: Path) -> None:
    needed = sum(file.stat().st_size for file in files)
    free = shutil.disk_usage(next(p for p in target.absolute().parents if p.exists())).free
    if needed > free:
        raise ConfigError(
            f"The converted weights need {gigabytes(needed)}, but {target} has only "
            f"{gigabytes(free)} free",
            remedy="Free some space, or choose a folder on a larger disk.",
        )
