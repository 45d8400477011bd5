"""The configuration of a run: each layer owns its section, a preset holds only what differs."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field, ValidationError

from cluster.config import ClusterConfig
from flows.rows.columns import MAX_GAIN_DB, MAX_SEED, MIN_GAIN_DB
from flows.rows.rows import LIKE, Row
from flows.urls import resolve
from sonic_ops.core.config import (
    Count,
    FilmConfig,
    MediaConfig,
    ModelsConfig,
    PortraitConfig,
    ProvenanceConfig,
)
from sonic_ops.core.constants import OUTPUT_FPS
from sonic_ops.core.errors import ConfigError
from sonic_ops.core.formats import likely_format
from sonic_ops.core.presets import VideoConfig, changed, preset_path, read_preset
from sonic_ops.core.rates import frame_rate
from sonic_ops.core.settings import Settings
from sonic_ops.core.weights import PACKAGED

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MAX_ROWS = 32
"""Rows in flight where nobody has asked for more: each has a thread and latents in memory."""


class AudioConfig(Settings):
    """What is done to the audio of a row."""

    isolate_voice: bool = Field(
        default=False,
        description="take music out of the audio that moves the mouth (REPET-SIM), unless the row "
        "has a `voice`; what is heard stays as it is",
    )
    background_gain: Annotated[float, Field(ge=MIN_GAIN_DB, le=MAX_GAIN_DB)] = Field(
        default=0.0,
        description="gain in dB of the column `background`, if the row says none. A mix whose "
        "peaks would pass -1 dB is made quieter as a whole",
    )


class PreviewConfig(Settings):
    """What a preview shows of its row."""

    seconds: Annotated[float, Field(gt=0)] = Field(
        default=3, description="with `--preview`: seconds of each row"
    )
    steps: Count = Field(
        default=8, description="with `--preview`: denoising steps, if `sampling.steps` is not lower"
    )


class RenderConfig(VideoConfig):
    """Everything that a preset can say."""

    models: ModelsConfig
    portrait: PortraitConfig = PortraitConfig()
    film: FilmConfig = FilmConfig()
    audio: AudioConfig = AudioConfig()
    cluster: ClusterConfig = ClusterConfig()
    provenance: ProvenanceConfig = ProvenanceConfig()
    preview: PreviewConfig = PreviewConfig()
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = Field(
        default=0, description="seed of rows that do not set one"
    )
    rows_in_flight: Count | None = Field(
        default=None,
        description="rows rendered at the same time. If unset, 1 without workers, else the "
        "number of workers, from 2 to 32",
    )
    max_attempts: Count = Field(
        default=3,
        description="how often a row may fail for reasons of the machine before it is set aside",
    )
    keep_work: bool = Field(default=False, description="keep the work folder of a finished row")
    overwrite: bool = Field(
        default=False,
        description="replace an output that exists and was not written by this program, as "
        "`--overwrite` does; a file that any row reads is never replaced",
    )
    confine_to: str | None = Field(
        default=None,
        description="folder that no output may leave, by an absolute path, `..`, a link or another "
        "store; `--confine` sets it to the folder of `--output`, else of the manifest",
    )
    live: bool = Field(
        default=False,
        description="publish finished segments as an HLS playlist beside the output while the row "
        "renders, as `--live` does. Changes no bit",
    )
    work: str | None = Field(
        default=None,
        description="folder for work in progress: any fsspec URL, such as `s3://bucket/work`. "
        "If unset, `.sonic` beside each output; `--work` overrides it",
    )
    lease_s: Annotated[float, Field(gt=0)] = Field(
        default=120, description="how long a command may be silent before others take over its rows"
    )

    def num_rows_in_flight(self, num_workers: int) -> int:
        """Count the rows rendered at the same time: others fill the gaps of a short one."""
        alone = self.cluster.workers == 0
        return self.rows_in_flight or (1 if alone else min(max(num_workers, 2), MAX_ROWS))

    def for_previews(self) -> "RenderConfig":
        """Return the configuration with the steps of previews; at least one step is run."""
        sampling, num_steps = self.sampling, self.preview.steps
        few = (n for n in range(num_steps, sampling.steps) if int(n * sampling.strength))
        steps = next(few, sampling.steps)
        sampling = sampling.model_copy(update={"steps": steps})
        return self.model_copy(update={"sampling": sampling, "live": False})

    def for_row(self, row: Row) -> "RenderConfig":
        """Return the configuration with the overrides of a row."""
        guidance = row.audio_guidance
        portrait = {"resolution": row.resolution, "framing": row.framing}
        sampling = {
            "head_motion": row.head_motion,
            "expression": row.expression,
            "audio_guidance": None if guidance is None else (guidance, guidance),
        }
        form = likely_format(row.output)
        media = {
            "codec": form.codec(self.media.codec),
            "fps": OUTPUT_FPS if form.is_animation else row.fps and frame_rate(row.fps),
            "scale_to": row.scale_to,
        }
        return self.model_copy(
            update={
                "media": self.media.model_copy(update=_given(media)),
                "portrait": self.portrait.model_copy(update=_given(portrait)),
                "audio": self.audio.model_copy(
                    update=_given({"background_gain": row.background_gain})
                ),
                "film": self.film.model_copy(update=_given({"length": row.length})),
                "sampling": self.sampling.model_copy(update=_given(sampling)),
                "seed": self.seed if row.seed is None else row.seed,
            }
        )


def load_preset(preset: str, changes: Sequence[str] = ()) -> RenderConfig:
    """Read a preset by its name or by the path of a YAML file, and change keys of it.

    A change is text such as `sampling.steps=4`, whose value is YAML.

    Relative folders of weights and work, and files of a key, count from the current folder; they
    are made absolute here, since workers may run elsewhere.
    Raises ConfigError, naming the file and every key that is wrong.
    """
    path = preset_path(preset)
    try:
        config = RenderConfig.model_validate(changed(read_preset(path), changes))
    except ValidationError as error:
        wrong = "; ".join(map(_problem, error.errors()))
        raise ConfigError(
            f"The preset {path} is wrong: {wrong}",
            remedy="Correct these keys; configs/README.md lists all of them.",
        ) from error
    here, weights = str(Path.cwd()), config.models.weights
    if not weights.startswith(PACKAGED):
        weights = resolve(weights, here)
    provenance = config.provenance
    files = {"key": provenance.key, "certificate": provenance.certificate}
    absolute = {name: None if path is None else resolve(path, here) for name, path in files.items()}
    config = config.model_copy(
        update={
            "models": config.models.model_copy(update={"weights": weights}),
            "work": None if config.work is None else resolve(config.work, here),
            "confine_to": config.confine_to and resolve(config.confine_to, here),
            "media": _with_encoder(config),
            "provenance": provenance.model_copy(update=absolute),
        }
    )
    if provenance.key is not None:
        _check_key(config.provenance)
    return config


def load_config(
    preset: str, settings: Sequence[str], *, work: str | None, overwrite: bool, live: bool = False
) -> RenderConfig:
    """Read a preset as `load_preset` does; `work`, `overwrite`, `live` are those of the command."""
    config = load_preset(preset, settings)
    said = {"work": work, "overwrite": overwrite or None, "live": live or None}
    return config.model_copy(update={key: said[key] for key in said if said[key] is not None})


def _problem(entry: "ErrorDetails") -> str:
    """Say what is wrong with a key, and which one it may mean."""
    key = ".".join(map(str, entry["loc"]))
    likely = get_close_matches(key, keys_of(RenderConfig), n=1, cutoff=LIKE)
    meant = f" (did you mean {likely[0]}?)" if likely and likely[0] != key else ""
    return f"{key}: {entry['msg']}{meant}"


def keys_of(section: type[BaseModel], prefix: str = "") -> list[str]:
    """Name all keys of a section and of the sections in it."""
    keys = []
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            keys += keys_of(kind, f"{prefix}{name}.")
        else:
            keys.append(f"{prefix}{name}")
    return keys


def _check_key(provenance: ProvenanceConfig) -> None:
    """Sign something to test the key: raises ConfigError if it cannot."""
    from sonic_ops.provenance.c2pa import signer_of

    if signer := signer_of(provenance):
        signer.check()


def _with_encoder(config: RenderConfig) -> MediaConfig:
    """Return the media settings with a known encoder, so that all workers use the same.

    Raises ConfigError where it is missing here and work is done here.
    """
    if config.media.encoder == "cpu":
        return config.media
    from sonic_ops.media.nvenc import has_nvenc, require_nvenc

    if config.media.encoder == "auto":
        found = "nvenc" if has_nvenc() else "cpu"
        return config.media.model_copy(update={"encoder": found})
    if config.cluster.address is None:
        require_nvenc()
    return config.media


def _given(values: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in values.items() if value is not None}
