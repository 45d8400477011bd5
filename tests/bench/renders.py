"""Long renders of the proof: which modes there are, and how one is rendered, or found finished.

A mode is the preset `sketch` with some keys changed. Each render is one command of its own, as a
user gives it; run again, it goes on where it was.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from flows.rows.config import RenderConfig, load_preset
from sonic_ops.core.presets import PRESETS_FOLDER
from tests.bench.speech import EXAMPLES

PRESET: Final = "sketch"
APART_S: Final = 4
"""Seconds that are heard alone without audio context: those of a segment of `sketch`."""


@dataclass(frozen=True, slots=True)
class Mode:
    """A way to render; `changes` are keys of the preset."""

    label: str
    changes: Mapping[str, Any]


MODES: Final = {
    "shift": Mode("position shift (ours)", {}),
    "no-shift": Mode("shift 0", {"sampling": {"shift_frames": 0}}),
    "apart": Mode("segments alone", {"fusion": "at_end", "overlap": 0}),
    "fused": Mode("segments alone, fused at the end", {"fusion": "at_end"}),
    "no-context": Mode(
        f"no audio context: every {APART_S} s heard alone",
        {"audio_context": "blocks", "audio_chunk_s": APART_S},
    ),
    "no-motion": Mode(
        "no motion controller: both buckets 16", {"sampling": {"motion_buckets": [16.0, 16.0]}}
    ),
}
DRIFT: Final = ("shift", "no-shift", "apart", "fused")
ABLATION: Final = ("shift", "no-context", "no-motion", "no-shift", "apart", "fused")
EXACT: Final = {"media": {"crf": 0}}
"""The encoder loses nothing, so that a seam is one of the model."""


@dataclass(frozen=True, slots=True)
class Render:
    """One command: a sound, said by some portraits, in one mode, encoded as shipped or exactly."""

    audio: str
    mode: str
    seconds: float
    portraits: tuple[str, ...] = ("ada",)
    is_exact: bool = False

    @property
    def name(self) -> str:
        return f"{self.audio}-{self.mode}-{self.seconds:g}"

    @property
    def label(self) -> str:
        kind = "" if self.audio.startswith("real") else f", {self.audio} speech"
        return MODES[self.mode].label + kind

    @property
    def video_s(self) -> float:
        return self.seconds * len(self.portraits)


def manifest_of(render: Render, work: Path) -> Path:
    """Where the rows of a render are; the sound lies in `work`."""
    return work / render.name / "rows.jsonl"


def preset_of(render: Render, work: Path) -> Path:
    """Where the preset of a render is."""
    return work / render.name / "preset.yaml"


def config_of(render: Render, work: Path) -> RenderConfig:
    """The configuration of a render that has been prepared."""
    return load_preset(str(preset_of(render, work)))


def prepare(render: Render, work: Path, workers: int) -> None:
    """Write the rows and the preset of a render."""
    folder = work / render.name
    folder.mkdir(parents=True, exist_ok=True)
    rows = (
        {"id": name, "portrait": str(EXAMPLES / f"{name}.png"), "output": f"{name}.mp4", "seed": 1}
        for name in render.portraits
    )
    audio = {"audio": str((work / f"{render.audio}-{render.seconds:g}.wav").resolve())}
    text = "".join(f"{json.dumps(row | audio)}\n" for row in rows)
    manifest_of(render, work).write_text(text, "utf-8")
    shipped = yaml.safe_load((PRESETS_FOLDER / f"{PRESET}.yaml").read_text("utf-8"))
    changed = _merged(shipped, MODES[render.mode].changes)
    encoded = _merged(changed, EXACT if render.is_exact else {})
    ours = _merged(encoded, {"cluster": {"workers": workers}})
    preset_of(render, work).write_text(yaml.safe_dump(ours, sort_keys=False), "utf-8")


def run(render: Render, work: Path) -> None:
    """Render what is not finished yet, and measure it. Raises SystemExit if it does not finish."""
    sonic = str(Path(sys.executable).with_name("sonic"))
    command = [sonic, "render", str(manifest_of(render, work))]
    done = subprocess.run([*command, "--preset", str(preset_of(render, work))], check=False)
    if done.returncode:
        raise SystemExit(f"{render.name} is not finished; the same command goes on where it was")


def _merged(preset: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A preset with keys changed, also inside of its sections."""
    inside: Sequence[str] = [key for key in changes if isinstance(preset.get(key), dict)]
    merged = {key: _merged(preset[key], changes[key]) for key in inside}
    return {**preset, **changes, **merged}
