"""Rows of which there is no manifest yet, for plans."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from flows.rows import parsers
from flows.rows.config import RenderConfig
from flows.rows.plan import plan_row
from flows.rows.planned import PlannedRow
from flows.rows.rows import Row
from sonic_ops.core.errors import ConfigError, SonicError


@dataclass(frozen=True, slots=True)
class Imagined:
    """Rows of which there is no manifest yet: how many, and the seconds of each."""

    number: int
    seconds: float

    @classmethod
    def of(cls, number: int, length: str) -> "Imagined":
        """Read a length such as 90 or 45:00. Raises ConfigError."""
        try:
            seconds = parsers.seconds(length)
        except (ValueError, SonicError):
            seconds = 0.0
        if seconds <= 0:
            raise ConfigError(
                f"--length {length} is no length",
                remedy="Write seconds, or minutes and seconds as 45:00.",
            )
        return cls(number, seconds)

    def rows(self, config: RenderConfig) -> Iterator[PlannedRow]:
        """Yield rows with nothing but a length."""
        cells: dict[str, Any] = dict.fromkeys(field.name for field in fields(Row))
        cells |= {"portrait": "", "audio": "", "output": "video.mp4", "errors": (), "place": ""}
        side = config.portrait.resolution
        planned = plan_row(self.seconds, config.sampling, config.media.fps)
        for number in range(1, self.number + 1):
            row = Row(**cells | {"number": number, "id": f"video-{number}"})
            yield PlannedRow(row, "", "", planned, (), (side, side), (side, side))
