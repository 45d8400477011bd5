"""What decides the pixels of one video, and the presets that say it."""

import json
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import ConfigDict, Field, model_validator

from sonic_ops.core.config import (
    AudioContext,
    Count,
    DecodingConfig,
    MediaConfig,
    PortraitConfig,
    SamplingConfig,
)
from sonic_ops.core.constants import (
    CHUNK_OVERLAP_SAMPLES,
    CHUNK_SECONDS,
    FADE_TOKENS,
    SAMPLE_RATE_HZ,
    TOKENS_PER_SECOND,
)
from sonic_ops.core.errors import ConfigError
from sonic_ops.core.settings import Settings
from sonic_ops.core.weights import weights_folder

INDEX: Final = "model_index.json"
"""What `SonicPipeline.from_pretrained` reads of a weights folder: its class, and its preset."""

_SET: Final = "Write a key and its value, such as sampling.steps=4; `sonic presets show` has all."

MAX_PRESET, MAX_BRACKETS = 100_000, 200
PRESETS_FOLDER: Final = Path(__file__).resolve().parents[2] / "configs"


class VideoConfig(Settings):
    """What decides the pixels of one video, and how its work is cut."""

    sampling: SamplingConfig = SamplingConfig()
    decoding: DecodingConfig = DecodingConfig()
    media: MediaConfig = MediaConfig()
    audio_context: AudioContext = Field(
        default="blocks",
        description="`blocks`: Whisper encodes 30 s at a time, as in the released code, and "
        "its features jump between blocks; `overlapped`: chunks overlap by 5 s "
        "and cross-fade. The same bits up to 30 s",
    )
    audio_chunk_s: Annotated[int, Field(ge=1, le=CHUNK_SECONDS)] = Field(
        default=CHUNK_SECONDS,
        description="seconds of audio that Whisper encodes at once, padded to 30 with "
        "silence. Above 5 if chunks overlap",
    )
    segment_frames: Count = Field(
        default=100,
        description="frames owned by one worker. Changes no latent, only the places of key frames",
    )
    fusion: Literal["every_step", "at_end"] = Field(
        default="every_step",
        description="`every_step`: neighbours exchange frames after every step, and the "
        "result is exact; `at_end`: segments are denoised alone and their "
        "overlaps fused once, for slow links ([how far from "
        "exact](../tests/bench/RESULTS.md#ten-minutes))",
    )
    overlap: Annotated[int, Field(ge=0)] = Field(
        default=12, description="with `at_end`: frames shared by neighbouring segments"
    )
    border_tolerance_frames: Annotated[int, Field(ge=0)] = Field(
        default=0,
        description="how far a segment border may move into a pause of the speech; below half "
        "of `segment_frames`. Changes no bit with `every_step`",
    )
    checkpoint_every: Annotated[int, Field(ge=0)] = Field(
        default=4,
        description="steps between checkpoints: a restart repeats at most so many. 0: only "
        "finished latents are stored. Changes no bit",
    )
    low_memory: bool = Field(
        default=False,
        description="run guidance branches one by one and decode in tiles; nearly the same "
        "frames. A worker that runs out of memory does this for one segment, "
        "and the results say so",
    )

    @property
    def deciding(self) -> frozenset[str]:
        """Return the keys that show in the video."""
        idle = {"checkpoint_every"}
        if self.fusion == "every_step":
            idle |= {"overlap", "border_tolerance_frames"}
        return frozenset(VideoConfig.model_fields) - idle

    @model_validator(mode="after")
    def _pieces_move_on(self) -> Self:
        # The last chunk begins earlier than its place: two fades must still fit between.
        fades_s = 2 * FADE_TOKENS // TOKENS_PER_SECOND
        least_s = CHUNK_OVERLAP_SAMPLES // SAMPLE_RATE_HZ + fades_s
        if self.audio_context == "overlapped" and self.audio_chunk_s < least_s:
            raise ValueError(f"audio_chunk_s must be {least_s} or more if chunks overlap")
        return self

    @model_validator(mode="after")
    def _borders_stay_apart(self) -> Self:
        if 2 * self.border_tolerance_frames >= self.segment_frames:
            raise ValueError("border_tolerance_frames must be below half of segment_frames")
        return self


class PipelineConfig(VideoConfig):
    """The part of a preset that one video needs; other sections are left to whoever runs many."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    portrait: PortraitConfig = PortraitConfig()


def preset_names() -> list[str]:
    """Name the presets that ship."""
    return sorted(path.stem for path in PRESETS_FOLDER.glob("*.yaml"))


def preset_path(preset: str) -> Path:
    """Find a preset by its name, or by the path of a YAML file. Raises ConfigError."""
    if preset in preset_names():
        return PRESETS_FOLDER / f"{preset}.yaml"
    if Path(preset).is_file():
        return Path(preset)
    likely = get_close_matches(preset, preset_names(), n=1)
    meant = f"Did you mean {likely[0]!r}? " if likely else ""
    raise ConfigError(
        f"There is no preset {preset!r}",
        remedy=f"{meant}Use one of {', '.join(preset_names())}, or the path of a YAML file.",
    )


def read_preset(path: Path) -> Any:
    """Read a preset without checking its keys. Raises ConfigError if it is no YAML."""
    try:
        text = path.read_text()
        if len(text) > MAX_PRESET or text.count("[") + text.count("{") > MAX_BRACKETS:
            raise ValueError  # the parser takes minutes for brackets in brackets
        return yaml.safe_load(text) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)  # the error itself quotes the file
        where = f" in line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or getattr(error, "strerror", None)
        raise ConfigError(
            f"The preset {path} cannot be read: {reason or 'it is not YAML'}{where}",
            remedy="Use a YAML file.",
        ) from error


def changed(preset: Any, changes: Sequence[str]) -> Any:
    """Return a preset with other values, each written `section.key=YAML`. Raises ConfigError."""
    for change in changes:
        key, is_split, value = change.partition("=")
        *sections, last = key.strip().split(".")
        try:
            section = preset = dict(preset)
            for name in sections:
                section[name] = section = dict(section.get(name) or {})
            section[last] = yaml.safe_load(value)
        except (TypeError, ValueError, yaml.YAMLError) as error:
            raise ConfigError(f"{change!r} sets no key ({error})", remedy=_SET) from error
        if not is_split or not last:
            raise ConfigError(f"{change!r} sets no key", remedy=_SET)
    return preset


def trained_resolution(weights: str) -> int | None:
    """Return the only resolution that weights know; None if their index names none."""
    try:
        index = json.loads((weights_folder(weights) / INDEX).read_text("utf-8"))
        only = index.get("resolution")
    except (OSError, ValueError, AttributeError, ConfigError):
        return None
    return only if isinstance(only, int) else None
