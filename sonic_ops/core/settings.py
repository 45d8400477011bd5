"""The base of all sections of the configuration."""

import logging
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, model_validator

OLD_KEYS: Final = {
    "around": "latent_origin",
    "edges": "padding_mode",
    "reuse_every": "cache_interval",
    "hold_colour": "colour_correction",
    "audio_piece_s": "audio_chunk_s",
}
"""Preset keys of version 0.1, which work for one more release."""

_log = logging.getLogger(__name__)


class Settings(BaseModel):
    """A frozen section of the configuration; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _rename_old_keys(cls, values: Any) -> Any:
        """Accept keys and values of version 0.1, and print what they are called now."""
        if not isinstance(values, dict):
            return values
        known = {
            OLD_KEYS[key] if OLD_KEYS.get(key) in cls.model_fields else key: value
            for key, value in values.items()
        }
        for key, now in zip(values, known, strict=False):
            if key != now:
                _log.warning("the preset key `%s` is now called `%s`", key, now)
        if known.get("padding_mode") == "wrap":
            _log.warning("`padding_mode: wrap` is now called `padding_mode: circular`")
            known["padding_mode"] = "circular"
        return known
