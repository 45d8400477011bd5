"""The page: one HTML file that holds all it needs, written row by row."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from flows.report.figures import BASELINES, Compared
from flows.report.views import ENTRY, IN_TABLE, RowView
from sonic_ops.quality.catalogue import ENTRIES

_HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Tile:
    """One number of the summary."""

    label: str
    text: str
    state: str = ""
    """The verdict that it counts, if it is one."""


@dataclass(frozen=True, slots=True)
class ColumnHead:
    """A column that can be sorted by."""

    label: str
    kind: str = "number"
    title: str = ""


COLUMNS: Final = (
    ColumnHead("Row"),
    ColumnHead("Id", "text"),
    ColumnHead("Verdict", "text"),
    ColumnHead("Length, s"),
    *(ColumnHead(ENTRY[n].label, title=f"{ENTRY[n].unit}; {ENTRY[n].good}") for n in IN_TABLE),
    ColumnHead("Wall, s", title="from the start of the row to its end"),
    ColumnHead("Work, s/s", title="seconds of workers per second of video"),
    ColumnHead("Notes"),
)


@dataclass(frozen=True, slots=True)
class Summary:
    """What stands above the rows."""

    title: str
    results: str
    made_at: str
    made_with: Sequence[tuple[str, str]]
    tiles: Sequence[Tile]
    counts: Sequence[tuple[str, int]]
    compared: Sequence[Compared]


def write_page(path: Path, summary: Summary, rows: Iterable[RowView]) -> None:
    """Write the page; one row is in memory at a time."""
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined
    )
    script = (_HERE / "page.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    stream = environment.get_template("page.html.j2").stream(
        title=summary.title,
        results=summary.results,
        made_at=summary.made_at,
        made_with=summary.made_with,
        tiles=summary.tiles,
        counts=summary.counts,
        compared=summary.compared,
        baselines=BASELINES,
        num_rows=sum(count for _, count in summary.counts),
        entries=ENTRIES,
        columns=COLUMNS,
        rows=rows,
        # Files of this package, and nothing that was read: they are the page, not shown by it.
        style=Markup((_HERE / "page.css").read_text("utf-8")),
        script=Markup(script),
        script_hash=f"sha256-{digest}",
    )
    with path.open("wb") as file:
        stream.dump(file, "utf-8", "replace")
