"""What a preset costs on a machine, as it was measured, or as it is guessed."""

import hashlib
import json
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from flows import urls
from flows.caches import cache_folder
from flows.rows.config import RenderConfig
from sonic_ops.core.errors import ConfigError
from sonic_ops.core.files import draft_of, reason_of
from sonic_ops.core.formats import CODECS
from sonic_ops.core.weights import weights_folder, weights_part

CPU_FACTS = Path("/proc/cpuinfo")
SHORT = 12
NAMED = "SONIC_CALIBRATION"
"""The variable that may name the file of a calibration."""


def machine_name() -> str:
    """Describe the processor, independently of restarts and containers."""
    try:
        lines = CPU_FACTS.read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} x {models[0] if models else platform.processor()}"


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of a worker at `pixels` pixels, by what they grow with.

    `piece_s` is an audio chunk of 30 s, `frame_s` the projection of what a
    frame hears, `branch_s` a UNet call for one guidance branch, `step_frame_s` the fusion of a
    frame after a step, `middle_s` the interpolation after a frame, `paste_s` an output frame that
    is put into an image, by the pixels that it covers there, `encode_s` an output frame by its
    codec. `driver_row_s` and `driver_second_s`, of the process that runs the flows, are per
    row and per second of video.
    """

    pixels: int
    piece_s: float
    portrait_s: float
    frame_s: float
    branch_s: float
    step_frame_s: float
    decode_s: float
    middle_s: float
    paste_s: float
    encode_s: Mapping[str, float]
    driver_row_s: float
    driver_second_s: float


START_S: Final = 20.0
"""A guess of what start and end of a run take: 12 to 16 s on two idle cores, more on busy ones."""
ALONE_START_S: Final = 10.0
"""The same of a run without Ray: 7 to 9 s on two idle cores."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Costs, what start and end take, memory, and bytes of the work folder per token and frame.

    `alone_start_s` is what start and end take if one process does all the work, without Ray.
    `kept_bytes` is what a worker holds once its weights are loaded, `peak_bytes` the most that it
    holds in a stage; of the device if the preset names one that is not the CPU. `spread` is the
    factor by which a guess may be wrong either way; 1 if that is not known.
    """

    costs: Costs
    start_s: float
    alone_start_s: float
    kept_bytes: int
    peak_bytes: Mapping[str, int]
    work_token_bytes: float
    work_frame_bytes: float
    limit_bytes: int = 0
    source: str = "a rough guess"
    is_measured: bool = False
    machine: str = field(default_factory=machine_name)
    spread: float = 1.0


def calibration_path(config: RenderConfig, named: str | None = None) -> Path | None:
    """Return the named calibration file, or the cached one of this preset and machine."""
    if named := named or os.environ.get(NAMED):
        return Path(named)
    folder = cache_folder("calibrations")
    key = hashlib.sha256(f"{_deciding(config)} {machine_name()}".encode()).hexdigest()
    return folder / f"{key[:SHORT]}.json" if folder else None


def save_calibration(calibration: Calibration, path: Path) -> None:
    """Write a calibration. Raises ConfigError if that cannot be done."""
    require_calibration_place(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft_of(path) as draft:
            draft.write_text(json.dumps(asdict(calibration), indent=1))
    except OSError as error:
        raise ConfigError(
            f"The calibration cannot be written to {path} ({reason_of(error)})",
            remedy="Choose a writable file with --calibration FILE.",
        ) from error


def require_calibration_place(path: Path) -> None:
    """Raise ConfigError if another file is where a calibration is to be written."""
    content = urls.read_json(str(path)) if path.is_file() else None
    if path.exists() and not (isinstance(content, dict) and "costs" in content):
        raise ConfigError(
            f"{path} already exists and is not a calibration",
            remedy="Name another file: --calibration FILE.",
        )


def load_calibration(
    config: RenderConfig,
    named: str | None = None,
    otherwise: Callable[[RenderConfig], Calibration] | None = None,
) -> Calibration:
    """Load the calibration of a preset on this machine, or make a rough guess with `otherwise`.

    Raises ConfigError if a file is named that cannot be read.
    """
    path, named = calibration_path(config, named), named or os.environ.get(NAMED)
    try:
        content: dict[str, Any] = json.loads(path.read_text()) if path else {}
        return Calibration(**content | {"costs": Costs(**content["costs"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        if not named:
            return (otherwise or guess)(config)
        # What a class says of other keys is nothing for a reader.
        older = isinstance(error, TypeError | KeyError)
        reason = "it is of another version" if older else reason_of(error)
        raise ConfigError(
            f"The calibration {path} cannot be read ({reason})",
            remedy="Create it with: sonic doctor --calibrate --calibration FILE.",
        ) from error


# Measured on 2026-11-22 with `sketch` at 128 pixels on one thread of a server's CPU, and from what
# the authors of Sonic say of a GPU of 24 GB (cluster/README.md). A guess is no more than that.
_GUESS_PIXELS = 128 * 128
_GUESS_UNET_BYTES = 37e6
_GPU_GAIN = 600.0
_WORK_TOKEN_BYTES, _CONDITION_BYTES = 8e3, 3e3
_LATENT_PIXELS, _LATENT_BYTES = 8, 4  # a side of what one latent stands for, and its bytes


def guess(config: RenderConfig) -> Calibration:
    """Return costs out of the size of the UNet, the frames and the kind of device."""
    files = list(weights_part(weights_folder(config.models.weights), "unet").glob("*.safetensors"))
    unet_bytes = sum(file.stat().st_size for file in files)
    pixels = config.portrait.resolution**2
    area = config.portrait.read_resolution**2 / _GUESS_PIXELS
    num_latents = (config.portrait.read_resolution / _LATENT_PIXELS) ** 2
    on_gpu = config.models.device != "cpu"
    gain = _GPU_GAIN if on_gpu else 1.0
    kept_bytes = int(1e9 + 2.0 * unet_bytes)
    peak_bytes = int(kept_bytes + 15e3 * pixels)
    costs = Costs(
        pixels=pixels,
        piece_s=0.8,
        portrait_s=0.1 * area / gain,
        frame_s=0.002,
        branch_s=0.2 * area * unet_bytes / _GUESS_UNET_BYTES / gain,
        step_frame_s=0.0005 * area,
        decode_s=0.03 * area / (gain / 10 if on_gpu else 1),
        middle_s=0.02 * area / (gain / 10 if on_gpu else 1),
        paste_s=0.001 * area,
        encode_s={codec: 0.001 * area for codec in CODECS},
        driver_row_s=0.5,
        driver_second_s=0.02,
    )
    stages = ("encode audio", "denoise", "decode", "encode")
    return Calibration(
        costs,
        START_S,
        ALONE_START_S,
        kept_bytes,
        dict.fromkeys(stages, peak_bytes),
        _WORK_TOKEN_BYTES,
        _CONDITION_BYTES + 2 * _LATENT_BYTES * _num_channels(config) * num_latents,
    )


def _num_channels(config: RenderConfig) -> int:
    """Count the channels of the latents; the work folder has two: the last checkpoint, the end."""
    unet = weights_part(weights_folder(config.models.weights), "unet")
    return int(json.loads((unet / "config.json").read_text()).get("out_channels", 4))


def _deciding(config: RenderConfig) -> str:
    """Name the calibration by the settings that decide the cost."""
    sections: Any = {
        "models": True,
        "portrait": {"resolution", "model_resolution"},
        "sampling": {"window_frames", "cache_interval"},
        "decoding": True,
        "media": {"speed", "encoder", "interpolation"},
        "audio_chunk_s": True,
        "low_memory": True,
        "cluster": {"workers", "threads_per_worker", "cpus_per_worker", "gpus_per_worker"},
    }
    if config.cluster.address:  # its machines are others than this one
        sections["cluster"].add("address")
    return config.model_dump_json(include=sections)
