"""`sonic doctor`: what this machine has, what it lacks, and what to do about it.

Nothing that takes long is loaded: it is over in some seconds.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Literal
from urllib.error import URLError
from urllib.request import urlopen

from flows import urls
from flows.caches import cache_folder
from flows.console.terminal import Terminal
from flows.console.units import size_in_words
from flows.planning.calibration import load_calibration
from flows.planning.estimator import machine_memory_bytes
from flows.rows.config import RenderConfig, load_preset
from sonic_ops.core.errors import ConfigError, SonicError
from sonic_ops.core.files import reason_of
from sonic_ops.core.formats import FORMATS
from sonic_ops.core.presets import preset_names
from sonic_ops.core.weights import weights_folder, weights_part

State = Literal["ok", "warning", "wrong"]

MIN_PYTHON = (3, 11)
LOW_DISK_BYTES, LITTLE_DISK_BYTES = 1 << 30, 10 << 30
ON_GPU_BYTES = 4 << 30
"""What a worker takes beside its GPU, about."""

WAIT_S = 3.0
PARTS = ("unet", "vae", "image_encoder", "audio2token", "audio2bucket", "speech_encoder")


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; `remedy` is empty if nothing is wrong."""

    name: str
    state: State
    said: str
    remedy: str = ""


def examine(preset: str, terminal: Terminal) -> bool:
    """Say all findings; whether nothing is wrong. Raises ConfigError for a wrong preset."""
    config = load_preset(preset)
    is_well = True
    for finding in findings(config, preset):
        is_well = is_well and finding.state != "wrong"
        text = f"{finding.state:>7}  {finding.name}: {finding.said}"
        text += f". {finding.remedy}" if finding.remedy else ""
        terminal.warn(text) if finding.state == "wrong" else terminal.say(text)
    return is_well


def measure(preset: str, named: str | None, work: str | None, terminal: Terminal) -> None:
    """Measure what a preset costs here, with files in `work`, and keep it. Raises SonicError."""
    started_s = time.monotonic()  # what is loaded here, a render loads too
    from flows.planning.calibrate import calibrate
    from flows.planning.calibration import (
        calibration_path,
        require_calibration_place,
        save_calibration,
    )

    config = load_preset(preset)
    path = calibration_path(config, named)
    if path is not None:
        require_calibration_place(path)
    calibration = calibrate(config, terminal.say, started_s=started_s, work=work)
    if path is None:
        terminal.warn("there is no folder to keep the calibration in: --calibration FILE names one")
        return
    save_calibration(calibration, path)
    terminal.say(f"calibration: {path}")


def findings(config: RenderConfig, preset: str) -> Iterator[Finding]:
    """Yield the findings of all checks."""
    yield python_version()
    yield from libraries()
    yield codecs()
    for name, folder in (("folder", str(Path.cwd())), ("temporary files", tempfile.gettempdir())):
        yield writable(name, folder)
        yield disk(name, folder)
    yield cache()
    yield memory(config)
    yield gpu(config)
    yield prefect_server()
    for name in preset_names():
        if name != preset:
            yield weights(name, load_preset(name), needed=False)
    yield weights(preset, config, needed=True)
    yield calibrated(config)


def python_version() -> Finding:
    """Check the version of Python."""
    said = f"{platform.python_version()}, {sys.executable}"
    if sys.version_info < MIN_PYTHON:
        return Finding("Python", "wrong", said, "Use Python 3.11 or newer: make PYTHON=...")
    return Finding("Python", "ok", said)


def libraries() -> Iterator[Finding]:
    """Ray, Prefect and torch, and whether they are the versions that this was made for."""
    wanted = {
        name: rest
        for name, _, rest in (
            text.partition(">=") for text in metadata.requires("sonic-render") or ()
        )
    }
    for name in ("ray", "prefect", "torch"):
        if util.find_spec(name) is None:
            yield Finding(name, "wrong", "not installed", "Install it: make setup.")
            continue
        version = metadata.version(name)
        least = wanted.get(name, "").partition(",")[0]
        if least and not version.startswith(least):
            said = f"{version}, but this was tested with {least}"
            yield Finding(name, "warning", said, "Install that version: make setup.")
        else:
            yield Finding(name, "ok", version)


def codecs() -> Finding:
    """Check that every format can be written."""
    import av

    from sonic_ops.media.encoding import ENCODERS

    names = {ENCODERS[codec].name for form in FORMATS.values() for codec in form.video}
    names |= {form.audio for form in FORMATS.values() if form.audio}
    missing = sorted(name for name in names if not _can_encode(name))
    said = f"PyAV {av.__version__}, " + (
        f"without {', '.join(missing)}" if missing else "all codecs"
    )
    if missing:
        remedy = "Use other formats, or install PyAV's own wheel: make setup."
        return Finding("codecs", "warning", said, remedy)
    return Finding("codecs", "ok", said)


def writable(name: str, folder: str) -> Finding:
    """Check that a folder can be written."""
    try:
        urls.probe_folder(folder)
    except OSError as error:
        remedy = "Use a folder you own, or change its permissions."
        return Finding(name, "wrong", f"{folder} cannot be written ({reason_of(error)})", remedy)
    return Finding(name, "ok", f"{folder} can be written")


def disk(name: str, folder: str) -> Finding:
    """Check the free disk space."""
    free = shutil.disk_usage(folder).free
    said = f"{size_in_words(free)} free in {folder}"
    if free >= LITTLE_DISK_BYTES:
        return Finding(f"disk, {name}", "ok", said)
    state: State = "wrong" if free < LOW_DISK_BYTES else "warning"
    return Finding(
        f"disk, {name}", state, said, "Free some space; `sonic clean` lists what can be removed."
    )


def cache() -> Finding:
    """Check that this user's cache can be written."""
    folder = cache_folder("digests")
    if folder is None:
        said = "not writable: every run hashes the weights and sets up Prefect again"
        return Finding("cache", "warning", said, "Make HOME or XDG_CACHE_HOME writable.")
    return Finding("cache", "ok", str(folder.parent))


def memory(config: RenderConfig) -> Finding:
    """Check that a worker of the preset fits into memory."""
    total, on_gpu = machine_memory_bytes(), config.models.device != "cpu"
    try:
        needed = ON_GPU_BYTES if on_gpu else max(load_calibration(config).peak_bytes.values())
    except ConfigError as error:  # without weights, or a calibration, nothing is known
        return Finding("memory", "ok", f"{size_in_words(total)}; {error.message}")
    said = f"{size_in_words(total)}; a worker needs about {size_in_words(needed)}"
    if needed > total:
        return Finding("memory", "wrong", said, "Use a larger machine, or a lower resolution.")
    return Finding("memory", "ok", f"{said}, {os.cpu_count()} CPUs")


def gpu(config: RenderConfig) -> Finding:
    """Check the GPUs that the driver shows."""
    ask = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        ran = subprocess.run(ask, capture_output=True, text=True, timeout=WAIT_S, check=True)
        found = "; ".join(ran.stdout.strip().splitlines())
    except (OSError, subprocess.SubprocessError):
        found = ""
    if found and (error := _unusable(config.models.device)):
        return Finding("GPU", "wrong", f"{found}, but {error.message}", error.remedy)
    if found:
        return Finding("GPU", "ok", found)
    if config.models.device == "cpu":
        return Finding("GPU", "ok", "none; the preset does not need one")
    remedy = "Install the driver, or use a preset for the CPU: --preset lite."
    return Finding("GPU", "wrong", f"none, but the preset needs {config.models.device}", remedy)


def prefect_server() -> Finding:
    """Check that the user's Prefect server answers."""
    url = os.environ.get("PREFECT_API_URL")
    if url is None:
        return Finding("Prefect server", "ok", "each run starts a temporary one")
    try:
        with urlopen(f"{url.rstrip('/')}/health", timeout=WAIT_S):
            return Finding("Prefect server", "ok", url)
    except (URLError, OSError, ValueError) as error:
        remedy = "Start it, or unset PREFECT_API_URL for a temporary one."
        return Finding(
            "Prefect server", "wrong", f"{url} does not answer ({reason_of(error)})", remedy
        )


def weights(name: str, config: RenderConfig, *, needed: bool) -> Finding:
    """Check that the weights of a preset exist; `sonic weights check` reads every tensor."""
    title = f"weights of {name}"
    try:
        folder = weights_folder(config.models.weights)
        missing = [
            part for part in PARTS if not any(weights_part(folder, part).glob("*.safetensors"))
        ]
    except SonicError as error:
        remedy = "sonic weights fetch, then sonic weights convert." if name == "sonic" else ""
        state: State = "wrong" if needed else "warning"
        return Finding(title, state, error.message, remedy or error.remedy)
    if missing:
        said = f"{folder} lacks {', '.join(missing)}"
        return Finding(title, "wrong", said, "Fetch or convert them again.")
    return Finding(title, "ok", str(folder))


def calibrated(config: RenderConfig) -> Finding:
    """Check that a calibration exists."""
    try:
        calibration = load_calibration(config)
    except ConfigError as error:  # a file is named, and it may be about to be made
        return Finding("calibration", "warning", error.message, error.remedy)
    if calibration.is_measured:
        return Finding("calibration", "ok", calibration.source)
    said = "none for this preset, so plans are rough guesses"
    return Finding("calibration", "warning", said, "Measure: sonic doctor --calibrate.")


def _unusable(device: str) -> ConfigError | None:
    """Explain why torch cannot use a device that the driver shows."""
    if device == "cpu":
        return None  # and torch, which takes seconds to load, is not asked
    from sonic_ops.models.loading import require_device

    try:
        require_device(device)
    except ConfigError as error:
        return error
    return None


def _can_encode(name: str) -> bool:
    import av

    return _works(lambda: av.codec.Codec(name, "w"))


def _works(act: Callable[[], object]) -> bool:
    try:
        act()
    except ValueError:
        return False
    return True
